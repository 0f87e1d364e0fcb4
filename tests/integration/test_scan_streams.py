"""A scan reads every cell that streams have stored, once, and what does not belong there most of all."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pymongo
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from services import make_topic
from simple_scanner import SimpleScanner
from store_records import NOW, documents, plan, pseudonym, record

from governance.adapters import cassandra as tables
from governance.adapters import elasticsearch as indices
from governance.adapters import mongodb as collections
from governance.adapters.cassandra.cells import CassandraCells
from governance.adapters.elasticsearch.cells import IndexCells
from governance.adapters.kafka.cells import TopicCells
from governance.adapters.mongodb.cells import MongoCells
from governance.adapters.settings import CassandraSettings, ElasticsearchSettings, Settings
from governance.adapters.stored_streams import stored_streams
from governance.enforcement.plan import AggregatePlan, EnforcementPlan, TopicPlan
from governance.errors import SettingsError
from governance.flows.aggregates import Aggregate
from governance.flows.stored import Copy, StoredCells
from governance.flows.stored_columns import StoredColumns
from governance.pii.counts import ColumnCounts, together
from local.cassandra import PASSWORD, USER, Cassandra
from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.mongodb import MongoDB

PEOPLE = 60
SECRET = "hidden.person@example.org"
STRAY = {"nickname": SECRET}


def people() -> list[dict[str, Any]]:
    token = "kb1." + "A" * 59
    return [record(number, email=token, born_on=None if number % 2 else "1986-02-28") for number in range(PEOPLE)]


@pytest.fixture
def of(fresh_name: str) -> EnforcementPlan:
    made = plan(
        fresh_name, topic=TopicPlan(fresh_name), record_date=None, oldest_days=None, table=f"people_{fresh_name}"
    )
    by = AggregatePlan("by_nationality", ("nationality",), "age", None, 1)
    return replace(made, aggregates=(by,))


def read(cells: StoredCells, of: EnforcementPlan, copy: Copy, position: int = 0) -> list[pa.RecordBatch]:
    pieces = cells.pieces(of, copy, StoredColumns(of, SimpleScanner()).leave, position)
    return [piece.rows for piece in pieces if piece.rows.num_rows]


def search(cells: StoredCells, of: EnforcementPlan) -> dict[str, ColumnCounts]:
    """All copies' columns, by name."""
    columns = StoredColumns(of, SimpleScanner())
    found = [columns.search(rows) for copy in cells.copies(of) for rows in read(cells, of, copy)]
    return {one.field: one for one in together(one for some in found for one in some)}


def undeclared(found: dict[str, ColumnCounts]) -> dict[str, dict[str, int]]:
    return {name: one.entities for name, one in found.items() if one.undeclared}


