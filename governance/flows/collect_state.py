"""Where a collector stands in an API, as it is kept between pages: a cursor, since when it asks, and pages' ETags.

It reads in passes, from the first page to the last. What a pass asks for (`since`) stays the same until the newest
record is two overlaps behind it, so that pages can be told by their ETag from pass to pass. An API that counts its
pages is asked for its last page again and again: there each request is a pass.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

_PAGES = 100
"""Pages of which an ETag is kept; those behind are asked for without."""


@dataclass(frozen=True)
class Seen:
    """What is known of a page that was read in this or the last pass."""

    tag: str
    following: str | None


@dataclass(frozen=True)
class Trouble:
    """A page that can't be had: how often it was asked for, since when, and why not; without any content."""

    polls: int
    since: datetime
    what: str


@dataclass(frozen=True)
class CollectState:
    """`poll` counts the passes; `cursor` is the page to ask for next, the first if None. `newest` is the newest
    record that was admitted, no later than the clock said. `dirty` is whether this pass has met a changed page.
    """

    poll: int = 0
    since: datetime | None = None
    cursor: str | None = None
    newest: datetime | None = None
    pages: dict[str, Seen] = field(default_factory=dict)
    trouble: Trouble | None = None
    dirty: bool = False

    @property
    def page(self) -> str:
        """The page to ask for, by name."""
        return self.cursor or ""

    @property
    def part(self) -> str:
        """What the page is called in places: the same one if it is asked for again after a crash, another one in a
        later pass, which may have other records there.
        """
        name = self.cursor or "first page"
        return f"{name}, poll {self.poll}" if self.poll else name

    def with_newest(self, found: datetime | None, now: datetime) -> Self:
        """A record was admitted; one that is ahead of the clock takes nothing along."""
        known = [moment for moment in (self.newest, found) if moment is not None]
        return replace(self, newest=min(max(known), now)) if known else self

    def onward(self, following: str, tag: str | None) -> Self:
        """The page was read and another one follows."""
        return replace(self, cursor=following, pages=self._with(tag, following), trouble=None, dirty=True)

    def passed(self, tag: str | None, overlap: timedelta, *, asks_since: bool) -> Self:
        """The last page was read: the next pass begins at the first one."""
        wanted = self._next_since(overlap) if asks_since else None
        pages = self._with(tag, None) if wanted == self.since else {}
        return replace(self, poll=self.poll + 1, since=wanted, cursor=None, pages=pages, trouble=None, dirty=False)

    def grown(self, following: str | None, tag: str | None) -> Self:
        """A counted page was read, and is full if one follows; else it is asked for again."""
        pages = {} if following is not None or tag is None else {self.page: Seen(tag, None)}
        cursor = following if following is not None else self.cursor
        return replace(self, poll=self.poll + 1, cursor=cursor, pages=pages, trouble=None)

    def troubled(self, what: str, now: datetime) -> Self:
        """The page can't be had, once more."""
        before = self.trouble or Trouble(0, now, what)
        return replace(self, trouble=Trouble(before.polls + 1, before.since, what))

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        trouble = self.trouble
        return {
            "poll": self.poll,
            "since": _text(self.since),
            "cursor": self.cursor,
            "newest": _text(self.newest),
            "pages": [[name, seen.tag, seen.following] for name, seen in self.pages.items()],
            "trouble": None
            if trouble is None
            else {"polls": trouble.polls, "since": _text(trouble.since), "what": trouble.what},
            "dirty": self.dirty,
        }

    @classmethod
    def of(cls, state: dict[str, Any]) -> Self:
        """The inverse of `as_json`; the beginning for an empty one."""
        if not state:
            return cls()
        trouble = state["trouble"]
        return cls(
            poll=state["poll"],
            since=_moment(state["since"]),
            cursor=state["cursor"],
            newest=_moment(state["newest"]),
            pages={name: Seen(tag, following) for name, tag, following in state["pages"]},
            trouble=trouble and Trouble(trouble["polls"], datetime.fromisoformat(trouble["since"]), trouble["what"]),
            dirty=state["dirty"],
        )

    def _with(self, tag: str | None, following: str | None) -> dict[str, Seen]:
        pages = {name: seen for name, seen in self.pages.items() if name != self.page}
        if tag is not None and len(pages) < _PAGES:
            pages[self.page] = Seen(tag, following)
        return pages

    def _next_since(self, overlap: timedelta) -> datetime | None:
        if self.newest is None:
            return self.since
        wanted = self.newest - overlap
        return wanted if self.since is None or wanted - self.since >= overlap else self.since


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
