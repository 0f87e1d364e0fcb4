"""Refusals about where values come from: sources and their names, derived fields, tokens of other datasets."""

from collections.abc import Iterator

from governance.contracts.faults import at, of_field
from governance.contracts.types import Dataset, Derive, Fault, Field, LogicalType, Protect, Source, Topic
from governance.contracts.words import nearest

_DATED = frozenset({LogicalType.DATE, LogicalType.TIMESTAMP})
_TEXT = frozenset({LogicalType.STRING})
_NUMBERS = frozenset({LogicalType.INTEGER, LogicalType.NUMBER})
_INPUTS = {
    "age_in_years": _DATED,
    "year": _DATED,
    "email_domain": _TEXT,
    "range_lowest": _TEXT,
    "range_highest": _TEXT,
    "band": _NUMBERS,
}
_RESULTS = {
    "age_in_years": frozenset({LogicalType.INTEGER}),
    "year": frozenset({LogicalType.INTEGER}),
    "range_lowest": _NUMBERS,
    "range_highest": _NUMBERS,
}


def origin_refusals(dataset: Dataset) -> Iterator[Fault]:
    """Every refusal about the origins of a dataset's values."""
    for source in dataset.sources:
        yield from _shared_names(dataset, source)
        yield from _unnamed(dataset, source)
        yield from _headerless(dataset, source)
        yield from _incremental(dataset, source)
        yield from _ignored(dataset, source)
        yield from _raw(source)
    for topic in dataset.topics:
        yield from _raw(topic)
    yield from _primary_key(dataset)
    yield from _moments(dataset)
    for field in dataset.fields:
        yield from _token(dataset, field)
        if field.derive is not None:
            yield from _derived(dataset, field, field.derive)


def names_in(field: Field, source: str) -> tuple[str, ...]:
    """What a field may be called in a source; nothing for a derived one, which no source has."""
    if field.derive is not None:
        return ()
    return field.source_names.get(source) or field.source_names.get("*") or (field.name,)


def _shared_names(dataset: Dataset, source: Source) -> Iterator[Fault]:
    """One column is one field's. Another field may fall back on it where its own holds nothing, if both are stored in
    clear: what one field protects is never readable as another.
    """
    seen: dict[str, tuple[Field, int]] = {}
    for field in dataset.fields:
        for choice, name in enumerate(names_in(field, source.name)):
            other, first = seen.setdefault(name, (field, choice))
            clear = all(one.protect in (None, Protect.CLEAR) for one in (field, other))
            if other is not field and not (clear and max(choice, first) > 0):
                message = f"'{name}' in {source.name} is already read by the field '{other.id}'."
                yield of_field(field, "sourceNames", "shared-source-name", message)


def _unnamed(dataset: Dataset, source: Source) -> Iterator[Fault]:
    """A field that says what some sources call it, and not what this one does, would silently be null there."""
    for field in dataset.fields:
        if field.source_names and source.name not in field.source_names and "*" not in field.source_names:
            message = f"'sourceNames' doesn't say what {source.name} calls it: add it, or '*' for all others."
            yield of_field(field, "sourceNames", "source-unnamed", message)


def _headerless(dataset: Dataset, source: Source) -> Iterator[Fault]:
    """Where the contract lists a source's columns, a name outside that list would never be found."""
    if not source.columns:
        return
    for field in dataset.fields:
        missing = [name for name in field.source_names.get(source.name, ()) if name not in source.columns]
        for name in missing:
            message = f"'{name}' is none of the columns that {source.name} declares."
            yield of_field(field, "sourceNames", "unknown-column", message, nearest(name, source.columns))


def _ignored(dataset: Dataset, source: Source) -> Iterator[Fault]:
    """What is dropped unread can't be read by a field."""
    for path in source.ignore:
        for field in dataset.fields:
            if any(name == path or name.startswith(f"{path}.") for name in names_in(field, source.name)):
                message = f"'{path}' of {source.name} is read by the field '{field.id}': it can't be ignored."
                yield Fault(at(source, "ignore"), "ignored-field", message)


def _incremental(dataset: Dataset, source: Source) -> Iterator[Fault]:
    """Reading only what changed needs to know which field says when."""
    asked = source.updated_field or source.updated_parameter
    if asked is None:
        return
    field = next((f for f in dataset.fields if f.id == dataset.updated_at), None)
    if field is None:
        term = "updatedField" if source.updated_field else "updatedParameter"
        message = (
            f"the source {source.name} is read by what changed: say in the dataset's 'updatedAt' which field it is."
        )
        yield Fault(at(source, term), "updatedat-missing", message)
    elif source.updated_field and source.updated_field not in names_in(field, source.name):
        names = names_in(field, source.name)
        message = f"'updatedField' isn't what the field '{field.id}' is called in {source.name}."
        yield Fault(at(source, "updatedField"), "unknown-column", message, None, nearest(source.updated_field, names))


def _raw(place: Source | Topic) -> Iterator[Fault]:
    if isinstance(place, Source) and place.format == "kafka":
        return  # stands among the topics too
    if place.raw and place.retention is None:
        message = f"'{place.name}' is raw: unprotected data needs a bounded 'retention', such as '7 d'."
        yield Fault(at(place, "raw"), "raw-unbounded", message)


