"""One load of the wide table in a process of its own: seconds a step, and the most memory that the process had.

`python -m benchmarks.load scanned|governed|clear`, in a folder with a `kasbah.toml`, prints one line of JSON.
`governed` is enforcement without the search for undeclared data. Enforcement off (`clear`) is the same flow with an
enforcement that reads names and types, as it must, and then lets every row go on in clear.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.ungoverned import NoKeys, in_clear, let_through
from governance.bootstrap import Services
from governance.enforcement.outcomes import Enforced
from governance.enforcement.plan import EnforcementPlan
from governance.flows.enforcing import Enforcing
from governance.flows.ingest import Ingest
from governance.pii.scanner import CannotTell
from governance.protection.choice import warm

DATASET, SOURCE = "bench.wide", "wide_csv"
_TOLD_ROWS = 1_000_000


def load(services: Services, mode: str) -> dict[str, Any]:
    """Load the table once. Seconds in all, a step, and in enforcement itself; rows; MiB."""
    dataset = services.contracts.find(DATASET)[1]
    flow, plan = MODES[mode](services.ingest, services.plan(dataset))
    spent = {"enforcing": 0.0}
    flow = replace(flow, enforcing=replace(flow.enforcing, enforce=_timed(flow.enforcing.enforce, spent)))
    began = time.perf_counter()
    report = flow.load(dataset, plan, dataset.sources, _tell(began))
    seconds = time.perf_counter() - began
    steps = services.runs.get(report.run).steps
    published = report.publication.merged.new if report.publication else 0
    return {
        "seconds": seconds,
        "steps": {
            s.name: (s.finished_at - s.started_at).total_seconds() for s in steps if s.started_at and s.finished_at
        },
        **spent,
        "rows": published,
        "totals": report.totals[SOURCE],
        "memory": peak_memory(),
    }


def scanned(flow: Ingest, plan: EnforcementPlan) -> tuple[Ingest, EnforcementPlan]:
    """As anybody's load is; the recognisers are made before the clock starts, as they are once a process."""
    nothing = {c.field: pa.nulls(0, pa.string()) for c in plan.columns}
    flow.enforcing.scanner.scan({name: nothing[name] for name in plan.scanned}, plan.scan, {})
    return flow, plan


def governed(flow: Ingest, plan: EnforcementPlan) -> tuple[Ingest, EnforcementPlan]:
    """Enforced, and not searched."""
    return replace(flow, enforcing=replace(flow.enforcing, scanner=CannotTell())), replace(plan, scanned=())


def ungoverned(flow: Ingest, plan: EnforcementPlan) -> tuple[Ingest, EnforcementPlan]:
    """Not enforced."""
    off: Enforcing = replace(flow.enforcing, keyring=NoKeys(), enforce=let_through)
    return replace(flow, enforcing=off), in_clear(plan)


def peak_memory() -> float:
    """MiB, the most that this process had resident. Not `getrusage`, whose figure outlives `exec` (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def _timed(enforce: Callable[..., Enforced], spent: dict[str, float]) -> Callable[..., Enforced]:
    def timed(*args: Any, **kwargs: Any) -> Enforced:
        began = time.perf_counter()
        try:
            return enforce(*args, **kwargs)
        finally:
            spent["enforcing"] += time.perf_counter() - began

    return timed


def _tell(began: float) -> Callable[[str, int], None]:
    """Every million rows, a line on standard error."""
    done = 0

    def tell(source: str, rows: int) -> None:
        nonlocal done
        done += rows
        if done // _TOLD_ROWS > (done - rows) // _TOLD_ROWS:
            seconds, memory = time.perf_counter() - began, peak_memory()
            print(f"    {source}: {done:>11,} rows staged in {seconds:.0f} s, {memory:.0f} MiB", file=sys.stderr)

    return tell


MODES = {"scanned": scanned, "governed": governed, "clear": ungoverned}


def main() -> None:
    """Load, and print what came of it."""
    warm()
    with Services.open() as services:
        print(json.dumps(load(services, sys.argv[1])))


if __name__ == "__main__":
    main()
