"""Runs on a real PostgreSQL: one holder, steps that resume, counts that a replay doesn't double."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
import run_worker
import sqlalchemy as sa
from held_rows import quarantined, refused

from governance.adapters.control.database import connect
from governance.adapters.control.quarantine import PostgresQuarantine
from governance.adapters.control.run_tables import batches, refused_positions, rules, runs, steps
from governance.adapters.control.runs import PostgresRuns
from governance.errors import ConflictError, StoreUnavailableError, UserError
from governance.flows.runs import BatchRecord, Run, State, UncountedError, column_names, is_run_id, new_run_id
from governance.flows.stores import LakeFile, Merged, Publication, RuleResult
from governance.quarantine.store import PlaceTwiceError, Selection

NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
ORDERS, STOCK = "store.orders/order_line", "store.stock/stock_level"
NONE_HELD, NONE_REFUSED = quarantined([]), refused([])
FIRST, SECOND = "20261121T101500-000001", "20261122T101500-000002"


@pytest.fixture
def held(control: sa.Engine) -> PostgresQuarantine:
    return PostgresQuarantine(control)


@pytest.fixture
def store(control: sa.Engine, held: PostgresQuarantine) -> PostgresRuns:
    return PostgresRuns(control, held, lambda: NOW)


@pytest.fixture
def other(database: str, control: sa.Engine) -> Iterator[PostgresRuns]:
    """Another process's store, on connections of its own."""
    del control
    engine = connect(database)
    yield PostgresRuns(engine, PostgresQuarantine(engine), lambda: NOW)
    engine.dispose()


@contextmanager
def _run(store: PostgresRuns, run_id: str | None = None, version: str = "1.0.0") -> Iterator[Run]:
    with store.hold(ORDERS, version, "tester", run_id) as run:
        yield run


def _batch(number: int, rows: int, admitted: int, first: int = 0, **values: object) -> BatchRecord:
    return replace(BatchRecord(number, "csv", "orders.csv", first, rows, admitted), **values)


def _places(held: PostgresQuarantine) -> list[int]:
    return [row.place.position for row in held.rows(Selection())]


def _refused(control: sa.Engine) -> list[int]:
    with control.begin() as connection:
        return list(connection.scalars(sa.select(refused_positions.c.position).order_by(refused_positions.c.position)))


def _publication(run: str, at: datetime = NOW, files: tuple[LakeFile, ...] = ()) -> Publication:
    return Publication(run, ORDERS, "1.0.0", Merged(0, 0, 0, 0, 0, 0), {"csv": at}, files, NOW)


def test_a_run_is_named_by_time_and_without_data() -> None:
    names = [new_run_id(NOW + timedelta(seconds=n)) for n in range(5)]
    assert names == sorted(names) and all(is_run_id(name) for name in names)
    assert names[0].startswith("20261121T101500-")
    assert len({new_run_id(NOW) for _ in range(100)}) == 100
    assert not is_run_id("alice@example.org") and not is_run_id(FIRST + "\n")


def test_a_run_goes_through_its_steps(store: PostgresRuns) -> None:
    with store.hold(ORDERS, "1.0.0", "tester", steps=("enforce", "publish")) as run:
        assert [(s.name, s.state) for s in run.steps] == [("enforce", State.PENDING), ("publish", State.PENDING)]
        assert run.done == frozenset() and run.state is State.RUNNING
        store.begin_step(run.id, "enforce")
        assert store.get(run.id).steps[0].state is State.RUNNING
        store.finish_step(run.id, "enforce", {"rows": 7})
        found = store.get(run.id)
        assert found.done == {"enforce"} and found.steps[0].counts == {"rows": 7} and found.state is State.RUNNING
        assert store.unfinished(ORDERS) == found
        store.begin_step(run.id, "publish")
        store.finish_step(run.id, "publish", {})
    done = store.get(run.id)
    assert done.state is State.DONE and done.finished_at == NOW
    assert store.last(ORDERS) == done and store.unfinished(ORDERS) is None
    assert store.last(STOCK) is None


