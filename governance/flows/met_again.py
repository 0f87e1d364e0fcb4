"""Which records of a page were met before: an API that is asked for changes gives the overlap again.

A record is known by a keyed digest of all that it says. Alike ones are told apart by their number within a pass through
the API's pages, so that a source that gives a record twice is counted twice, and one that is read twice once. Whether a
record was admitted, held or refused makes no difference.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from governance.flows.progress import Counts, Place, Standing


@dataclass(frozen=True)
class Met:
    """A record as it was met last: its digest, its number among alike ones of that pass, the pass, and its page."""

    digest: bytes = field(repr=False)
    number: int
    poll: int
    page: str


@dataclass(frozen=True)
class Memory:
    """What is to be remembered of a page of a pass, besides what `unchanged` pages of the pass held. `forget_before`
    forgets what was met in earlier passes only; None forgets nothing.
    """

    poll: int
    met: Sequence[Met] = ()
    unchanged: Sequence[str] = ()
    forget_before: int | None = None


class CollectStore(Protocol):
    """Standings with a memory of records. Raises StoreUnavailableError."""

    def standing(self, place: Place) -> Standing:
        """See `ProgressStore.standing`."""
        ...

    def met(self, place: Place, digests: Sequence[bytes]) -> list[Met]:
        """What is remembered of records with these digests."""
        ...

    def advance(
        self,
        place: Place,
        before: int,
        after: Standing,
        memory: Memory,
        quarantined: pa.RecordBatch | None = None,
        contract_version: str = "",
    ) -> None:
        """`ProgressStore.advance`, which see, and remember, in the same transaction."""
        ...

    def settle(
        self, place: Place, part: str, decided: pa.Array, counts: Counts, quarantined: pa.RecordBatch, version: str
    ) -> None:
        """`ProgressStore.settle`, which see, of rows that are held under a page's part."""
        ...


def recognise(
    digests: Sequence[bytes], remembered: Iterable[Met], poll: int, page: str, unchanged: Iterable[str] = ()
) -> tuple[list[bool], list[Met]]:
    """Whether each record of a page was met in an earlier pass; and each as it is met now.

    The numbers of alike records that this pass has met already, on other pages or on `unchanged` ones, are taken.
    """
    still = set(unchanged)
    taken: dict[bytes, set[int]] = defaultdict(set)
    earlier: dict[bytes, set[int]] = defaultdict(set)
    for one in remembered:
        met_now = one.poll >= poll or one.page in still
        (taken if met_now else earlier)[one.digest].add(one.number)
    known, met = [], []
    for digest in digests:
        number = _free(taken[digest])
        taken[digest].add(number)
        known.append(number in earlier[digest])
        met.append(Met(digest, number, poll, page))
    return known, met


def _free(taken: set[int]) -> int:
    number = 1
    while number in taken:
        number += 1
    return number
