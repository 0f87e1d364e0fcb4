"""Refusals about streams: the topics of a dataset, and what a record must say of itself to arrive in order."""

import re
from collections.abc import Iterator

from governance.contracts.faults import at, of_field
from governance.contracts.types import Contract, Dataset, Fault, Topic
from governance.contracts.words import STREAM_SINKS

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}\Z")
_CONSUMED = tuple(sink for sink in STREAM_SINKS if sink != "kafka")


def stream_refusals(dataset: Dataset) -> Iterator[Fault]:
    """Every refusal about a dataset's topics and stream sinks."""
    for topic in dataset.topics:
        yield from _name(topic)
    yield from _one_governed(dataset)
    if not set(STREAM_SINKS).isdisjoint(dataset.sinks):
        yield from _topics(dataset)
        yield from _moment(dataset)
        yield from _identity(dataset)


def _name(topic: Topic) -> Iterator[Fault]:
    if not _TOPIC.match(topic.topic) or topic.topic in (".", ".."):
        term = "topic" if "topic" in topic.lines else "server"
        message = "a topic's name has letters, digits, '.', '_' and '-', at most 249: say another in 'topic'."
        yield Fault(at(topic, term), "bad-topic", message)


def _one_governed(dataset: Dataset) -> Iterator[Fault]:
    """A reader must know where the governed records are; and what others write is never governed."""
    governed = [topic for topic in dataset.topics if not topic.raw]
    for topic in governed[1:]:
        message = (
            f"'{governed[0].name}' is this dataset's governed topic already: declare this one raw, or leave it out."
        )
        yield Fault(topic.where, "two-topics", message)
    seen: set[str] = set()
    for topic in dataset.topics:
        if topic.topic in seen:
            message = "two servers are this topic: governed and raw records never share one, nor do two sources."
            yield Fault(topic.where, "topic-shared", message)
        seen.add(topic.topic)


def _topics(dataset: Dataset) -> Iterator[Fault]:
    """A stream's sink is filled from a topic; the sink 'kafka' is the governed one."""
    where = at(dataset, "sinks")
    if "kafka" in dataset.sinks and dataset.governed_topic is None and not _to_delete(dataset):
        message = "the sink 'kafka' needs a server of type kafka that isn't raw: the topic of the governed records."
        yield Fault(where, "topic-missing", message)
    consumed = [sink for sink in dataset.sinks if sink in _CONSUMED]
    if consumed and not dataset.topics:
        message = f"the sink '{consumed[0]}' is filled from a topic: add a server of type kafka, governed or raw."
        yield Fault(where, "topic-missing", message)


def _to_delete(dataset: Dataset) -> bool:
    """Whether the missing topic is refused already, as one that a person can't be deleted from."""
    return bool(dataset.subjects) and dataset.erasure == "delete"


def _moment(dataset: Dataset) -> Iterator[Fault]:
    """Replays and records out of order change nothing because each record says how new it is."""
    if dataset.updated_at is None:
        message = "a stream's sink needs 'updatedAt': the newest record of a key wins, however often one comes."
        yield Fault(at(dataset, "sinks"), "updatedat-missing", message)
    for term, word in (("updatedAt", dataset.updated_at), ("recordDate", dataset.record_date)):
        field = next((f for f in dataset.fields if f.id == word), None)
        if field is not None and not field.required:
            message = f"'{term}' of a stream must be 'required': a record without it has no place in time."
            yield of_field(field, "required", "moment-optional", message)


def _identity(dataset: Dataset) -> Iterator[Fault]:
    """Of records with one name the newest stays: so what is named by a person must be that person's only one."""
    if not dataset.subjects:
        if not dataset.primary_key:
            message = "a stream's records need a name: a subject with a key, or a primary key."
            yield Fault(dataset.where, "identity-missing", message)
        return
    person = dataset.subjects[0]
    for field in dataset.primary_key:
        if all(key.field != field.id for key in person.keys):
            message = (
                f"a stream's records are named by the pseudonym of their {person.entity}: with a primary key of their "
                f"own, those of one {person.entity} would replace each other. Make a key of the {person.entity} it."
            )
            yield of_field(field, "primaryKey", "identity-shared", message)


def shared_topics(contracts: list[Contract]) -> Iterator[Fault]:
    """A topic holds the governed records of one dataset."""
    owners: dict[str, str] = {}
    for contract in contracts:
        for dataset in contract.datasets:
            topic = dataset.governed_topic
            if topic is not None and owners.setdefault(topic.topic, dataset.id) != dataset.id:
                message = f"'{topic.topic}' is the topic of {owners[topic.topic]} already: give each dataset its own."
                yield Fault(topic.where, "topic-shared", message)
