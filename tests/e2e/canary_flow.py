"""Loads of planted sources, failures included, on a server that writes everything down; then all bytes are searched."""

import gzip
import json
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from unittest import mock

import psycopg
from canaries import CONTROL, Hit, Planter, controls, files_below, personal
from planting import planted, write_sources
from stacks import ROOT, Stack, api, installations, restart

from governance.adapters.sources.retrying import Patience
from local.postgres import Postgres
from samples.faults import Fault, Faults
from samples.files import write_files

SETTINGS = {
    "wal_compression": "off",
    "wal_keep_size": "2GB",
    "default_toast_compression": "pglz",
    "log_statement": "all",
    "log_parameter_max_length_on_error": "-1",
    "log_error_verbosity": "verbose",
}
"""Every page and statement as it is, and whatever the server says of them."""
RUN = "20260301T000000-0000{:02x}"


@dataclass
class Flow:
    """What went through, where it may have left something, and what the commands ended with."""

    stack: Stack
    server: Postgres
    planter: Planter
    ended: dict[str, int] = field(default_factory=dict)
    oids: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    admitted: int = 0
    staged: dict[str, int] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    found: list[Hit] = field(default_factory=list)
    searched: int = 0

    def run(self, name: str, *arguments: str) -> None:
        """A command as a process; both its outputs go into the folder that is searched, as logs do."""
        done = self.stack.kasbah(*arguments, expect=None)
        self.keep(name, done.returncode, done.stdout, done.stderr)

    def run_here(self, name: str, *arguments: str) -> None:
        """The same within this process, which spares seconds."""
        done = self.stack.here(*arguments)
        self.keep(name, done.returncode, done.stdout, done.stderr)

    def keep(self, name: str, code: int, output: str, errors: str) -> None:
        """Write outputs down."""
        logs = self.stack.folder / "logs"
        logs.mkdir(exist_ok=True)
        (logs / f"{name}.out").write_text(output, encoding="utf-8")
        (logs / f"{name}.err").write_text(errors, encoding="utf-8")
        self.ended[name] = code


@contextmanager
def whole_story(postgres: Postgres) -> Iterator[Flow]:
    """The whole story, failures included, on a server of its own, which is stopped at the end; then the search."""
    folder = Path(tempfile.mkdtemp(prefix="kbc"))
    server = Postgres.start(folder / "pg", SETTINGS)
    try:
        with installations(server, postgres) as make:
            flow = Flow(make(actor=f"{CONTROL}-actor"), server, Planter())
            _sound_loads(flow)
            _reading_back(flow)
            _blocked(flow)
            _cut_midway(flow)
            _answers_cut_midway(flow)
            _killed(flow)
            _database_killed(flow)
            _look(flow)
            _plant_controls(flow)
            Postgres.running(server.folder).stop()  # type: ignore[union-attr]  it runs
            files = files_below(flow.stack.folder, server.folder)
            flow.searched = sum(path.stat().st_size for path in files)
            flow.hits = personal().files(files)
            flow.found = controls().files(files)
            yield flow
    finally:
        running = Postgres.running(server.folder)
        if running:
            running.stop()
        for place in (folder, server.folder):
            shutil.rmtree(place, ignore_errors=True)


def _sound_loads(flow: Flow) -> None:
    wave = planted(flow.planter, 21, "first")
    write_sources(flow.stack, flow.planter, wave)
    with api(flow.stack, [wave]):
        flow.run("orders", "ingest", "store.orders")
        flow.run("stock", "ingest", "store.stock")
        flow.run_here("orders again", "ingest", "store.orders", "--json")


def _reading_back(flow: Flow) -> None:
    for name, words in {
        "held": ("quarantine", "list", "--rows", "--limit", "100000", "--json"),
        "counts": ("quarantine", "list"),
        "show": ("quarantine", "show", "store.orders", "orders_csv", f"{CONTROL}-orders.csv", "1"),
        "replay": ("quarantine", "replay", "store.orders"),
        "head": ("audit", "head"),
        "verify": ("audit", "verify"),
        "records": ("audit", "show", "--last", "1000"),
        "rotate": ("keys", "rotate"),
        "status": ("keys", "status"),
    }.items():
        flow.run_here(name, *words)
    held = json.loads((flow.stack.folder / "logs" / "held.out").read_text(encoding="utf-8"))
    flow.outcomes = Counter(f"{row['reason']}:{row['detail'] or row['field']}" for row in held)
    flow.admitted = len(flow.stack.published("orders", "order_id"))


