"""Held rows are opened by whom the contract names, on record, and purged when their time has come."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import orjson
import pyarrow as pa
import pytest
import sqlalchemy as sa
from audit_ledger import make
from typer.testing import CliRunner

from governance.adapters.control.day_keys import PostgresDayKeys
from governance.adapters.control.ledger import PostgresLedger
from governance.adapters.control.quarantine import PostgresQuarantine
from governance.cli import quarantine as command
from governance.contracts.load import load_folder
from governance.contracts.types import Role
from governance.enforcement.outcomes import Reason
from governance.enforcement.plan import EnforcementPlan, compile_plan
from governance.enforcement.reading import origin_of, with_origin
from governance.enforcement.seal import Unreadable, seal_rows, seal_unreadable
from governance.enforcement.verdict import Verdict
from governance.errors import KeyUnavailableError, StoreUnavailableError, TokenError, UserError
from governance.flows.review import NotAllowedError, Review
from governance.flows.unsealing import KeysOfHeld, unseal
from governance.model.secret import Secret
from governance.protection.keytable import KeyTable
from governance.quarantine.store import NotHeldError, Place, Selection

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
ROLES = (Role("analyst"), Role("detective", "reveal"), Role("privacy_officer"))
KNOWN, UNKNOWN, RAGGED = (Place("orders_csv", "orders.csv", position) for position in (3, 4, 9))


class OneEpoch:
    """Epoch 1 and its key."""

    def current(self) -> tuple[int, Secret]:
        return 1, self.key(1)

    def key(self, epoch: int) -> Secret:
        assert epoch == 1
        return Secret(b"e" * 32)


class Persons:
    """Some persons' keys."""

    def __init__(self) -> None:
        self.table = KeyTable.random(2)
        self.shredded = False

    def by_pseudonym(self, entity: str, pseudonyms: np.ndarray) -> tuple[np.ndarray, KeyTable]:
        assert entity == "customer"
        names = [row.tobytes() for row in self.table.pseudonyms]
        index = [-1 if self.shredded else names.index(row.tobytes()) for row in pseudonyms]
        return np.array(index, dtype=np.int32), self.table


@pytest.fixture
def plan() -> EnforcementPlan:
    contract, dataset = load_folder(Path(__file__).parents[2] / "contracts").find("store.orders")
    return compile_plan(dataset, contract)


@pytest.fixture
def store(control: sa.Engine) -> PostgresQuarantine:
    return PostgresQuarantine(control)


@pytest.fixture
def days(control: sa.Engine) -> PostgresDayKeys:
    return PostgresDayKeys(control, OneEpoch())


@pytest.fixture
def persons() -> Persons:
    return Persons()


@pytest.fixture
def keys(days: PostgresDayKeys, persons: Persons) -> KeysOfHeld:
    return KeysOfHeld(persons, days)


@pytest.fixture
def ledger(control: sa.Engine, database: str, tmp_path: Path) -> PostgresLedger:
    return make(control, database, tmp_path).ledger


@pytest.fixture
def review(store: PostgresQuarantine, days: PostgresDayKeys, keys: KeysOfHeld, ledger: PostgresLedger) -> Review:
    @contextmanager
    def leased() -> Iterator[KeysOfHeld]:
        yield keys

    return Review(store, days, ledger, leased, lambda _: ROLES, lambda: NOW, "tester", "privacy_officer")


@pytest.fixture
def held(store: PostgresQuarantine, days: PostgresDayKeys, persons: Persons, plan: EnforcementPlan) -> EnforcementPlan:
    """A row of a known person, one of nobody, and a record that is none: sealed as enforcement seals them."""
    records = pa.RecordBatch.from_pydict(
        {
            "OrderID": ["O-000001", "O-000002"],
            "CustomerEmail": ["ann@example.org", None],
            "CustomerName": ["Ann \x1b[31m\x9bExample", "Bo Example"],
        }
    )
    batch = with_origin(records, "orders_csv", "orders.csv", pa.array([3, 4]))
    verdict = Verdict(2)
    verdict.mark(np.array([True, True]), Reason.RULE, "net_amount", "net")
    subjects = [("customer", SimpleNamespace(index=np.array([1, -1]), table=persons.table))]
    today, key = NOW.date(), days.day_key(NOW.date())
    sealed = seal_rows(batch, verdict, np.array([0, 1]), origin_of(batch), plan, subjects, today, key)
    ragged = Unreadable(9, 12, "ragged", b"O-3,\xff,Cyd\x1b")
    unreadable = seal_unreadable([ragged], "orders_csv", "orders.csv", plan, today, key)
    for rows in (sealed, unreadable):
        store.put("r1", plan.dataset, plan.version, rows, NOW)
    return plan