def test_a_failed_step_says_what_kind_of_error_and_can_be_taken_again(store: PostgresRuns) -> None:
    with _run(store) as run:
        store.begin_step(run.id, "enforce")
        store.fail_step(run.id, "enforce", "SourceUnavailableError")
        assert store.get(run.id).state is State.FAILED
    with _run(store, run.id) as again:
        assert again.id == run.id and again.steps[0].code == "SourceUnavailableError"
        store.begin_step(run.id, "enforce")
        assert store.get(run.id).steps[0].code == "" and store.get(run.id).state is State.RUNNING
        store.finish_step(run.id, "enforce", {})
        store.begin_step(run.id, "quality_gate")
        store.fail_step(run.id, "quality_gate", "blocked")
    blocked = store.get(run.id)
    assert blocked.state is State.BLOCKED and blocked.steps[2].state is State.BLOCKED
    assert blocked.done == {"enforce"}


def test_one_process_holds_a_dataset_and_the_other_is_told_the_run(store: PostgresRuns, other: PostgresRuns) -> None:
    with _run(store) as run:
        with pytest.raises(ConflictError, match=run.id), _run(other):
            pass
        with other.hold(STOCK, "1.0.0", "tester") as stock:
            assert stock.dataset == STOCK
    with _run(other) as after:
        assert after.id != run.id


def test_what_isnt_held_isnt_written(store: PostgresRuns) -> None:
    with _run(store) as run:
        pass
    with pytest.raises(ConflictError, match="not held"):
        store.begin_step(run.id, "enforce")
    with pytest.raises(ConflictError, match="not held"):
        store.record_batch(run.id, _batch(0, 0, 0), NONE_HELD, NONE_REFUSED, "1.0.0")


def test_a_holder_that_lost_its_lock_writes_nothing_once_another_took_over(
    store: PostgresRuns, other: PostgresRuns, database: str
) -> None:
    """The lock's connection breaks without the process noticing: the fence stops it."""
    with _run(store, FIRST) as run:
        store.begin_step(run.id, "enforce")
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with _run(other, FIRST):
            with pytest.raises(ConflictError, match="not held"):
                store.record_batch(run.id, _batch(0, 1, 1), NONE_HELD, NONE_REFUSED, "1.0.0")
            other.record_batch(run.id, _batch(0, 1, 1), NONE_HELD, NONE_REFUSED, "1.0.0")


def test_a_run_is_taken_up_only_as_what_it_is(store: PostgresRuns) -> None:
    with _run(store, FIRST) as run:
        assert run.id == FIRST
    with pytest.raises(UserError, match=STOCK), store.hold(STOCK, "1.0.0", "tester", FIRST):
        pass
    with pytest.raises(UserError, match=r"1\.1\.0"), _run(store, FIRST, "1.1.0"):
        pass
    with pytest.raises(UserError, match="the form"), _run(store, "../../etc"):
        pass
    with pytest.raises(UserError):
        store.get(SECOND)


def test_a_batch_comes_back_as_it_was_recorded(store: PostgresRuns) -> None:
    batch = _batch(
        3, 4, 1, cursor_after="c2", max_updated_at=NOW, not_scanned=("a", "b"), unknown_columns=("extra",),
        created_subjects=2, possible_links=1, shared_aliases=1,
    )  # fmt: skip
    with _run(store) as run:
        store.record_batch(run.id, batch, quarantined([1, 2]), refused([3]), "1.0.0")
        expected = replace(batch, quarantined={"rule": 2}, refused={"underage": 1})
        assert store.done_batches(run.id) == [expected]


