"""Listings for the consumer to read, and its peer, in a process of its own.

`python -m benchmarks.listings produce|bare N`, with KASBAH_SETTINGS, prints one line of JSON.
`produce` fills the topic with N governed listings. `bare` reads no topic at all: the same N documents, as objects in
memory, through elasticsearch-py's own parallel bulk helper.
"""

import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
from elastic_transport import OrjsonSerializer
from elasticsearch import Elasticsearch
from elasticsearch.helpers import parallel_bulk

from benchmarks.load import peak_memory
from governance.adapters.elasticsearch import Server, index_of
from governance.adapters.elasticsearch.index import Indices
from governance.adapters.kafka.publisher import KafkaPublisher
from governance.bootstrap import Services
from governance.enforcement.plan import EnforcementPlan
from governance.enforcement.reading import read, with_origin
from governance.flows.governed import encode, written
from samples.products import records

DATASET = "store.products"
SOURCE = "products_api"
_MADE_AT_ONCE = 20_000
_CHUNK, _LANES = 2_000, 2


def governed_rows(services: Services, plan: EnforcementPlan, count: int) -> Iterator[pa.RecordBatch]:
    """So many listings as the plan has them; none of them is defective."""
    made = records(7, count)
    part = 0
    while rows := [one for _, one in zip(range(_MADE_AT_ONCE), made, strict=False)]:
        names = list(rows[0])
        columns = [pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names]
        batch = pa.RecordBatch.from_arrays(columns, names=names)
        origin = with_origin(batch, SOURCE, str(part), pa.array(range(len(rows)), pa.int64()))
        values = read(origin, plan, services.clock).values
        wanted = plan.message_columns()
        stored = [values[next(c.field for c in plan.columns if c.stored and c.name == one.name)] for one in wanted]
        yield pa.RecordBatch.from_arrays(stored, schema=wanted)
        part += 1


def produce(services: Services, plan: EnforcementPlan, count: int) -> dict[str, Any]:
    """Fill the topic."""
    topic = services.contracts.find(DATASET)[1].governed_topic
    assert topic is not None
    key_id, key = services.message_keys.current()
    publisher = KafkaPublisher(services.settings.kafka.brokers)
    publisher.prepare(topic, topic.partitions)
    for rows in governed_rows(services, plan, count):
        publisher.publish(encode(rows, plan, topic.topic, key_id, key))
    return {"records": count}


def bare(services: Services, plan: EnforcementPlan, count: int) -> dict[str, Any]:
    """The helper that elasticsearch-py gives for loading much at once, with its quickest serialiser."""
    index = index_of(plan)
    Indices(Server(services.settings.elasticsearch), index).prepare()
    bodies = (body for rows in governed_rows(services, plan, count) for body in written(rows, plan)[1])
    documents = [orjson.loads(body) for body in bodies]
    client = Elasticsearch(services.settings.elasticsearch.address, serializer=OrjsonSerializer(), request_timeout=60)
    actions = ({"_id": one["id"], "_source": one} for one in documents)
    began = time.perf_counter()
    done = parallel_bulk(client, actions, thread_count=_LANES, chunk_size=_CHUNK, index=index.alias + "-000001")
    deque(done, maxlen=0)
    return {"seconds": time.perf_counter() - began, "records": len(documents), "memory": peak_memory()}


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def main() -> None:
    """Do it, and print what came of it."""
    what, count = sys.argv[1], int(sys.argv[2])
    with Services.open() as services:
        plan = services.plan(services.contracts.find(DATASET)[1])
        acts = {
            "produce": lambda: produce(services, plan, count),
            "bare": lambda: bare(services, plan, count),
        }
        print(json.dumps(acts[what]()))


if __name__ == "__main__":
    main()
