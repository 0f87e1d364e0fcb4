"""ODCS schema objects as datasets, with the persons their rows speak of."""

from dataclasses import dataclass
from typing import Any

from governance.contracts.aggregates import read_aggregates
from governance.contracts.fields import read_field
from governance.contracts.node import Node, custom_properties
from governance.contracts.periods import UNITS, period
from governance.contracts.rules import read_quality
from governance.contracts.scanning import read_scanning
from governance.contracts.types import Dataset, Field, KeyRule, Quality, Source, Subject, SubjectKey, Topic
from governance.contracts.words import DATASET_TERMS, LEGAL_BASES, SINKS, SUBJECT_TERMS, nearest

_AGREEMENTS = ("retention", "latency")
_MOST_DAYS = 3650


@dataclass(frozen=True)
class Feeds:
    """The servers that feed one schema."""

    sources: tuple[Source, ...]
    topics: tuple[Topic, ...]


def read_dataset(node: Node, contract: str, feeds: Feeds, agreements: dict[str, tuple[str, int]]) -> Dataset | None:
    """One schema object; None where it has no id. `agreements` are its service levels with their lines."""
    given = custom_properties(node, DATASET_TERMS, "dataset")
    identity, name = node.get("id"), node.get("name")
    if identity is None:
        node.fault("missing-id", f"the dataset '{name}' has no 'id': give it one that never changes.")
    if identity is None or name is None:
        return None
    fields = _fields(node, contract.split(".", maxsplit=1)[0], tuple(s.name for s in feeds.sources))
    subjects = _subjects(given.get("subjects"))
    group = _smallest_group(given.get("aggregateOnly"))
    lines = {term: one.line for term, one in given.items()}
    return Dataset(
        id=f"{contract}/{identity}",
        name=str(name),
        where=node.document.line(node.place),
        fields=fields,
        subjects=subjects,
        quality=_quality(node, fields),
        sources=feeds.sources,
        purpose=given["purpose"].text() if "purpose" in given else None,
        legal_basis=given["legalBasis"].one_of(LEGAL_BASES) if "legalBasis" in given else None,
        erasure=_word(given, "erasure", ("shred", "delete")),
        after_erasure=_word(given, "afterErasure", ("suppress", "forget")) or ("suppress" if subjects else None),
        aggregate_only=group is not None,
        smallest_group=group or 5,
        record_date=given["recordDate"].text() if "recordDate" in given else None,
        retention=agreements.get("retention", (None, 0))[0],
        latency=agreements.get("latency", (None, 0))[0],
        quarantine_retention_days=_count(given, "quarantineRetentionDays", 1, 30),
        overlap_hours=_count(given, "overlapHours", 0, 0),
        updated_at=given["updatedAt"].text() if "updatedAt" in given else None,
        sinks=_sinks(given.get("sinks")),
        description=node.get("description") or "",
        topics=feeds.topics,
        scanning=read_scanning(given.get("scanning")),
        aggregates=read_aggregates(given.get("aggregates")),
        lines=lines | {term: line for term, (_, line) in agreements.items()},
    )


def _fields(node: Node, system: str, sources: tuple[str, ...]) -> tuple[Field, ...]:
    found: list[Field] = []
    keys = 0
    for one in node.items("properties"):
        keys += bool(one.get("primaryKey"))
        made = read_field(one, system, sources, keys)
        if made is not None:
            found.append(made)
    return tuple(found)


def _quality(node: Node, fields: tuple[Field, ...]) -> tuple[Quality, ...]:
    own = [rule for one in node.items("quality") if (rule := read_quality(one)) is not None]
    return (*own, *(rule for one in fields for rule in one.quality))


def _word(given: dict[str, Node], term: str, words: tuple[str, ...]) -> Any:
    return given[term].one_of(words) if term in given else None


def _count(given: dict[str, Node], term: str, least: int, default: int) -> int:
    found = given[term].count(least, _MOST_DAYS) if term in given else None
    return default if found is None else found


def _smallest_group(node: Node | None) -> int | None:
    """`aggregateOnly`: true, or {smallestGroup: n}."""
    if node is None or node.value is False:
        return None
    if node.value is True:
        return 5
    given = node.mapping(("smallestGroup",)) if isinstance(node.value, dict) else {}
    if "smallestGroup" in given:
        return given["smallestGroup"].count(2, 1_000_000)
    node.wrong("true, false or {smallestGroup: number}")
    return None