def test_recording_a_batch_again_replaces_all_of_it(
    store: PostgresRuns, held: PostgresQuarantine, control: sa.Engine
) -> None:
    with _run(store) as run:
        store.record_batch(run.id, _batch(0, 5, 1), quarantined([0, 1]), refused([2, 3]), "1.0.0")
        store.record_batch(run.id, _batch(0, 5, 2), quarantined([1, 2]), refused([4]), "1.0.0")
        assert (_places(held), _refused(control)) == ([1, 2], [4])
        store.record_batch(run.id, _batch(0, 5, 5), NONE_HELD, NONE_REFUSED, "1.0.0")
        assert (_places(held), _refused(control)) == ([], [])
        assert store.totals(run.id) == {"csv": {"rows": 5, "admitted": 5, "quarantined": 0, "refused": 0}}


def test_totals_are_by_source_outcome_and_reason(store: PostgresRuns) -> None:
    with _run(store) as run:
        store.record_batch(run.id, _batch(0, 5, 2), quarantined([0, 1]), refused([2]), "1.0.0")
        mixed = pa.Table.from_batches([quarantined([5], reason="type"), quarantined([6])]).combine_chunks().to_batches()
        store.record_batch(run.id, _batch(1, 3, 1, first=5), mixed[0], NONE_REFUSED, "1.0.0")
        page = replace(_batch(2, 2, 1), source="api", part="c1")
        store.record_batch(run.id, page, NONE_HELD, refused([1], "api", "c1", "age_unknown"), "1.0.0")
    assert store.totals(run.id) == {
        "csv": {
            "rows": 8,
            "admitted": 3,
            "quarantined": 4,
            "refused": 1,
            "quarantined.rule": 3,
            "quarantined.type": 1,
            "refused.underage": 1,
        },
        "api": {"rows": 2, "admitted": 1, "quarantined": 0, "refused": 1, "refused.age_unknown": 1},
    }


@pytest.mark.parametrize(("rows", "admitted"), [(5, 2), (5, 4), (2, 3)])
def test_outcomes_that_dont_add_up_are_not_recorded(
    store: PostgresRuns, held: PostgresQuarantine, rows: int, admitted: int
) -> None:
    with _run(store) as run:
        with pytest.raises(UncountedError):
            store.record_batch(run.id, _batch(0, rows, admitted), quarantined([1]), refused([2]), "1.0.0")
        assert store.done_batches(run.id) == [] and _places(held) == []


def test_two_outcomes_for_one_position_are_not_recorded(store: PostgresRuns, held: PostgresQuarantine) -> None:
    with _run(store) as run:
        for rows in (
            (quarantined([1, 1]), NONE_REFUSED),
            (NONE_HELD, refused([1, 1])),
            (quarantined([1]), refused([1])),
        ):
            with pytest.raises(PlaceTwiceError):
                store.record_batch(run.id, _batch(0, 2, 0), *rows, "1.0.0")
        assert store.done_batches(run.id) == [] and _places(held) == []


def test_a_position_is_counted_by_one_batch(store: PostgresRuns) -> None:
    """A source that is cut otherwise on resume, as with another batch size, is refused and not counted twice."""
    with _run(store) as run:
        store.record_batch(run.id, _batch(0, 100, 100), NONE_HELD, NONE_REFUSED, "1.0.0")
        for first, rows in ((99, 1), (0, 150), (50, 10)):
            with pytest.raises(ConflictError, match="begin a new run"):
                store.record_batch(run.id, _batch(1, rows, rows, first), NONE_HELD, NONE_REFUSED, "1.0.0")
        store.record_batch(run.id, _batch(1, 50, 50, 100), NONE_HELD, NONE_REFUSED, "1.0.0")
        for number, first in ((2, 150), (3, 40)):
            store.record_batch(run.id, _batch(number, 0, 0, first), NONE_HELD, NONE_REFUSED, "1.0.0")
        store.record_batch(run.id, _batch(4, 50, 50, 150), NONE_HELD, NONE_REFUSED, "1.0.0")
    assert store.totals(run.id)["csv"]["rows"] == 200


