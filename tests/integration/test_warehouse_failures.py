"""Whatever breaks, and whenever: the last version stays readable, and a resumed run publishes exactly once."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from made_rows import PLAN, batch, loaded, plan, publication, row, staged
from psycopg import sql

from governance.adapters.lake import ParquetLake
from governance.adapters.warehouse import PostgresWarehouse, StoreRefusedError, staging
from governance.errors import ConflictError, KasbahError, SettingsError, StoreUnavailableError
from governance.flows.stores import LakeFile, Publication, StagingLostError
from local.postgres import Postgres


def orders(database: str) -> list[tuple[str, int]]:
    with psycopg.connect(database) as connection:
        return connection.execute("SELECT order_id, quantity FROM store.orders ORDER BY 1").fetchall()


def run_in_a_process(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])}
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), *arguments], env=environment)


def resumed(database: str, lake: ParquetLake, run: str, batches: set[int]) -> Publication:
    """What the flow does when it is called again."""
    warehouse = PostgresWarehouse(database)
    already = warehouse.publication(run)
    if already:
        return already
    warehouse.discard_batches(run, PLAN, batches)
    merged = warehouse.merge(run, PLAN)
    files = lake.write(run, PLAN, warehouse.winners(run, PLAN))
    return warehouse.publish(publication(run, merged, files), PLAN)


KILLED = """
    import os, signal, sys
    from test_warehouse_failures import *
    warehouse, lake, where = PostgresWarehouse(sys.argv[1]), ParquetLake(sys.argv[2]), sys.argv[3]
    def here(name):
        if name == where:
            os.kill(os.getpid(), signal.SIGKILL)
    warehouse.prepare(PLAN)
    with warehouse.stage("r1", PLAN) as writer:
        writer.write(0, batch([row("a"), row("b")]))
        here("staging")
        writer.write(1, batch([row("c")]))
    here("staged")
    merged = warehouse.merge("r1", PLAN)
    here("merged")
    files = lake.write("r1", PLAN, warehouse.winners("r1", PLAN))
    here("lake")
    warehouse.publish(publication("r1", merged, files), PLAN)
    here("published")
