"""The users API's rows, one by one."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from samples.draws import Draws
from samples.feed import Feed
from samples.rows import ADMITTED, Outcome
from samples.traits import ECHO, Pattern, Row
from samples.users.person import Person, person
from samples.users.traits import AGE_UNKNOWN, TRAITS
from samples.users.writing import record

UNDERAGE = Outcome("underage", "born")
ADULT = 18


class UserSource:
    """The people of a feed; `share` of the rows are odd or defective (None: as many as real ones).

    `today` is the day on which the rows are judged: who is under 18 then must be refused, whatever else is wrong. It
    doesn't change a record. Unless said, it is the feed's first day. Without `minors` everybody is 19 or more then.
    """

    def __init__(
        self, feed: Feed, share: float | None = None, today: date | None = None, *, minors: bool = True
    ) -> None:
        self.feed = feed
        self.today = today or feed.start.date()
        self._share = share
        self._minors = minors
        self._pattern = Pattern(TRAITS, feed.seed, share)

    def sown(self, feed: Feed) -> "UserSource":
        """The people of another feed, with as many defects."""
        return UserSource(feed, self._share, self.today, minors=self._minors)

    def row(self, serial: int) -> Row[Person]:
        """The row at this place of the feed."""
        trait = self._pattern.of(serial)
        name = trait.name if trait else None
        told = self._pattern.original(serial) if name == ECHO else serial
        who = person(self.feed, self.feed.place(told), minors=self._minors)
        served = record(who, self.feed.seed, self.feed.start.date())
        outcome = ADMITTED
        if trait and name != ECHO:
            trait.spoil(served, who, Draws(self.feed.seed, "spoil", serial))
            outcome = trait.outcome
        if outcome != AGE_UNKNOWN and who.age(self.today) < ADULT:
            outcome = UNDERAGE
        return Row(serial, who.uuid, who.updated, served, who, outcome, name)

    def rows(self, start: int, end: int) -> Iterator[Row[Person]]:
        """The rows from place `start` up to, not including, `end`."""
        return map(self.row, range(start, end))


def records(seed: int, count: int, share: float | None = 0.0, *, minors: bool = False) -> Iterator[dict[str, Any]]:
    """So many records, each a person of their own: none spoilt, unless a share is given (None: as many as real ones).

    With `minors` six in a hundred are under 18 on 1 January 2026; else nobody is.
    """
    source = UserSource(Feed(seed=seed, keys=max(count, 1)), share, minors=minors)
    return (row.record for row in source.rows(0, count))
