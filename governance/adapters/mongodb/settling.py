"""When the numbers are made: at once as long as that is quick, else so that most of the time is left for writing.

What waits to be counted is noted in the state itself, so nothing is lost if this process ends before.
"""

import time
from collections.abc import Callable
from threading import Lock, Timer

from governance.errors import KasbahError

_QUICK = 2.0
_PAUSE = 3.0
"""Times as long as the last counting took, until the next."""
_LONGEST = 60.0


class Settling:
    """Calls `settle` after writes. Safe from several threads. `now` is monotonic, in seconds."""

    def __init__(self, settle: Callable[[], int], now: Callable[[], float] = time.monotonic) -> None:
        self._settle, self._now = settle, now
        self._lock = Lock()
        self._timer: Timer | None = None
        self._took, self._ended = 0.0, 0.0

    def due(self) -> None:
        """Something was written: count now, or soon in another thread if the last counting was slow and just ended.

        Raises what counting raises.
        """
        with self._lock:
            if self._timer is not None:
                return
            wait = self._ended + min(_LONGEST, _PAUSE * self._took) - self._now() if self._took > _QUICK else 0.0
            if wait > 0:
                self._arm(wait)
                return
        self._count()

    def close(self) -> None:
        """Count what waits for it."""
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            self._count()

    def _count(self) -> None:
        began = self._now()
        self._settle()
        with self._lock:
            self._ended = self._now()
            self._took = self._ended - began

    def _arm(self, seconds: float) -> None:
        self._timer = Timer(seconds, self._later)
        self._timer.daemon = True
        self._timer.start()

    def _later(self) -> None:
        with self._lock:
            if self._timer is None:
                return
            self._timer = None
        try:
            self._count()
        except KasbahError:
            with self._lock:
                if self._timer is None:
                    self._arm(_LONGEST / 10)
