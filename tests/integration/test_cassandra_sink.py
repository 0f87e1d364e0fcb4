"""Cassandra holds each person once, in the newest version, whatever comes again, late, broken or never."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from made_rows import column
from services import running
from store_records import NOW, documents, plan, pseudonym, record, version

from governance.adapters.cassandra import CassandraSink, Server
from governance.adapters.settings import CassandraSettings
from governance.enforcement.plan import EnforcementPlan
from governance.errors import SettingsError, StoreUnavailableError
from governance.flows.documents import Documents, Taken
from local.cassandra import PASSWORD, USER, Cassandra


def settings(cassandra: Cassandra, password: str = PASSWORD) -> CassandraSettings:
    return CassandraSettings(hosts="127.0.0.1", port=cassandra.port, user=USER, password=password)


@pytest.fixture(scope="module")
def server(cassandra: Cassandra) -> Iterator[Server]:
    made = Server(settings(cassandra))
    yield made
    made.close()


Make = Callable[[EnforcementPlan], CassandraSink]


@pytest.fixture
def people(fresh_name: str) -> EnforcementPlan:
    return plan(fresh_name)


@pytest.fixture
def make(server: Server, people: EnforcementPlan) -> Iterator[Make]:
    yield lambda of: CassandraSink(server, of, lambda: NOW)
    server.ask(f"DROP KEYSPACE IF EXISTS {people.system}")


@pytest.fixture
def sink(make: Make, people: EnforcementPlan) -> CassandraSink:
    made = make(people)
    made.prepare()
    return made


def codes(sink: CassandraSink, some: Documents) -> list[Taken]:
    return [Taken(code) for code in sink.write(some)]


def key(number: int) -> bytes:
    return pseudonym(number).encode()


def test_a_record_is_read_back_as_it_was_written(sink: CassandraSink) -> None:
    assert codes(sink, documents([record(1), record(2, age=None, spent=None, email=None)])) == [Taken.APPLIED] * 2
    one, two, nobody = sink.read([key(1), key(2), key(3)])
    assert nobody is None
    assert one == {
        "email": "kb1.1.0",
        "email_domain": "example.com",
        "gender": "female",
        "nationality": "DE",
        "age": 40,
        "score": 0.5,
        "active": True,
        "born_on": date(1986, 2, 28),
        "wakes_at": time(6, 30, 0, 1),
        "spent": Decimal("12.50"),
        "registered_at": datetime(2024, 5, 1, 8, 0, 0, 123_000, UTC),
        "updated_at": datetime(2026, 11, 20, 10, 0, tzinfo=UTC),
        "person_pseudonym": pseudonym(1),
        "kasbah_version": version(0),
    }
    assert two is not None
    assert (two["age"], two["spent"], two["email"]) == (None, None, None)


def test_what_comes_again_or_late_changes_nothing(sink: CassandraSink) -> None:
    new = record(1, 5, nationality="FR", age=None)
    assert codes(sink, documents([record(1, 1), new])) == [Taken.APPLIED] * 2
    again = {**new, "email": "kb1.encrypted anew"}
    assert codes(sink, documents([record(1, 1), again, record(1, 3)])) == [
        Taken.SUPERSEDED,
        Taken.UNCHANGED,
        Taken.SUPERSEDED,
    ]
    (found,) = sink.read([key(1)])
    assert found is not None
    assert (found["nationality"], found["age"], found["email"]) == ("FR", None, "kb1.1.5")


def test_other_content_in_the_same_version_is_a_conflict(sink: CassandraSink) -> None:
    first, other = record(1, 5), record(1, 5, nationality="FR")
    assert codes(sink, documents([first, other, record(2, 1)])) == [Taken.APPLIED, Taken.CONFLICT, Taken.APPLIED]
    assert codes(sink, documents([other])) == [Taken.CONFLICT]
    (found,) = sink.read([key(1)])
    assert found is not None
    assert found["nationality"] == "DE"


def test_a_writer_that_was_thought_dead_overwrites_nothing(server: Server, people: EnforcementPlan, make: Make) -> None:
    """What it looked up may be old by the time it writes: the versions are Cassandra's own timestamps."""
    sink = make(people)
    sink.prepare()

    class Slow(Server):
        def __init__(self) -> None:
            """Answers as if nothing were there."""

        def ask_each(self, statement, values):  # type: ignore[no-untyped-def]
            return [[] for _ in values] if statement.startswith("SELECT") else server.ask_each(statement, values)

    codes(sink, documents([record(1, 9, nationality="FR")]))
    codes(CassandraSink(Slow(), people, lambda: NOW), documents([record(1, 2)]))
    (found,) = sink.read([key(1)])
    assert found is not None
    assert (found["nationality"], found["kasbah_version"]) == ("FR", version(9))


