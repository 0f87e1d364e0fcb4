"""Which records are too old to be stored, and which are of a moment that hasn't come: to the microsecond."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from governance.contracts.load import load_contract
from governance.enforcement.admission import admit, ahead
from governance.enforcement.plan import EnforcementPlan, compile_plan
from governance.enforcement.reading import Reading, read, with_origin, without_ignored

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
CONTRACTS = Path(__file__).parents[2] / "contracts"
MOMENT = pa.timestamp("us", tz="UTC")


def plan_of(name: str) -> EnforcementPlan:
    contract = load_contract(CONTRACTS / f"{name}.odcs.yaml")
    return compile_plan(contract.datasets[0], contract)


PEOPLE, PRODUCTS = plan_of("users/people"), plan_of("store/products")
OLDEST = NOW - timedelta(days=30 * 365)


def people(**columns: list[object]) -> dict[str, pa.Array]:
    kinds = {"born": MOMENT, "registered_at": MOMENT, "updated_at": MOMENT}
    rows = len(next(iter(columns.values())))
    grown_up = {"born": [datetime(1980, 1, 1, tzinfo=UTC)] * rows}
    return {name: pa.array(cells, kinds[name]) for name, cells in (grown_up | columns).items()}


def refused(values: dict[str, pa.Array], plan: EnforcementPlan = PEOPLE, now: datetime = NOW) -> list[str | None]:
    rows = len(values["born"])
    verdict = admit(values, plan, lambda: now, rows)
    return [str(verdict.of(row).reason) if verdict.bad[row] else None for row in range(rows)]


def test_a_record_is_refused_from_the_first_moment_beyond_its_retention() -> None:
    values = people(registered_at=[OLDEST - TICK, OLDEST, OLDEST + TICK, datetime(1, 1, 1, tzinfo=UTC), None])
    assert refused(values) == ["expired", None, None, "expired", None]
    assert refused(values, now=NOW + 2 * TICK)[:3] == ["expired"] * 3


def test_a_record_date_without_a_time_is_as_old_as_its_day() -> None:
    day = (NOW - timedelta(days=30 * 365)).date()
    values = people(registered_at=[None, None]) | {
        "registered_at": pa.array([day - timedelta(days=1), day], pa.date32())
    }
    assert refused(values) == ["expired", None]


def test_a_minor_is_refused_as_a_minor_however_old_the_record_is() -> None:
    values = people(registered_at=[OLDEST - TICK] * 2) | {"born": pa.array([NOW, None], MOMENT)}
    assert refused(values) == ["underage", "age_unknown"]


def test_only_streams_refuse_what_is_old() -> None:
    """A warehouse is filled from the past: its retention is the sweep's."""
    old = people(registered_at=[OLDEST - TICK])
    contract = load_contract(CONTRACTS / "users/people.odcs.yaml")
    batch = compile_plan(replace(contract.datasets[0], sinks=("warehouse", "lake")), contract)
    assert (batch.oldest_days, batch.skew_seconds) == (None, None)
    assert refused(old, batch) == [None]
    assert ahead(people(updated_at=[NOW + timedelta(days=1)]), batch, lambda: NOW).tolist() == [False]


def test_a_record_may_be_ahead_by_as_much_as_clocks_are_apart() -> None:
    late = NOW + timedelta(seconds=300)
    values = {"updated_at": pa.array([late - TICK, late, late + TICK, datetime(9999, 1, 1, tzinfo=UTC), None], MOMENT)}
    assert ahead(values, PRODUCTS, lambda: NOW).tolist() == [False, False, True, True, False]
    days = {"updated_at": pa.array([date(2026, 11, 21), date(2026, 11, 22)], pa.date32())}
    assert ahead(days, PRODUCTS, lambda: NOW).tolist() == [False, True]
    assert ahead(days, PRODUCTS, lambda: NOW.replace(hour=23, minute=56)).tolist() == [False, False]


def reading_of(plan: EnforcementPlan, source: str, **columns: list[str | None]) -> Reading:
    records = pa.RecordBatch.from_pydict({n.replace("__", "."): pa.array(c, pa.string()) for n, c in columns.items()})
    batch = with_origin(records, source, "part", pa.array(range(records.num_rows)))
    return read(without_ignored(batch, plan), plan, lambda: NOW)


def test_a_text_that_is_no_range_fails_in_the_field_where_it_stands() -> None:
    one = reading_of(PRODUCTS, "products_api", price=["on request", None, "N/A", "16.23 - 7.92"])
    assert one.failed["price"].tolist() == [True, False, False, False]
    assert [str(v) for v in one.values["price_min"].to_pylist()] == ["None", "None", "None", "7.92"]
    assert [str(v) for v in one.values["price_max"].to_pylist()] == ["None", "None", "None", "16.23"]
    assert one.values["price_band"].to_pylist() == [None, None, None, "low"]


@pytest.mark.parametrize("source", ["users_api", "users_raw"])
def test_what_is_ignored_is_neither_read_nor_reported(source: str) -> None:
    columns: dict[str, list[str | None]] = {
        "login__uuid": ["u-1"], "login__password": ["swordfish"], "login__sha256": ["ab"], "picture__large": ["p.jpg"],
        "id__value": ["123"], "id": [None], "dob__age": ["44"], "instrument": ["harp"],
    }  # fmt: skip
    one = reading_of(PEOPLE, source, **columns)
    assert one.values["id"].to_pylist() == ["u-1"]
    assert list(one.unknown) == ["instrument"]
    assert list(reading_of(PEOPLE, "elsewhere", **columns).unknown) != ["instrument"]


def test_a_person_who_never_changed_is_as_new_as_the_registration() -> None:
    one = reading_of(
        PEOPLE,
        "users_api",
        updated=["2026-01-02T00:00:00Z", None, "lately"],
        registered__date=["2024-05-06T00:00:00Z"] * 3,
    )
    moments = [None if v is None else v.date() for v in one.values["updated_at"].to_pylist()]
    assert moments == [date(2026, 1, 2), date(2024, 5, 6), None]
    assert one.failed["updated_at"].tolist() == [False, False, True]


def test_both_shapes_of_an_address_become_one_line() -> None:
    one = reading_of(
        PEOPLE,
        "users_api",
        location__street__number=["12", None],
        location__street__name=["Fennel Road", None],
        location__street=[None, "12 Fennel Road"],
        location__city=["Leeds", "Leeds"],
        location__postcode=["4711", "LS1 2AB"],
        location__country=["United Kingdom", None],
    )
    assert one.values["address"].to_pylist() == [
        "12 Fennel Road, Leeds, 4711, United Kingdom",
        "12 Fennel Road, Leeds, LS1 2AB",
    ]
