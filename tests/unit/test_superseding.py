"""Of several documents of one person the newest stands, in any order; a tombstone counts in the order of the topic."""

import numpy as np
import pytest

from governance.flows.documents import Documents, Taken
from governance.flows.superseding import Final, Held, resolve, settle

A, U, S, D = Taken.APPLIED, Taken.UNCHANGED, Taken.SUPERSEDED, Taken.DELETED


def some(*versions: int | None) -> Documents:
    """One person's, in order; None is a tombstone."""
    count = len(versions)
    return Documents(
        [b"k"] * count,
        [None if version is None else b"{}" for version in versions],
        np.array([version or 0 for version in versions], np.int64),
        np.full(count, np.datetime64("NaT"), "datetime64[D]"),
    )


@pytest.mark.parametrize(
    ("held", "versions", "taken", "final"),
    [
        (None, (3,), [A], Final(3, 0)),
        (None, (3, 5, 4), [A, A, S], Final(5, 1)),
        (Held(4), (3, 4), [S, U], None),
        (Held(4), (5, 5), [A, U], Final(5, 0)),
        (Held(4), (None,), [D], Final(5, None)),
        (None, (None,), [D], None),
        (Held(4, deleted=True), (None, 4, 3, 5), [D, S, S, A], Final(5, 3)),
        (Held(4), (None, 4, 5, 6), [D, S, S, A], Final(6, 3)),
        (None, (7, None, 7), [A, D, S], Final(8, None)),
    ],
)
def test_what_stands_in_the_end(
    held: Held | None, versions: tuple[int | None, ...], taken: list[Taken], final: Final | None
) -> None:
    found = resolve(some(*versions), {} if held is None else {b"k": held})
    assert found.taken.tolist() == taken
    assert found.writes.get(b"k") == final


def test_the_same_version_is_compared_with_what_stands_under_it() -> None:
    found = resolve(some(4, 5, 5), {b"k": Held(4)})
    assert found.doubtful == {0: None, 2: 1}
    assert settle(found, lambda place, _: place == 2).tolist() == [U, A, Taken.CONFLICT]
