"""How a dataset's streams stand: positions and counts from the control database, ends and ages from the brokers.

It asks no consumer, so it also tells of one that is dead.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from governance.contracts.types import Dataset
from governance.errors import TransientError
from governance.flows.progress import Counts, Flow, Place, ProgressStore
from governance.model.clock import Clock


class Topics(Protocol):
    """What there is in topics. Raises StoreUnavailableError where the brokers are away, or the topic isn't there."""

    def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """By partition: the first offset that is there, and the one that the next record gets."""
        ...

    def produced_at(self, topic: str, partition: int, offset: int) -> int | None:
        """When the record at this offset, or the next one that is there, was produced: milliseconds since 1970."""
        ...


@dataclass(frozen=True)
class PartStanding:
    """One partition of one topic, as one flow has read it.

    `end` is the offset that the next record gets, `lag` how many are not dealt with (compacted ones counted), `age` for
    how many seconds the oldest of them has been there, 0 without any. All three are None where the brokers don't say.
    """

    place: Place
    position: int
    end: int | None
    lag: int | None
    age: float | None
    counts: Counts = field(default_factory=Counts)
    at: datetime | None = None


def standings_of(
    dataset: Dataset, flow: Flow, progress: ProgressStore, topics: Topics, clock: Clock
) -> tuple[PartStanding, ...]:
    """Every partition of the dataset's topics, also those that nobody has read yet; in their order.

    Raises StoreUnavailableError where the control database is away.
    """
    known = {place: standing for place, standing in progress.standings(dataset.id) if place.flow is flow}
    found = []
    for topic in dataset.topics:
        ends = _ends(topics, topic.topic)
        parts = {f"{topic.topic}/{partition}": partition for partition in ends}
        here = [p for p in known if p.source == topic.name and p.part.startswith(f"{topic.topic}/")]
        parts |= {p.part: _number(p.part) for p in here}
        for part, partition in sorted(parts.items(), key=lambda item: item[1]):
            place = Place(flow, dataset.id, topic.name, part)
            standing = known.get(place)
            position = standing.position if standing else 0
            low, end = ends.get(partition, (None, None))
            lag = None if low is None or end is None else max(0, end - max(position, low))
            found.append(
                PartStanding(
                    place,
                    position,
                    end,
                    lag,
                    _age(topics, topic.topic, partition, position, lag, clock),
                    standing.counts if standing else Counts(),
                    standing.at if standing else None,
                )
            )
    return tuple(found)


def _ends(topics: Topics, topic: str) -> dict[int, tuple[int, int]]:
    try:
        return topics.ends(topic)
    except TransientError:
        return {}


def _age(topics: Topics, topic: str, partition: int, position: int, lag: int | None, clock: Clock) -> float | None:
    if not lag:
        return None if lag is None else 0.0
    try:
        produced = topics.produced_at(topic, partition, position)
    except TransientError:
        return None
    if produced is None:
        return None
    return max(0.0, (clock() - datetime.fromtimestamp(produced / 1000, UTC)).total_seconds())


def _number(part: str) -> int:
    number = part.rpartition("/")[2]
    return int(number) if number.isdecimal() else 0
