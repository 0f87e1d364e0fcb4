"""Databases and a lake that are away, full, interrupted or restored from an older copy: a sentence, the right exit
code, the old version readable; and the load goes on when they are back."""

import resource
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from canaries import PERSONAL
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from stacks import KASBAH, Make, Stack, deliver, installations, restart

from local.postgres import Postgres
from samples.store import history

TRANSIENT, USER = 75, 1
RUN = "20260401T000000-0000{:02x}"
WAVES = history(seed=17, scale=0.4, wave=2)
CSV = ("--source", "orders_csv")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of its own, which these tests stop and kill."""
    folder = Path(tempfile.mkdtemp(prefix="kbs"))
    running = Postgres.start(folder / "pg")
    yield running
    last = Postgres.running(running.folder)
    if last:
        last.stop()
    for place in (folder, running.folder):
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="module")
def make(server: Postgres, postgres: Postgres) -> Iterator[Make]:
    with installations(server, postgres) as made:
        yield made


@pytest.fixture
def stack(make: Make) -> Stack:
    """An installation with the first month published and the second month waiting."""
    stack = make()
    deliver(stack, WAVES[0])
    stack.load("orders", *CSV)
    deliver(stack, WAVES[1])
    return stack


def _whole(stack: Stack, run: str) -> None:
    """The run goes on to its end, and what it publishes is what the second month's file has."""
    report = stack.load("orders", *CSV, "--run", run)
    truth = WAVES[1].truth["datasets"]["orders"]["sources"]["orders_csv"]
    counts = report["totals"]["orders_csv"]
    assert (counts["rows"], counts["admitted"], counts["quarantined"]) == (
        truth["rows"],
        truth["admitted"],
        truth["quarantined"],
    )
    assert report["publication"]["merged"]["new"] > 0


def test_a_server_that_is_away_is_to_be_tried_later(stack: Stack, server: Postgres) -> None:
    before = stack.versions("orders")
    running = Postgres.running(server.folder)
    assert running is not None
    running.stop()
    try:
        done = stack.here("ingest", "store.orders", *CSV)
    finally:
        restart(server.folder)
    assert done.returncode == TRANSIENT, done.said
    assert "Trying again later may succeed" in done.stderr
    assert stack.versions("orders") == before


def test_only_the_warehouse_away_is_to_be_tried_later(stack: Stack) -> None:
    before = stack.versions("orders")
    run = RUN.format(1)
    stack.settings(warehouse='"postgresql://kasbah@127.0.0.1:9/warehouse"')
    done = stack.here("ingest", "store.orders", *CSV, "--run", run)
    stack.settings()
    assert done.returncode == TRANSIENT, done.said
    assert stack.versions("orders") == before
    _whole(stack, run)


@pytest.mark.parametrize("step", ["enforce", "publish"])
def test_ended_connections_leave_a_run_that_can_go_on(stack: Stack, step: str) -> None:
    """Every session of both databases is ended, as by an administrator, while the step runs."""
    before = stack.versions("orders")
    run = RUN.format(2)
    process = stack.start("ingest", "store.orders", *CSV, "--run", run)
    with psycopg.connect(stack.control, autocommit=True) as control:
        _await_step(control, process, run, step)
        if process.poll() is None:
            for address in (stack.warehouse, stack.control):
                _end_sessions(address, control.info.backend_pid)
    _, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors
    assert process.returncode in (0, TRANSIENT), errors[-2000:]
    if process.returncode and not _is_published(stack, run):
        assert stack.versions("orders") == before
    _whole(stack, run)


def test_a_killed_server_leaves_the_old_version_and_says_what_to_do(stack: Stack, server: Postgres) -> None:
    before = stack.published("orders", "order_id", "updated_at", "net_amount")
    run = RUN.format(3)
    process = stack.start("ingest", "store.orders", *CSV, "--run", run)
    with psycopg.connect(stack.control, autocommit=True) as control:
        _await_step(control, process, run, "quality_gate")
    running = Postgres.running(server.folder)
    assert running is not None
    running.kill()
    _, errors = process.communicate(timeout=120)
    restart(server.folder)
    assert "Traceback" not in errors
    assert process.returncode == TRANSIENT, errors[-2000:]
    assert stack.published("orders", "order_id", "updated_at", "net_amount") == before
    again = stack.here("ingest", "store.orders", *CSV, "--run", run)
    if again.returncode:
        assert "new run" in again.stderr, again.said
        _whole(stack, RUN.format(4))


