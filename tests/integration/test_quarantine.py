"""Quarantine on a real PostgreSQL: a place holds one row, for a limited time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from held_rows import quarantined
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.adapters.control.database import connect
from governance.adapters.control.day_keys import PostgresDayKeys, day_keys
from governance.adapters.control.quarantine import PostgresQuarantine
from governance.enforcement.outcomes import QUARANTINED
from governance.errors import ContractError, KeyUnavailableError, StoreUnavailableError, TokenError
from governance.model.secret import Secret
from governance.quarantine.store import DayKeyDestroyedError, NotHeldError, Place, PlaceTwiceError, Selection

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
ORDERS, STOCK = "store.orders/order_line", "store.stock/stock_level"


class Epochs:
    """Epochs 1 to `newest`, each with a key of its own; those below `oldest` are destroyed."""

    def __init__(self) -> None:
        self.newest = self.oldest = 1

    def current(self) -> tuple[int, Secret]:
        return self.newest, self.key(self.newest)

    def key(self, epoch: int) -> Secret:
        if epoch < self.oldest:
            raise KeyUnavailableError("destroyed")
        return Secret(bytes([epoch]) * 32)


@pytest.fixture
def epochs() -> Epochs:
    return Epochs()


@pytest.fixture
def store(control: sa.Engine) -> PostgresQuarantine:
    return PostgresQuarantine(control)


@pytest.fixture
def keys(control: sa.Engine, epochs: Epochs) -> PostgresDayKeys:
    return PostgresDayKeys(control, epochs)


def _positions(store: PostgresQuarantine, selection: Selection | None = None) -> list[int]:
    return [row.place.position for row in store.rows(selection or Selection())]


def test_what_is_put_comes_back_whole(store: PostgresQuarantine, keys: PostgresDayKeys) -> None:
    keys.day_key(NOW.date())
    body = bytes(range(256))
    text = 'a "quoted", \\N \\. café\n€'
    rows = quarantined([7], part=text, entity=None, pseudonym=None, field=None, detail="", day=NOW.date(), sealed=body)
    assert store.put("r1", ORDERS, "1.2.0", rows, NOW) == 1
    held = store.get(ORDERS, Place("csv", text, 7))
    assert (held.sealed, held.entity, held.pseudonym, held.field, held.detail) == (body, None, None, None, "")
    assert (held.reason, held.day, held.length) == ("rule", NOW.date(), 42)
    assert (held.run, held.contract_version) == ("r1", "1.2.0")
    assert (held.held_at, held.expires_at) == (NOW, NOW + timedelta(days=30))
    assert "\\x00" not in repr(held) and "sealed" not in repr(held)


def test_a_row_without_a_body_is_held_as_a_place(store: PostgresQuarantine) -> None:
    """An unreadable record of a dataset with a minimum age: its body is never kept."""
    store.put("r1", ORDERS, "1.0.0", quarantined([1], entity=None, pseudonym=None, sealed=None), NOW)
    assert store.get(ORDERS, Place("csv", "orders.csv", 1)).sealed is None


def test_a_place_holds_one_row_and_the_last_one_stands(store: PostgresQuarantine) -> None:
    store.put("r1", ORDERS, "1.0.0", quarantined([1, 2, 3]), NOW)
    again = quarantined([2, 3, 4], reason="type", detail=None, sealed=b"new")
    assert store.put("r2", ORDERS, "1.1.0", again, NOW + timedelta(days=1)) == 3
    assert _positions(store) == [1, 2, 3, 4]
    held = store.get(ORDERS, Place("csv", "orders.csv", 3))
    assert (held.reason, held.detail, held.sealed, held.run, held.contract_version) == (
        "type",
        None,
        b"new",
        "r2",
        "1.1.0",
    )
    assert [(c.reason, c.rows) for c in store.counts()] == [("type", 3), ("rule", 1)]


def test_two_rows_at_one_place_are_refused(store: PostgresQuarantine) -> None:
    with pytest.raises(PlaceTwiceError):
        store.put("r1", ORDERS, "1.0.0", quarantined([1, 2, 1]), NOW)
    assert _positions(store) == []


def test_replaying_a_row_does_not_keep_it_for_longer(store: PostgresQuarantine) -> None:
    place, later = Place("csv", "orders.csv", 1), NOW + timedelta(days=20)
    store.put("r1", ORDERS, "1.0.0", quarantined([1]), NOW)
    store.put("r2", ORDERS, "1.1.0", quarantined([1], reason="type"), later, renew=False)
    held = store.get(ORDERS, place)
    assert (held.reason, held.held_at, held.expires_at) == ("type", NOW, NOW + timedelta(days=30))
    store.put("r3", ORDERS, "1.1.0", quarantined([1]), later)
    assert store.get(ORDERS, place).expires_at == later + timedelta(days=30)


def test_rows_are_kept_for_as_long_as_their_contract_says(control: sa.Engine) -> None:
    store = PostgresQuarantine(control, lambda dataset: 90 if dataset == STOCK else 7)
    for dataset in (ORDERS, STOCK):
        store.put("r1", dataset, "1.0.0", quarantined([1]), NOW)
    soon = Selection(expired_by=NOW + timedelta(days=7))
    assert store.purge(soon).rows == 1
    assert [row.dataset for row in store.rows()] == [STOCK]


def test_a_retention_of_no_day_is_refused(control: sa.Engine) -> None:
    with pytest.raises(ContractError, match="at least 1"):
        PostgresQuarantine(control, lambda _: 0).put("r1", ORDERS, "1.0.0", quarantined([1]), NOW)


def test_what_is_resolved_is_gone_and_its_neighbours_stay(store: PostgresQuarantine) -> None:
    store.put("r1", ORDERS, "1.0.0", quarantined([1, 2, 3]), NOW)
    store.put("r1", ORDERS, "1.0.0", quarantined([2], part="other.csv"), NOW)
    store.put("r1", STOCK, "1.0.0", quarantined([2]), NOW)
    assert store.resolve(ORDERS, "csv", "orders.csv", pa.array([2, 3, 99])) == 2
    assert [(r.dataset, r.place.part, r.place.position) for r in store.rows()] == [
        (ORDERS, "orders.csv", 1),
        (ORDERS, "other.csv", 2),
        (STOCK, "orders.csv", 2),
    ]
    with pytest.raises(NotHeldError):
        store.get(ORDERS, Place("csv", "orders.csv", 2))


def test_counts_are_by_reason_and_field(store: PostgresQuarantine) -> None:
    store.put("r1", ORDERS, "1.0.0", quarantined([1, 2]), NOW)
    store.put("r1", ORDERS, "1.0.0", quarantined([3], reason="type", field="order_date", detail=None), NOW)
    store.put("r1", STOCK, "1.0.0", quarantined([1]), NOW)
    found = [(c.reason, c.field, c.detail, c.rows) for c in store.counts(Selection(dataset=ORDERS))]
    assert found == [("rule", "net_amount", "net", 2), ("type", "order_date", None, 1)]
    assert _positions(store, Selection(field="order_date")) == [3]
    assert _positions(store, Selection(dataset=ORDERS, reason="rule", source="csv")) == [1, 2]
    assert _positions(store, Selection(source="json")) == []


def test_a_replay_reads_every_row_once_in_order_by_source_and_part(store: PostgresQuarantine) -> None:
    store.put("r1", ORDERS, "1.0.0", quarantined(list(range(2_500))), NOW)
    store.put("r1", ORDERS, "1.0.0", quarantined([5, 1], source="api", part=""), NOW)
    store.put("r1", STOCK, "1.0.0", quarantined([1]), NOW)
    seen = []
    for batch in store.sealed_rows(ORDERS, Selection()):
        assert batch.schema == QUARANTINED
        assert len(set(batch.column("part").to_pylist())) == 1
        seen += [(r["source"], r["part"], r["position"], r["sealed"]) for r in batch.to_pylist()]
        store.put("r2", ORDERS, "1.0.0", batch, NOW)
    assert seen == [("api", "", p, b"kb1.sealed") for p in (1, 5)] + [
        ("csv", "orders.csv", p, b"kb1.sealed") for p in range(2_500)
    ]


def test_large_bodies_are_read_a_few_at_a_time(store: PostgresQuarantine) -> None:
    big = bytes(12 << 20)
    for position in range(4):
        store.put("r1", ORDERS, "1.0.0", quarantined([position], sealed=big), NOW)
    sizes = [batch.num_rows for batch in store.sealed_rows(ORDERS, Selection())]
    assert sum(sizes) == 4 and max(sizes) <= 3


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.integers(0, 8), unique=True, max_size=6), max_size=6))
def test_whatever_is_put_again_a_place_counts_once(store: PostgresQuarantine, puts: list[list[int]]) -> None:
    store.purge(Selection())
    for number, positions in enumerate(puts):
        store.put(f"r{number}", ORDERS, "1.0.0", quarantined(positions), NOW)
    assert _positions(store) == sorted({p for positions in puts for p in positions})
    last = {p: f"r{number}" for number, positions in enumerate(puts) for p in positions}
    assert {row.place.position: row.run for row in store.rows()} == last


def test_many_rows_are_put_as_well_as_few(store: PostgresQuarantine) -> None:
    rows = quarantined(list(range(20_000)))
    assert store.put("r1", ORDERS, "1.0.0", rows, NOW) == 20_000
    assert store.put("r1", ORDERS, "1.0.0", rows, NOW) == 20_000
    assert [c.rows for c in store.counts()] == [20_000]


def test_a_day_has_one_key_and_keeps_it(keys: PostgresDayKeys) -> None:
    monday, tuesday = date(2026, 11, 23), date(2026, 11, 24)
    first = keys.day_key(monday)
    assert len(first) == 32
    assert first.same_as(keys.day_key(monday)) and first.same_as(keys.existing(monday))
    assert not first.same_as(keys.day_key(tuesday))


def test_a_key_is_not_made_by_opening(keys: PostgresDayKeys) -> None:
    with pytest.raises(DayKeyDestroyedError):
        keys.existing(NOW.date())


def test_a_days_key_lasts_as_long_as_its_rows(store: PostgresQuarantine, keys: PostgresDayKeys) -> None:
    today = NOW.date()
    key = keys.day_key(today)
    store.put("r1", ORDERS, "1.0.0", quarantined([1], entity=None, pseudonym=None, day=today), NOW)
    assert keys.destroy_expired(NOW + timedelta(days=30)) == 0
    assert key.same_as(keys.existing(today))
    assert keys.expired(NOW + timedelta(days=31)) == 1
    assert keys.destroy_expired(NOW + timedelta(days=31)) == 1
    assert keys.destroy_expired(NOW + timedelta(days=31)) == 0
    for ask in (keys.existing, keys.day_key):
        with pytest.raises(DayKeyDestroyedError):
            ask(today)


def test_rows_whose_key_is_gone_are_counted_by_a_purge(store: PostgresQuarantine, keys: PostgresDayKeys) -> None:
    today, end = NOW.date(), NOW + timedelta(days=40)
    keys.day_key(today)
    store.put("r1", ORDERS, "1.0.0", quarantined([1, 2], entity=None, pseudonym=None, day=today), NOW)
    store.put("r1", ORDERS, "1.0.0", quarantined([3]), NOW)
    assert keys.destroy_expired(end) == 1
    would = store.purgeable(Selection(expired_by=end))
    assert (would.rows, would.unopenable) == (3, 2)
    assert store.purge(Selection(expired_by=end)) == would
    assert _positions(store) == []


def test_no_row_is_added_under_a_key_that_is_gone(store: PostgresQuarantine, keys: PostgresDayKeys) -> None:
    rows = quarantined([1], entity=None, pseudonym=None, day=NOW.date())
    with pytest.raises(DayKeyDestroyedError, match="2026-11-21"):
        store.put("r1", ORDERS, "1.0.0", rows, NOW)
    keys.day_key(NOW.date())
    keys.destroy_expired(NOW + timedelta(days=2))
    with pytest.raises(DayKeyDestroyedError):
        store.put("r1", ORDERS, "1.0.0", rows, NOW)
    assert _positions(store) == []


def test_a_day_key_is_sealed_and_bound_to_its_day(control: sa.Engine, keys: PostgresDayKeys) -> None:
    """The table alone opens nothing, and a key moved to another day opens nothing either."""
    monday, tuesday = date(2026, 11, 23), date(2026, 11, 24)
    key = keys.day_key(monday)
    keys.day_key(tuesday)
    with control.begin() as connection:
        sealed = connection.scalar(sa.select(day_keys.c.sealed).where(day_keys.c.day == monday))
        assert key.reveal() not in sealed
        connection.execute(sa.update(day_keys).where(day_keys.c.day == tuesday).values(sealed=sealed))
    with pytest.raises(TokenError):
        keys.existing(tuesday)


def test_day_keys_outlive_the_epoch_they_were_made_in(
    control: sa.Engine, keys: PostgresDayKeys, epochs: Epochs
) -> None:
    """Sealed again a few at a time; afterwards the old epoch's key is of no use, and none is missing."""
    days = [date(2026, 11, day) for day in range(1, 6)]
    before = {day: keys.day_key(day) for day in days}
    keys.destroy_expired(datetime(2026, 11, 3, tzinfo=UTC))
    epochs.newest = 2
    assert [keys.reseal(3), keys.reseal(3), keys.reseal(3)] == [3, 1, 0]
    epochs.oldest = 2
    for day in days[1:]:
        assert before[day].same_as(keys.existing(day))
    with control.begin() as connection:
        assert set(connection.scalars(sa.select(day_keys.c.epoch))) == {2, None}


