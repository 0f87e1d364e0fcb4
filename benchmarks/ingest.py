"""What enforcement costs a whole load, and whether memory stays flat.

The same table, file, flow, stores and records on both sides, each load in a process and databases of its own, by turns.
PostgreSQL waits for the disk, as it does by default.
"""

import os
import secrets
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql

from benchmarks.figures import Result, figure
from benchmarks.installation import KASBAH, printed, write_settings
from benchmarks.installation import run as run_with
from benchmarks.load import SOURCE
from governance.adapters.settings import load_settings
from governance.bootstrap import Services
from governance.protection.choice import warm
from governance.protection.normalise import normalise
from local.postgres import Postgres
from samples.wide import batches, write_csv

ROWS, MANY_ROWS = 1_000_000, 10_000_000
CUSTOMERS, KNOWN = 100_000, 50_000
REPEATS = 3
MODES = ("scanned", "governed", "clear")
GOALS = {"governed": 1.3, "scanned": 1.5}
NAMES = {"governed": "governed_batch", "scanned": "governed_scan"}
FLAT = 1.1
STEPS = ("enforce", "scan_gate", "quality_gate", "publish", "purge")
_CONTRACTS = Path(__file__).with_name("contracts")
_KEYS = (("customer_email", "email"), ("customer_phone", "phone"))


@dataclass(frozen=True)
class Bench:
    """A server, and a folder for everything else."""

    server: Postgres
    folder: Path

    def load(self, mode: str, table: Path) -> Result:
        """One load of the table by a process of its own, into a fresh installation that knows half of the customers.
        Nothing of it is left.
        """
        name = f"bench_{secrets.token_hex(4)}"
        folder, databases = self.folder / name, [f"{name}_{part}" for part in ("control", "warehouse")]
        folder.mkdir()
        try:
            control, warehouse = (self.server.create(database) for database in databases)
            settings = _settings(folder, control, warehouse, table)
            run_with(settings, KASBAH, "keys", "init")
            if mode != "clear":
                meet(settings)
            self._administer(sql.SQL("CHECKPOINT"))
            result: Result = printed(settings, "benchmarks.load", mode)
        finally:
            for database in databases:
                self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
            shutil.rmtree(folder)
        return result

    def _administer(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(self.server.dsn(), autocommit=True) as admin:
            admin.execute(statement)


def meet(settings: Path) -> None:
    """Let the control database know the customers 0 to KNOWN - 1 of the table."""
    people = pa.Table.from_batches(batches(10 * KNOWN, KNOWN)).group_by([name for name, _ in _KEYS]).aggregate([])
    keys = [normalise(people[name], rule) for name, rule in _KEYS]
    os.environ["KASBAH_SETTINGS"] = str(settings)
    with Services.open(load_settings()) as services, services.keyring.lease("benchmark") as lease:
        lease.keys.resolve("customer", keys, np.ones(len(people), dtype=bool))


def _settings(folder: Path, control: str, warehouse: str, table: Path) -> Path:
    """A settings file of its own, open to nobody else."""
    values = {"control": control, "warehouse": warehouse, "contracts": _CONTRACTS, "actor": "benchmark"}
    values |= {"lake": folder / "lake", "anchor": folder / "anchor.jsonl", "signing_key": folder / "signing.key"}
    return write_settings(
        folder / "kasbah.toml", values, {"kms": {"folder": folder / "keys"}, "sources": {SOURCE: table}}
    )


def run() -> list[Result]:
    """Start a PostgreSQL of its own, measure, stop it. The ten million rows take minutes, and some 20 GB of disk."""
    warm()
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        server = Postgres.start(Path(folder) / "pg", {"min_wal_size": "2GB"})
        try:
            _check_durable(server)
            bench = Bench(server, Path(folder))
            return [*_governed(bench), _memory(bench)]
        finally:
            server.stop()


def _check_durable(server: Postgres) -> None:
    with psycopg.connect(server.dsn()) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(sql.SQL("SHOW {}").format(sql.Identifier(setting))).fetchone() == ("on",)


def _table(bench: Bench, rows: int) -> Path:
    path = bench.folder / f"wide_{rows}.csv"
    if not path.exists():
        print(f"  writing {rows:,} rows by {CUSTOMERS:,} customers", flush=True)
        write_csv(path, rows, CUSTOMERS)
    return path


def _governed(bench: Bench) -> list[Result]:
    """A first load of each kind isn't counted: a server in service has its log files made already."""
    table = _table(bench, ROWS)
    loads: dict[str, list[Result]] = {mode: [] for mode in MODES}
    for turn in range(REPEATS + 1):
        for mode in (*MODES[turn % 3 :], *MODES[: turn % 3]):
            result = bench.load(mode, table)
            assert result["rows"] == ROWS, result
            _say(mode if turn else f"{mode}, warm-up", result)
            loads[mode] += [result] if turn else []
    for mode, results in loads.items():
        _say(f"{mode}, median", _median(results))
    return [_beside_clear(mode, loads) for mode in GOALS]


def _beside_clear(mode: str, loads: dict[str, list[Result]]) -> Result:
    ours, clear = ([r["seconds"] for r in loads[m]] for m in (mode, "clear"))
    ratios = sorted(one / off for one, off in zip(ours, clear, strict=True))
    ratio = statistics.median(ours) / statistics.median(clear)
    print(
        f"  {mode}: {ratio:.2f} times enforcement off; "
        f"by pairs {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )
    peer = f"the same load, enforcement off: {statistics.median(clear):.1f} s"
    return figure(NAMES[mode], round(statistics.median(ours), 1), "s", peer, ratio, GOALS[mode])


def _memory(bench: Bench) -> Result:
    peaks = {}
    for rows in (ROWS, MANY_ROWS):
        result = bench.load("scanned", _table(bench, rows))
        assert result["rows"] == rows, result
        peaks[rows] = result["memory"]
        _say(f"{rows:,} rows", result)
    few, many = peaks[ROWS], peaks[MANY_ROWS]
    return figure("ingest_memory", round(many), "MiB", f"{ROWS:,} rows: {few:.0f} MiB", many / few, FLAT)


def _median(results: list[Result]) -> Result:
    return {
        "seconds": statistics.median(r["seconds"] for r in results),
        "enforcing": statistics.median(r["enforcing"] for r in results),
        "memory": statistics.median(r["memory"] for r in results),
        "steps": {name: statistics.median(r["steps"][name] for r in results) for name in STEPS},
    }


def _say(what: str, result: Result) -> None:
    steps = ", ".join(f"{name} {result['steps'][name]:.1f}" for name in STEPS)
    print(
        f"  {what:<18} {result['seconds']:6.1f} s: {steps}; "
        f"{result['enforcing']:.1f} s within enforcement; {result['memory']:.0f} MiB",
        flush=True,
    )