def test_a_row_admitted_by_a_later_run_leaves_quarantine_when_it_is_published(
    store: PostgresRuns, held: PostgresQuarantine, control: sa.Engine
) -> None:
    """Not before: until then it stands in no sink."""
    with _run(store, FIRST) as run:
        store.record_batch(run.id, _batch(0, 6, 2), quarantined([0, 1, 2]), refused([3]), "1.0.0")
    with _run(store, SECOND) as run:
        store.record_batch(run.id, _batch(0, 5, 4), quarantined([1]), NONE_REFUSED, "1.0.0")
        assert (_places(held), _refused(control)) == ([0, 1, 2], [3])
        for _ in range(2):
            store.record_publication(_publication(run.id))
            assert (_places(held), _refused(control)) == ([1], [])


def test_a_row_refused_by_a_later_run_leaves_quarantine_at_once(
    store: PostgresRuns, held: PostgresQuarantine, control: sa.Engine
) -> None:
    """A refused row leaves a count and nothing else, and a place has one outcome."""
    with _run(store, FIRST) as run:
        store.record_batch(run.id, _batch(0, 3, 0), quarantined([0, 1]), refused([2]), "1.0.0")
    with _run(store, SECOND) as run:
        store.record_batch(run.id, _batch(0, 3, 0), quarantined([1, 2]), refused([0]), "1.0.0")
        assert (_places(held), _refused(control)) == ([1, 2], [0])


def test_a_replay_decides_its_own_places_and_no_others(
    store: PostgresRuns, held: PostgresQuarantine, control: sa.Engine
) -> None:
    with _run(store, FIRST) as run:
        store.record_batch(run.id, _batch(0, 100, 94), quarantined([3, 4, 50, 77, 99]), refused([60]), "1.0.0")
    later = PostgresRuns(control, held, lambda: NOW + timedelta(days=9))
    with _run(later, SECOND) as run:
        positions = pa.array([3, 50, 77])
        batch = _batch(0, 3, 1, first=3)
        still = quarantined([50], reason="type")
        later.record_batch(run.id, batch, still, refused([77]), "1.0.0", positions)
        assert (_places(held), _refused(control)) == ([3, 4, 50, 99], [60, 77])
        later.record_publication(_publication(run.id))
    assert (_places(held), _refused(control)) == ([4, 50, 99], [60, 77])
    kept = next(row for row in held.rows(Selection()) if row.place.position == 50)
    assert kept.reason == "type" and kept.expires_at == NOW + timedelta(days=30)


def test_a_replay_with_positions_that_dont_match_its_rows_is_not_recorded(store: PostgresRuns) -> None:
    with _run(store) as run, pytest.raises(UncountedError):
        store.record_batch(run.id, _batch(0, 3, 3), NONE_HELD, NONE_REFUSED, "1.0.0", pa.array([1, 2]))


def test_the_watermark_is_the_newest_admitted_and_never_goes_back(store: PostgresRuns) -> None:
    later = NOW + timedelta(hours=1)
    with _run(store, SECOND) as run:
        store.record_batch(run.id, _batch(0, 1, 1, max_updated_at=later), NONE_HELD, NONE_REFUSED, "1.0.0")
        store.record_batch(run.id, _batch(1, 1, 1, 1, max_updated_at=NOW), NONE_HELD, NONE_REFUSED, "1.0.0")
        store.record_batch(run.id, replace(_batch(2, 1, 1), source="json"), NONE_HELD, NONE_REFUSED, "1.0.0")
        assert store.watermarks(run.id) == {"csv": later}
        store.record_publication(_publication(run.id, later))
    with _run(store, FIRST) as run:
        store.record_publication(_publication(run.id, NOW))
    assert store.published_watermarks(ORDERS) == {"csv": later}


