"""Positions, counts and quarantined rows of a stream move together, once."""

import pyarrow as pa
import pytest
import sqlalchemy as sa

from governance.adapters.control.progress import PostgresProgress
from governance.adapters.control.quarantine import PostgresQuarantine
from governance.enforcement.outcomes import QUARANTINED
from governance.flows.progress import Counts, Flow, MovedOnError, Place, Standing
from governance.model.clock import system_clock
from governance.quarantine.store import Selection

PLACE = Place(Flow.STREAM, "shop.things/thing", "things", "things/0")


@pytest.fixture
def held(control: sa.Engine) -> PostgresQuarantine:
    return PostgresQuarantine(control)


@pytest.fixture
def progress(control: sa.Engine, held: PostgresQuarantine) -> PostgresProgress:
    return PostgresProgress(control, held, system_clock)


def rows(*positions: int, reason: str = "type") -> pa.RecordBatch:
    """Rows without a body, as of a dataset with a minimum age."""
    records = [
        {"source": "things", "part": "things/0", "position": p, "reason": reason, "length": 7} for p in positions
    ]
    return pa.RecordBatch.from_pylist(records, schema=QUARANTINED)


def at(position: int, **counts: object) -> Standing:
    return Standing(position, {"seen": position}, Counts(**counts))  # type: ignore[arg-type]


def test_a_place_that_nobody_has_read_stands_at_its_beginning(progress: PostgresProgress) -> None:
    assert progress.standing(PLACE) == Standing()
    assert progress.standings() == ()


def test_counts_add_up_while_the_position_moves(progress: PostgresProgress, held: PostgresQuarantine) -> None:
    progress.advance(PLACE, 0, at(10, read=10, admitted=9, quarantined={"type": 1}), rows(4), "1.0.0")
    progress.advance(PLACE, 10, at(15, read=5, admitted=3, quarantined={"type": 1}, refused={"underage": 1}), rows(12))
    standing = progress.standing(PLACE)
    assert (standing.position, standing.state) == (15, {"seen": 15})
    assert standing.counts == Counts(15, 12, quarantined={"type": 2}, refused={"underage": 1})
    assert sorted(row.place.position for row in held.rows(Selection())) == [4, 12]
    assert [place for place, _ in progress.standings(PLACE.dataset)] == [PLACE]


def test_who_comes_late_changes_nothing(progress: PostgresProgress, held: PostgresQuarantine) -> None:
    progress.advance(PLACE, 0, at(10, read=10, admitted=10))
    with pytest.raises(MovedOnError):
        progress.advance(PLACE, 0, at(8, read=8, admitted=7, quarantined={"type": 1}), rows(3), "1.0.0")
    assert progress.standing(PLACE).counts == Counts(10, 10)
    assert list(held.rows(Selection())) == []


def test_two_flows_read_one_topic_apart(progress: PostgresProgress) -> None:
    other = Place(Flow.SPARK, PLACE.dataset, PLACE.source, PLACE.part)
    progress.advance(PLACE, 0, at(10, read=10, admitted=10))
    progress.advance(other, 0, at(3, read=3, admitted=3))
    assert progress.standing(PLACE).position == 10
    assert progress.standing(other).position == 3


def test_a_row_that_is_replayed_leaves_quarantine_as_it_is_counted(
    progress: PostgresProgress, held: PostgresQuarantine
) -> None:
    progress.advance(PLACE, 0, at(10, read=10, admitted=8, quarantined={"type": 2}), rows(4, 5), "1.0.0")
    moved = Counts(admitted=1, quarantined={"type": -1})
    progress.settle(PLACE, pa.array([4], pa.int64()), moved)
    assert progress.standing(PLACE).counts == Counts(10, 9, quarantined={"type": 1})
    with pytest.raises(MovedOnError):
        progress.settle(PLACE, pa.array([4, 5], pa.int64()), moved)
    assert [row.place.position for row in held.rows(Selection())] == [5]
    assert progress.standing(PLACE).counts.admitted == 9


def test_a_row_that_fails_again_stays_until_it_would_have_gone(
    progress: PostgresProgress, held: PostgresQuarantine
) -> None:
    progress.advance(PLACE, 0, at(5, read=5, admitted=4, quarantined={"type": 1}), rows(4), "1.0.0")
    (before,) = held.rows(Selection())
    again = Counts(quarantined={"type": -1, "rule": 1})
    progress.settle(PLACE, pa.array([4], pa.int64()), again, rows(4, reason="rule"), "1.1.0")
    (after,) = held.rows(Selection())
    assert (after.reason, after.contract_version) == ("rule", "1.1.0")
    assert (after.expires_at, after.held_at) == (before.expires_at, before.held_at)
    assert progress.standing(PLACE).counts.quarantined == {"rule": 1}