def _primary_key(dataset: Dataset) -> Iterator[Fault]:
    if dataset.sources and not dataset.primary_key:
        message = "a dataset that is loaded needs a primary key: without it no row can be told from its newer version."
        yield Fault(dataset.where, "primary-key-missing", message)
    positions = [f.primary_key_position for f in dataset.primary_key]
    for field in dataset.primary_key:
        if positions.count(field.primary_key_position) > 1:
            message = "two fields have this primaryKeyPosition: number them 1, 2, …"
            yield of_field(field, "primaryKeyPosition", "duplicate-id", message)


def _moments(dataset: Dataset) -> Iterator[Fault]:
    """recordDate and updatedAt name fields that are dates or moments, and stay readable."""
    fields = {f.id: f for f in dataset.fields}
    for term, word in (("recordDate", dataset.record_date), ("updatedAt", dataset.updated_at)):
        if word is None:
            continue
        if word not in fields:
            message = f"'{term}' names the field '{word}', which doesn't exist."
            yield Fault(at(dataset, term), "unknown-field", message, None, nearest(word, fields))
        elif fields[word].logical_type not in _DATED:
            yield Fault(at(dataset, term), "not-a-date", f"'{term}' must name a date or a timestamp.", word)
        elif fields[word].protect not in (None, Protect.CLEAR):
            message = f"'{term}' must name a field that is stored in clear: rows are ordered by it."
            yield Fault(at(dataset, term), "moment-protected", message, word)
    if dataset.overlap_hours and dataset.updated_at is None:
        message = "'overlapHours' needs 'updatedAt': an overlap of what?"
        yield Fault(at(dataset, "overlapHours"), "updatedat-missing", message)


def _token(dataset: Dataset, field: Field) -> Iterator[Fault]:
    """An encrypted cell opens only with its subject's pseudonym and its origin."""
    if field.protect is not Protect.ENCRYPT:
        return
    owner = next((s for s in dataset.subjects if field.id in s.fields), None)
    if owner is None:
        message = "nobody's pseudonym stands beside this encrypted column: list the field under a subject's 'fields'."
        yield of_field(field, "protect", "token-without-pseudonym", message)
        return
    if dataset.sources or dataset.topics:
        return
    if not field.transform_sources:
        message = (
            "this column takes over tokens: name their origin (<contract>/<schema>/<field>) in transformSourceObjects."
        )
        yield of_field(field, "protect", "token-without-origin", message)


def _derived(dataset: Dataset, field: Field, rule: Derive) -> Iterator[Fault]:
    fields = {f.id: f for f in dataset.fields}
    unknown = [word for word in rule.inputs if word not in fields]
    for word in unknown:
        message = f"'derive' reads the field '{word}', which doesn't exist."
        yield of_field(field, "derive", "unknown-field", message, nearest(word, fields))
    if unknown:
        return
    if field.source_names:
        message = "a derived field isn't read from a source: leave out 'sourceNames' or 'derive'."
        yield of_field(field, "sourceNames", "derive-and-source", message)
    if _reaches(field.id, field.id, fields):
        yield of_field(field, "derive", "derive-cycle", "the field is computed from itself.")
        return
    yield from _derived_types(field, rule, fields)
    readable = field.protect in (None, Protect.CLEAR, Protect.MASK) and field.reason is None
    if readable and _is_personal(dataset, field, fields):
        message = (
            "what is derived from personal data is personal data: protect it, "
            "or say in 'reason' why it can't single a person out."
        )
        yield of_field(field, "derive", "derived-in-clear", message)


def _derived_types(field: Field, rule: Derive, fields: dict[str, Field]) -> Iterator[Fault]:
    wanted = _INPUTS.get(rule.kind)
    for word in rule.inputs:
        if wanted is not None and fields[word].logical_type not in wanted:
            message = f"'{rule.kind}' reads the type {' or '.join(sorted(wanted))}, which '{word}' isn't."
            yield of_field(field, "derive", "derive-type", message)
    result = _RESULTS.get(rule.kind, _TEXT)
    if field.logical_type not in result:
        message = f"'{rule.kind}' makes the type {' or '.join(sorted(result))}."
        yield of_field(field, "logicalType", "derive-type", message)


def _inputs(word: str, fields: dict[str, Field]) -> tuple[str, ...]:
    rule = fields[word].derive if word in fields else None
    return () if rule is None else rule.inputs


def _reaches(start: str, target: str, fields: dict[str, Field]) -> bool:
    """Whether a field's computation, followed back, comes to the target."""
    waiting, seen = list(_inputs(start, fields)), set()
    while waiting:
        word = waiting.pop()
        if word == target:
            return True
        if word not in seen:
            seen.add(word)
            waiting += _inputs(word, fields)
    return False


def _is_personal(dataset: Dataset, field: Field, fields: dict[str, Field]) -> bool:
    about = {word for subject in dataset.subjects for word in subject.fields}
    personal = [f.id for f in dataset.fields if f.id != field.id and (f.pii is not None or f.id in about)]
    return any(_reaches(field.id, word, fields) for word in personal)
