"""Whether a document is ODCS v3.1.0: checked against the standard's JSON schema, faults in a reader's words.

The schema is the one that the package `open-data-contract-standard` ships. A newer package ships a newer schema, so
what came after v3.1.0 is taken out of it here (see docs/adr/0002-odcs.md).
"""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any

import open_data_contract_standard
from jsonschema import Draft201909Validator
from jsonschema.exceptions import ValidationError

from governance.contracts.document import Document, Place
from governance.contracts.types import Fault
from governance.contracts.words import nearest

VERSION = "v3.1.0"
_NEWER_TERMS = {
    "CustomProperty": ("vendor",),
    "SchemaBaseProperty": ("enum", "semanticType", "map"),
    "SchemaElement": ("deprecated", "synonyms"),
    "SchemaObject": ("context",),
    "ServiceLevelAgreementProperty": ("authoritativeDefinitions", "customProperties"),
    "RelationshipBase": ("id",),
}
_NEWER_TYPES = ("map", "vector")
_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def lint(document: Document) -> list[Fault]:
    """Every place where the document isn't ODCS v3.1.0, in the order of the file."""
    errors = list(_innermost(_validator().iter_errors(document.data)))
    faults = {fault: None for error in errors for fault in _explain(document, error)}
    return sorted(faults, key=lambda fault: (fault.where.line, fault.code, fault.message))


@lru_cache(maxsize=1)
def _validator() -> Draft201909Validator:
    return Draft201909Validator(_schema())


def _schema() -> dict[str, Any]:
    """The shipped schema, narrowed to v3.1.0."""
    schema: dict[str, Any] = json.loads(files(open_data_contract_standard).joinpath("schema.json").read_text("utf-8"))
    schema["properties"].pop("context", None)
    schema["properties"]["apiVersion"] = {"type": "string", "enum": [VERSION]}
    schema["required"] = ["version", "apiVersion", "kind", "id", "status"]
    schema["additionalProperties"] = False
    for name, terms in _NEWER_TERMS.items():
        for term in terms:
            schema["$defs"][name]["properties"].pop(term, None)
    prop = schema["$defs"]["SchemaBaseProperty"]
    logical = prop["properties"]["logicalType"]
    logical["enum"] = [t for t in logical["enum"] if t not in _NEWER_TYPES]
    prop["allOf"] = [part for part in prop["allOf"] if not _is_about(part, _NEWER_TYPES)]
    return schema


def _is_about(part: dict[str, Any], types: tuple[str, ...]) -> bool:
    """Whether a condition of the schema is about one of these logical types."""
    condition = part.get("if", {}).get("properties", {}).get("logicalType", {})
    return condition.get("const") in types


def _innermost(errors: Iterable[ValidationError]) -> Iterator[ValidationError]:
    """The errors that say something. Where a part fails, the standard's schema also calls all of that part's terms
    unknown: those echoes are left out. Of alternatives, the one that got furthest speaks.
    """
    errors = list(errors)
    places = [tuple(e.absolute_path) for e in errors if e.validator != "unevaluatedProperties"]
    for error in errors:
        place = tuple(error.absolute_path)
        if error.validator == "unevaluatedProperties" and any(p[: len(place)] == place for p in places):
            yield from _unknown_only(error)
        elif error.validator in ("anyOf", "oneOf") and error.context:
            deepest = max(len(e.absolute_path) for e in error.context)
            inner = [e for e in error.context if len(e.absolute_path) == deepest]
            yield from _innermost(inner[:1]) if deepest > len(place) else [error]
        else:
            yield error


def _unknown_only(error: ValidationError) -> Iterator[ValidationError]:
    """An echo still counts if one of its terms is in no part of the schema."""
    known = set(_terms_of(error.schema))
    if isinstance(error.instance, dict) and known and set(error.instance) - known:
        yield error


def _explain(document: Document, error: ValidationError) -> Iterator[Fault]:
    place: Place = tuple(error.absolute_path)
    name = field_of(document, place)
    if error.validator == "required":
        yield from _missing(document, place, error, name)
    elif error.validator in ("additionalProperties", "unevaluatedProperties") and isinstance(error.instance, dict):
        terms = sorted(set(_terms_of(error.schema)))
        for key in sorted(set(error.instance) - set(terms)):
            yield Fault(
                document.line((*place, key)),
                "unknown-term",
                f"'{key}' is no term of ODCS {VERSION} here.",
                name,
                nearest(key, terms),
            )
    else:
        what, hint = _sentence(error)
        yield Fault(document.line(place), "not-odcs", f"{_path(place)} {what}.", name, hint)


def _missing(document: Document, place: Place, error: ValidationError, name: str | None) -> Iterator[Fault]:
    """What is required and absent, with the misspelt word that probably stands for it."""
    present = error.instance if isinstance(error.instance, dict) else {}
    wanted: Any = error.validator_value
    for key in wanted:
        if key not in present:
            yield Fault(document.line(place), "missing-term", f"{_path(place)} has no '{key}': add it.", name)


def _sentence(error: ValidationError) -> tuple[str, str | None]:
    """What is wrong with a value, without showing it beyond the words of the standard."""
    wanted: Any = error.validator_value
    if error.validator == "enum":
        given = error.instance if isinstance(error.instance, str) else ""
        return f"is none of {', '.join(map(str, wanted))}", nearest(given, [str(w) for w in wanted])
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return "must be " + " or ".join(_KINDS.get(k, k) for k in kinds), None
    if error.validator == "pattern":
        return f"doesn't have the form {wanted}", None
    if error.validator == "const":
        return f"must be {wanted}", None
    return f"breaks the standard's rule '{error.validator}'", None


def _path(place: Place) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.lstrip(".") or "the contract"


def field_of(document: Document, place: Place) -> str | None:
    """The id (or name) of the field that a place belongs to, if it belongs to one."""
    if len(place) < 4 or place[0] != "schema" or place[2] != "properties":
        return None
    try:
        one = document.data["schema"][place[1]]["properties"][place[3]]
        word = one.get("id") or one.get("name")
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    return word if isinstance(word, str) else None


def _terms_of(schema: Any) -> Iterator[str]:
    """Every term that a part of the schema, with what it refers to, knows."""
    waiting, seen = [schema], set()
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict) or id(part) in seen:
            continue
        seen.add(id(part))
        yield from part.get("properties", {})
        waiting += [part.get("then"), part.get("else"), *part.get("allOf", []), *part.get("anyOf", [])]
        waiting += part.get("oneOf", [])
        if "$ref" in part:
            waiting.append(_resolve(part["$ref"]))


def _resolve(reference: str) -> Any:
    part: Any = _validator().schema
    for step in reference.removeprefix("#/").split("/"):
        part = part[step]
    return part