def check_that_it_goes_on_where_it_was(cells: StoredCells, of: EnforcementPlan) -> None:
    """From every place that reading may go on at, the rest comes, and no row twice."""
    for copy in cells.copies(of):
        done, places = 0, []
        for piece in cells.pieces(of, copy, frozenset()):
            done += piece.rows.num_rows
            if piece.after is not None:
                places.append((piece.after, done))
        for place, before in places[:: max(1, len(places) // 7)]:
            assert sum(rows.num_rows for rows in read(cells, of, copy, place)) == done - before
    assert [copy.version for copy in cells.copies(of)] == [copy.version for copy in cells.copies(of)]


def whole(found: dict[str, ColumnCounts]) -> set[tuple[int, int]]:
    """How many cells each declared column has, and how many of them are wrong."""
    return {(one.cells, one.undeclared) for one in found.values() if one.declared and one.field != "born_on"}


@pytest.fixture
def in_cassandra(cassandra: Cassandra, of: EnforcementPlan) -> Iterator[tuple[CassandraCells, tables.Server]]:
    place = CassandraSettings(hosts="127.0.0.1", port=cassandra.port, user=USER, password=PASSWORD)
    server = tables.Server(place)
    of = replace(of)
    sink = tables.CassandraSink(server, of, lambda: NOW)
    assert CassandraCells(server).copies(of) == ()
    sink.prepare()
    sink.write(documents(people()))
    yield CassandraCells(server), server
    server.ask(f"DROP KEYSPACE {of.system}")
    server.close()


def test_a_table_of_cassandra(in_cassandra: tuple[CassandraCells, tables.Server], of: EnforcementPlan) -> None:
    cells, server = in_cassandra
    found = search(cells, of)
    assert whole(found) == {(PEOPLE, 0)}
    assert not any(not one.declared for one in found.values())
    check_that_it_goes_on_where_it_was(cells, of)
    (copy,) = cells.copies(of)
    first = pa.Table.from_batches(read(cells, of, copy)[:1]).to_pylist()[0]
    assert type(first["spent"]) is Decimal
    table = f"{of.system}.{of.table}"
    server.ask(f"ALTER TABLE {table} ADD (nickname text, notes map<text, text>)")
    where = "WHERE person_pseudonym = ?"
    server.ask(f"UPDATE {table} SET nickname = ?, gender = ?, email = ? {where}", (SECRET, SECRET, "x", pseudonym(3)))  # noqa: S608
    server.ask(f"UPDATE {table} SET notes = ? {where}", ({"to": SECRET}, pseudonym(4)))  # noqa: S608
    assert undeclared(search(cells, of)) == {
        "nickname": {"EMAIL_ADDRESS": 1},
        "notes": {"EMAIL_ADDRESS": 1},
        "gender": {"EMAIL_ADDRESS": 1},
        "email": {"NOT_A_TOKEN": 1},
    }


def test_collections_of_mongodb(mongodb: MongoDB, of: EnforcementPlan) -> None:
    server = collections.Server(mongodb.address)
    cells = MongoCells(server)
    assert cells.copies(of) == ()
    one = of.aggregates[0]
    sink = collections.MongoSink(server, of, [Aggregate(one.name, one.by, one.mean)], lambda: NOW)
    sink.prepare()
    sink.write(documents([*people(), 0]))
    found = search(cells, of)
    assert not undeclared(found)
    assert not any(not one.declared for one in found.values())
    assert found["person_pseudonym"].cells == PEOPLE - 1
    assert found["nationality"].cells == PEOPLE - 1 + 4  # the counted and the shown group, each with a document beside
    check_that_it_goes_on_where_it_was(cells, of)
    sink.state.people.update_one({"_id": pseudonym(3)}, {"$set": {**STRAY, "fields.gender": SECRET, "version": SECRET}})
    sink.state.people.update_one({"_id": pseudonym(4)}, {"$set": {"was": [{"nationality": SECRET}], "pending": True}})
    sink.state.people.insert_one({"_id": SECRET, "version": 1})
    sink.state.gone.insert_one({"_id": SECRET, "version": 1})
    sink.aggregates.shown.insert_one({"_id": "else", "groups": [{"nationality": SECRET, "people": 5}]})
    assert undeclared(search(cells, of)) == {
        "nickname": {"EMAIL_ADDRESS": 1},
        "gender": {"EMAIL_ADDRESS": 1},
        "version": {"EMAIL_ADDRESS": 1},
        "nationality": {"EMAIL_ADDRESS": 2},
        "person_pseudonym": {"NOT_A_PSEUDONYM": 1},
        "_id": {"EMAIL_ADDRESS": 1},
    }
    server.close()
    with pymongo.MongoClient(mongodb.address) as client:
        client.drop_database(of.system)


def test_indices_of_elasticsearch(elasticsearch: Elasticsearch, of: EnforcementPlan) -> None:
    server = indices.Server(ElasticsearchSettings(address=elasticsearch.address))
    cells = IndexCells(server)
    assert cells.copies(of) == ()
    sink = indices.ElasticsearchSink(server, indices.index_of(of))
    sink.prepare()
    sink.write(documents(people()))
    sink.write(documents([record(number, 1, email="kb1." + "A" * 59) for number in range(0, PEOPLE, 2)]))
    found = search(cells, of)
    assert whole(found) == {(PEOPLE, 0)}
    assert not any(not one.declared for one in found.values())
    check_that_it_goes_on_where_it_was(cells, of)
    (copy,) = cells.copies(of)
    assert copy.rows == PEOPLE
    unsearched = cells.pieces(of, copy, frozenset(of.identity))
    assert not any({"_id", *of.identity} & {*piece.rows.schema.names} for piece in unsearched), "it is no stray name"
    server.ask("PUT", f"/{copy.name}/_mapping", {"dynamic": True})
    server.ask("PUT", f"/{copy.name}/_doc/{SECRET}", record(3, email="kb1.short", gender=SECRET) | STRAY)
    assert undeclared(search(cells, of)) == {
        "nickname": {"EMAIL_ADDRESS": 1},
        "gender": {"EMAIL_ADDRESS": 1},
        "email": {"NOT_A_TOKEN": 1},
        "_id": {"EMAIL_ADDRESS": 1},
    }
    server.ask("DELETE", f"/{copy.name}")
    server.ask("DELETE", f"/_index_template/index_{of.table}")
    sink.close()


def test_a_governed_topic(kafka: Kafka, of: EnforcementPlan) -> None:
    cells = TopicCells(lambda _: kafka.address)
    assert cells.copies(of) == ()
    topic = make_topic(kafka, of.system, partitions=2)
    producer = Producer({"bootstrap.servers": kafka.address})
    for place, one in enumerate(people()):
        producer.produce(topic, orjson.dumps(one), one["person_pseudonym"], partition=place % 2)
    producer.produce(topic, None, pseudonym(1), partition=0)
    producer.flush()
    found = search(cells, of)
    assert whole(found) == {(PEOPLE + 1, 0)}
    assert not any(not one.declared for one in found.values())
    check_that_it_goes_on_where_it_was(cells, of)
    assert [copy.rows for copy in cells.copies(of)] == [PEOPLE // 2 + 1, PEOPLE // 2]
    (copy, _) = cells.copies(of)
    assert type(pa.Table.from_batches(read(cells, of, copy)[:1]).to_pylist()[0]["born_on"]) is date
    producer.produce(topic, orjson.dumps(record(3, gender=SECRET, email="x") | STRAY), SECRET, partition=1)
    producer.produce(topic, SECRET, pseudonym(1), partition=1)
    producer.produce(topic, None, SECRET, partition=1)
    producer.flush()
    assert undeclared(search(cells, of)) == {
        "nickname": {"EMAIL_ADDRESS": 1},
        "gender": {"EMAIL_ADDRESS": 1},
        "email": {"NOT_A_TOKEN": 1},
        "message key": {"EMAIL_ADDRESS": 1},
        "message value": {"EMAIL_ADDRESS": 1},
        "person_pseudonym": {"NOT_A_PSEUDONYM": 1},
    }
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.delete_topics([topic])[topic].result(30)


def test_only_the_stores_that_a_contract_names_are_asked_and_none_is_passed_over(of: EnforcementPlan) -> None:
    """A store that is named and isn't set is no store that is empty."""
    stores = stored_streams(Settings(), lambda _: "")
    assert [store.copies(replace(of, sinks=("warehouse",))) for store in stores] == [()] * 4
    for place, (sink, word) in enumerate(
        (("kafka", "brokers"), ("elasticsearch", "Elasticsearch"), ("cassandra", "Cassandra"), ("mongodb", "MongoDB"))
    ):
        with pytest.raises(SettingsError, match=word):
            stores[place].copies(replace(of, sinks=(sink,)))
