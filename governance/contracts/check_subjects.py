"""Refusals about persons: who they are, what names them, how they are erased, how long they are kept."""

import re
from collections.abc import Iterator

from governance.contracts.faults import at
from governance.contracts.types import Dataset, Fault, KeyRule, LogicalType, Subject
from governance.contracts.words import nearest

_ENTITY = re.compile(r"[a-z][a-z0-9_]*\Z")
_MOST_BYTES = 16
_DATED = (LogicalType.DATE, LogicalType.TIMESTAMP)
_NEEDED = {
    "purpose": "what the data is for",
    "legal_basis": "why it may be held (GDPR, article 6)",
    "erasure": "how a person is erased: shred or delete",
}
_TERMS = {"legal_basis": "legalBasis"}


def subject_refusals(dataset: Dataset) -> Iterator[Fault]:
    """Every refusal about a dataset's subjects."""
    for subject in dataset.subjects:
        for refuse in (_entity, _known_fields, _keys, _age, _pseudonym, _belongs):
            yield from refuse(dataset, subject)
    if dataset.subjects:
        yield from _unique_entities(dataset)
        yield from _one_owner(dataset)
        yield from _promises(dataset)
        yield from _retention(dataset)
        yield from _deletable_topics(dataset)


def _entity(_: Dataset, subject: Subject) -> Iterator[Fault]:
    where = at(subject, "entity")
    if len(subject.entity.encode()) > _MOST_BYTES:
        message = f"the entity '{subject.entity}' has more than {_MOST_BYTES} bytes: shorten it."
        yield Fault(where, "entity-too-long", message)
    elif not _ENTITY.match(subject.entity) or subject.entity == "kasbah":
        yield Fault(where, "bad-entity", "an entity is a word of lower case letters, digits and _, such as customer.")


def _known_fields(dataset: Dataset, subject: Subject) -> Iterator[Fault]:
    ids = [f.id for f in dataset.fields]
    named = [("key", k.field) for k in subject.keys] + [("born", subject.born), ("pseudonym", subject.pseudonym)]
    told = {word for _, word in named if word}
    named += [("fields", word) for word in subject.fields if word not in told]
    for term, word in named:
        if word is not None and word not in ids:
            message = f"'{term}' of subject {subject.entity} names the field '{word}', which doesn't exist."
            yield Fault(at(subject, term), "unknown-field", message, None, nearest(word, ids))


def _keys(dataset: Dataset, subject: Subject) -> Iterator[Fault]:
    """A subject of a source is named by a key; each key is of a type that its rule can read."""
    if not subject.keys and (dataset.sources or dataset.topics or subject.pseudonym is None):
        message = f"the subject {subject.entity} has no 'key': say which fields name the person."
        yield Fault(subject.where, "key-missing", message)
    fields = {f.id: f for f in dataset.fields}
    for key in subject.keys:
        fits = (LogicalType.STRING, LogicalType.INTEGER) if key.rule is KeyRule.IDENTIFIER else (LogicalType.STRING,)
        if key.field in fields and fields[key.field].logical_type not in fits:
            message = f"a key read as {key.rule} must have the type {' or '.join(fits)}."
            yield Fault(at(subject, "key"), "key-type", message, key.field)
    names = [key.field for key in subject.keys]
    if len(set(names)) < len(names):
        yield Fault(at(subject, "key"), "duplicate-id", f"a field stands twice in the key of {subject.entity}.")


def _age(dataset: Dataset, subject: Subject) -> Iterator[Fault]:
    if subject.minimum_age is not None and subject.born is None:
        message = "'minimumAge' needs 'born', the field with the birth date: without it nobody's age is known."
        yield Fault(at(subject, "minimumAge"), "age-without-born", message)
    born = next((f for f in dataset.fields if f.id == subject.born), None)
    if born is not None and born.logical_type not in _DATED:
        yield Fault(at(subject, "born"), "born-type", "'born' must be a date or a timestamp.", born.id)


def _pseudonym(dataset: Dataset, subject: Subject) -> Iterator[Fault]:
    """Only a dataset without sources carries pseudonyms that another one gave."""
    if subject.pseudonym is None:
        return
    if dataset.sources or dataset.topics or subject.keys:
        message = "'pseudonym' is for datasets derived from governed ones; here the key gives it: leave it out."
        yield Fault(at(subject, "pseudonym"), "pseudonym-given", message)


def _belongs(_: Dataset, subject: Subject) -> Iterator[Fault]:
    if subject.belongs_to == subject.entity:
        yield Fault(at(subject, "belongsTo"), "unknown-reference", "a subject can't belong to itself.")


def _unique_entities(dataset: Dataset) -> Iterator[Fault]:
    seen: set[str] = set()
    for subject in dataset.subjects:
        if subject.entity in seen:
            message = f"two subjects are called {subject.entity}: give each a name of its own."
            yield Fault(at(subject, "entity"), "duplicate-id", message)
        seen.add(subject.entity)


def _one_owner(dataset: Dataset) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    for subject in dataset.subjects:
        for word in subject.fields:
            owner = owners.setdefault(word, subject.entity)
            if owner != subject.entity:
                message = f"the field is about {owner} and about {subject.entity}: it is encrypted for one person only."
                yield Fault(at(subject, "fields"), "two-owners", message, word)


def _promises(dataset: Dataset) -> Iterator[Fault]:
    for attribute, what in _NEEDED.items():
        if getattr(dataset, attribute) is None:
            term = _TERMS.get(attribute, attribute)
            message = f"a dataset with subjects needs '{term}': {what}."
            yield Fault(at(dataset, "subjects"), f"{term}-missing".lower(), message)


def _retention(dataset: Dataset) -> Iterator[Fault]:
    if dataset.retention is None:
        message = "a dataset with subjects needs a 'retention' in slaProperties: how long it is kept."
        yield Fault(at(dataset, "subjects"), "retention-missing", message)


def _deletable_topics(dataset: Dataset) -> Iterator[Fault]:
    """From a topic a person's messages go only by compaction."""
    if dataset.erasure != "delete":
        return
    own = [topic for topic in dataset.topics if not topic.raw]
    for topic in own:
        if not topic.compacted:
            message = f"'erasure: delete' can't reach the topic {topic.name}, which isn't compacted: shred instead."
            yield Fault(at(topic, "compacted"), "delete-uncompacted", message)
    if "kafka" in dataset.sinks and not own:
        message = "'erasure: delete' with a Kafka sink needs a server of type kafka that is declared 'compacted'."
        yield Fault(at(dataset, "erasure"), "delete-uncompacted", message)
