"""What the two streams' contracts make of the samples' own records, row by row, with real keys and a real scanner."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from desk import Desk, raw
from typer.testing import CliRunner

from governance.adapters.presidio.scanner import PresidioScanner
from governance.adapters.sources.json_batch import Gathering
from governance.adapters.sources.json_values import decode, to_row
from governance.cli.main import app
from governance.contracts.load import load_folder
from governance.enforcement.apply import enforce
from governance.enforcement.outcomes import Enforced
from governance.enforcement.plan import EnforcementPlan, compile_plan
from governance.enforcement.reading import with_origin
from governance.errors import UserError
from governance.flows.source import SourceBatch
from governance.flows.unsealing import unseal
from samples.feed import START, Feed
from samples.products import ProductSource
from samples.traits import Row
from samples.users import UserSource

ROOT = Path(__file__).parents[2]
CONTRACTS = load_folder(ROOT / "contracts")
ROWS = 3000


def plan_of(source: str) -> EnforcementPlan:
    contract, dataset = CONTRACTS.find("store.products" if source.startswith("products") else "users.people")
    return compile_plan(dataset, contract)


def rows_of(source: str, share: float | None = None) -> list[Row[Any]]:
    feed = Feed(seed=11, keys=ROWS)
    made = ProductSource(feed, share) if source.startswith("products") else UserSource(feed, share)
    return list(made.rows(0, ROWS))


def batch_of(records: list[dict[str, Any]]) -> SourceBatch:
    """Records as whoever reads JSON gives them, from an API's page or a topic's messages."""
    gathering = Gathering()
    for record in records:
        gathering.row(to_row(decode(json.dumps(record, ensure_ascii=False))))
    return gathering.batch("part")


@pytest.fixture(scope="module")
def presidio() -> PresidioScanner:
    return PresidioScanner()


@pytest.fixture
def streaming(installed: Desk) -> Desk:
    """The day on which the feeds begin; nothing of them lies ahead."""
    installed.now = START
    return installed


def take(
    desk: Desk,
    records: list[dict[str, Any]],
    source: str,
    scanner: PresidioScanner,
    plan: EnforcementPlan | None = None,
) -> Enforced:
    batch = batch_of(records)
    with desk.keyring.lease("test") as lease:
        placed = with_origin(batch.records, source, batch.part, batch.positions)
        return enforce(placed, plan or plan_of(source), lease.keys, scanner, desk.clock)


def outcomes(enforced: Enforced) -> dict[int, tuple[str, str | None, str | None]]:
    """By position: the reason, with the field and detail that stay of a held row."""
    places = enforced.admitted.column("kasbah_position").to_pylist()
    found: dict[int, tuple[str, str | None, str | None]] = dict.fromkeys(places, ("admitted", None, None))
    found |= {row["position"]: (row["reason"], row["field"], row["detail"]) for row in enforced.quarantined.to_pylist()}
    found |= {row["position"]: (row["reason"], None, None) for row in enforced.refused.to_pylist()}
    return found


@pytest.mark.parametrize("system", ["products", "users"])
def test_a_raw_topics_records_meet_what_the_apis_do(streaming: Desk, presidio: PresidioScanner, system: str) -> None:
    """(What that is, the samples' own test compares with what they planted.)"""
    records = [row.record for row in rows_of(system)]
    polled, raw_ones = (outcomes(take(streaming, records, f"{system}_{way}", presidio)) for way in ("api", "raw"))
    assert sorted(polled) == list(range(ROWS))
    assert polled == raw_ones
    reasons = {reason for reason, _, _ in polled.values()}
    assert {"admitted", "type", "rule", "finding", "ahead", "required"} <= reasons
    assert system == "products" or {"underage", "age_unknown", "expired"} <= reasons


def test_no_personal_value_of_the_samples_is_left_readable(streaming: Desk, presidio: PresidioScanner) -> None:
    """In no outcome, and a password not even in a sealed row."""
    rows = rows_of("users_api")
    enforced = take(streaming, [row.record for row in rows], "users_api", presidio)
    stored = raw(enforced.admitted) + raw(enforced.quarantined) + raw(enforced.refused)
    for row in rows:
        who = row.facts
        for value in (
            who.full_name,
            who.username,
            who.email,
            who.phone,
            who.cell,
            who.uuid,
            row.record["login"]["md5"],
        ):
            assert value.encode() not in stored
    assert b"NL" in stored or b"GB" in stored  # what is kept in clear is there, so the search would find the rest
    with streaming.keyring.for_reading() as keys:
        bodies = [body for body in unseal(enforced.quarantined, plan_of("users_api").dataset, keys).bodies if body]
    assert len(bodies) == enforced.quarantined.num_rows
    held = b"".join(bodies)
    assert (
        b"login.uuid" in held and b"login.password" not in held and b"login.sha" not in held and b"picture" not in held
    )


def test_admitted_people_say_what_their_records_say(streaming: Desk, presidio: PresidioScanner) -> None:
    rows = rows_of("users_raw", share=0.0)
    enforced = take(streaming, [row.record for row in rows], "users_raw", presidio)
    today = START.date()
    adults = [row.facts for row in rows if row.facts.age(today) >= 18]
    assert enforced.admitted.num_rows == len(adults)
    clear = ["gender", "title", "email_domain", "age", "nationality"]
    said = [(p.gender, p.title, p.domain.lower(), p.age(today), p.nation.code) for p in adults]
    assert [tuple(row.values()) for row in enforced.admitted.select(clear).to_pylist()] == said
    micros = enforced.admitted.column("updated_at").cast(pa.int64()).to_pylist()
    assert micros == [p.updated for p in adults]
    assert len(set(enforced.admitted.column("person_pseudonym").to_pylist())) == len(adults)


def test_admitted_products_say_what_their_listings_say(streaming: Desk, presidio: PresidioScanner) -> None:
    rows = rows_of("products_raw", share=0.0)
    enforced = take(streaming, [row.record for row in rows], "products_raw", presidio)
    columns = ["id", "title", "category", "price_min", "price_max", "price_band", "quantity", "reviews", "ship_days"]
    said = [
        (p.id, p.title, p.category, p.low, p.high, _band(p.low), p.quantity, p.reviews, p.ship_days)
        for p in (row.facts for row in rows)
    ]
    cents = [
        tuple(int(v * 100) if k.startswith("price_m") else v for k, v in row.items())
        for row in enforced.admitted.select(columns).to_pylist()
    ]
    assert cents == said


def _band(cents: int) -> str:
    return "low" if cents <= 5_000 else "medium" if cents <= 20_000 else "high"


PERSON = {
    "gender": "female", "name": {"title": "Ms", "first": "Ann", "last": "Example"}, "nat": "GB",
    "dob": {"date": "1980-05-06T00:00:00Z"}, "updated": "2025-12-31T00:00:00Z", "email": "ann@example.org",
    "registered": {"date": "2020-01-01T00:00:00Z"}, "login": {"uuid": "0e7c", "password": "swordfish"},
}  # fmt: skip


def test_nobody_is_made_of_a_record_that_is_too_old(streaming: Desk, presidio: PresidioScanner) -> None:
    before = streaming.people()
    old = PERSON | {
        "registered": {"date": "1970-01-01T00:00:00Z"},
        "login": {"uuid": "0e7d"},
        "email": "old@example.org",
    }
    enforced = take(streaming, [old], "users_raw", presidio)
    assert enforced.refused.to_pylist() == [{"source": "users_raw", "part": "part", "position": 0, "reason": "expired"}]
    assert enforced.admitted.num_rows == enforced.quarantined.num_rows == 0
    assert streaming.people() == before


def test_a_record_from_the_future_is_held_until_it_is_replayed(streaming: Desk, presidio: PresidioScanner) -> None:
    tomorrow = (START + timedelta(days=1)).isoformat()
    record = PERSON | {"updated": tomorrow, "login": {"uuid": "0e7e"}, "email": "soon@example.org"}
    assert outcomes(take(streaming, [record], "users_api", presidio)) == {0: ("ahead", "updated_at", None)}
    streaming.now = datetime(2026, 11, 21, tzinfo=UTC)
    assert outcomes(take(streaming, [record], "users_api", presidio)) == {0: ("admitted", None, None)}


def test_a_record_without_a_name_reaches_no_stream(streaming: Desk, presidio: PresidioScanner) -> None:
    """A message needs a key. A row about nobody may be loaded in a batch; from a stream it is held."""
    contract, dataset = CONTRACTS.find("users.people")
    loose = replace(
        dataset, fields=tuple(replace(f, required=False, primary_key_position=None) for f in dataset.fields)
    )
    subject = replace(dataset.subjects[0], minimum_age=None, fields=("id", "email"))
    loose = replace(loose, subjects=(subject,), quality=())
    nobody = {"registered": {"date": "2020-01-01T00:00:00Z"}, "updated": "2025-12-31T00:00:00Z"}
    plan = compile_plan(loose, contract)
    plan = replace(
        plan, columns=tuple(replace(c, protect="drop") if c.protect == "encrypt" else c for c in plan.columns)
    )
    done = take(streaming, [nobody], "users_api", presidio, plan)
    assert outcomes(done) == {0: ("no_subject_key", "id", None)}
    done = take(streaming, [nobody], "users_api", presidio, replace(plan, sinks=("warehouse",)))
    assert outcomes(done) == {0: ("admitted", None, None)}


def test_what_only_streams_fill_is_loaded_by_no_batch(
    control: sa.Engine, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KASBAH_CONTROL", database)
    monkeypatch.setenv("KASBAH_CONTRACTS", str(ROOT / "contracts"))
    assert CliRunner().invoke(app, ["keys", "init"]).exit_code == 0
    done = CliRunner().invoke(app, ["ingest", "store.products"])
    assert isinstance(done.exception, UserError)
    assert "goes to kafka and elasticsearch: load it with `kasbah collect` and `kasbah stream`" in str(done.exception)