def test_a_full_warehouse_is_to_be_tried_later_and_publishes_nothing(stack: Stack) -> None:
    """The server answers as one without space does, in the middle of the publication."""
    before = stack.versions("orders")
    run = RUN.format(5)
    table = sql.Identifier("store", "orders")
    with psycopg.connect(stack.warehouse) as connection:
        connection.execute(
            sql.SQL(
                """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                   IF random() < 0.1 THEN RAISE EXCEPTION {} USING ERRCODE = 'disk_full'; END IF;
                   RETURN NEW; END $$"""
            ).format(sql.Literal(f"no space for {PERSONAL}"))
        )
        trigger = sql.SQL("CREATE TRIGGER full_disk BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION full_disk()")
        connection.execute(trigger.format(table))
    done = stack.here("ingest", "store.orders", *CSV, "--run", run)
    assert done.returncode == TRANSIENT, done.said
    assert PERSONAL not in done.stderr + done.stdout
    assert stack.versions("orders") == before
    with psycopg.connect(stack.warehouse) as connection:
        connection.execute("DROP FUNCTION full_disk CASCADE")
    _whole(stack, run)


def test_a_full_lake_is_to_be_tried_later_and_publishes_nothing(stack: Stack) -> None:
    """No file may grow past a few kilobytes: the lake's is the first that would."""
    before, files = stack.versions("orders"), stack.lake_files()
    run = RUN.format(6)
    limit = 8192
    done = subprocess.run(
        [str(KASBAH), "ingest", "store.orders", *CSV, "--run", run],
        env=stack.environment,
        cwd=stack.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert "Traceback" not in done.stderr
    assert (done.returncode, "the lake is away or full" in done.stderr) == (TRANSIENT, True), done.stderr[-2000:]
    assert stack.versions("orders") == before
    assert {f for f in stack.lake_files() if f.endswith(".parquet")} == files
    _whole(stack, run)


def test_a_control_database_older_than_its_anchor_does_not_open(make: Make) -> None:
    stack = make()
    deliver(stack, WAVES[0])
    stack.load("orders", *CSV)
    copy = _copy(stack.control)
    stack.load("stock", "--source", "stock_csv")
    stack.here("audit", "head")
    before = stack.versions("orders")
    stack.settings(control=f'"{copy}"')
    for command in (("ingest", "store.orders", *CSV), ("quarantine", "list"), ("keys", "rotate")):
        done = stack.here(*command)
        assert done.returncode == USER, done.said
        assert "older than its anchor" in done.stderr, done.stderr
        assert "estore" in done.stderr or "subject reconcile" in done.stderr
    assert stack.versions("orders") == before
    stack.settings()
    stack.load("orders", *CSV)


def _copy(address: str) -> str:
    """A copy of a database as it is now, as a backup would be."""
    name = str(conninfo_to_dict(address)["dbname"])
    other = address.replace(f"/{name}?", "/postgres?")
    with psycopg.connect(other, autocommit=True) as admin:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        admin.execute(create.format(sql.Identifier(f"{name}_old"), sql.Identifier(name)))
    return address.replace(f"/{name}?", f"/{name}_old?")


def _await_step(control: "psycopg.Connection[Any]", process: subprocess.Popen[str], run: str, step: str) -> None:
    query = "SELECT state FROM kasbah_control.run_step WHERE run = %s AND step = %s"
    ended = threading.Event()
    while process.poll() is None and not ended.is_set():
        row = control.execute(query, (run, step)).fetchone()
        if row and row[0] in ("running", "done"):
            ended.set()
        time.sleep(0.002)


def _end_sessions(address: str, mine: int) -> None:
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid NOT IN (pg_backend_pid(), %s)",
            (mine,),
        )


def _is_published(stack: Stack, run: str) -> bool:
    with psycopg.connect(stack.warehouse) as connection:
        return connection.execute("SELECT 1 FROM kasbah.publication WHERE run = %s", (run,)).fetchone() is not None
