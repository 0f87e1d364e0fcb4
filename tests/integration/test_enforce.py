"""What enforcement promises of any batch, with real keys on a real control database."""

import secrets
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from desk import CONTRACT, GOOD, NOW, PLAN, Desk, Finds, Row, outcomes, raw
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.enforcement.plan import compile_plan
from governance.enforcement.seal import Unreadable, seal_unreadable
from governance.errors import ContractError, KeyUnavailableError

# Three outcomes

CELLS: dict[str, list[str | None]] = {
    "joined": ["2020-05-04", "2020-02-30", None, "05-04-2020"],
    "born": ["1990-01-02", "2008-11-21", "2008-11-22", "2020-01-01", None, "1.2.1990", "1776-07-04", "2027-01-01"],
    "level": ["basic", "full", "gold", None],
    "points": ["7", "-1", "7.5", "9223372036854775807", "9223372036854775808", "seven", None],
    "note": ["fine", "", None],
    "city": ["Lund", None],
}


def own_keys(place: int, has: tuple[bool, bool, bool]) -> dict[str, str | None]:
    """Keys that no other row has, so that only linking, which may look at other rows, is left out."""
    keys = (f"m{place}@example.org", f"+46 70 555 01{place:02}", f"card {place}")
    return {
        name: key if there else None for name, key, there in zip(("email", "phone", "card"), keys, has, strict=True)
    }


ROWS = st.lists(
    st.tuples(
        st.fixed_dictionaries({name: st.sampled_from(values) for name, values in CELLS.items()}),
        st.tuples(st.booleans(), st.booleans(), st.booleans()),
    ),
    max_size=12,
).map(lambda rows: [{**row, **own_keys(place, has)} for place, (row, has) in enumerate(rows)])