"""


@pytest.mark.parametrize("where", ["staging", "staged", "merged", "lake", "published"])
def test_killed_at_any_point_a_run_publishes_once_when_it_is_resumed(database: str, tmp_path: Path, where: str) -> None:
    assert run_in_a_process(KILLED, database, str(tmp_path), where).wait() == -signal.SIGKILL
    done = {0} if where == "staging" else {0, 1}
    lake = ParquetLake(str(tmp_path))
    first = resumed(database, lake, "r1", done)
    assert resumed(database, lake, "r1", done) == first
    assert len(orders(database)) == (2 if where == "staging" else 3)
    (file,) = PostgresWarehouse(database).manifest(PLAN.dataset)
    assert (tmp_path / file.path).stat().st_size == file.size
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.parquet")] == [file.path]


def test_killed_inside_the_transaction_nothing_is_published(database: str, tmp_path: Path) -> None:
    warehouse = PostgresWarehouse(database)
    loaded(warehouse, "r0", [row("old", quantity=1)])
    staged(warehouse, "r1", [[row("old", 2, quantity=2), row("new")]])
    with psycopg.connect(database) as connection:
        connection.execute(
            """CREATE FUNCTION kasbah.slow() RETURNS trigger LANGUAGE plpgsql
               AS 'BEGIN PERFORM pg_sleep(2); RETURN NEW; END';
               CREATE TRIGGER slow BEFORE INSERT ON kasbah.publication
               FOR EACH ROW WHEN (NEW.run = 'r1') EXECUTE FUNCTION kasbah.slow()"""
        )
    program = """
        import sys
        from test_warehouse_failures import *
        warehouse = PostgresWarehouse(sys.argv[1])
        warehouse.publish(publication("r1", warehouse.merge("r1", PLAN)), PLAN)
    """
    process = run_in_a_process(program, database)
    wait_until(lambda: asleep(database))
    process.kill()
    process.wait()
    assert orders(database) == [("old", 1)]
    with pytest.raises(ConflictError, match="another run publishes"):
        warehouse.publish(publication("r1", warehouse.merge("r1", PLAN)), PLAN)
    wait_until(lambda: not asleep(database))
    assert warehouse.publication("r1") is None
    resumed(database, ParquetLake(str(tmp_path)), "r1", {0})
    assert orders(database) == [("new", 1), ("old", 2)]


def asleep(database: str) -> bool:
    with psycopg.connect(database) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        found = connection.execute(query).fetchone()
        return bool(found and found[0])


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_error_late_in_the_transaction_takes_all_of_it_back(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    loaded(warehouse, "r0", [row("old", quantity=1)])
    staged(warehouse, "r1", [[row("old", 2, quantity=2), row("new")]])
    merged = warehouse.merge("r1", PLAN)
    twice = (LakeFile("same", 1, 1, "ab"), LakeFile("same", 1, 1, "ab"))
    with pytest.raises(StoreRefusedError, match="23505"):
        warehouse.publish(publication("r1", merged, twice), PLAN)
    assert orders(database) == [("old", 1)]
    assert warehouse.publication("r1") is None
    warehouse.publish(publication("r1", merged, twice[:1]), PLAN)
    assert orders(database) == [("new", 1), ("old", 2)]


def test_of_two_runs_that_merged_against_one_version_only_the_first_publishes(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    loaded(warehouse, "r0", [row("a", 1)])
    for run, day in (("r1", 2), ("r2", 3)):
        staged(warehouse, run, [[row("a", day, quantity=day), row(f"only {run}")]])
    wanted = [publication(run, warehouse.merge(run, PLAN)) for run in ("r1", "r2")]
    start = threading.Barrier(2)

    def publish(one: Publication) -> str:
        start.wait()
        try:
            warehouse.publish(one, PLAN)
        except ConflictError:
            return "conflict"
        return "published"

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(publish, wanted))
    assert sorted(outcomes) == ["conflict", "published"]
    loser = wanted[outcomes.index("conflict")].run
    assert warehouse.publication(loser) is None
    warehouse.publish(publication(loser, warehouse.merge(loser, PLAN)), PLAN)
    assert orders(database) == [("a", 3), ("only r1", 1), ("only r2", 1)]


def test_what_was_merged_before_somebody_else_published_is_not_published_after(database: str) -> None:
    """Else an older version could overwrite a newer one, on a verdict about a table that is no more."""
    warehouse = PostgresWarehouse(database)
    loaded(warehouse, "r0", [row("a", 1)])
    staged(warehouse, "r1", [[row("a", 2, quantity=2)]])
    merged = warehouse.merge("r1", PLAN)
    loaded(warehouse, "r2", [row("a", 3, quantity=3)])
    with pytest.raises(ConflictError, match="somebody else"):
        warehouse.publish(publication("r1", merged), PLAN)
    assert warehouse.merge("r1", PLAN).superseded == 1
    assert orders(database) == [("a", 3)]


def test_a_row_deleted_since_the_merge_stops_the_publication(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    loaded(warehouse, "r0", [row("a", 1)])
    staged(warehouse, "r1", [[row("a", 2, quantity=2), row("b")]])
    merged = warehouse.merge("r1", PLAN)
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM store.orders")
    with pytest.raises(ConflictError, match="since the merge"):
        warehouse.publish(publication("r1", merged), PLAN)
    assert orders(database) == []


def test_what_was_never_merged_is_not_published(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [[row("a")]])
    merged = warehouse.merge("r1", PLAN)
    with warehouse.stage("r1", PLAN) as writer:
        writer.write(1, batch([row("b")]))
    with pytest.raises(ConflictError, match="merge first"):
        warehouse.publish(publication("r1", merged), PLAN)
    assert orders(database) == []


def test_two_processes_cannot_stage_one_run(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "LOCK_WAIT", sql.SQL("SET lock_timeout = '100ms'"))
    warehouse = PostgresWarehouse(database)
    warehouse.prepare(PLAN)
    with warehouse.stage("r1", PLAN), pytest.raises(ConflictError), warehouse.stage("r1", PLAN):
        pass
    with warehouse.stage("r1", PLAN), warehouse.stage("r2", PLAN):
        pass


def test_a_run_cannot_go_on_under_another_version_of_its_contract(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    staged(warehouse, "r1", [[row("a")]])
    with pytest.raises(ConflictError, match=r"1\.0\.0 .* 2\.0\.0"), warehouse.stage("r1", plan(version="2.0.0")):
        pass


def test_many_can_prepare_at_once(database: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: PostgresWarehouse(database).prepare(PLAN), range(6)))
    assert orders(database) == []


def end_others(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )


def test_a_connection_that_ends_while_staging_is_transient_and_the_batch_can_be_staged_again(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    warehouse.prepare(PLAN)
    with warehouse.stage("r1", PLAN) as writer:
        writer.write(0, batch([row("a")]))
        end_others(database)
        with pytest.raises(StoreUnavailableError):
            writer.write(1, batch([row("b")]))
    assert warehouse.discard_batches("r1", PLAN, {0}) == 0
    with warehouse.stage("r1", PLAN) as writer:
        writer.write(1, batch([row("b")]))
    assert warehouse.merge("r1", PLAN).new == 2


def test_a_connection_that_ends_while_reading_is_transient(database: str) -> None:
    warehouse = PostgresWarehouse(database)
    many = [row(f"o{n}", customer_email="x" * 2000) for n in range(20_000)]
    staged(warehouse, "r1", [many])
    warehouse.merge("r1", PLAN)
    read = warehouse.winners("r1", PLAN)
    next(read)
    end_others(database)
    with pytest.raises(StoreUnavailableError):
        list(read)


@pytest.fixture
def limited(database: str) -> Iterator[tuple[str, PostgresWarehouse]]:
    """A database in which 30,000 rows are staged."""
    warehouse = PostgresWarehouse(database, work_memory="64kB")
    staged(warehouse, "r1", [[row(f"order number {n}") for n in range(30_000)]])
    return database, warehouse


def limit(database: str, name: str, value: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        command = sql.SQL("ALTER DATABASE {} SET {} = {}")
        connection.execute(
            command.format(sql.Identifier(connection.info.dbname), sql.Identifier(name), sql.Literal(value))
        )


@pytest.mark.parametrize(
    ("name", "value", "state"), [("temp_file_limit", "64kB", "53400"), ("statement_timeout", "20ms", "57014")]
)
def test_a_full_or_overdue_server_is_transient_and_leaves_no_trace(
    limited: tuple[str, PostgresWarehouse], name: str, value: str, state: str
) -> None:
    database, warehouse = limited
    limit(database, name, value)
    with pytest.raises(StoreUnavailableError, match=state):
        warehouse.merge("r1", PLAN)
    limit(database, name, "-1" if name == "temp_file_limit" else "0")
    assert warehouse.merge("r1", PLAN).new == 30_000


def test_a_server_that_is_not_there_is_transient() -> None:
    away = PostgresWarehouse("host=/nonexistent dbname=x")
    for call in (lambda: away.prepare(PLAN), lambda: away.stage("r1", PLAN).__enter__(), lambda: away.publication("r")):
        with pytest.raises(StoreUnavailableError):
            call()


def test_a_user_without_rights_is_told_so(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        role = f"reader_{connection.info.dbname}"
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
    try:
        with pytest.raises(SettingsError, match="42501"):
            PostgresWarehouse(database.replace("kasbah@", f"{role}@")).prepare(PLAN)
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_rows_lost_in_a_crash_of_the_server_are_missed_before_anything_is_published() -> None:
    folder = Path(tempfile.mkdtemp(prefix="kbc"))
    server = Postgres.start(folder / "pg")
    try:
        dsn = server.create("crash")
        warehouse = PostgresWarehouse(dsn)
        loaded(warehouse, "r0", [row("old")])
        for run in ("staged", "merged"):
            staged(warehouse, run, [[row("a"), row("b")], [row("c")]])
        merged = warehouse.merge("merged", PLAN)
        server.kill()
        server = revived(folder / "pg")
        lost: list[KasbahError] = []
        for call in (
            lambda: warehouse.discard_batches("staged", PLAN, {0, 1}),
            lambda: warehouse.merge("staged", PLAN),
            lambda: list(warehouse.winners("merged", PLAN)),
            lambda: warehouse.publish(publication("merged", merged), PLAN),
        ):
            with pytest.raises(StagingLostError, match="Start a new run") as raised:
                call()
            lost.append(raised.value)
        assert len(lost) == 4
        assert orders(dsn) == [("old", 1)]
        warehouse.drop_stage("merged", PLAN)
        assert loaded(warehouse, "again", [row("a"), row("b"), row("c")]).new == 3
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


def revived(folder: Path) -> Postgres:
    """Start again; the killed server's children may need a moment to let go of its memory."""
    for _ in range(20):
        try:
            return Postgres.start(folder)
        except RuntimeError:
            time.sleep(0.25)
    return Postgres.start(folder)
