"""Kills at moments that are drawn from a seed, under a load that never pauses."""

import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from watching import Watch, moved
from workers import Worker, until

from local.service import Service

SLOWEST = 300.0
"""Seconds that a worker may take until it moves on, on a slow machine with services just restarted."""
_START = 6.0
"""Seconds within which a kill may come before a worker has done anything."""
_WITHIN = 1.5
"""Seconds after it has moved on, within which a kill may come."""
_AWAY = 3.0
"""Seconds that a service may stay away."""


def kills(few: int) -> int:
    """How many kills a test asks for: KASBAH_KILLS is for all of ten."""
    return few * int(os.environ.get("KASBAH_KILLS", "10")) // 10


def draws(name: str) -> random.Random:
    """Where the moments come from. What is printed here repeats them: KASBAH_KILL_SEED."""
    seed = int(os.environ.get("KASBAH_KILL_SEED") or secrets.randbelow(2**32))
    print(f"{name}: KASBAH_KILL_SEED={seed}")  # noqa: T201  shown where the test fails
    return random.Random(f"{name} {seed}")  # noqa: S311, no secret


class Havoc:
    """Kills workers and takes services away, and sees to it that each comes back and moves on."""

    def __init__(self, chance: random.Random, watch: Watch, flows: dict[str, Worker]) -> None:
        self._chance, self._watch, self._flows = chance, watch, flows
        self._began = time.monotonic()
        self._pool = ThreadPoolExecutor(1, "bringing-back")
        self._back: Future[None] | None = None

    @property
    def workers(self) -> Sequence[Worker]:
        """Those at work."""
        return list(self._flows.values())

    def reign(self, count: int, services: Sequence[Service]) -> None:
        """So many kills, of each flow's worker as often as of the others'; each service goes and comes back once in ten
        of them, or once in all.
        """
        victims = ([*self._flows] * count)[:count]
        self._chance.shuffle(victims)
        visits: dict[int, list[Service]] = {}
        for service in services:
            for _ in range(max(1, count // 10)):
                visits.setdefault(self._chance.randrange(count), []).append(service)
        for number, flow in enumerate(victims):
            killed = [self.take_away(service, flow) for service in visits.get(number, ())]
            if not any(killed):
                self.kill(flow)
        self._all_back()

    def kill(self, flow: str) -> None:
        """Kill the flow's worker, mostly soon after it has moved on, sometimes while it starts; it begins again."""
        worker = self._flows[flow]
        if self._chance.random() < 0.25:
            moment = self._chance.uniform(0, _START)
        else:
            until(f"{worker.name} moves on", moved(self._watch, flow), self.workers, SLOWEST, every=0.02)
            moment = self._chance.uniform(0, _WITHIN)
        time.sleep(moment)
        self._tell(f"{worker.name} after {moment:.2f} s at {self._watch.position(flow)}")
        worker.kill()
        worker.start()

    def take_away(self, service: Service, flow: str) -> bool:
        """Kill or stop a service, perhaps a worker while it is away (returned); it comes back on its data and port."""
        self._all_back()
        hard, absent = self._chance.random() < 0.6, self._chance.uniform(0, _AWAY)
        also = self._chance.random() < 0.5
        manner = f"{'killed' if hard else 'stopped'}, and {flow} too" if also else "killed" if hard else "stopped"
        self._tell(f"{service.name} {manner}; back after {absent:.2f} s")
        (service.kill if hard else service.stop)()
        self._back = self._pool.submit(self._bring_back, service, absent)
        if also:
            self._flows[flow].kill()
            self._flows[flow].start()
        return also

    def _bring_back(self, service: Service, absent: float) -> None:
        time.sleep(absent)
        service.start()

    def _all_back(self) -> None:
        """Return once no service is away."""
        if self._back is not None:
            self._back.result()
            self._back = None

    def _tell(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {what}")  # noqa: T201  shown where the test fails


@contextmanager
def load(step: Callable[[], object], every: float) -> Iterator[None]:
    """Do `step` every so many seconds until the context ends; what it raises comes out there."""
    stop, failed = threading.Event(), list[BaseException]()

    def go() -> None:
        try:
            while not stop.wait(every):
                step()
        except BaseException as error:  # noqa: BLE001  handed over, not swallowed
            failed.append(error)

    thread = threading.Thread(target=go, name="load")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]
