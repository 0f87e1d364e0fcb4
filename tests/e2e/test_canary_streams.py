"""Fake personal data is planted wherever the streams' sources can have it; then every byte that they left is searched:
topics' segments, index files and the log of operations, SSTables and the commit log, MongoDB, checkpoints, what Spark
keeps while it runs, logs, the control database.

A search that finds nothing proves something only if it would find: so a control stands in clear fields, and must turn
up in every store.
"""

from collections.abc import Callable, Iterator

import pytest
from canaries import named
from canary_streams import PEOPLE, PRODUCTS, Story, stream_story

from local.cassandra import Cassandra
from local.elasticsearch import Elasticsearch
from local.mongodb import MongoDB
from local.postgres import Postgres

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def story(postgres: Postgres, elasticsearch: Elasticsearch, cassandra: Cassandra, mongodb: MongoDB) -> Iterator[Story]:
    with stream_story(postgres, elasticsearch, cassandra, mongodb) as told:
        yield told


def test_the_streams_met_all_that_they_were_to_meet(story: Story) -> None:
    """Else the search would prove little."""
    assert story.ended == dict.fromkeys(story.ended, 0), story.ended
    met = {
        f"collect {PEOPLE}": {"admitted", "refused.underage", "refused.age_unknown", "refused.expired",
                              "quarantined.required", "quarantined.type", "quarantined.rule", "quarantined.finding",
                              "quarantined.ahead"},
        f"spark {PEOPLE}": {"admitted", "refused.underage", "quarantined.malformed", "quarantined.forged"},
        f"collect {PRODUCTS}": {"admitted", "quarantined.finding", "quarantined.rule", "quarantined.type"},
        f"stream {PRODUCTS}": {"admitted", "quarantined.malformed", "quarantined.forged", "quarantined.finding"},
    }  # fmt: skip
    missed = {name: wanted - story.counted[name].keys() for name, wanted in met.items()}
    assert not any(missed.values()), missed
    assert len(story.planter.planted) > 5000


def test_no_byte_that_was_written_holds_personal_data(story: Story) -> None:
    assert story.searched > 50_000_000
    assert not story.hits, named(story.hits[:20])


@pytest.mark.parametrize(
    ("store", "place"),
    [
        ("the segments of the people's topic", "/kafka/data/users-"),
        ("the segments of the products' topic", "/kafka/data/products-"),
        ("Elasticsearch's log of operations", ".tlog"),
        ("Elasticsearch's index", ".cfs"),
        ("Cassandra's commit log", "/commitlog/"),
        ("Cassandra's tables", "-Data.db"),
        ("MongoDB's collections", "mongodb users."),
        ("what the commands printed", "/logs/"),
        ("the control database's write-ahead log", "/data/pg_wal/"),
        ("the control database's log", "/pg/log"),
        ("Spark's checkpoints", "/checkpoint-"),
        ("Spark's own files", "/users_stream/tmp/"),
        ("the folder of temporary files", "/state/tmp/"),
    ],
)
def test_the_control_is_found_in(story: Story, store: str, place: str) -> None:
    assert [hit for hit in story.found if place in hit.file], f"no control in {store}: the search proves nothing there"


def test_a_stand_in_for_mongodb_was_read_back_as_a_whole(
    story: Story, mongodb: MongoDB, note: Callable[[str], None]
) -> None:
    """It keeps everything in memory, so there are no files to be searched; the summary says so."""
    if not mongodb.real:
        note(f"canary of the streams: {mongodb.product}, so its collections were read back instead of its files")
    assert story.read_back > 1000
