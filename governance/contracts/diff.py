"""What changed between two versions of a contract: breaking, privacy-weakening, compatible.

Datasets and fields are matched by id, never by name: an id that is gone is a thing that is gone.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from governance.contracts.change import Change, ChangeKind, breaking, compatible, weakening
from governance.contracts.diff_fields import field_changes
from governance.contracts.diff_persons import person_changes
from governance.contracts.diff_scanning import scanning_changes
from governance.contracts.diff_topics import topic_changes
from governance.contracts.faults import at
from governance.contracts.types import Contract, Dataset, Line, Quality, Source

_ORDER = (ChangeKind.BREAKING, ChangeKind.WEAKENING, ChangeKind.COMPATIBLE)


def diff(old: Contract, new: Contract) -> list[Change]:
    """Every change from one version to the next, the gravest first."""
    changes = [*_identity(old, new), *_roles(old, new)]
    before, after = {_schema(d): d for d in old.datasets}, {_schema(d): d for d in new.datasets}
    for schema, dataset in before.items():
        if schema not in after:
            changes.append(breaking(dataset.where, "dataset-removed", f"the dataset '{schema}' is gone."))
            continue
        found = (*_dataset(dataset, after[schema]), *_fields(dataset, after[schema]))
        found += (*person_changes(dataset, after[schema]), *scanning_changes(dataset, after[schema]))
        found += tuple(topic_changes(dataset, after[schema]))
        changes += [replace(one, dataset=schema) for one in found]
    for schema in after.keys() - before.keys():
        changes.append(compatible(after[schema].where, "dataset-added", f"the dataset '{schema}' is new."))
    changes += _version(old, new, changes)
    return sorted(changes, key=lambda one: (_ORDER.index(one.kind), one.where.file, one.where.line, one.code))


def _schema(dataset: Dataset) -> str:
    return dataset.id.rpartition("/")[2]


def _line(contract: Contract, term: str) -> Line:
    return Line(contract.file, contract.lines.get(term, 1))


def _identity(old: Contract, new: Contract) -> Iterator[Change]:
    if old.id != new.id:
        message = "the contract's id changed: every stored cell is bound to it and would no longer open."
        yield breaking(_line(new, "id"), "id-changed", message)


def _version(old: Contract, new: Contract, changes: list[Change]) -> list[Change]:
    """Rows and certificates name a version: two contents may not share one, and a break must show in it."""
    where = _line(new, "version")
    before, after = _release(old.version), _release(new.version)
    if after < before:
        return [breaking(where, "version-lowered", "the version is lower than before: raise it.")]
    if changes and new.version == old.version:
        return [breaking(where, "version-same", "the contract changed and its version didn't: raise it.")]
    if any(one.kind is ChangeKind.BREAKING for one in changes) and after[0] == before[0]:
        return [breaking(where, "version-minor", "a breaking change needs a new major version.")]
    return []


def _release(version: str) -> tuple[int, ...]:
    numbers, *_ = re.split("[-+]", version, maxsplit=1)
    return tuple(int(part) for part in numbers.split("."))


def _roles(old: Contract, new: Contract) -> Iterator[Change]:
    before = {role.name: role for role in old.roles}
    personal = any(dataset.subjects for dataset in new.datasets)
    for role in new.roles:
        where = role.where or _line(new, "roles")
        if role.name not in before:
            message = f"the role '{role.name}' may {role.access}."
            yield (weakening if personal else compatible)(where, "role-added", message)
        elif role.access != before[role.name].access:
            message = f"the role '{role.name}' may {role.access} instead of {before[role.name].access}."
            yield (weakening if personal else compatible)(where, "role-access", message)
    for name in before.keys() - {role.name for role in new.roles}:
        yield breaking(_line(new, "roles"), "role-removed", f"the role '{name}' is gone: who has it sees nothing.")


def _dataset(old: Dataset, new: Dataset) -> Iterator[Change]:
    if old.name != new.name:
        message = f"the table is called '{new.name}' instead of '{old.name}'."
        yield breaking(at(new, "name"), "dataset-renamed", message)
    before, after = [f.id for f in old.primary_key], [f.id for f in new.primary_key]
    if before != after:
        message = f"the primary key is ({', '.join(after)}) instead of ({', '.join(before)})."
        yield breaking(new.where, "primary-key", message)
    for term, one, other in (
        ("updatedAt", old.updated_at, new.updated_at),
        ("recordDate", old.record_date, new.record_date),
    ):
        if one != other:
            yield breaking(at(new, term), "moment-changed", f"'{term}' names another field than before.")
    yield from _quality(old, new)
    yield from _sources(old, new)
    for sink in sorted(set(old.sinks) - set(new.sinks)):
        yield breaking(at(new, "sinks"), "sink-removed", f"the sink '{sink}' is gone.")
    for sink in sorted(set(new.sinks) - set(old.sinks)):
        yield compatible(at(new, "sinks"), "sink-added", f"the sink '{sink}' is new.")


def _quality(old: Dataset, new: Dataset) -> Iterator[Change]:
    """A rule that is gone or other than before may let through what used to be held."""
    after = {rule.name: rule for rule in new.quality}
    before = {rule.name: rule for rule in old.quality}
    for name, rule in before.items():
        if name not in after:
            message = f"the rule '{name}' is gone: what it held passes."
            yield weakening(new.where, "rule-removed", message)
        elif _said(rule) != _said(after[name]):
            yield weakening(after[name].where, "rule-changed", f"the rule '{name}' says something else than before.")
    for name in after.keys() - before.keys():
        yield compatible(after[name].where, "rule-added", f"the rule '{name}' is new.")


def _said(rule: Quality) -> tuple[object, ...]:
    return rule.rule, rule.fields, sorted(rule.arguments.items(), key=str)


def _sources(old: Dataset, new: Dataset) -> Iterator[Change]:
    before, after = {s.name: s for s in old.sources}, {s.name: s for s in new.sources}
    for name in sorted(before.keys() - after.keys()):
        yield breaking(new.where, "source-removed", f"the source '{name}' is gone.")
    for name in sorted(after.keys() - before.keys()):
        yield compatible(after[name].where, "source-added", f"the source '{name}' is new.")
    for name in sorted(before.keys() & after.keys()):
        yield from _source(before[name], after[name])


def _source(old: Source, new: Source) -> Iterator[Change]:
    if new.raw and not old.raw:
        yield weakening(at(new, "raw"), "raw-added", f"the source '{new.name}' may hold unprotected data.")
    read = [path for path in old.ignore if not any(one == path or path.startswith(f"{one}.") for one in new.ignore)]
    for path in read:
        message = f"'{path}' of '{new.name}' is read from now on, where it was dropped unread."
        yield weakening(at(new, "ignore"), "ignore-removed", message)
    for path in (one for one in new.ignore if one not in old.ignore):
        yield compatible(at(new, "ignore"), "ignore-added", f"'{path}' of '{new.name}' is dropped unread.")
    if (old.format, old.encoding, old.columns, old.records) != (new.format, new.encoding, new.columns, new.records):
        yield breaking(new.where, "source-changed", f"the source '{new.name}' is written in another form.")


def _fields(old: Dataset, new: Dataset) -> Iterator[Change]:
    before, after = {f.id: f for f in old.fields}, {f.id: f for f in new.fields}
    added = after.keys() - before.keys()
    for identity, field in before.items():
        if identity in after:
            yield from field_changes(old, new, field, after[identity])
            continue
        heir = next((a for a in added if after[a].name == field.name), None)
        how = f"is now '{heir}': ids are never renamed" if heir else "is gone"
        where = after[heir].where if heir else field.where
        code = "field-id-renamed" if heir else "field-removed"
        yield breaking(where, code, f"the field '{identity}' {how}.", identity)
    for identity in sorted(added):
        field = after[identity]
        required = field.required and field.derive is None
        make = breaking if required else compatible
        message = "the field is new" + (" and required: rows without it are held." if required else ".")
        yield make(field.where, "field-added", message, identity)