def _sinks(node: Node | None) -> tuple[str, ...]:
    if node is None:
        return ("warehouse", "lake")
    words = node.texts()
    for word in words:
        if word not in SINKS:
            node.fault("unknown-word", f"'{word}' is no sink: {', '.join(SINKS)} are.", nearest(word, SINKS))
    return words


def _subjects(node: Node | None) -> tuple[Subject, ...]:
    if node is None:
        return ()
    if not isinstance(node.value, list):
        node.wrong("a list, since a row can speak of several persons")
        return ()
    return tuple(made for one in node.items() if (made := _subject(one)) is not None)


def _subject(node: Node) -> Subject | None:
    given = node.mapping(SUBJECT_TERMS)
    entity = given["entity"].text() if "entity" in given else None
    if entity is None:
        if "entity" not in given:
            node.fault("missing-term", "the subject has no 'entity': name the kind of person, such as customer.")
        return None
    keys = tuple(key for one in _key_nodes(given) if (key := _key(one)) is not None)
    born = given["born"].text() if "born" in given else None
    named = given["fields"].texts() if "fields" in given else ()
    about = dict.fromkeys((*(k.field for k in keys), *named, *([born] if born else [])))
    return Subject(
        entity=entity,
        keys=keys,
        fields=tuple(about),
        where=node.document.line(node.place),
        born=born,
        minimum_age=given["minimumAge"].count(1, 120) if "minimumAge" in given else None,
        belongs_to=given["belongsTo"].text() if "belongsTo" in given else None,
        pseudonym=given["pseudonym"].text() if "pseudonym" in given else None,
        lines={term: one.line for term, one in given.items()},
    )


def _key_nodes(given: dict[str, Node]) -> tuple[Node, ...]:
    if "key" not in given:
        return ()
    if isinstance(given["key"].value, list):
        return tuple(given["key"].items())
    return (given["key"],)


def _key(node: Node) -> SubjectKey | None:
    """One key: {field, rule}."""
    parts = node.mapping(("field", "rule"))
    if not {"field", "rule"} <= parts.keys():
        node.fault("wrong-value", f"a key is {{field: …, rule: …}}, with the rule one of {', '.join(KeyRule)}.")
        return None
    field, rule = parts["field"].text(), parts["rule"].one_of(tuple(str(r) for r in KeyRule))
    return SubjectKey(field, KeyRule(rule)) if field and rule else None


def read_agreements(node: Node, schemas: tuple[str, ...]) -> dict[str, dict[str, tuple[str, int]]]:
    """`slaProperties` by schema name: retention and latency as ISO 8601 periods, with their lines."""
    found: dict[str, dict[str, tuple[str, int]]] = {name: {} for name in schemas}
    default = node.get("slaDefaultElement")
    for one in node.items("slaProperties"):
        word = one.get("property")
        if word not in _AGREEMENTS:
            near = nearest(word, _AGREEMENTS) if isinstance(word, str) else None
            if near:
                one.fault("unknown-word", f"'{word}' is no agreement that is kept: {', '.join(_AGREEMENTS)} are.", near)
            continue
        length = period(one.get("value"), one.get("unit"))
        if length is None:
            one.fault(
                "wrong-value", f"'{word}' must be a bounded time: a whole number and a unit ({', '.join(UNITS)})."
            )
            continue
        for name in _elements(one, one.get("element") or default, schemas):
            if word in found[name]:
                one.fault("duplicate-agreement", f"'{word}' of '{name}' stands here twice: keep one.")
            found[name][word] = (length, one.line)
    return found


def _elements(node: Node, element: str | None, schemas: tuple[str, ...]) -> list[str]:
    """The schemas that an agreement is about: those its `element` names (`table` or `table.column`), or all."""
    if not element:
        return list(schemas)
    names = [part.strip().split(".", maxsplit=1)[0] for part in element.split(",")]
    for name in names:
        if name not in schemas:
            node.fault("unknown-reference", "'element' names no dataset of this contract.", nearest(name, schemas))
    return [name for name in names if name in schemas]
