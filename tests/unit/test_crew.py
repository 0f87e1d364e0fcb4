"""Batches under way at once are stored in their order, and nothing is stored behind one that failed."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from governance.errors import SourceError
from governance.flows.crew import AT_ONCE, Crew, Turn


class Batch:
    """A batch that writes down what happens to it."""

    def __init__(self, number: int, log: list[str], enforcing: Callable[[int], None] = lambda _: None) -> None:
        self.number, self.log, self.enforcing = number, log, enforcing

    def enforce(self, turn: Turn) -> None:
        self.enforcing(self.number)
        turn.wait()
        self.log.append(f"turn {self.number}")
        turn.pass_on()

    def store(self) -> None:
        self.log.append(f"store {self.number}")

    def end(self) -> None:
        self.log.append(f"end {self.number}")

    def tell(self) -> None:
        self.log.append(f"tell {self.number}")


def _only(log: list[str], word: str) -> list[int]:
    return [int(line.split()[1]) for line in log if line.startswith(word)]


def _work(batches: Iterable[Batch]) -> None:
    with Crew() as crew:
        for batch in batches:
            crew.put(batch)
        crew.finish()


def test_slow_and_quick_batches_take_turns_and_are_stored_in_their_order() -> None:
    log: list[str] = []
    _work([Batch(number, log, lambda n: time.sleep(0.02 * (n % 2 == 0))) for number in range(9)])
    for word in ("turn", "store", "end", "tell"):
        assert _only(log, word) == list(range(9))


def test_two_batches_are_enforced_side_by_side() -> None:
    both = threading.Barrier(AT_ONCE)
    log: list[str] = []

    def meet(_: int) -> None:
        both.wait(5)

    _work([Batch(number, log, meet) for number in range(2 * AT_ONCE)])
    assert _only(log, "store") == list(range(2 * AT_ONCE))


def test_nothing_is_stored_behind_a_batch_that_failed() -> None:
    log: list[str] = []

    def fail(number: int) -> None:
        if number == 2:
            raise SourceError("the third batch")

    with pytest.raises(SourceError, match="third"):
        _work([Batch(number, log, fail) for number in range(9)])
    assert _only(log, "store") == [0, 1]
    begun = _only(log, "turn")
    assert 2 not in begun
    assert set(begun) <= set(_only(log, "end")), "a batch that was begun kept its lease"


def test_what_is_under_way_ends_when_the_source_fails() -> None:
    log: list[str] = []

    def source() -> Iterator[Batch]:
        for number in range(AT_ONCE):
            yield Batch(number, log, lambda _: time.sleep(0.02))
        raise SourceError("no further batch")

    with pytest.raises(SourceError):
        _work(source())
    assert _only(log, "end") == list(range(AT_ONCE))
