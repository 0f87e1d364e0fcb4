"""How late governed listings arrive in Elasticsearch while they come evenly: `python -m benchmarks.latency RATE`.

A producer sends RATE records a second, a few at a time; a consumer in the same process stores them. A record's latency
runs from the moment at which it was handed to the producer to the acknowledgement of the bulk request that held it. The
first seconds, in which both warm up, aren't counted.
"""

import json
import sys
import time
from dataclasses import dataclass, field, replace
from threading import Event, Thread

import numpy as np

from benchmarks.flow import Silent
from benchmarks.listings import DATASET, governed_rows
from governance.adapters.kafka.subscriber import KafkaSubscriber
from governance.bootstrap import Services
from governance.flows.documents import Codes, Documents, DocumentSink
from governance.flows.governed import encode
from governance.flows.stream import Stream

WARM_UP, SECONDS = 10, 30
_EVERY = 0.05


@dataclass
class Timed:
    """A sink that notes when each document was acknowledged."""

    sink: DocumentSink
    sent: dict[bytes, float]
    late: list[float] = field(default_factory=list)
    name: str = "timed"

    def prepare(self) -> None:
        """As the sink does."""
        self.sink.prepare()

    def write(self, documents: Documents) -> Codes:
        """As the sink does."""
        taken = self.sink.write(documents)
        now = time.perf_counter()
        self.late += [now - self.sent[key] for key in documents.keys]
        return taken


def measure(services: Services, rate: int) -> dict[str, float]:
    """p50 and p99 in milliseconds, and the rate that was really sent."""
    dataset = services.contracts.find(DATASET)[1]
    topic, plan = dataset.governed_topic, services.plan(dataset)
    assert topic is not None
    publisher = services.publisher(topic)
    publisher.prepare(topic, topic.partitions)
    signer = services.message_keys.current()
    rows = governed_rows(services, plan, rate * (WARM_UP + SECONDS))
    messages = [message for batch in rows for message in encode(batch, plan, topic.topic, *signer)]
    sent: dict[bytes, float] = {}
    work = services.consuming(dataset, topic)
    timed = Timed(work.sink, sent)
    stream = Stream(
        replace(work, sink=timed), lambda: KafkaSubscriber(services.settings.kafka.brokers, "latency"), Silent()
    )
    stop = Event()
    consumer = Thread(target=stream.run, args=(stop,))
    consumer.start()
    began, done = time.perf_counter(), 0
    while done < len(messages):
        due = min(len(messages), int((time.perf_counter() - began) * rate))
        now = time.perf_counter()
        sent |= {message.key or b"": now for message in messages[done:due]}
        publisher.publish(messages[done:due])
        done = due
        time.sleep(_EVERY)
    took = time.perf_counter() - began
    while len(timed.late) < len(messages):
        time.sleep(_EVERY)
    stop.set()
    consumer.join()
    late = np.array(timed.late[rate * WARM_UP :]) * 1000
    return {"p50": float(np.percentile(late, 50)), "p99": float(np.percentile(late, 99)), "rate": len(messages) / took}


def main() -> None:
    """Measure, and print."""
    with Services.open() as services:
        print(json.dumps(measure(services, int(sys.argv[1]))))


if __name__ == "__main__":
    main()
