"""ODCS properties as fields."""

import re
from typing import Any

from governance.contracts.entities import PII
from governance.contracts.formats import is_form, pattern_fault, words_for
from governance.contracts.node import Node, custom_properties
from governance.contracts.rules import is_pattern, read_quality
from governance.contracts.types import Derive, Field, LogicalType, OnCannotTell, OnFinding, Protect, Quality, Scan
from governance.contracts.words import DERIVE_KINDS, FIELD_TERMS, nearest

_DATED = (LogicalType.DATE, LogicalType.TIMESTAMP)
_ENFORCED_OPTIONS = {
    LogicalType.STRING: ("minLength", "maxLength", "pattern"),
    LogicalType.INTEGER: ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    LogicalType.NUMBER: ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    LogicalType.DATE: ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"),
    LogicalType.TIMESTAMP: ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"),
}
_LOCAL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*\Z")


def read_field(node: Node, system: str, sources: tuple[str, ...], key_position: int) -> Field | None:
    """One property as a field; None where it has no id or no type. `key_position` counts unnumbered key fields."""
    given = custom_properties(node, FIELD_TERMS, "field")
    kind, identity, name = node.get("logicalType"), node.get("id"), node.get("name")
    if identity is None:
        node.fault("missing-id", f"the field '{name}' has no 'id': give it one that never changes.")
    if kind is None:
        node.fault("missing-type", "the field has no 'logicalType': add it.")
    if not (identity and name and kind):
        return None
    logical = LogicalType(kind)
    options = _options(node, logical)
    formats = _formats(given.get("sourceFormats"), logical, sources)
    if "format" in options:
        formats.setdefault("*", (options.pop("format"),))
    relationships = _relationships(node, system)
    return Field(
        id=str(identity),
        name=str(name),
        logical_type=logical,
        where=node.document.line(node.place),
        physical_type=node.get("physicalType"),
        description=node.get("description") or "",
        required=bool(node.get("required")),
        unique=bool(node.get("unique")),
        primary_key_position=_key_position(node, key_position),
        classification=node.get("classification"),
        options=options,
        enum=given["enum"].scalars() if "enum" in given else (),
        pii=given["pii"].one_of(PII) if "pii" in given else None,
        protect=_word(given.get("protect"), Protect),
        scan=_word(given.get("scan"), Scan),
        on_finding=_word(given.get("onFinding"), OnFinding) or OnFinding.QUARANTINE,
        on_cannot_tell=_word(given.get("onCannotTell"), OnCannotTell) or OnCannotTell.QUARANTINE,
        source_names=_names(given.get("sourceNames"), sources),
        source_formats=formats,
        derive=_derive(given.get("derive")),
        reason=given["reason"].text() if "reason" in given else None,
        transform_sources=tuple(node.get("transformSourceObjects") or ()),
        transform_logic=node.get("transformLogic"),
        relationships=relationships,
        quality=_quality(node, str(identity), relationships),
        lines={term: one.line for term, one in given.items()}
        | {term: one.line for term in node.value if (one := node.child(term)) is not None},
    )


def _word(node: Node | None, words: type[Any]) -> Any:
    if node is None:
        return None
    found = node.one_of(tuple(str(w) for w in words))
    return None if found is None else words(found)


def _key_position(node: Node, position: int) -> int | None:
    if not node.get("primaryKey"):
        return None
    given = node.get("primaryKeyPosition")
    return given if isinstance(given, int) and given > 0 else position


def _options(node: Node, kind: LogicalType) -> dict[str, Any]:
    """The type's options, of which each is enforced: others would be promises that nobody keeps."""
    place = node.child("logicalTypeOptions")
    options = dict(place.value) if place is not None and isinstance(place.value, dict) else {}
    enforced = _ENFORCED_OPTIONS.get(kind, ())
    for word in options:
        one = place.child(word) if place else None
        if one is None:
            continue
        if word not in enforced:
            can = f"only {', '.join(enforced)} are" if enforced else "none is"
            one.fault("option-not-enforced", f"'{word}' isn't enforced for the type {kind} ({can}): leave it out.")
        elif word == "pattern" and not is_pattern(one.value):
            one.wrong("a regular expression (RE2)")
        elif word == "format" and not is_form(kind, str(one.value)):
            one.fault("unknown-format", f"the format isn't known: {pattern_fault(str(one.value))}.")
    return options


