"""One part of a stream in a process of its own: seconds, records, and the most memory that the process had.

`python -m benchmarks.flow collect|stream governed|ungoverned DATASET`, with KASBAH_SETTINGS, prints one line of JSON.
`collect` polls the dataset's API to its end into the topic, `stream` reads the topic to its end into the stores. What
either imports and makes at its start isn't counted: it happens once in a process that runs for months.
"""

import json
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from threading import Event
from unittest import mock

import pyarrow as pa

from benchmarks.load import peak_memory
from benchmarks.ungoverned import NoFingerprints, consuming, in_clear, let_through, unsigned
from governance.adapters.kafka.subscriber import KafkaSubscriber
from governance.bootstrap import Services
from governance.contracts.types import Dataset
from governance.flows.collecting import Taken
from governance.flows.consuming import Stored
from governance.flows.stream import Stream
from governance.protection.choice import warm


class Silent:
    """A watch that tells nobody."""

    def waits(self, source: str, what: str | None) -> None:
        """For nothing."""

    def took(self, source: str, stored: Stored | Taken) -> None:
        """Nothing."""

    def beats(self, source: str) -> None:
        """Nothing."""

    def passed(self, source: str) -> None:
        """Nothing."""


def collect(services: Services, dataset: Dataset, *, governed: bool) -> dict[str, float]:
    """From the API into the topic."""
    stop = Event()
    sources = [source for source in dataset.sources if source.format == "api"]
    plan = services.plan(dataset)
    if governed:
        services.scanner.scan({name: pa.nulls(0, pa.string()) for name in plan.scanned}, plan.scan, {})
    with services.collect(dataset, sources, Silent(), stop, 1.0) as flow:
        if not governed:
            off = replace(flow.work, plan=in_clear(flow.work.plan), enforce=let_through, keyring=NoFingerprints())
            flow = replace(flow, work=off)  # noqa: PLW2901
        signing = nullcontext() if governed else mock.patch("governance.flows.collecting.encode", unsigned)
        with signing:
            began = time.perf_counter()
            done = flow.run(stop, once=True)
    return {"seconds": time.perf_counter() - began, "records": done.counts.admitted, "read": done.counts.read}


def stream(services: Services, dataset: Dataset, *, governed: bool) -> dict[str, float]:
    """From the topic into the stores."""
    topic = dataset.governed_topic
    assert topic is not None
    work = services.consuming(dataset, topic) if governed else consuming(services, dataset.id)
    work.sink.prepare()
    brokers, group = services.settings.kafka.brokers, f"bench-{topic.topic}"
    began = time.perf_counter()
    counts = Stream(work, lambda: KafkaSubscriber(brokers, group), Silent()).run(Event(), once=True)
    return {"seconds": time.perf_counter() - began, "records": counts.applied, "read": counts.read}


def main() -> None:
    """Do it, and print what came of it."""
    act, mode, name = sys.argv[1:4]
    warm()
    with Services.open() as services:
        dataset = services.contracts.find(name)[1]
        result = {"collect": collect, "stream": stream}[act](services, dataset, governed=mode == "governed")
    print(json.dumps(result | {"memory": peak_memory()}))


if __name__ == "__main__":
    main()
