"""What a contract may not say: every refusal that keeps a promise from being broken. One small function a refusal.

`check` looks at one contract whose words are sound; `check_together` at what contracts say of one another.
"""

import re
from collections.abc import Iterator

from governance.contracts.aggregates import aggregate_refusals
from governance.contracts.check_fields import field_refusals
from governance.contracts.check_origins import origin_refusals
from governance.contracts.check_rules import rule_refusals
from governance.contracts.check_scanning import scanning_refusals
from governance.contracts.check_streams import shared_topics, stream_refusals
from governance.contracts.check_subjects import subject_refusals
from governance.contracts.faults import at
from governance.contracts.types import Contract, Dataset, Fault, Field, Line, Protect, Quality
from governance.contracts.words import ACCESS, STATUSES, nearest

_SEMVER = re.compile(
    r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z.-]+)?\Z"
)
_CONTRACT_ID = re.compile(r"[a-z][a-z0-9_]{0,30}(\.[a-z][a-z0-9_]*)+\Z")


_REFUSALS = (
    field_refusals,
    scanning_refusals,
    subject_refusals,
    origin_refusals,
    rule_refusals,
    stream_refusals,
    aggregate_refusals,
)


def check(contract: Contract) -> list[Fault]:
    """Everything in one contract that would break a promise, in the order of the file; empty if nothing would."""
    faults = [*_identity(contract), *_roles(contract), *_datasets(contract)]
    for dataset in contract.datasets:
        for refuse in _REFUSALS:
            faults += refuse(dataset)
    return sorted(faults, key=lambda fault: fault.where.line)


def _line(contract: Contract, term: str) -> Line:
    return Line(contract.file, contract.lines.get(term, 1))


def _identity(contract: Contract) -> Iterator[Fault]:
    if not _CONTRACT_ID.match(contract.id):
        message = "the contract's id must be <system>.<name> in lower case, such as store.orders."
        yield Fault(_line(contract, "id"), "bad-id", message)
    if not _SEMVER.match(contract.version):
        message = "the version isn't a semantic version (1.4.0): write major.minor.patch."
        yield Fault(_line(contract, "version"), "bad-version", message)
    if contract.status not in STATUSES:
        message = f"the status is none of {', '.join(STATUSES)}."
        yield Fault(_line(contract, "status"), "unknown-word", message, None, nearest(contract.status, STATUSES))
    if not contract.datasets:
        yield Fault(_line(contract, "schema"), "no-dataset", "the contract describes no dataset: add a 'schema'.")


def _roles(contract: Contract) -> Iterator[Fault]:
    seen: set[str] = set()
    for role in contract.roles:
        where = role.where or _line(contract, "roles")
        if role.name in seen:
            yield Fault(where, "duplicate-id", f"the role '{role.name}' stands here twice: keep one.")
        seen.add(role.name)
        if role.access not in ACCESS:
            message = f"the access of role '{role.name}' is none of {', '.join(ACCESS)}."
            yield Fault(where, "unknown-word", message, None, nearest(role.access, ACCESS))


def _datasets(contract: Contract) -> Iterator[Fault]:
    ids: set[str] = set()
    names: set[str] = set()
    for dataset in contract.datasets:
        if dataset.id in ids or dataset.name in names:
            yield Fault(dataset.where, "duplicate-id", "two datasets have this id or name: both must be unique.")
        ids.add(dataset.id)
        names.add(dataset.name)


def check_together(contracts: list[Contract]) -> list[Fault]:
    """Everything that contracts may not say of one another: what they refer to must be among them."""
    faults = [*_unique_contracts(contracts), *shared_topics(contracts)]
    tables = {f"{c.system}.{d.name}": d for c in contracts for d in c.datasets}
    origins = {f"{d.id}/{f.id}": (d, f) for c in contracts for d in c.datasets for f in d.fields}
    entities = {s.entity for c in contracts for d in c.datasets for s in d.subjects}
    for contract in contracts:
        for dataset in contract.datasets:
            faults += _references(dataset, tables)
            faults += _token_origins(dataset, origins)
            faults += _belongings(dataset, entities)
    return faults


def _unique_contracts(contracts: list[Contract]) -> Iterator[Fault]:
    ids: dict[str, str] = {}
    tables: dict[str, str] = {}
    for contract in contracts:
        if contract.id in ids:
            message = f"the contract id '{contract.id}' is also that of {ids[contract.id]}: ids are unique."
            yield Fault(_line(contract, "id"), "duplicate-id", message)
            continue
        ids[contract.id] = contract.file
        for dataset in contract.datasets:
            table = f"{contract.system}.{dataset.name}"
            if tables.setdefault(table, contract.file) != contract.file:
                message = f"the table '{table}' is also described in {tables[table]}: name one otherwise."
                yield Fault(dataset.where, "duplicate-id", message)


def _references(dataset: Dataset, tables: dict[str, Dataset]) -> Iterator[Fault]:
    """A `reference` must lead to a field that is stored in clear and has the same type."""
    for rule in dataset.quality:
        if rule.rule == "reference":
            yield from _reference(dataset, rule, tables)


def _reference(dataset: Dataset, rule: Quality, tables: dict[str, Dataset]) -> Iterator[Fault]:
    table, _, column = str(rule.arguments["to"]).rpartition(".")
    target = tables.get(table)
    if target is None:
        message = f"no contract among those checked describes '{table}': name one, or check its folder too."
        yield Fault(rule.where, "unknown-reference", message, rule.fields[0], nearest(table, tables))
        return
    found = [f for f in target.fields if f.name == column]
    if not found:
        message = f"'{table}' has no column '{column}'."
        hint = nearest(column, [f.name for f in target.fields])
        yield Fault(rule.where, "unknown-reference", message, rule.fields[0], hint)
    elif not _comparable(found[0], next((f for f in dataset.fields if f.id == rule.fields[0]), None)):
        message = f"'{table}.{column}' isn't stored in clear with the same type: it can't be referred to."
        yield Fault(rule.where, "reference-type", message, rule.fields[0])


def _comparable(target: Field, own: Field | None) -> bool:
    if own is None:
        return True
    return target.logical_type is own.logical_type and target.protect in (None, Protect.CLEAR)


def _token_origins(dataset: Dataset, origins: dict[str, tuple[Dataset, Field]]) -> Iterator[Fault]:
    """A derived dataset's token must come from a field that is encrypted, and about the same kind of person."""
    if dataset.sources or dataset.topics:
        return
    about = {f: s.entity for s in dataset.subjects for f in s.fields}
    for field in dataset.fields:
        if field.protect is not Protect.ENCRYPT:
            continue
        for origin in field.transform_sources:
            where = at(field, "transformSourceObjects")
            if origin not in origins:
                message = "no contract among those checked has this origin: name one, or check its folder too."
                yield Fault(where, "unknown-origin", message, field.id, nearest(origin, origins))
                continue
            source, original = origins[origin]
            owner = next((s.entity for s in source.subjects if original.id in s.fields), None)
            if original.protect is not Protect.ENCRYPT or owner != about.get(field.id):
                message = "the origin isn't a field that is encrypted for the same kind of person."
                yield Fault(where, "wrong-origin", message, field.id)


def _belongings(dataset: Dataset, entities: set[str]) -> Iterator[Fault]:
    for subject in dataset.subjects:
        if subject.belongs_to is not None and subject.belongs_to not in entities:
            message = "'belongsTo' names no kind of person in the contracts that were checked."
            hint = nearest(subject.belongs_to, entities)
            yield Fault(at(subject, "belongsTo"), "unknown-reference", message, None, hint)
