"""Held rows enforced again under today's contract: admitted once, published once, and otherwise left as they were."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from club import DATASET, Club, a_club, visit

from governance.adapters.control.subjects import subjects
from governance.errors import GateError, StoreUnavailableError, UserError
from governance.flows.stores import Publication
from governance.protection.digests import index_digests
from local.postgres import Postgres

CHESS = ("value: [walk, swim]", "value: [walk, swim, chess]")


@pytest.fixture
def club(postgres: Postgres, tmp_path: Path) -> Iterator[Club]:
    with a_club(postgres, tmp_path) as made:
        yield made


def test_an_amended_contract_admits_held_rows_exactly_once(club: Club) -> None:
    club.write(visit(1), visit(2, sport="chess"), visit(3, sport="golf"), raw="V4,ragged\n")
    club.load()
    assert club.reasons() == [(1, "rule", "sport"), (2, "rule", "sport"), (3, "malformed", None)]
    club.amend(*CHESS)
    done = club.replay()
    assert done.totals == {
        "visits_csv": {"rows": 2, "admitted": 1, "quarantined": 1, "quarantined.rule": 1, "refused": 0}
    }
    assert done.publication is not None and done.publication.merged.new == 1
    assert club.table("sport") == [("V1", "walk"), ("V2", "chess")]
    assert club.reasons() == [(2, "rule", "sport"), (3, "malformed", None)]
    before, held = club.rows_as_written(), club.held()
    again = club.replay()
    assert again.publication is not None and again.publication.merged.new == again.publication.merged.changed == 0
    assert club.rows_as_written() == before and club.reasons() == [(2, "rule", "sport"), (3, "malformed", None)]
    assert [row.expires_at for row in club.held()] == [row.expires_at for row in held]


def test_a_replayed_row_stands_where_it_stood_and_under_its_person(club: Club) -> None:
    club.write(visit(0), visit(1), visit(1, visit_id="V2", ticket="T2", sport="chess"))
    club.load()
    club.amend(*CHESS)
    club.replay()
    first, second = club.table("member_pseudonym", "kasbah_source", "kasbah_position", "kasbah_contract")[1:]
    assert first[1] == second[1], "one person"
    assert first[2:] == ("visits_csv", 1, "1.0.0") and second[2:] == ("visits_csv", 2, "1.1.0")


def test_a_row_that_fails_again_is_held_once_for_its_new_reason_and_no_longer(club: Club) -> None:
    club.write(visit(1), visit(2, sport="chess", ticket="none"))
    club.load()
    (before,) = club.held()
    club.now += timedelta(days=3)
    club.amend(*CHESS)
    club.replay()
    (after,) = club.held()
    assert (before.reason, before.field) == ("rule", "sport") and (after.reason, after.field) == ("rule", "ticket")
    assert after.place == before.place and after.contract_version == "1.1.0"
    assert after.expires_at == before.expires_at, "replaying keeps nothing for longer"


def test_rows_that_lack_what_is_required_stay_and_stop_nothing(club: Club) -> None:
    """No row of the replay has the column, which in a table would be a fault of the table."""
    club.insert(visit(1), visit(2, seen_on=None))
    club.load("visits_sql")
    assert club.reasons() == [(1, "required", "seen_on")]
    assert club.replay().totals["visits_sql"]["quarantined"] == 1
    assert club.reasons() == [(1, "required", "seen_on")]


def test_a_row_that_the_source_gives_again_stands_for_its_copy(club: Club) -> None:
    club.write(visit(1), visit(2, sport="chess"))
    club.load()
    club.write(visit(0), visit(1), visit(2, sport="chess"))
    club.load()
    assert club.reasons() == [(2, "rule", "sport")], "at its place in the newer file, and there alone"
    club.amend(*CHESS)
    done = club.replay()
    assert done.totals["visits_csv"]["rows"] == 1 and club.held() == []


def test_a_row_that_was_mended_at_the_source_is_not_undone(club: Club) -> None:
    club.write(visit(1), visit(2, sport="chess"))
    club.load()
    club.write(visit(1), visit(2, sport="swim", updated_at="2026-11-02T00:00:00Z"))
    club.load()
    club.amend(*CHESS)
    done = club.replay()
    assert club.table("sport") == [("V1", "walk"), ("V2", "swim")]
    assert club.held() == [] and done.publication is not None
    assert done.publication.merged.superseded == done.publication.merged.staged == 1


@pytest.mark.parametrize("watermark", [False, True])
def test_rows_of_a_database_leave_quarantine_too(club: Club, watermark: bool) -> None:
    """Such a source is asked for changes only: its next reading begins at the watermark, the replay doesn't."""
    club.insert(visit(1) if watermark else visit(1, sport="golf"), visit(2, sport="chess"))
    club.load("visits_sql")
    assert bool(club.services.warehouse.watermarks(DATASET)) is watermark
    club.amend(*CHESS)
    club.replay()
    assert ("V2", "chess") in club.table("sport")
    assert len(club.held()) == (0 if watermark else 1)


