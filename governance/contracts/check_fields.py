"""Refusals of single fields: names, types, protection."""

import re
from collections.abc import Iterator

from governance.contracts.faults import of_field
from governance.contracts.types import Dataset, Fault, Field, LogicalType, Protect
from governance.contracts.words import nearest

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")
_NUMBER_TYPES = ("decimal(p,s)", "numeric(p,s)", "double", "double precision", "float")
_DECIMAL = re.compile(r"(?:decimal|numeric)\s*\(\s*([0-9]{1,3})\s*(?:,\s*([0-9]{1,3})\s*)?\)\Z", re.IGNORECASE)
_RESERVED = "kasbah_"
_CODES = (LogicalType.STRING, LogicalType.INTEGER)


def field_refusals(dataset: Dataset) -> Iterator[Fault]:
    """Every refusal of a dataset's fields."""
    yield from _table_name(dataset)
    yield from _duplicates(dataset)
    for field in dataset.fields:
        for refuse in _REFUSALS:
            yield from refuse(dataset, field)


def _table_name(dataset: Dataset) -> Iterator[Fault]:
    if not _NAME.match(dataset.name) or dataset.name.startswith(_RESERVED):
        message = "the dataset's name must be a table name: lower case letters, digits, _; at most 63, not kasbah_…"
        yield Fault(dataset.where, "bad-name", message)
    if not dataset.fields:
        yield Fault(dataset.where, "no-field", "the dataset has no fields: add 'properties'.")


def _duplicates(dataset: Dataset) -> Iterator[Fault]:
    ids: set[str] = set()
    names: set[str] = set()
    for field in dataset.fields:
        if field.id in ids:
            yield of_field(field, "id", "duplicate-id", "two fields have this id: ids are unique.")
        elif field.name in names:
            yield of_field(field, "name", "duplicate-name", "two fields have this name: names are unique.")
        ids.add(field.id)
        names.add(field.name)


def _name(dataset: Dataset, field: Field) -> Iterator[Fault]:
    """Names that no store can hold, and those of the columns that Kasbah adds itself."""
    if not _NAME.match(field.name):
        message = "the name must be a column name: lower case letters, digits, _; at most 63 (sources: sourceNames)."
        yield of_field(field, "name", "bad-name", message)
    pseudonyms = {s.pseudonym_column for s in dataset.subjects if s.pseudonym != field.id}
    for term, word in (("id", field.id), ("name", field.name)):
        if word.lower().startswith(_RESERVED) or word in pseudonyms:
            message = f"'{word}' is a column that Kasbah adds itself: call the field otherwise."
            yield of_field(field, term, "reserved-name", message)
            return


def _type(_: Dataset, field: Field) -> Iterator[Fault]:
    """Types that plans can't express."""
    if field.logical_type is LogicalType.OBJECT:
        message = "a record isn't a field: declare each of its leaves, with dotted paths in 'sourceNames'."
        yield of_field(field, "logicalType", "nested", message)
    if field.logical_type is not LogicalType.NUMBER or field.physical_type is None:
        return
    physical = field.physical_type.strip().lower()
    decimal = _DECIMAL.match(physical)
    if decimal:
        precision, scale = int(decimal[1]), int(decimal[2] or 0)
        if not (1 <= precision <= 38 and scale <= precision):
            message = "a decimal has from 1 to 38 digits, and not more of them behind the point."
            yield of_field(field, "physicalType", "unknown-type", message)
    elif physical not in _NUMBER_TYPES:
        message = f"the physicalType of a number is one of {', '.join(_NUMBER_TYPES)}."
        yield of_field(field, "physicalType", "unknown-type", message, nearest(physical, _NUMBER_TYPES))


def _protect_missing(dataset: Dataset, field: Field) -> Iterator[Fault]:
    """Personal data without a rule: what isn't said is refused, never assumed."""
    personal = field.pii is not None or any(field.id in s.fields for s in dataset.subjects)
    if personal and field.protect is None and not _is_pseudonym(dataset, field):
        words = ", ".join(Protect)
        yield of_field(field, "pii", "protect-missing", f"personal data needs 'protect': one of {words}.")


def _is_pseudonym(dataset: Dataset, field: Field) -> bool:
    return any(s.pseudonym == field.id for s in dataset.subjects)


def _readable(dataset: Dataset, field: Field) -> Iterator[Fault]:
    """Clear or masked cells of a person outlive the shredding of the key."""
    if field.protect not in (Protect.CLEAR, Protect.MASK):
        return
    subject = next((s for s in dataset.subjects if field.id in s.fields), None)
    if subject is not None and any(key.field == field.id for key in subject.keys):
        message = f"a subject key names the person: '{field.protect}' isn't enough, use encrypt or pseudonymise."
        yield of_field(field, "protect", "key-readable", message)
    elif field.reason is None and (field.pii is not None or (subject and dataset.erasure == "shred")):
        message = (
            f"'{field.protect}' leaves personal data readable after an erasure: "
            "encrypt it, or say in 'reason' why it can't single a person out."
        )
        yield of_field(field, "protect", "readable-after-erasure", message)


def _pseudonymise(dataset: Dataset, field: Field) -> Iterator[Fault]:
    keys = {key.field for s in dataset.subjects for key in s.keys}
    if field.protect is Protect.PSEUDONYMISE and field.id not in keys:
        message = "'pseudonymise' replaces a subject's key by the pseudonym, and this field is no key: encrypt it."
        yield of_field(field, "protect", "pseudonymise-no-key", message)


def _mask(_: Dataset, field: Field) -> Iterator[Fault]:
    if field.protect is Protect.MASK and field.logical_type is not LogicalType.STRING:
        yield of_field(field, "protect", "mask-type", "only texts can be masked: encrypt or drop it.")


def _drop(_: Dataset, field: Field) -> Iterator[Fault]:
    if field.protect is Protect.DROP and (field.required or field.primary_key_position is not None):
        term = "required" if field.required else "primaryKey"
        yield of_field(field, term, "drop-required", "a field that is dropped can't be required or a key.")


def _enum(_: Dataset, field: Field) -> Iterator[Fault]:
    if field.enum and field.logical_type not in _CODES:
        yield of_field(field, "enum", "enum-type", "only texts and whole numbers have an 'enum'.")


def _key_protection(dataset: Dataset, field: Field) -> Iterator[Fault]:
    """Rows are merged by primary key. A token differs at each encryption, so only a subject's pseudonym stands in."""
    keys = {key.field for s in dataset.subjects for key in s.keys}
    changed = field.protect in (Protect.ENCRYPT, Protect.MASK)
    if field.primary_key_position is not None and changed and field.id not in keys:
        message = f"a primary key can't be kept by '{field.protect}': rows could no longer be told apart."
        yield of_field(field, "protect", "key-protected", message)


_REFUSALS = (
    _name,
    _type,
    _protect_missing,
    _readable,
    _pseudonymise,
    _mask,
    _drop,
    _enum,
    _key_protection,
)
