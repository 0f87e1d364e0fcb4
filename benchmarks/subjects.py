"""How long it takes to find and to make subjects, on a real PostgreSQL with fsync on.

There is no peer to measure beside; the goals are seconds on a machine of two cores that does nothing else.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from governance.adapters.control.database import connect, migrate
from governance.adapters.control.epochs import PostgresEpochs
from governance.adapters.control.rotation import ResealedSubjects
from governance.adapters.control.subjects import PostgresSubjects
from governance.adapters.kms.local import LocalKeyService
from governance.model.clock import system_clock
from governance.protection.choice import warm
from governance.protection.epochs import Epochs
from governance.protection.subjects import Subjects
from local.postgres import Postgres

REPEATS = 5
KNOWN, NEW = 100_000, 50_000


def run() -> list[dict[str, Any]]:
    """Median seconds of 5 repeats each."""
    warm()
    with _subjects() as (subjects, epochs, store):
        new = [_timed(subjects, first, NEW, 2) for first in range(0, REPEATS * NEW, NEW)]
        known = [_timed(subjects, first, KNOWN, 1) for first in range(0, REPEATS * 10_000, 10_000)]
        both = [_timed(subjects, first, KNOWN, 2) for first in range(0, REPEATS * 10_000, 10_000)]
        alive = _alive(subjects)
        reseal = _reseal(subjects, epochs, store)
    return [
        _entry("subjects_new", new, 1.5),
        _entry("subjects_known", known, 0.5),
        _entry("subjects_known_2_keys", both, None),
        _entry("subjects_alive", alive, None),
        _entry("subjects_reseal", reseal, None),
    ]


@contextmanager
def _subjects() -> Iterator[tuple[Subjects, Epochs, PostgresSubjects]]:
    folder = Path(tempfile.mkdtemp(prefix="kb"))
    server = Postgres.start(folder / "pg")
    engine = connect(server.dsn())
    try:
        migrate(engine)
        epochs = Epochs(PostgresEpochs(engine), LocalKeyService(folder / "keys"), system_clock)
        epochs.init()
        store = PostgresSubjects(engine)
        yield Subjects(store, epochs, system_clock), epochs, store
    finally:
        engine.dispose()
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


def _timed(subjects: Subjects, first: int, people: int, keys: int) -> float:
    columns = [
        pa.array([f"person{i}@example.com" for i in range(first, first + people)]),
        pa.array([f"+1212555{i:06}" for i in range(first, first + people)]),
    ]
    everyone = np.ones(people, bool)
    start = time.perf_counter()
    resolved = subjects.resolve("customer", columns[:keys], everyone)
    taken = time.perf_counter() - start
    assert len(resolved.table) == people
    return taken


def _alive(subjects: Subjects) -> list[float]:
    names = pa.array([f"person{i}@example.com" for i in range(KNOWN)])
    pseudonyms = subjects.resolve("customer", [names], np.ones(KNOWN, bool)).table.pseudonyms
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        assert subjects.alive(pseudonyms).all()
        times.append(time.perf_counter() - start)
    return times


def _reseal(subjects: Subjects, epochs: Epochs, store: PostgresSubjects) -> list[float]:
    """Seconds for 50,000 subjects from one epoch to the next, in batches of 5,000."""
    epochs.open(epochs.prepare())
    sealed, times = ResealedSubjects(subjects, store), []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for _ in range(10):
            assert sealed.reseal(5_000) == 5_000
        times.append(time.perf_counter() - start)
    return times


def _entry(name: str, times: list[float], goal: float | None) -> dict[str, Any]:
    value = statistics.median(times)
    print(f"{name}: median {value:.2f} s, from {min(times):.2f} to {max(times):.2f}")
    met = None if goal is None else value <= goal
    return {"name": name, "value": value, "unit": "s", "peer": None, "ratio": None, "goal": goal, "met": met}


def main() -> None:
    """Measure and print."""
    print(f"find {KNOWN:,} known people by one key and by two; make {NEW:,} new ones of two keys each")
    run()


if __name__ == "__main__":
    main()
