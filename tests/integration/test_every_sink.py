"""A dataset in two stores: both have the same people, also when one of them won't have somebody or was passed over."""

from collections.abc import Iterator

import pymongo
import pytest
from store_records import NOW, documents, plan, pseudonym, record

from governance.adapters import cassandra as tables
from governance.adapters import mongodb as collections
from governance.adapters.settings import CassandraSettings
from governance.flows.aggregates import Aggregate
from governance.flows.documents import Taken
from governance.flows.every_sink import EverySink
from local.cassandra import PASSWORD, USER, Cassandra
from local.mongodb import MongoDB

Both = tuple[tables.CassandraSink, collections.MongoSink]


@pytest.fixture
def both(cassandra: Cassandra, mongodb: MongoDB, fresh_name: str) -> Iterator[Both]:
    of = plan(fresh_name)
    server = tables.Server(CassandraSettings(hosts="127.0.0.1", port=cassandra.port, user=USER, password=PASSWORD))
    rows = tables.CassandraSink(server, of, lambda: NOW)
    counted = collections.MongoSink(
        collections.Server(mongodb.address), of, [Aggregate("by_nationality", ("nationality",))], lambda: NOW
    )
    EverySink((rows, counted)).prepare()
    yield rows, counted
    server.ask(f"DROP KEYSPACE {fresh_name}")
    EverySink((rows, counted)).close()
    with pymongo.MongoClient(mongodb.address) as client:
        client.drop_database(fresh_name)


def in_both(both: Both, number: int) -> tuple[bool, bool]:
    rows, counted = both
    (row,) = rows.read([pseudonym(number).encode()])
    return row is not None, counted.state.people.find_one({"_id": pseudonym(number)}) is not None


def test_what_one_of_them_refuses_the_next_does_not_get(both: Both) -> None:
    sink = EverySink(both)
    huge = record(2, user="x", gender="x" * 2_000_000)
    assert sink.write(documents([record(1), huge, record(3)])).tolist() == [Taken.APPLIED, Taken.REFUSED, Taken.APPLIED]
    assert [in_both(both, number) for number in (1, 2, 3)] == [(True, True), (False, False), (True, True)]
    other = record(1, gender="male")
    assert sink.write(documents([other, 3])).tolist() == [Taken.CONFLICT, Taken.DELETED]
    assert [in_both(both, number) for number in (1, 3)] == [(True, True), (False, False)]
    assert both[1].state.people.find_one({"_id": pseudonym(1)})["fields"]["nationality"] == "DE"  # type: ignore[index]


def test_a_write_that_broke_off_between_them_is_made_good(both: Both) -> None:
    both[0].write(documents([record(1), record(2)]))
    both[0].write(documents([2]))
    assert EverySink(both).write(documents([record(1), 2])).tolist() == [Taken.UNCHANGED, Taken.DELETED]
    assert [in_both(both, number) for number in (1, 2)] == [(True, True), (False, False)]