def _names(node: Node | None, sources: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """`sourceNames`: one name (or several) for every source, or a mapping from sources to names."""
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        names = node.texts()
        return {"*": names} if names else {}
    return {key: names for key, one in node.mapping(("*", *sources)).items() if (names := one.texts())}


def _formats(node: Node | None, kind: LogicalType, sources: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    if node is None:
        return {}
    places = node.mapping(("*", *sources)) if isinstance(node.value, dict) else {"*": node}
    found = {}
    for source, one in places.items():
        forms = one.texts()
        for form in forms:
            if not is_form(kind, form):
                why = f", or a date pattern: {pattern_fault(form)}" if kind in _DATED else ""
                words = words_for(kind)
                message = f"'{form}' is no form of the type {kind}: {', '.join(words) or 'there is none'}{why}."
                one.fault("unknown-format", message, nearest(form, words))
        found[source] = forms
    return found


def _derive(node: Node | None) -> Derive | None:
    """`derive`: {kind, inputs, separator, value, limits, labels}."""
    if node is None:
        return None
    given = node.mapping(("kind", "inputs", "separator", "value", "limits", "labels"))
    kind = given["kind"].one_of(tuple(DERIVE_KINDS)) if "kind" in given else None
    if kind is None:
        if "kind" not in given:
            node.fault("wrong-value", f"'derive' needs a 'kind': one of {', '.join(DERIVE_KINDS)}.")
        return None
    inputs = given["inputs"].texts() if "inputs" in given else ()
    least, most = DERIVE_KINDS[kind]
    if not least <= len(inputs) <= most:
        count = str(least) if least == most else f"{least} to {most}"
        node.fault("derive-inputs", f"'{kind}' is computed from {count} field(s), named in 'inputs'.")
        return None
    value = given["value"].any_text() if "value" in given else None
    if (kind == "constant") != (value is not None):
        node.fault("wrong-value", "'value' belongs to the kind 'constant', which needs it.")
    separator = given["separator"].any_text() if "separator" in given else " "
    limits, labels = _band(node, kind, given)
    return Derive(kind, inputs, " " if separator is None else separator, value, limits, labels)


def _band(node: Node, kind: str, given: dict[str, Node]) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The limits and labels of a band; nothing for any other kind."""
    named = [given[word] for word in ("limits", "labels") if word in given]
    if kind != "band":
        for one in named:
            one.fault("wrong-value", f"'{one.word}' belongs to the kind 'band'.")
        return (), ()
    limits = given["limits"].rising() if "limits" in given else ()
    labels = given["labels"].texts() if "labels" in given else ()
    if len(named) < 2 or (limits and labels and len(labels) != len(limits) + 1):
        node.fault("derive-band", "a band has 'limits' in rising order, and in 'labels' one word more than limits.")
    return limits, labels


def _relationships(node: Node, system: str) -> tuple[str, ...]:
    """Foreign keys, as `<system>.<table>.<column>`."""
    found = []
    for one in node.items("relationships"):
        target = one.get("to")
        if isinstance(target, str) and _LOCAL.match(target):
            found.append(f"{system}.{target}")
        else:
            one.fault("unknown-reference", "'to' must be <table>.<column> of the same system.")
    return tuple(found)


def _quality(node: Node, identity: str, relationships: tuple[str, ...]) -> tuple[Quality, ...]:
    """The field's own rules, and those that `unique` and `relationships` stand for."""
    rules = [rule for one in node.items("quality") if (rule := read_quality(one, identity)) is not None]
    if node.get("unique"):
        rules.append(Quality(f"{identity}_unique", "set", "unique", (identity,), _where(node, "unique")))
    for target in relationships:
        where = _where(node, "relationships")
        rules.append(Quality(f"{identity}_reference", "set", "reference", (identity,), where, {"to": target}))
    return tuple(rules)


def _where(node: Node, term: str) -> Any:
    return node.document.line((*node.place, term))