def _records(ledger: PostgresLedger) -> list[tuple[str, bool | None]]:
    return [(entry.record.action, entry.record.ok) for entry in ledger.last(10)]


def test_a_row_opens_to_what_was_sealed(review: Review, held: EnforcementPlan) -> None:
    known = orjson.loads(review.show(held.dataset, KNOWN).body or b"")
    assert known["OrderID"] == "O-000001" and known["CustomerEmail"] == "ann@example.org"
    unknown = orjson.loads(review.show(held.dataset, UNKNOWN).body or b"")
    assert unknown == {"OrderID": "O-000002", "CustomerName": "Bo Example"}
    assert review.show(held.dataset, RAGGED).body == b"O-3,\xff,Cyd\x1b"


def test_many_rows_open_in_their_order(store: PostgresQuarantine, keys: KeysOfHeld, held: EnforcementPlan) -> None:
    (batch,) = store.sealed_rows(held.dataset, Selection())
    opened = unseal(batch, held.dataset, keys)
    assert [b"O-000001" in (b or b"") for b in opened.bodies] == [True, False, False]
    assert not opened.lost.any() and "Example" not in repr(opened)


def test_no_sealed_row_opens_at_another_place(
    store: PostgresQuarantine, keys: KeysOfHeld, held: EnforcementPlan
) -> None:
    (batch,) = store.sealed_rows(held.dataset, Selection())
    rows = batch.to_pylist()
    rows[1]["sealed"], rows[2]["sealed"] = rows[2]["sealed"], rows[1]["sealed"]
    with pytest.raises(TokenError):
        unseal(pa.RecordBatch.from_pylist(rows, schema=batch.schema), held.dataset, keys)
    with pytest.raises(TokenError):
        unseal(batch, "store.other/order_line", keys)


def test_a_row_whose_pseudonym_was_altered_stays_shut(
    store: PostgresQuarantine, keys: KeysOfHeld, held: EnforcementPlan
) -> None:
    (batch,) = store.sealed_rows(held.dataset, Selection())
    rows = batch.to_pylist()
    for wrong in ("x" * 32, "ab", None):
        rows[0]["pseudonym"] = wrong
        with pytest.raises(TokenError):
            unseal(pa.RecordBatch.from_pylist(rows, schema=batch.schema), held.dataset, keys)


def test_rows_whose_key_is_gone_stay_shut(
    review: Review,
    store: PostgresQuarantine,
    keys: KeysOfHeld,
    persons: Persons,
    days: PostgresDayKeys,
    held: EnforcementPlan,
) -> None:
    persons.shredded = True
    with pytest.raises(KeyUnavailableError, match="shredded"):
        review.show(held.dataset, KNOWN)
    assert review.show(held.dataset, UNKNOWN).body
    days.destroy_expired(NOW + timedelta(days=40))
    with pytest.raises(KeyUnavailableError, match="destroyed"):
        review.show(held.dataset, UNKNOWN)
    (batch,) = store.sealed_rows(held.dataset, Selection())
    opened = unseal(batch, held.dataset, keys)
    assert opened.lost.all() and opened.bodies == [None, None, None]


@pytest.mark.parametrize("role", ["detective", "privacy_officer"])
def test_who_may_reveal_may_open_and_is_on_record(
    review: Review, ledger: PostgresLedger, held: EnforcementPlan, role: str
) -> None:
    as_role = Review(**(vars(review) | {"role": role}))
    assert as_role.show(held.dataset, KNOWN).body
    (entry,) = ledger.last(5)
    assert (entry.record.action, entry.record.actor, entry.record.ok) == ("quarantine.show", "tester", True)
    assert entry.record.item == KNOWN.digest(held.dataset)


@pytest.mark.parametrize("role", ["analyst", "", "stranger"])
def test_who_may_not_reveal_opens_nothing_and_is_on_record(
    review: Review, ledger: PostgresLedger, held: EnforcementPlan, role: str
) -> None:
    as_role = Review(**(vars(review) | {"role": role, "keys": None}))
    with pytest.raises(NotAllowedError, match="detective or privacy_officer"):
        as_role.show(held.dataset, KNOWN)
    assert _records(ledger) == [("quarantine.show", False)]


