"""The sources' clock, in ticks: advanced on request, or by itself as time goes by."""

import threading
import time
from collections.abc import Callable


class Ticks:
    """Begins at `tick`. With `seconds` it advances by one each time so many have passed; 0 leaves it to `advance`."""

    def __init__(self, seconds: float = 0, tick: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        if seconds < 0 or tick < 0:
            raise ValueError("ticks are counted from 0, and take no negative time")
        self._seconds = seconds
        self._added = tick
        self._clock = clock
        self._began = clock()
        self._lock = threading.Lock()

    def now(self) -> int:
        """The tick that it is."""
        passed = int((self._clock() - self._began) / self._seconds) if self._seconds else 0
        return self._added + passed

    def advance(self, by: int = 1) -> int:
        """Go on by so many; returns the tick that it is then. Raises ValueError for going back."""
        if by < 0:
            raise ValueError("ticks only go on")
        with self._lock:
            self._added += by
        return self.now()
