"""A source that grows: rows in the order in which it came to hold them, tick by tick.

At tick 0 it lists `keys` things once. Each tick adds rows: some change a thing that is there, some bring a new one. A
row stays where it stands, so a page asked for twice is the same page, and a tick only makes the list longer. Every
place is reckoned from its number alone: nothing is kept, however long the list.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from samples.draws import Draws

START = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BARE_EPOCH = EPOCH.replace(tzinfo=None)
_BEFORE = timedelta(days=30)
"""How long before the start the things of tick 0 were last changed."""
_MICROSECOND = timedelta(microseconds=1)


class Place(NamedTuple):
    """A row's place: which thing it speaks of, when that changed (microseconds from 1970), and if it is new there."""

    serial: int
    tick: int
    number: int
    moment: int
    fresh: bool


@dataclass(frozen=True)
class Feed:
    """`keys` things at tick 0; each tick then `changed` rows about one that is there and `fresh` new things.

    Left at None they are a fiftieth and a two-hundredth of `keys`. A tick takes `every` of the source's own time.
    """

    seed: int = 7
    keys: int = 1000
    changed: int | None = None
    fresh: int | None = None
    start: datetime = START
    every: timedelta = timedelta(minutes=1)

    def __post_init__(self) -> None:
        if self.keys < 1 or min(self.changes, self.news) < 0 or self.every <= timedelta(0):
            raise ValueError("a feed has one thing or more, no negative number of rows and a tick that takes time")

    @property
    def changes(self) -> int:
        """Rows of a tick that change something."""
        return max(1, self.keys // 50) if self.changed is None else self.changed

    @property
    def news(self) -> int:
        """Rows of a tick that bring something new."""
        return max(1, self.keys // 200) if self.fresh is None else self.fresh

    def rows(self, tick: int) -> int:
        """Rows that the source holds at a tick. Raises ValueError below 0."""
        if tick < 0:
            raise ValueError("ticks are counted from 0")
        return self.keys + tick * (self.changes + self.news)

    def place(self, serial: int) -> Place:
        """What row `serial` (from 0) speaks of."""
        if serial < self.keys:
            moment = self.began + _in(_BEFORE) * serial // self.keys
            return Place(serial, 0, serial, moment, fresh=True)
        each = self.changes + self.news
        before, turn = divmod(serial - self.keys, each)
        moment = self._start + _in(self.every) * before + _in(self.every) * (turn + 1) // each
        there = self.keys + before * self.news
        if turn < self.changes:
            number = Draws(self.seed, "changed", serial).below(there)
            return Place(serial, before + 1, number, moment, fresh=False)
        return Place(serial, before + 1, there + turn - self.changes, moment, fresh=True)

    def first(self, number: int) -> int:
        """The row that brought a thing."""
        if number < self.keys:
            return number
        before, turn = divmod(number - self.keys, self.news)
        return self.keys + before * (self.changes + self.news) + self.changes + turn

    def since(self, moment: datetime, rows: int) -> int:
        """The first of so many rows that came at this moment or later; rows stand in the order of their moments."""
        return bisect_left(range(rows), _in(moment - EPOCH), key=lambda serial: self.place(serial).moment)

    @property
    def began(self) -> int:
        """When the first thing was last changed, in microseconds from 1970."""
        return self._start - _in(_BEFORE)

    @property
    def _start(self) -> int:
        return _in(self.start - EPOCH)


def moment_at(micros: int) -> datetime:
    """The moment, in UTC, that many microseconds after 1970."""
    return EPOCH + timedelta(microseconds=micros)


def written(micros: int) -> str:
    """A moment as most sources write it: 2026-01-01T00:00:00.000000Z."""
    return f"{(_BARE_EPOCH + timedelta(microseconds=micros)).isoformat(timespec='microseconds')}Z"


def _in(period: timedelta) -> int:
    return period // _MICROSECOND