def test_a_day_key_is_not_made_under_an_epoch_that_is_barred(
    control: sa.Engine, keys: PostgresDayKeys, epochs: Epochs
) -> None:
    """A writer that read the old epoch just before a rotation barred it makes the key under the new one."""
    bar = "ALTER TABLE kasbah_control.quarantine_day_key ADD CONSTRAINT bar CHECK (epoch >= 2) NOT VALID"
    stale = iter([1, 2])
    epochs.newest = 2
    with control.begin() as connection:
        connection.execute(sa.text(bar))
    epochs.current = lambda: (number := next(stale), epochs.key(number))  # type: ignore[method-assign]
    assert keys.day_key(NOW.date()).same_as(keys.existing(NOW.date()))


def test_writers_that_meet_a_new_day_together_agree_on_its_key(database: str, control: sa.Engine) -> None:
    del control
    engines = [connect(database) for _ in range(4)]
    writers = [PostgresDayKeys(engine, Epochs()) for engine in engines]
    with ThreadPoolExecutor(4) as pool:
        for day in (date(2026, 12, number) for number in range(1, 11)):
            first, *others = pool.map(lambda writer, day=day: writer.day_key(day), writers)
            assert all(first.same_as(other) for other in others)
    for engine in engines:
        engine.dispose()


def test_a_database_that_is_away_is_said_without_a_value() -> None:
    store = PostgresQuarantine(connect("host=/nonexistent dbname=none"))
    with pytest.raises(StoreUnavailableError) as raised:
        store.put("r1", ORDERS, "1.0.0", quarantined([1], sealed=b"CANARY"), NOW)
    assert "CANARY" not in str(raised.value)
