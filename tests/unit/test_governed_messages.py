"""Admitted rows as messages: every value arrives as it was, under the record's identity, and nothing else does."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.enforcement.plan import PART, POSITION, SOURCE, VERSION, ColumnPlan, EnforcementPlan, SubjectPlan
from governance.errors import ContractError, ProtectionError
from governance.flows.governed import encode
from governance.model.message import Message
from governance.model.secret import Secret
from governance.protection.messages import Verified, verify

KEY_ID, KEY = "m-00000001", Secret(bytes(range(32)))
TYPES = {
    "id": "string",
    "title": "string",
    "pieces": "int64",
    "share": "double",
    "sold": "bool",
    "day": "date",
    "updated_at": "timestamp",
    "opens": "time",
    "price": "decimal(38,10)",
}
OURS = {SOURCE: "api", PART: "first page", POSITION: 0, VERSION: "1.0.0"}


class Keys:
    def current(self) -> tuple[str, Secret]:
        return KEY_ID, KEY

    def key(self, key_id: str) -> Secret | None:
        return KEY if key_id == KEY_ID else None


def plan(*, person: bool = False, key: tuple[str, ...] = ("id",)) -> EnforcementPlan:
    columns = tuple(
        ColumnPlan(name, name, kind, False, "clear", None, None, "none", "quarantine", {}, {})
        for name, kind in TYPES.items()
    )
    subject = SubjectPlan("person", (("id", "identifier"),), ("id",), "person_pseudonym")
    return EnforcementPlan(
        dataset="store.products/product",
        contract="store.products",
        version="1.0.0",
        system="store",
        table="products",
        columns=columns,
        subjects=(subject,) if person else (),
        row_rules=(),
        set_rules=(),
        sources=(),
        key=key,
        version_field="updated_at",
        record_date=None,
        scanned=(),
        admit_unscanned=(),
    )


def sent(rows: Sequence[Mapping[str, Any]], of: EnforcementPlan | None = None) -> list[Message]:
    of = of or plan()
    whole = [dict.fromkeys(of.output_schema().names) | OURS | dict(row) for row in rows]
    return encode(pa.RecordBatch.from_pylist(whole, schema=of.output_schema()), of, "products", KEY_ID, KEY)


def value_of(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.value or b"")
    return found


TEXTS = st.text(max_size=30) | st.sampled_from(['a"b', "back\\slash", "line\nbreak", "\x00\x1f\x7f", "Ωé漢🌿", "null"])
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  bounds only
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**20), max_value=10**20)
ROWS = st.fixed_dictionaries(
    {
        "id": TEXTS,
        "title": st.none() | TEXTS,
        "pieces": st.none() | st.integers(-(2**63), 2**63 - 1),
        "share": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "sold": st.none() | st.booleans(),
        "day": st.none() | st.dates(),
        "updated_at": st.none() | MOMENTS,
        "opens": st.none() | st.times(),
        "price": st.none() | DECIMALS,
    }
)


def as_sent(row: dict[str, Any]) -> dict[str, Any]:
    """What the value must say, written down again with the standard library alone."""
    texts: dict[str, Callable[[Any], str]] = {
        "day": lambda day: day.isoformat(),
        "updated_at": lambda moment: moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z",
        "opens": lambda clock: clock.isoformat(timespec="microseconds"),
        "price": lambda price: f"{price:.10f}",
    }
    return {name: texts[name](v) if name in texts and v is not None else v for name, v in row.items()}


@settings(deadline=None, max_examples=60)
@given(st.lists(ROWS, min_size=1, max_size=8))
def test_every_value_arrives_as_it_was(rows: list[dict[str, Any]]) -> None:
    messages = sent(rows)
    assert [value_of(one) for one in messages] == [as_sent(row) for row in rows]
    assert [json.loads(one.key or b"") for one in messages] == [[row["id"]] for row in rows]


def test_the_bytes_are_these() -> None:
    row = {
        "id": "P-17",
        "title": 'Kräuter "Tee"',
        "pieces": -3,
        "share": 0.1,
        "sold": True,
        "day": date(2026, 1, 31),
        "updated_at": datetime(2026, 1, 31, 7, 5, 9, 120, tzinfo=UTC),
        "opens": time(9, 30),
        "price": Decimal("0.0000001"),
    }
    (message,) = sent([row])
    assert message.key == b'["P-17"]'
    assert (
        message.value
        == (
            '{"id":"P-17","title":"Kräuter \\"Tee\\"","pieces":-3,"share":0.1,"sold":true,"day":"2026-01-31",'
            '"updated_at":"2026-01-31T07:05:09.000120Z","opens":"09:30:00.000000","price":"0.0000001000"}'
        ).encode()
    )
    assert message.topic == "products"


def test_where_a_row_came_from_stays_behind() -> None:
    (message,) = sent([{"id": "P-17"}])
    assert not [name for name in value_of(message) if name.startswith("kasbah_")]
    assert set(value_of(message)) == set(TYPES)


def test_messages_are_signed_for_their_dataset_and_version() -> None:
    messages = sent([{"id": str(n)} for n in range(5)])
    assert verify(messages, Keys()) == [Verified("store.products/product", "1.0.0")] * 5


def test_a_persons_record_is_known_by_the_pseudonym() -> None:
    pseudonym = "00112233445566778899aabbccddeeff"
    (message,) = sent([{"id": "P-17", "person_pseudonym": pseudonym}], plan(person=True))
    assert message.key == pseudonym.encode()
    assert value_of(message)["person_pseudonym"] == pseudonym


def test_a_row_that_speaks_of_nobody_is_known_by_its_primary_key() -> None:
    pseudonym = "00112233445566778899aabbccddeeff"
    rows: list[dict[str, Any]] = [
        {"id": "P-17", "person_pseudonym": None},
        {"id": "P-18", "person_pseudonym": pseudonym},
    ]
    assert [m.key for m in sent(rows, plan(person=True))] == [b'["P-17"]', pseudonym.encode()]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXTS, st.integers(-9, 9)), min_size=2, max_size=2, unique=True))
def test_different_primary_keys_are_different_keys(keys: list[tuple[str, int]]) -> None:
    messages = sent([{"id": text, "pieces": number} for text, number in keys], plan(key=("id", "pieces")))
    assert [json.loads(one.key or b"") for one in messages] == [list(key) for key in keys]
    assert messages[0].key != messages[1].key


def test_a_row_without_identity_is_not_sent() -> None:
    with pytest.raises(ProtectionError, match="neither a pseudonym nor"):
        sent([{"id": "P-17"}], plan(key=()))


def test_a_type_that_no_plan_has_is_not_sent() -> None:
    rows = pa.record_batch({"id": ["P-17"], "tags": [["a"]]})
    with pytest.raises(ContractError, match="list"):
        encode(rows, plan(), "products", KEY_ID, KEY)


def test_no_rows_are_no_messages() -> None:
    assert sent([]) == []
