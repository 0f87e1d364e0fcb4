"""Numbers follow at once while counting is quick; when it is slow, they follow soon, and none is forgotten."""

import threading

import pytest

from governance.adapters.mongodb.settling import Settling
from governance.errors import StoreUnavailableError


class Counting:
    """Counts how often it is asked; each time takes so many seconds of a clock of its own."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.time, self.times = seconds, 100.0, 0
        self.fails = False
        self.done = threading.Event()

    def __call__(self) -> int:
        if self.fails:
            raise StoreUnavailableError("away")
        self.time += self.seconds
        self.times += 1
        if self.times > 1:
            self.done.set()
        return 1

    def now(self) -> float:
        return self.time


def test_quick_counting_is_done_at_each_write() -> None:
    counting = Counting(1.9)
    settling = Settling(counting, counting.now)
    for _ in range(3):
        settling.due()
    assert counting.times == 3


def test_slow_counting_leaves_time_to_write_and_the_last_write_is_counted_at_the_end() -> None:
    counting = Counting(5.0)
    settling = Settling(counting, counting.now)
    settling.due()
    settling.due()
    settling.due()
    assert counting.times == 1
    settling.close()
    assert counting.times == 2
    settling.close()
    assert counting.times == 2
    counting.time += 16.0
    settling.due()
    assert counting.times == 3


def test_slow_counting_follows_by_itself() -> None:
    counting = Counting(5.0)
    settling = Settling(counting, counting.now)
    settling.due()
    counting.time += 14.9
    settling.due()
    assert counting.times == 1
    assert counting.done.wait(10)


def test_whoever_writes_is_told_that_counting_failed() -> None:
    counting = Counting()
    counting.fails = True
    with pytest.raises(StoreUnavailableError):
        Settling(counting, counting.now).due()
