"""What a collector needs of an API: one page at a time, and none if it hasn't changed. Its adapter is
`adapters/sources/polling`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Protocol

from governance.errors import KasbahError
from governance.flows.source import SourceBatch


class StoppedError(KasbahError):
    """Asked to stop while waiting: what was begun is left for the next time."""


@dataclass(frozen=True)
class PolledPage:
    """A page as it was answered. `following` is the cursor of the next one, None at the end; `tag` is its ETag."""

    batch: SourceBatch
    following: str | None
    tag: str | None


class PagedSource(Protocol):
    """An API. Raises SourceUnavailableError where it doesn't answer rightly, SourceError where that won't change by
    itself; both say which page, never what is in it. StoppedError when asked to stop meanwhile.
    """

    @property
    def name(self) -> str:
        """The source's name in the contract."""
        ...

    @property
    def grows(self) -> bool:
        """Whether its pages are counted and never come again once they are full. After its last page that page is
        asked for again; after another API's, the first one.
        """
        ...

    @property
    def asks_since(self) -> bool:
        """Whether it can be asked for what changed since a moment."""
        ...

    def page(self, number: int, cursor: str | None, since: datetime | None, tag: str | None) -> PolledPage | None:
        """The page at `cursor`, the first one if None, of what changed since; None if it still has this ETag. Its
        batch's part is its cursor. `number` is what it is called in messages.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def until_stopped(stop: Event) -> Callable[[float], None]:
    """Waits as long as it is told; raises StoppedError as soon as `stop` is set."""

    def wait(seconds: float) -> None:
        if stop.wait(seconds):
            raise StoppedError("asked to stop")

    return wait