@given(rows=ROWS, cut=st.integers(0, 12), data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_row_has_one_outcome_which_hangs_on_no_other_row(
    installed: Desk, rows: list[Row], cut: int, data: st.DataObject
) -> None:
    installed.now = NOW
    whole = outcomes(installed.take(rows))
    assert sorted(whole) == list(range(len(rows)))
    places = list(range(len(rows)))
    parts = outcomes(installed.take(rows[:cut], places[:cut])) | outcomes(installed.take(rows[cut:], places[cut:]))
    assert parts == whole
    order = data.draw(st.permutations(places))
    assert outcomes(installed.take([rows[place] for place in order], order)) == whole


def test_each_fault_is_named_with_its_field(desk: Desk) -> None:
    key = {"email": "f@example.org"}
    faults: list[tuple[Row, tuple[Any, ...]]] = [
        ({**key, "joined": "2020-02-30"}, ("type", "joined_on", None)),
        ({**key, "joined": None}, ("required", "joined_on", None)),
        ({**key, "level": "gold"}, ("rule", "level", "level_in_set")),
        ({**key, "points": "-1"}, ("rule", "points", "points_between")),
        ({"full_name": "Ann"}, ("no_subject_key", "email", None)),
        ({"email": "none", "phone": "none"}, ("no_subject_key", "email", None)),
    ]
    done = outcomes(desk.take([{**GOOD, **row} for row, _ in faults]))
    assert [done[place] for place in range(len(faults))] == [("quarantined", *why) for _, why in faults]


def test_an_empty_batch_is_enforced_to_nothing(desk: Desk) -> None:
    done = desk.take([])
    assert done.admitted.schema == PLAN.output_schema() and outcomes(done) == {}


# Who may be stored at all


@pytest.mark.parametrize(
    ("today", "born", "outcome"),
    [
        ("2026-11-21", "2008-11-21", "admitted"),
        ("2026-11-21", "2008-11-22", "underage"),
        ("2026-02-28", "2008-02-29", "underage"),
        ("2026-03-01", "2008-02-29", "admitted"),
        ("2024-02-29", "2006-02-28", "admitted"),
        ("2024-02-29", "2006-03-01", "underage"),
        ("2026-01-01", "2008-01-01", "admitted"),
        ("2026-12-31", "2009-01-01", "underage"),
        ("2026-11-21", "2026-11-22", "age_unknown"),
        ("2026-11-21", "1876-11-20", "admitted"),
        ("2026-11-21", "1875-11-20", "age_unknown"),
        ("2026-11-21", "2008-02-30", "age_unknown"),
        ("2026-11-21", "20 May 1990", "age_unknown"),
        ("2026-11-21", None, "age_unknown"),
    ],
)
def test_a_person_is_of_age_from_the_birthday_on(desk: Desk, today: str, born: str | None, outcome: str) -> None:
    desk.now = datetime.fromisoformat(f"{today}T12:00:00+00:00")
    done = outcomes(desk.take([{**GOOD, "born": born, "email": "day@example.org"}]))
    assert done[0][:2] == (("admitted", "full") if outcome == "admitted" else ("refused", outcome))


WRONG: dict[str, str | None] = {
    "joined": "never",
    "level": "gold",
    "points": "many",
    "note": "FOUND",
    "full_name": "Kim",
}


@pytest.mark.parametrize("born", ["2010-01-01", None, "unknown"])
@pytest.mark.parametrize("fault", [*WRONG, "all"])
def test_a_minor_is_refused_whatever_else_is_wrong_and_leaves_a_count_only(
    desk: Desk, born: str | None, fault: str
) -> None:
    before = desk.people()
    wrong = WRONG if fault == "all" else {fault: WRONG[fault]}
    keys = {} if fault == "full_name" else {"email": f"kid-{secrets.token_hex(4)}@example.org", "phone": "+46705550199"}
    done = desk.take([{**GOOD, **keys, "born": born, **wrong}], scanner=Finds("FOUND"))
    reason = "underage" if born == "2010-01-01" else "age_unknown"
    place = {"source": "members_json", "part": "part", "position": 0}
    assert done.refused.to_pylist() == [{**place, "reason": reason}]
    assert done.admitted.num_rows == done.quarantined.num_rows == done.created_subjects == 0
    assert desk.people() == before


def test_a_minors_row_attaches_no_key_to_a_grown_up(desk: Desk) -> None:
    desk.take([{**GOOD, "email": "parent@example.org"}])
    before = desk.people()
    desk.take([{**GOOD, "born": "2015-01-01", "email": "parent@example.org", "phone": "+46705550188"}])
    assert desk.people() == before


def test_an_unreadable_record_leaves_no_body_where_an_age_is_declared(desk: Desk) -> None:
    sealed = seal_unreadable([Unreadable(3, 12, "not_json", b"{CANARY")], "s", "p", PLAN, NOW.date(), None)
    (row,) = sealed.to_pylist()
    assert (row["position"], row["length"], row["reason"], row["detail"]) == (3, 12, "malformed", "not_json")
    assert row["sealed"] is None and row["day"] is None and b"CANARY" not in raw(sealed)


# Failing closed


def test_a_personal_field_without_a_rule_makes_no_plan() -> None:
    (dataset,) = CONTRACT.datasets
    for name in ("full_name", "city", "initials"):
        bare = [replace(f, protect=None) if f.id == name else f for f in dataset.fields]
        with pytest.raises(ContractError, match=f"{name} is personal data"):
            compile_plan(replace(dataset, fields=tuple(bare)), CONTRACT)


@pytest.mark.parametrize("protect", ["hash", "", "Clear", "pseudonymize"])
def test_a_rule_that_nobody_knows_admits_nothing(desk: Desk, protect: str) -> None:
    columns = tuple(replace(c, protect=protect) if c.field == "full_name" else c for c in PLAN.columns)
    with pytest.raises(ContractError, match="full_name has no rule"):
        desk.take([{**GOOD, "email": "r@example.org"}], plan=replace(PLAN, columns=columns))


def test_an_encrypted_field_of_nobody_admits_nothing(desk: Desk) -> None:
    columns = tuple(replace(c, subject=None) if c.field == "full_name" else c for c in PLAN.columns)
    with pytest.raises(ContractError, match="full_name has no rule"):
        desk.take([{**GOOD, "email": "r@example.org", "full_name": "Ann"}], plan=replace(PLAN, columns=columns))


def test_without_the_epochs_key_nothing_is_enforced(control: sa.Engine, tmp_path: Path) -> None:
    mine = Desk(control, tmp_path / "keys")
    with pytest.raises(KeyUnavailableError, match="keys init"):
        mine.take([{**GOOD, "email": "k@example.org"}])
    mine.epochs.init()
    rows: list[Row] = [{**GOOD, "email": "k@example.org"}, {**GOOD, "full_name": "Bo"}]
    assert mine.take(rows).admitted.num_rows == 1
    for file in (tmp_path / "keys").glob("*seal*"):
        file.unlink()
    late = Desk(control, tmp_path / "keys")
    before = late.people()
    for row in (*rows, {**GOOD, "email": "new@example.org"}):
        with pytest.raises(KeyUnavailableError):
            late.take([row])
    assert late.people() == before
