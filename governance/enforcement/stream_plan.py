"""The parts of a plan that streams need: topics, what names a record, how old it may be, which numbers are kept."""

from dataclasses import dataclass

from governance.contracts.periods import seconds
from governance.contracts.types import Dataset
from governance.contracts.words import STREAM_SINKS

SKEW_SECONDS = 300
"""How far two clocks that are kept may be apart."""
_DAY = 86_400


@dataclass(frozen=True)
class TopicPlan:
    """The topic of a dataset's governed records. `retention` is an ISO 8601 period, the dataset's own unless the topic
    has a shorter one.
    """

    name: str
    partitions: int = 1
    retention: str | None = None
    compacted: bool = False


@dataclass(frozen=True)
class AggregatePlan:
    """What is counted of people, by columns (`contracts.types.Aggregate`)."""

    name: str
    by: tuple[str, ...]
    mean: str | None
    width: int | None
    digits: int


def is_stream(sinks: tuple[str, ...]) -> bool:
    """Whether records arrive one by one at one of these sinks."""
    return not set(STREAM_SINKS).isdisjoint(sinks)


def topic_of(dataset: Dataset) -> TopicPlan | None:
    """The governed topic. It keeps nothing for longer than the dataset is kept."""
    topic = dataset.governed_topic
    if topic is None:
        return None
    said = [period for period in (topic.retention, dataset.retention) if period is not None]
    return TopicPlan(topic.topic, topic.partitions, min(said, key=seconds, default=None), topic.compacted)


def aggregates_of(dataset: Dataset) -> tuple[AggregatePlan, ...]:
    """The numbers that are kept, with columns by name."""
    name = {one.id: one.name for one in dataset.fields}
    return tuple(
        AggregatePlan(a.name, tuple(name[f] for f in a.by), None if a.mean is None else name[a.mean], a.width, a.digits)
        for a in dataset.aggregates
    )


def identity_of(dataset: Dataset) -> tuple[str, ...]:
    """The columns that name a record, by name. A person's is named by the pseudonym, another by its primary key."""
    if dataset.subjects:
        return (dataset.subjects[0].pseudonym_column,)
    return tuple(one.name for one in dataset.primary_key)


def oldest_days(dataset: Dataset) -> int | None:
    """How old a stream's record may be, in whole days, the last one begun counted whole: no record is refused that may
    still be kept. None where nothing says.
    """
    if dataset.record_date is None or dataset.retention is None or not is_stream(dataset.sinks):
        return None
    return -(-seconds(dataset.retention) // _DAY)
