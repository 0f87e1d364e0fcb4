"""When to ask again: exponential back-off with full jitter, and what a server's Retry-After says.

Full jitter (any delay from none to the bound, evenly) is what keeps many clients from coming back all at once; see
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Retry-After: RFC 9110, section 10.2.3.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Patience:
    """How often and how long to wait, in seconds. Sleep, chance and clocks are arguments for the tests' sake."""

    tries: int = 6
    first: float = 0.5
    longest: float = 60.0
    request_seconds: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default=random.random)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic

    def wait(self, failed: int, retry_after: str | None = None) -> None:
        """Sleep after the `failed`-th failure in a row, as long as the server asks if it does, `longest` at most."""
        asked = self._asked(retry_after)
        if asked is None:
            asked = self.chance() * min(self.longest, self.first * 2.0 ** (failed - 1))
        self.sleep(min(max(asked, 0.0), self.longest))

    def _asked(self, retry_after: str | None) -> float | None:
        """Seconds, from a number or an HTTP date; None where it is neither."""
        text = (retry_after or "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError):
            return None
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - self.now()).total_seconds()
