"""Refusals about the search for undeclared personal data: what is searched for, and what becomes of what is found."""

from collections.abc import Iterator

from governance.contracts.entities import country_of, searched_for
from governance.contracts.faults import at, of_field
from governance.contracts.types import Dataset, Fault, Field, LogicalType, OnCannotTell, OnFinding, Protect, Scan


def scanning_refusals(dataset: Dataset) -> Iterator[Fault]:
    """Every refusal about a dataset's scanning and that of its fields."""
    yield from _countries(dataset)
    yield from _thresholds(dataset)
    for field in dataset.fields:
        yield from _weak(field)
        yield from _cannot_tell(field)
        yield from _redact(field)


def _countries(dataset: Dataset) -> Iterator[Fault]:
    """An entity of a country that isn't searched would be asked for and never found."""
    scanning = dataset.scanning
    for entity in scanning.entities:
        country = country_of(entity)
        if scanning.countries and country is not None and country not in scanning.countries:
            message = f"'{entity}' belongs to a country that isn't among 'countries': add it, or leave the entity out."
            yield Fault(at(dataset, "scanning"), "entity-of-another-country", message, None, country)


def _thresholds(dataset: Dataset) -> Iterator[Fault]:
    scanning = dataset.scanning
    for entity in sorted(scanning.thresholds.keys() - searched_for(scanning.entities, scanning.countries)):
        message = f"'thresholds' has '{entity}', which isn't searched for here: name it in 'entities', or its country."
        yield Fault(at(dataset, "scanning"), "threshold-unused", message)


def _weak(field: Field) -> Iterator[Fault]:
    """A free text in which nobody looks for personal data; anything in which nobody looks at all."""
    if field.protect not in (None, Protect.CLEAR) or field.reason is not None or field.scan is None:
        return
    if field.scan is Scan.NONE or (field.scan is Scan.PATTERN and field.is_free_text):
        what = "a free text" if field.is_free_text else "a field that is stored in clear"
        message = f"{what} with 'scan: {field.scan}' may hide personal data: scan text, or give a 'reason'."
        yield of_field(field, "scan", "scan-weak", message)


def _cannot_tell(field: Field) -> Iterator[Fault]:
    if field.on_cannot_tell is OnCannotTell.ADMIT and field.reason is None:
        message = "'admit' lets cells pass of which nobody can tell what they hold: say in 'reason' why they may."
        yield of_field(field, "onCannotTell", "cannot-tell-admitted", message)


def _redact(field: Field) -> Iterator[Fault]:
    if field.on_finding is not OnFinding.REDACT:
        return
    if field.logical_type is not LogicalType.STRING:
        yield of_field(field, "onFinding", "redact-type", "only a text can be redacted: quarantine.")
    elif not field.is_free_text or field.unique or field.primary_key_position is not None:
        message = "a key, a code or a unique text can't be redacted, as it would be another one: quarantine."
        yield of_field(field, "onFinding", "redact-key", message)