def test_nothing_is_opened_that_cant_be_put_on_record(review: Review, held: EnforcementPlan) -> None:
    class Full:
        def append(self, records: object) -> None:
            raise StoreUnavailableError("full")

    with pytest.raises(StoreUnavailableError):
        Review(**(vars(review) | {"ledger": Full(), "keys": None})).show(held.dataset, KNOWN)


def test_a_place_where_no_row_is_held_is_said(review: Review, held: EnforcementPlan) -> None:
    with pytest.raises(NotHeldError):
        review.show(held.dataset, Place("orders_csv", "orders.csv", 5))


def test_a_purge_takes_what_it_said_it_would_and_is_on_record(
    review: Review, store: PostgresQuarantine, ledger: PostgresLedger, held: EnforcementPlan
) -> None:
    assert review.purge(Selection(), expired=True).rows == 0
    late = Review(**(vars(review) | {"clock": lambda: NOW + timedelta(days=40)}))
    would = late.would_purge(Selection(), expired=True)
    assert (would.rows, would.unopenable, would.day_keys) == (3, 0, 1)
    assert len(list(store.rows(Selection()))) == 3
    assert late.purge(Selection(), expired=True) == would
    assert list(store.rows(Selection())) == []
    last = ledger.last(1)[0].record
    assert last.action == "quarantine.purge.done"
    assert last.counts == {"rows": 3, "unopenable": 0, "day_keys": 1}


@pytest.fixture
def kasbah(
    monkeypatch: pytest.MonkeyPatch, review: Review, store: PostgresQuarantine, held: EnforcementPlan
) -> CliRunner:
    """The command line on these services."""
    contracts = load_folder(Path(__file__).parents[2] / "contracts")
    services = SimpleNamespace(quarantine=store, review=review, contracts=contracts)

    @contextmanager
    def opened() -> Iterator[SimpleNamespace]:
        yield services

    monkeypatch.setattr(command, "Services", SimpleNamespace(open=opened))
    return CliRunner()


def test_list_counts_and_places_but_never_a_value(kasbah: CliRunner) -> None:
    counts = orjson.loads(kasbah.invoke(command.app, ["list", "store.orders", "--json"]).stdout)
    assert [(c["reason"], c["field"], c["rows"]) for c in counts] == [("rule", "net_amount", 2), ("malformed", None, 1)]
    rows = kasbah.invoke(command.app, ["list", "store.orders", "--rows", "--json"]).stdout
    assert [(r["source"], r["part"], r["position"]) for r in orjson.loads(rows)] == [
        ("orders_csv", "orders.csv", position) for position in (3, 4, 9)
    ]
    text = (
        kasbah.invoke(command.app, ["list"]).stdout
        + kasbah.invoke(command.app, ["list", "--rows", "--limit", "2"]).stdout
    )
    assert "3 row(s) held" in text and "more than 2" in text
    for value in ("O-00000", "ann@", "Example", "Cyd"):
        assert value not in rows + text


def test_a_row_is_shown_on_a_terminal_only(kasbah: CliRunner, ledger: PostgresLedger) -> None:
    done = kasbah.invoke(command.app, ["show", "store.orders", "orders_csv", "orders.csv", "3"])
    assert isinstance(done.exception, UserError) and "terminal" in str(done.exception)
    assert done.stdout == "" and ledger.size() == 0


def test_a_shown_row_cant_steer_the_terminal(review: Review, held: EnforcementPlan) -> None:
    for place in (KNOWN, UNKNOWN, RAGGED):
        for line in command.lines_of(review.show(held.dataset, place).body):
            assert line.isprintable()
    assert any("Ann \\x1b[31m\\x9bExample" in line for line in command.lines_of(review.show(held.dataset, KNOWN).body))
    assert command.lines_of(None) == ["No body was kept of this row."]


def test_purge_does_nothing_until_told(kasbah: CliRunner, store: PostgresQuarantine) -> None:
    said = kasbah.invoke(command.app, ["purge", "store.orders", "--all"])
    assert "would delete 3 row(s)" in said.stdout and "--yes" in said.stdout
    assert len(list(store.rows(Selection()))) == 3
    done = kasbah.invoke(command.app, ["purge", "store.orders", "--all", "--yes", "--json"])
    assert orjson.loads(done.stdout) == {"rows": 3, "unopenable": 0, "day_keys": 0, "done": True}
    assert list(store.rows(Selection())) == []


def test_purging_everything_unseen_takes_a_dataset(kasbah: CliRunner) -> None:
    done = kasbah.invoke(command.app, ["purge", "--all", "--yes"])
    assert isinstance(done.exception, UserError)
