"""What the control database says of a running stream: how far it is, and what it counted. Reading only."""

from collections import Counter
from collections.abc import Callable
from typing import Any, LiteralString, Self

import psycopg
from confluent_kafka import Consumer, TopicPartition


class Watch:
    """Looks at one dataset's standings."""

    def __init__(self, control: str, dataset: str) -> None:
        self._dataset = dataset
        self._control = psycopg.connect(control, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()

    def position(self, flow: str) -> int:
        """Of all the flow's places together; it only grows."""
        return sum(row[2] for row in self._standings(flow))

    def positions(self, flow: str) -> dict[str, int]:
        """The next offset by partition (`topic/partition`)."""
        return {part: position for _, part, position, _ in self._standings(flow)}

    def counts(self, flow: str) -> Counter[str]:
        """What became of the flow's records: `read`, `admitted`, …, `quarantined.rule`, `refused.underage`."""
        found: Counter[str] = Counter()
        for *_, counts in self._standings(flow):
            for name, value in counts.items():
                many = value if isinstance(value, dict) else {"": value}
                for reason, count in many.items():
                    found[f"{name}.{reason}" if reason else name] += count
        return Counter({name: count for name, count in found.items() if count})

    def held(self) -> int:
        """Rows of the dataset in quarantine."""
        query = "SELECT count(*) FROM kasbah_control.quarantine WHERE dataset = %s"
        return int((self._control.execute(query, (self._dataset,)).fetchone() or (0,))[0])

    def _standings(self, flow: str) -> list[tuple[str, str, int, dict[str, Any]]]:
        query: LiteralString = (
            "SELECT source, part, position, counts FROM kasbah_control.stream_position WHERE dataset = %s AND flow = %s"
        )
        return self._control.execute(query, (self._dataset, flow)).fetchall()


def ends(brokers: str, topic: str) -> dict[str, int]:
    """The end of each partition of a topic, as `positions` names them."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "onlooker", "log_level": 0})
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        marks = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in partitions}
        return {f"{topic}/{partition}": end for partition, end in marks.items()}
    finally:
        consumer.close()


def moved(watch: Watch, flow: str) -> Callable[[], bool]:
    """Whether the flow has moved on since now."""
    before = watch.position(flow)
    return lambda: watch.position(flow) > before
