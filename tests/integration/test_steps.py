"""A load's steps: alone, in order, resumed, blocked; and what a failure leaves, which is never half a load."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from club import DATASET, Club, a_club, visit

from governance.errors import (
    GateError,
    KeyUnavailableError,
    LeaseExpiredError,
    SourceError,
    SourceUnavailableError,
    UserError,
)
from governance.flows.keyring import LeasedKeys
from governance.flows.runs import STEPS, State
from governance.flows.source import SourceBatch, SourceReader
from governance.flows.stores import StagingLostError
from local.postgres import Postgres

RUN = "20261121T100000-0000aa"


@pytest.fixture
def club(postgres: Postgres, tmp_path: Path) -> Iterator[Club]:
    with a_club(postgres, tmp_path) as made:
        made.write(*(visit(n) for n in range(5)), visit(5, sport="chess"))
        yield made


def states(club: Club, run: str) -> list[State]:
    return [step.state for step in club.services.runs.get(run).steps]


def test_each_step_can_be_called_alone_in_its_order(club: Club) -> None:
    run = club.load(step="enforce").run
    assert club.staged(run) == 5 and club.table() == [] and club.reasons() == [(5, "rule", "sport")]
    club.load(run=run, step="scan_gate")
    club.load(run=run, step="quality_gate")
    assert club.table() == []
    done = club.load(run=run, step="publish")
    assert [row[0] for row in club.table()] == [f"V{n}" for n in range(5)]
    assert done.publication is not None and done.publication.merged.new == 5
    assert states(club, run) == [State.DONE] * 4 + [State.PENDING]
    last = club.load(run=run, step="purge")
    assert states(club, run) == [State.DONE] * 5 and club.staged(run) == 0
    assert last.totals == {
        "visits_csv": {"rows": 6, "admitted": 5, "quarantined": 1, "quarantined.rule": 1, "refused": 0}
    }


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_later_step_before_an_earlier_one_is_refused(club: Club, step: str) -> None:
    with pytest.raises(UserError, match=f"step {step} of run {RUN} needs enforce first.*--run {RUN} --step enforce"):
        club.load(run=RUN, step=step)
    assert states(club, RUN) == [State.PENDING] * 5
    assert club.load(run=RUN).publication is not None, "the run is none the worse for it"


def test_a_later_step_without_a_run_begins_none(club: Club) -> None:
    with pytest.raises(UserError, match=r"needs enforce first.*--run"):
        club.load(step="publish")
    assert club.services.runs.last(DATASET) is None


def test_each_step_waits_for_the_one_right_before(club: Club) -> None:
    club.load(run=RUN, step="enforce")
    with pytest.raises(UserError, match=r"step publish .* needs scan_gate first"):
        club.load(run=RUN, step="publish")
    club.load(run=RUN, step="scan_gate")
    with pytest.raises(UserError, match=r"step publish .* needs quality_gate first"):
        club.load(run=RUN, step="publish")
    assert club.table() == []


def test_a_step_that_there_is_not_is_named_with_those_there_are(club: Club) -> None:
    with pytest.raises(UserError, match="enforce, scan_gate, quality_gate, publish, purge"):
        club.load(step="lineage")


def test_steps_that_are_done_are_passed_over(club: Club) -> None:
    club.load(run=RUN)
    before = club.rows_as_written()
    club.opened.clear()
    again = club.load(run=RUN)
    assert club.opened == [] and club.rows_as_written() == before
    assert again.publication is not None and again.publication.merged.new == 5


# A gate that blocks


def test_a_blocked_gate_keeps_the_old_version_and_names_rule_and_count(club: Club) -> None:
    club.load()
    before = club.rows_as_written()
    club.write(*(visit(n) for n in range(5)), visit(6, ticket="T1"), visit(7, ticket="T1"))
    for _ in range(2):
        with pytest.raises(
            GateError, match=r"rule one_visit_a_ticket \[unique\] failed \(keys that stand more than once: 1\)"
        ) as raised:
            club.load(run=RUN)
        assert "T1" not in str(raised.value).replace("T100000", "")
        assert states(club, RUN) == [State.DONE, State.DONE, State.BLOCKED, State.PENDING, State.PENDING]
        assert club.rows_as_written() == before
    with pytest.raises(UserError, match="needs quality_gate first"):
        club.load(run=RUN, step="publish")


def test_what_a_run_was_begun_under_is_what_it_ends_under(club: Club) -> None:
    club.write(visit(1), visit(2, ticket="T1"))
    with pytest.raises(GateError):
        club.load(run=RUN)
    club.amend("fields: [ticket]", "fields: [visit_id]")
    with pytest.raises(UserError, match=r"under contract version 1\.0\.0, which is 1\.1\.0 now: begin a new run"):
        club.load(run=RUN)
    assert club.table() == []
    assert club.load().publication is not None and len(club.table()) == 2


def test_the_command_says_which_rule_blocked_in_one_sentence(club: Club) -> None:
    club.write(visit(1), visit(2, ticket="T1"))
    code, said = club.kasbah("ingest", "club.visits", "--source", "visits_csv")
    assert code == 1 and "rule one_visit_a_ticket [unique] failed (keys that stand more than once: 1)" in said
    assert "Traceback" not in said and "GateError" not in said and "Name 1" not in said


# What breaks on the way


class Breaks:
    """A reader whose source goes away after some batches, when `ready` says so."""

    def __init__(self, reader: SourceReader, after: int, ready: Callable[[], object] = lambda: True) -> None:
        self.reader, self.after, self.name, self.ready = reader, after, reader.name, ready

    def batches(self, *, since: datetime | None = None, cursor: str | None = None) -> Iterator[SourceBatch]:
        for number, batch in enumerate(self.reader.batches(since=since, cursor=cursor)):
            if number == self.after:
                while not self.ready():
                    time.sleep(0.02)
                raise SourceUnavailableError("the source is away")
            yield batch

    def size(self) -> int | None:
        return None


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_source_that_breaks_off_leaves_a_run_that_goes_on(club: Club, after: int) -> None:
    club.batch_rows = 2
    whole = club.services.open_source
    club.reads(lambda source: Breaks(whole(source), after))
    with pytest.raises(SourceUnavailableError):
        club.load(run=RUN)
    assert club.table() == [] and states(club, RUN)[0] is State.FAILED
    assert club.services.leases.running() == (), "no key is held by a load that has ended"
    assert len(club.services.runs.done_batches(RUN)) <= after
    club.reads(whole)
    done = club.load(run=RUN)
    assert [row[0] for row in club.table()] == [f"V{n}" for n in range(5)]
    assert done.totals["visits_csv"]["rows"] == 6 and club.reasons() == [(5, "rule", "sport")]


def test_a_lease_that_ran_out_stores_nothing(club: Club) -> None:
    s = club.services
    s.__dict__["keyring"] = LeasedKeys(s.subjects, s.day_keys, s.epochs, s.leases, 0)
    with pytest.raises(LeaseExpiredError, match="nothing was sent"):
        club.load(run=RUN)
    assert club.staged(RUN) == 0 and club.held() == [] and club.table() == []
    assert s.runs.done_batches(RUN) == []
    club.restart()
    assert club.load(run=RUN).publication is not None


def test_without_the_epochs_key_nothing_is_stored(club: Club) -> None:
    files = list((club.folder / "keys").glob("*seal*"))
    content = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    club.restart()
    with pytest.raises(KeyUnavailableError):
        club.load(run=RUN)
    assert club.staged(RUN) == 0 and club.held() == [] and club.table() == []
    for file, kept in zip(files, content, strict=True):
        file.touch(mode=0o600)
        file.write_bytes(kept)
    club.restart()
    assert len(club.table()) == 0 and club.load(run=RUN).publication is not None and len(club.table()) == 5


def test_a_file_without_a_required_column_stores_nothing(club: Club) -> None:
    club.file.write_text("visit_id,sport\nV1,walk\n")
    with pytest.raises(SourceError, match=r"lacks required columns \(seen_on, updated_at\)"):
        club.load(run=RUN)
    assert club.staged(RUN) == 0 and club.held() == []


@pytest.mark.parametrize("step", ["enforce", "quality_gate", "publish"])
def test_staging_that_is_gone_is_said_and_a_new_run_loads_it_all(club: Club, step: str) -> None:
    club.batch_rows = 2
    whole = club.services.open_source
    if step == "enforce":
        club.reads(lambda source: Breaks(whole(source), 2, lambda: club.services.runs.done_batches(RUN)))
        with pytest.raises(SourceUnavailableError):
            club.load(run=RUN)
        club.reads(whole)
    for earlier in STEPS[: STEPS.index(step)]:
        club.load(run=RUN, step=earlier)
    club.lose_staging()
    with pytest.raises(StagingLostError, match="Start a new run"):
        club.load(run=RUN, step=step)
    code, said = club.kasbah("ingest", "club.visits", "--source", "visits_csv", "--run", RUN)
    assert code == 1 and said.startswith(f"kasbah: run {RUN}: rows staged") and "StagingLost" not in said
    assert club.table() == []
    assert club.load().publication is not None and len(club.table()) == 5


# Watermarks


def test_one_date_to_come_does_not_end_the_reading_of_changes(club: Club) -> None:
    club.insert(visit(1), visit(2, updated_at="2999-01-01T00:00:00Z"))
    club.load("visits_sql")
    assert club.services.warehouse.watermarks(DATASET) == {"visits_sql": club.now}
    club.now += timedelta(days=2)
    club.insert(visit(3, updated_at="2026-11-22T09:00:00Z"))
    club.load("visits_sql")
    assert [row[0] for row in club.table()] == ["V1", "V2", "V3"]


def test_the_watermark_is_what_was_published_never_what_was_only_read(club: Club) -> None:
    club.insert(visit(1), visit(2, updated_at="2026-11-05T00:00:00Z", sport="chess"))
    club.load("visits_sql")
    assert club.services.warehouse.watermarks(DATASET) == {"visits_sql": datetime(2026, 11, 1, 10, 1, tzinfo=UTC)}