def _csv_of(flow: Flow, seed: int, name: str, *, packed: bool = False) -> Path:
    """A file of new tokens, larger than a batch."""
    wave = planted(flow.planter, seed, name)
    write_files(wave, flow.stack.origin / name)
    path = flow.stack.origin / name / "orders.csv"
    head, *lines = path.read_bytes().splitlines(keepends=True)
    text = head + b"".join(lines) * 8
    if packed:
        path = path.with_suffix(".csv.gz")
        text = gzip.compress(text, mtime=0)
        text = text[: len(text) * 2 // 3]
    path.write_bytes(text)
    return path


def _blocked(flow: Flow) -> None:
    """A load that its gate blocks: its rows are staged, and not published."""
    stack = flow.stack
    shutil.copytree(ROOT / "contracts", stack.folder / "strict")
    contract = stack.folder / "strict" / "store" / "orders.odcs.yaml"
    text = contract.read_text(encoding="utf-8")
    assert "mustBeGreaterOrEqualTo: 1\n" in text
    contract.write_text(text.replace("mustBeGreaterOrEqualTo: 1\n", "mustBeGreaterOrEqualTo: 1000000\n"))
    stack.at("orders_csv", _csv_of(flow, 22, "blocked"))
    stack.settings(contracts=json.dumps(str(stack.folder / "strict")))
    flow.run_here("blocked", "ingest", "store.orders", "--source", "orders_csv")
    stack.settings()


def _cut_midway(flow: Flow) -> None:
    """A packed file that ends in the middle, after rows have been staged."""
    flow.stack.at("orders_csv", _csv_of(flow, 23, "cut", packed=True))
    flow.run("cut", "ingest", "store.orders", "--source", "orders_csv", "--run", RUN.format(1))


def _answers_cut_midway(flow: Flow) -> None:
    """An API that breaks off in the second page, each time."""
    wave = planted(flow.planter, 24, "api cut")
    wave.rows["orders"]["api"] *= 4
    for row in wave.rows["orders"]["api"]:  # else the watermark would leave a page of them
        row.version = datetime(2026, 6, 1)  # noqa: DTZ001, the shop's moments are in UTC
    faults = Faults(at=dict.fromkeys(range(2, 40), Fault.CUT_BODY))
    with api(flow.stack, [wave], faults=faults), mock.patch.object(Patience, "wait"):
        flow.run_here("api cut", "ingest", "store.orders", "--source", "orders_api")


def _await_batch(flow: Flow, process: subprocess.Popen[str], name: str, run: str) -> None:
    """Until the first batch of the run is on record."""
    with psycopg.connect(flow.stack.control, autocommit=True) as control:
        while process.poll() is None and not flow.staged.get(name):
            query = "SELECT count(*) FROM kasbah_control.run_batch WHERE run = %s"
            row = control.execute(query, (run,)).fetchone()
            flow.staged[name] = int(row[0]) if row else 0
            time.sleep(0.01)


def _killed(flow: Flow) -> None:
    """A load that is killed after its first batch."""
    flow.stack.at("orders_csv", _csv_of(flow, 25, "killed"))
    process = flow.stack.start("ingest", "store.orders", "--source", "orders_csv", "--run", RUN.format(2))
    _await_batch(flow, process, "killed", RUN.format(2))
    process.kill()
    output, errors = process.communicate()
    flow.keep("killed", process.returncode, output, errors)


def _database_killed(flow: Flow) -> None:
    """A load under which the database server is killed after the first batch, and recovers."""
    flow.stack.at("orders_csv", _csv_of(flow, 26, "database"))
    process = flow.stack.start("ingest", "store.orders", "--source", "orders_csv", "--run", RUN.format(3))
    _await_batch(flow, process, "database", RUN.format(3))
    running = Postgres.running(flow.server.folder)
    assert running is not None
    running.kill()
    output, errors = process.communicate(timeout=120)
    flow.keep("database", process.returncode, output, errors)
    restart(flow.server.folder, SETTINGS)


def _look(flow: Flow) -> None:
    """Which folder is which database's."""
    for name in ("control", "warehouse"):
        with psycopg.connect(getattr(flow.stack, name)) as connection:
            row = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
            assert row is not None
            flow.oids[name] = int(row[0])


def _plant_controls(flow: Flow) -> None:
    """Where no clear field of the flow comes to, the test itself writes the control."""
    (flow.stack.folder / "keys" / "beside.txt").write_text(CONTROL)
    (flow.stack.folder / "home" / "beside.txt").write_text(CONTROL)
    with psycopg.connect(flow.stack.control) as connection:
        connection.execute("SELECT %s::text", (CONTROL,))