def test_the_manifest_is_copied_once(store: PostgresRuns) -> None:
    files = (LakeFile("a/part-0.parquet", 10, 999, "ab" * 32), LakeFile("a/part-1.parquet", 5, 99, "cd" * 32))
    with _run(store) as run:
        for _ in range(2):
            store.record_publication(_publication(run.id, files=files))
    assert store.manifest(ORDERS) == files and store.manifest(STOCK) == ()


def test_the_gates_verdicts_are_kept_and_replaced(store: PostgresRuns) -> None:
    first = (RuleResult("one_key", "unique", False, 3, 2, "x"), RuleResult("mean", "mean_between", True, 0.25))
    second = (RuleResult("one_key", "unique", True, 0, 0),)
    with _run(store) as run:
        store.record_rules(run.id, first)
        assert store.rules(run.id) == first
        store.record_rules(run.id, second)
    assert store.rules(run.id) == second


def test_a_column_name_that_may_be_data_is_not_kept(store: PostgresRuns) -> None:
    names = ("loyalty tier", "größe", "alice@example.org", "447700900123", "x" * 64, "items[0].id")
    assert column_names(names) == ("(a name that may hold data)", "größe", "items[0].id", "loyalty tier")
    with _run(store) as run:
        batch = _batch(0, 1, 1, unknown_columns=names, not_scanned=("product_name",))
        store.record_batch(run.id, batch, NONE_HELD, NONE_REFUSED, "1.0.0")
    assert store.unknown_columns(run.id) == column_names(names)
    assert store.not_scanned(run.id) == ("product_name",)


def test_a_database_that_is_away_is_said(store: PostgresRuns) -> None:
    engine = connect("host=/nonexistent dbname=none")
    away = PostgresRuns(engine, PostgresQuarantine(engine), lambda: NOW)
    with pytest.raises(StoreUnavailableError), _run(away):
        pass
    with pytest.raises(StoreUnavailableError):
        away.last(ORDERS)


def _kill(database: str, run: str, point: str, batch: int) -> None:
    command = [sys.executable, Path(run_worker.__file__), database, run, point, str(batch)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr


def _state(control: sa.Engine, run: str) -> dict[str, object]:
    """All that a load left behind."""
    with control.begin() as connection:
        held = sa.text("SELECT source, part, position, reason, run FROM kasbah_control.quarantine ORDER BY 1, 2, 3")
        staged = sa.text("SELECT batch, position FROM staged ORDER BY 1, 2")
        found = {
            "quarantine": connection.execute(held).all(),
            "staged": connection.execute(staged).all(),
            "step": connection.execute(sa.select(steps).where(steps.c.run == run)).all(),
            "batches": connection.execute(sa.select(batches).order_by(batches.c.number)).all(),
            "rules": connection.execute(sa.select(rules)).all(),
        }
        connection.execute(sa.text("TRUNCATE kasbah_control.quarantine, staged"))
        connection.execute(sa.delete(refused_positions))
        connection.execute(sa.delete(runs))
    return found


def test_a_killed_load_resumes_to_what_it_would_have_been(control: sa.Engine, database: str) -> None:
    """SIGKILL between staging and recording, between two batches, and between the last batch and the step's end."""
    store = PostgresRuns(control, PostgresQuarantine(control), lambda: NOW)

    def finished() -> tuple[dict[str, dict[str, int]], list[int], dict[str, object]]:
        run_worker.load(database, FIRST, "never", 0)
        return store.totals(FIRST), _refused(control), _state(control, FIRST)

    whole = finished()
    assert whole[0]["csv"]["rows"] == run_worker.BATCHES * run_worker.ROWS
    for point, batch, recorded in (("staged", 1, 1), ("recorded", 2, 3), ("recorded", 4, 5)):
        _kill(database, FIRST, point, batch)
        assert len(store.done_batches(FIRST)) == recorded
        assert "enforce" not in store.get(FIRST).done
    assert finished() == whole