def test_a_tombstone_deletes_and_an_older_record_does_not_come_back(sink: CassandraSink) -> None:
    codes(sink, documents([record(1, 5), record(2, 5), record(3, 5)]))
    assert codes(sink, documents([1, 9])) == [Taken.DELETED] * 2
    codes(sink, documents([record(1, 5), record(1, 4)]))
    assert sink.delete([key(2), key(8)]) == 1
    assert [found is None for found in sink.read([key(1), key(2), key(3)])] == [True, True, False]
    assert codes(sink, documents([record(1, 6)])) == [Taken.APPLIED]
    assert sink.read([key(1)])[0] is not None


def test_the_order_within_a_batch_counts(sink: CassandraSink) -> None:
    assert codes(sink, documents([record(1, 1), 1, record(1, 1), record(1, 2), record(2, 1), 2])) == [
        Taken.APPLIED,
        Taken.DELETED,
        Taken.SUPERSEDED,
        Taken.APPLIED,
        Taken.APPLIED,
        Taken.DELETED,
    ]
    one, two = sink.read([key(1), key(2)])
    assert two is None
    assert one is not None
    assert one["kasbah_version"] == version(2)


def test_only_the_record_that_cassandra_refuses_is_refused(sink: CassandraSink) -> None:
    """Too large, or a number where a text is wanted; the person's older record stands."""
    many = [record(number) for number in range(100, 400)]
    for bad in (record(7, 2, nationality="x" * 9_000_000), record(7, 3, nationality="x" * 1_000_000, age="old")):
        answer = codes(sink, documents([*many[:150], record(7, 1), bad, *many[150:]]))
        assert answer[151] == Taken.REFUSED
        assert Taken.REFUSED not in (*answer[:151], *answer[152:])
    (found,) = sink.read([key(7)])
    assert found is not None
    assert found["kasbah_version"] == version(1)


def test_a_record_goes_when_its_retention_ends(server: Server, people: EnforcementPlan, make: Make) -> None:
    sink = make(replace(people, oldest_days=365))
    sink.prepare()
    today, last = "2026-11-21T01:00:00Z", "2025-11-21T23:00:00Z"
    codes(sink, documents([record(1, registered_at=today), record(2, registered_at=last)]))
    left = {
        row["person_pseudonym"]: row["ttl(age)"]
        for row in server.ask(f"SELECT person_pseudonym, TTL(age) FROM {people.system}.users")  # noqa: S608
    }
    assert left[pseudonym(1)] == pytest.approx(365 * 86_400 + 43_200, abs=30)
    assert left[pseudonym(2)] == pytest.approx(43_200, abs=30)


def test_the_table_follows_the_contract(server: Server, people: EnforcementPlan, make: Make) -> None:
    make(people).prepare()
    codes(make(people), documents([record(1)]))
    wider = replace(people, columns=(*people.columns, column("Odd \"name'", "int64")))
    make(wider).prepare()
    make(wider).prepare()
    codes(make(wider), documents([record(2) | {"Odd \"name'": 7}]))
    one, two = make(wider).read([key(1), key(2)])
    assert one is not None
    assert two is not None
    assert (one["Odd \"name'"], two["Odd \"name'"]) == (None, 7)
    with pytest.raises(SettingsError, match="column new is required now"):
        make(replace(people, columns=(*people.columns, column("new", required=True)))).prepare()
    others = tuple(c if c.field != "age" else column("age", "string") for c in people.columns)
    with pytest.raises(SettingsError, match="column age is bigint, the contract wants text"):
        make(replace(people, columns=others)).prepare()
    with pytest.raises(SettingsError, match="its key is"):
        make(replace(people, identity=("email_domain",))).prepare()


def test_who_is_not_let_in_is_told_so(cassandra: Cassandra, people: EnforcementPlan) -> None:
    stranger = Server(settings(cassandra, "wrong"))
    with pytest.raises(SettingsError, match="AuthenticationFailed"):
        CassandraSink(stranger, people).prepare()


def test_cassandra_may_go_and_come_back() -> None:
    with running(Cassandra) as own:
        server = Server(settings(own))
        sink = CassandraSink(server, plan("away"), lambda: NOW)
        sink.prepare()
        codes(sink, documents([record(1)]))
        own.kill()
        with pytest.raises(StoreUnavailableError):
            sink.write(documents([record(2)]))
        own.start()
        for _ in range(100):
            try:
                assert codes(sink, documents([record(1), record(2)])) == [Taken.UNCHANGED, Taken.APPLIED]
                break
            except StoreUnavailableError:
                time_to_reconnect()
        assert all(sink.read([key(1), key(2)]))
        server.close()


def time_to_reconnect() -> None:
    from time import sleep

    sleep(0.2)