def test_a_replay_moves_no_watermark(club: Club) -> None:
    """The second load read up to V4 and published nothing. Were V4's moment noted, V3 would never be read again."""
    club.insert(visit(1), visit(2, sport="chess"))
    club.load("visits_sql")
    marks = club.services.warehouse.watermarks(DATASET)
    late = {"sport": "chess", "updated_at": "2026-11-19T00:00:00Z"}
    club.insert(visit(3, ticket="T1", updated_at="2026-11-10T00:00:00Z"), visit(4, **late))
    with pytest.raises(GateError):
        club.load("visits_sql")
    club.amend(*CHESS)
    club.replay()
    assert [row[0] for row in club.table()] == ["V1", "V2", "V4"]
    assert (
        club.services.warehouse.watermarks(DATASET) == marks == {"visits_sql": datetime(2026, 11, 1, 10, 1, tzinfo=UTC)}
    )
    club.insert(visit(3, updated_at="2026-11-10T00:00:00Z"))
    club.load("visits_sql")
    assert [row[0] for row in club.table()] == ["V1", "V2", "V3", "V4"]


def test_only_what_was_chosen_is_replayed(club: Club) -> None:
    club.write(visit(1), visit(2, sport="chess"), visit(3, seen_on="never"))
    club.load()
    club.amend(*CHESS)
    assert club.replay(reason="type").totals["visits_csv"]["rows"] == 1
    assert club.replay(source="visits_sql").totals == {}
    assert club.reasons() == [(1, "rule", "sport"), (2, "type", "seen_on")]
    with pytest.raises(UserError, match="has no source visits_csw"):
        club.replay(source="visits_csw")


def test_a_row_whose_persons_key_is_gone_is_passed_over(club: Club) -> None:
    club.write(visit(1), visit(2, sport="chess"), visit(3, sport="chess"))
    club.load()
    (gone, _) = club.held()
    shred(club, gone.pseudonym or "")
    club.amend(*CHESS)
    done = club.replay()
    assert done.totals["visits_csv"]["rows"] == 1
    assert [row[0] for row in club.table()] == ["V1", "V3"] and club.reasons() == [(1, "rule", "sport")]


def shred(club: Club, pseudonym: str) -> None:
    """Delete the subject with this pseudonym."""
    (key,) = club.services.epochs.lookup_keys()
    (lookup,) = index_digests(pa.array([bytes.fromhex(pseudonym)], pa.binary(16)), key, "pseudonym").to_pylist()
    with club.services.control.begin() as connection:
        assert connection.execute(sa.delete(subjects).where(subjects.c.lookup == lookup)).rowcount == 1


def test_a_replay_that_a_gate_blocks_lets_nothing_go(club: Club) -> None:
    club.write(visit(1), visit(2, sport="chess", ticket="T1"))
    club.load()
    club.amend(*CHESS)
    before = club.rows_as_written()
    with pytest.raises(GateError, match="one_visit_a_ticket"):
        club.replay()
    assert club.rows_as_written() == before and club.reasons() == [(1, "rule", "sport")]


def test_a_replay_that_ended_between_the_two_databases_is_ended_by_the_next(club: Club) -> None:
    club.write(visit(1), visit(2, sport="chess"))
    club.load()
    club.amend(*CHESS)

    def away(_: Publication) -> None:
        raise StoreUnavailableError("the control database is away")

    club.services.runs.record_publication = away  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailableError):
        club.replay()
    assert club.table("sport") == [("V1", "walk"), ("V2", "chess")] and len(club.held()) == 1
    before = club.rows_as_written()
    club.restart()
    club.replay()
    assert club.rows_as_written() == before and club.held() == []
