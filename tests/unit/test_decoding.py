"""Governed messages, read again: what is vouched for, of a known version, and of somebody who is there."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from governance.contracts.load import load_contract
from governance.enforcement.outcomes import Reason
from governance.enforcement.plan import EnforcementPlan, compile_plan
from governance.flows.decoding import GovernedReader, Judged, known_version, parse
from governance.flows.governed import encode
from governance.model.message import Message
from governance.model.secret import Secret
from governance.protection.messages import sign

CONTRACT = load_contract(Path(__file__).parents[2] / "contracts" / "users" / "people.odcs.yaml")
PLAN: EnforcementPlan = compile_plan(CONTRACT.datasets[0], CONTRACT)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY_ID, KEY = "m-00000001", Secret(bytes(range(32)))
TOPIC = "users"
ANNA, BERT, GONE = "a" * 32, "b" * 32, "0" * 32


class Keys:
    """One key."""

    def current(self) -> tuple[str, Secret]:
        return KEY_ID, KEY

    def key(self, key_id: str) -> Secret | None:
        return KEY if key_id == KEY_ID else None


def person(pseudonym: str | None = ANNA, **changes: Any) -> dict[str, Any]:
    row = {"gender": "female", "age": 31, "registered_at": datetime(2015, 4, 3, tzinfo=UTC), "nationality": "DE"}
    row |= {"updated_at": NOW, "full_name": "kb1.token", "person_pseudonym": pseudonym}
    return row | changes


def messages(*rows: dict[str, Any]) -> list[Message]:
    batch = pa.RecordBatch.from_pylist(list(rows), schema=PLAN.message_columns())
    return encode(batch, PLAN, TOPIC, KEY_ID, KEY)


def signed(key: bytes, value: bytes | None) -> Message:
    return sign(Message(TOPIC, key, value), PLAN.dataset, PLAN.version, KEY_ID, KEY)


def read(sent: list[Message], asked: list[int] | None = None, begun: list[str] | None = None) -> Judged:
    def alive(pseudonyms: np.ndarray) -> np.ndarray:
        if asked is not None:
            asked.append(len(pseudonyms))
        return pseudonyms.any(axis=1)

    reader = GovernedReader(PLAN, Keys(), alive, lambda: NOW)
    return reader.read(sent, None if begun is None else lambda: begun.append("lease"))


def test_what_was_written_is_read_as_it_was() -> None:
    rows = [person(), person(BERT, title="Dr", phone=None, age=None)]
    judged = read(messages(*rows))
    assert judged.documents.keys == [ANNA.encode(), BERT.encode()]
    assert judged.documents.versions.tolist() == [1_795_262_400_000_000] * 2
    assert judged.documents.days.tolist() == [datetime(2015, 4, 3).date()] * 2  # noqa: DTZ001
    assert judged.rows is not None
    assert judged.rows.schema == PLAN.message_columns()
    assert judged.rows.column("age").to_pylist() == [31, None]
    assert (judged.faults, judged.refused) == ((), ())


def test_whoever_is_gone_is_refused_and_everybody_is_asked_for_at_once() -> None:
    asked: list[int] = []
    begun: list[str] = []
    judged = read(messages(person(), person(GONE), person(BERT), person(GONE), person()), asked, begun)
    assert judged.refused == ((1, Reason.SUPPRESSED), (3, Reason.SUPPRESSED))
    assert judged.places.tolist() == [0, 2, 4]
    assert asked == [3]  # each once, in one question
    assert begun == ["lease"]


def test_without_a_person_nobody_is_asked_and_no_lease_begins() -> None:
    asked: list[int] = []
    begun: list[str] = []
    assert len(read([signed(ANNA.encode(), None)], asked, begun).documents) == 1
    assert (asked, begun) == ([], [])


def test_a_tombstone_of_somebody_who_is_gone_stands_in_its_place() -> None:
    one, two = messages(person(), person(BERT))
    judged = read([one, signed(GONE.encode(), None), two])
    assert judged.documents.keys == [ANNA.encode(), GONE.encode(), BERT.encode()]
    assert judged.documents.values[1] is None
    assert judged.documents.versions[1] == 0
    assert judged.places.tolist() == [0, 1, 2]


def test_of_a_dataset_with_a_minimum_age_no_forgery_leaves_a_body() -> None:
    (one,) = messages(person())
    judged = read([Message(TOPIC, one.key, one.value), Message(TOPIC, None, b"x" * 50)])
    assert [(f.place, f.reason, f.length, f.body) for f in judged.faults] == [
        (0, Reason.FORGED, len(one.value or b""), None),
        (1, Reason.FORGED, 50, None),
    ]
    assert len(judged.documents) == 0


def test_a_genuine_message_of_another_dataset_is_none_of_this_one() -> None:
    other = sign(Message(TOPIC, b"k", b"{}"), "store.products/product", PLAN.version, KEY_ID, KEY)
    (fault,) = read([other]).faults
    assert (fault.reason, fault.detail) == (Reason.FORGED, "other_dataset")


def test_what_is_too_old_by_now_is_refused() -> None:
    old = person(registered_at=datetime(1996, 1, 1, tzinfo=UTC))
    assert read(messages(old, person(BERT))).refused == ((0, Reason.EXPIRED),)


@pytest.mark.parametrize(
    ("changes", "reason", "column"),
    [
        ({"person_pseudonym": "not one"}, Reason.TYPE, "person_pseudonym"),
        ({"person_pseudonym": ANNA.upper()}, Reason.TYPE, "person_pseudonym"),
        ({"age": "31"}, Reason.TYPE, "age"),
        ({"age": 2**70}, Reason.TYPE, "age"),
        ({"age": True}, Reason.TYPE, "age"),
        ({"age": 31.0}, Reason.TYPE, "age"),
        ({"full_name": 7}, Reason.TYPE, "full_name"),
        ({"full_name": ["x"]}, Reason.TYPE, "full_name"),
        ({"updated_at": 5}, Reason.TYPE, "updated_at"),
        ({"updated_at": None}, Reason.REQUIRED, "updated_at"),
        ({"password": "x"}, Reason.MALFORMED, None),
    ],
)
def test_a_record_of_other_columns_is_a_fault_of_its_own(changes: dict[str, Any], reason: str, column: str) -> None:
    (good,) = messages(person())
    bad = orjson.dumps(orjson.loads(good.value or b"{}") | changes) if changes.get("age") != 2**70 else None
    value = bad or (good.value or b"").replace(b'"age":31', b'"age":1180591620717411303424')
    parsed = parse([(5, good.value or b""), (6, value), (7, good.value or b"")], PLAN)
    assert [(f.place, f.reason, f.column) for f in parsed.faults] == [(6, reason, column)]
    assert parsed.places.tolist() == [5, 7]
    assert parsed.rows.num_rows == 2


def test_bodies_that_were_vouched_for_once_name_themselves() -> None:
    (one,) = messages(person(BERT))
    reader = GovernedReader(PLAN, Keys(), lambda p: np.ones(len(p), bool), lambda: NOW)
    judged = reader.read_again([one.value or b"", b"{}"])
    assert judged.documents.keys == [BERT.encode()]
    assert [fault.place for fault in judged.faults] == [1]


@pytest.mark.parametrize(
    ("given", "mine", "known"),
    [
        ("1.2.3", "1.2.3", True),
        ("1.2.3", "1.10.0", True),
        ("1.10.0", "1.9.0", False),
        ("1.0.0", "2.0.0", False),
        ("2.0.0", "1.0.0", False),
        ("01.0.0", "1.0.0", False),
        ("draft", "draft", True),
        ("draft", "1.0.0", False),
        ("", "1.0.0", False),
    ],
)
def test_an_earlier_version_is_known_unless_it_broke(given: str, mine: str, known: bool) -> None:
    assert known_version(given, mine) is known
