"""What changed in one field."""

from collections.abc import Iterator
from typing import Any

from governance.contracts.change import Change, breaking, compatible, weakening
from governance.contracts.diff_scanning import field_scanning_changes
from governance.contracts.faults import at
from governance.contracts.types import Dataset, Field, Protect

_STRENGTH = (Protect.CLEAR, Protect.MASK, Protect.ENCRYPT, Protect.PSEUDONYMISE, Protect.DROP)
_FLOORS = ("minimum", "exclusiveMinimum", "minLength")


def field_changes(old_set: Dataset, new_set: Dataset, old: Field, new: Field) -> Iterator[Change]:
    """Every change of a field that both versions have."""
    yield from _shape(old, new)
    yield from _limits(old, new)
    yield from _protection(old, new)
    yield from field_scanning_changes(old, new)
    yield from _origin(old, new)
    owner = next((s.entity for s in old_set.subjects if old.id in s.fields), None)
    heirs = {s.entity for s in new_set.subjects if new.id in s.fields}
    still = any(s.entity == owner for s in new_set.subjects)
    if owner is not None and still and owner not in heirs:
        message = f"the field is no longer about {owner}: an erasure doesn't reach it."
        yield weakening(new.where, "field-left-subject", message, new.id)


def _shape(old: Field, new: Field) -> Iterator[Change]:
    if old.name != new.name:
        message = f"the column is called '{new.name}' instead of '{old.name}'."
        yield breaking(at(new, "name"), "field-renamed", message, new.id)
    if old.logical_type is not new.logical_type:
        message = f"the type is {new.logical_type} instead of {old.logical_type}."
        yield breaking(at(new, "logicalType"), "type-changed", message, new.id)
    elif _physical(old) != _physical(new):
        message = f"the physical type is {new.physical_type or 'unsaid'} instead of {old.physical_type or 'unsaid'}."
        yield breaking(at(new, "physicalType"), "type-changed", message, new.id)
    if new.required and not old.required:
        yield breaking(at(new, "required"), "required-added", "rows without it are held from now on.", new.id)
    if old.required and not new.required:
        yield breaking(at(new, "required"), "required-removed", "it may be null from now on.", new.id)


def _physical(field: Field) -> str:
    return (field.physical_type or "").replace(" ", "").lower()


def _limits(old: Field, new: Field) -> Iterator[Change]:
    """Narrower limits break what writes; wider ones let through what used to be held."""
    for word in sorted(old.options.keys() | new.options.keys()):
        before, after = old.options.get(word), new.options.get(word)
        if before == after:
            continue
        where = at(new, "logicalTypeOptions")
        if _is_narrower(word, before, after):
            yield breaking(where, "limit-narrowed", f"'{word}' admits less than before.", new.id)
        else:
            yield weakening(where, "limit-widened", f"'{word}' admits more, or other values, than before.", new.id)
    if old.enum == new.enum:
        return
    if new.enum and not (old.enum and set(old.enum) <= set(new.enum)):
        yield breaking(at(new, "enum"), "enum-narrowed", "values that were allowed no longer are.", new.id)
    elif not new.enum:
        yield weakening(at(new, "enum"), "enum-removed", "any value is allowed from now on.", new.id)
    else:
        yield compatible(at(new, "enum"), "enum-widened", "more values are allowed.", new.id)


def _is_narrower(word: str, before: Any, after: Any) -> bool:
    comparable = isinstance(before, str) == isinstance(after, str) and word != "pattern"
    if before is None or after is None or not comparable:
        return before is None
    return bool(after > before) if word in _FLOORS else bool(after < before)


def _protection(old: Field, new: Field) -> Iterator[Change]:
    before, after = old.protect or Protect.CLEAR, new.protect or Protect.CLEAR
    if _STRENGTH.index(after) < _STRENGTH.index(before):
        message = f"it is kept by '{after}' instead of '{before}'."
        yield weakening(at(new, "protect"), "protect-weakened", message, new.id)
    elif after is not before:
        message = f"it is kept by '{after}' instead of '{before}': who reads it gets something else."
        yield breaking(at(new, "protect"), "protect-strengthened", message, new.id)
    if old.pii and not new.pii:
        yield weakening(at(new, "pii"), "pii-removed", "it is no longer said to be personal data.", new.id)
    if old.reason and not new.reason:
        yield weakening(at(new, "reason"), "reason-removed", "the reason for the exception is gone.", new.id)


def _origin(old: Field, new: Field) -> Iterator[Change]:
    if old.derive != new.derive:
        yield breaking(at(new, "derive"), "derive-changed", "it is computed otherwise than before.", new.id)
    if new.protect is Protect.ENCRYPT and old.transform_sources != new.transform_sources:
        message = "its tokens come from another origin, under which the stored ones don't open."
        yield breaking(at(new, "transformSourceObjects"), "origin-changed", message, new.id)
    if (old.source_names, old.source_formats) != (new.source_names, new.source_formats):
        message = "sources call or write it otherwise than before."
        yield compatible(at(new, "sourceNames"), "source-names-changed", message, new.id)
