"""Refusals of quality rules: they must name fields that exist, have the right types and can be judged."""

import math
import re
from collections.abc import Iterator

from governance.contracts.rules import RULES
from governance.contracts.types import Dataset, Fault, Field, LogicalType, Protect, Quality
from governance.contracts.words import nearest

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?Z?)?\Z")
_DATED = (LogicalType.DATE, LogicalType.TIMESTAMP)
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_RANGES = (("minimum", "maximum"), ("minLength", "maxLength"), ("min", "max"))


def rule_refusals(dataset: Dataset) -> Iterator[Fault]:
    """Every refusal of a dataset's quality rules and of its fields' limits."""
    fields = {f.id: f for f in dataset.fields}
    seen: set[str] = set()
    for rule in dataset.quality:
        if rule.name in seen:
            yield Fault(rule.where, "duplicate-id", f"two rules are called '{rule.name}': reasons name them.")
        seen.add(rule.name)
        unknown = [word for word in rule.fields if word not in fields]
        for word in unknown:
            message = f"the rule '{rule.name}' reads the field '{word}', which doesn't exist."
            yield Fault(rule.where, "unknown-field", message, None, nearest(word, fields))
        if not unknown:
            own = [fields[word] for word in rule.fields]
            yield from _types(rule, own)
            yield from _stored(rule, own)
            yield from _bounds(rule, own)
    for field in dataset.fields:
        limits = Quality(field.id, "row", "between", (field.id,), field.where, field.options)
        yield from _bounds(limits, [field])


def _types(rule: Quality, fields: list[Field]) -> Iterator[Fault]:
    known = RULES[rule.rule]
    for field in fields:
        if field.logical_type not in known.types:
            wanted = " or ".join(sorted(known.types))
            message = f"the rule '{rule.rule}' reads the type {wanted}, and this is {field.logical_type}."
            yield Fault(rule.where, "rule-type", message, field.id)
    if known.same_type and len({_exact_type(field) for field in fields}) > 1:
        message = f"the rule '{rule.rule}' compares exactly: its fields must have one type (logicalType, physicalType)."
        yield Fault(rule.where, "rule-type", message, rule.fields[0])


def _exact_type(field: Field) -> tuple[str, str]:
    return field.logical_type, (field.physical_type or "").replace(" ", "").lower()


def _stored(rule: Quality, fields: list[Field]) -> Iterator[Fault]:
    """Rules on sets are judged on the stored table, where a token says nothing about its cell."""
    if rule.kind != "set":
        return
    hidden: tuple[Protect, ...] = (Protect.ENCRYPT, Protect.MASK, Protect.DROP, Protect.PSEUDONYMISE)
    if rule.rule == "null_share":
        hidden = (Protect.DROP,)
    elif rule.rule == "unique":
        hidden = (Protect.ENCRYPT, Protect.MASK, Protect.DROP)
    for field in fields:
        if field.protect in hidden:
            message = f"the rule '{rule.rule}' can't be judged on a field that is kept by '{field.protect}'."
            yield Fault(rule.where, "rule-on-token", message, field.id)


def _bounds(rule: Quality, fields: list[Field]) -> Iterator[Fault]:
    """Bounds must be of the field's type, finite and in order."""
    arguments = rule.arguments
    dated = bool(fields) and fields[0].logical_type in _DATED
    for word in _BOUNDS:
        if word in arguments and not _fits(arguments[word], dated):
            wanted = "a day or moment in ISO 8601" if dated else "a number"
            yield Fault(rule.where, "wrong-value", f"'{word}' must be {wanted}.", _first(rule))
    for low, high in _RANGES:
        both = [arguments[word] for word in (low, high) if word in arguments]
        if len(both) == 2 and type(both[0]) in (int, float, str) and _reversed(*both):
            yield Fault(rule.where, "wrong-value", f"'{low}' is above '{high}': no row could pass.", _first(rule))
    if rule.rule == "null_share" and not 0 <= arguments["max"] <= 1:
        yield Fault(rule.where, "wrong-value", "'max' of null_share is a share from 0 to 1.", _first(rule))


def _first(rule: Quality) -> str | None:
    return rule.fields[0] if rule.fields else None


def _fits(value: object, dated: bool) -> bool:
    if dated:
        return isinstance(value, str) and bool(_ISO.match(value))
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _reversed(low: object, high: object) -> bool:
    if isinstance(low, str) and isinstance(high, str):
        return low > high
    return isinstance(low, int | float) and isinstance(high, int | float) and low > high
