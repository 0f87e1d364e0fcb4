"""The closed list of quality rules, and how ODCS `quality` entries become them.

Ours stand in `type: custom, engine: kasbah, implementation: {rule: …, fields: […], …}`. Of ODCS' library metrics
rowCount, nullValues, duplicateValues and invalidValues map onto them. A rule that can't be run is refused: never a
pass.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from governance.contracts.node import Node
from governance.contracts.types import Line, LogicalType, Quality
from governance.contracts.words import nearest

_NUMBERS = frozenset({LogicalType.INTEGER, LogicalType.NUMBER})
_DAYS = frozenset({LogicalType.DATE, LogicalType.TIMESTAMP})
_TEXT = frozenset({LogicalType.STRING})
_ANY = frozenset(LogicalType)
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


@dataclass(frozen=True)
class Rule:
    """One rule of the list: how many fields of which types, and its arguments, of which at least one is needed."""

    kind: Literal["row", "set"]
    fields: tuple[int, int]
    types: frozenset[LogicalType]
    arguments: tuple[str, ...] = ()
    same_type: bool = False


RULES: dict[str, Rule] = {
    "net_of": Rule("row", (3, 3), _NUMBERS, same_type=True),
    "difference": Rule("row", (3, 3), _NUMBERS, same_type=True),
    "unit_price": Rule("row", (3, 3), _NUMBERS),
    "not_negative": Rule("row", (1, 1), _NUMBERS),
    "between": Rule("row", (1, 1), _NUMBERS | _DAYS, _BOUNDS),
    "in_set": Rule("row", (1, 1), _TEXT | {LogicalType.INTEGER}, ("values",)),
    "matches": Rule("row", (1, 1), _TEXT, ("pattern",)),
    "length": Rule("row", (1, 1), _TEXT, ("minLength", "maxLength")),
    "not_after": Rule("row", (2, 2), _DAYS),
    "unique": Rule("set", (1, 32), _ANY),
    "row_count": Rule("set", (0, 0), _ANY, ("min", "max")),
    "reference": Rule("set", (1, 1), _ANY, ("to",)),
    "null_share": Rule("set", (1, 1), _ANY, ("max",)),
    "mean_between": Rule("set", (1, 1), _NUMBERS, ("min", "max")),
}
"""net_of and difference: a, b, c with a = b - c. unit_price: total, quantity, price. not_after: the earlier, the later.
reference `to`: `<system>.<table>.<column>`. null_share `max`: a share from 0 to 1.
"""

ENGINE = "kasbah"
_METRICS = ("rowCount", "nullValues", "duplicateValues", "invalidValues")
_REFERENCE = re.compile(r"[a-z][a-z0-9_]*\.[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*\Z")


def read_quality(node: Node, own_field: str | None = None) -> Quality | None:
    """One `quality` entry; None where it is documentation, or a fault."""
    kind = node.get("type") or "library"
    if kind == "text":
        return None
    if kind == "sql":
        node.fault("quality-not-run", "SQL in a contract is never run: write it as a rule of engine 'kasbah'.")
        return None
    made = _custom(node, own_field) if kind == "custom" else _library(node, own_field)
    if made is None:
        return None
    rule, fields, arguments = made
    name = node.get("name") or node.get("id") or "_".join((*fields, rule))
    kind_of = RULES[rule].kind
    return Quality(str(name), kind_of, rule, fields, _line(node), arguments, node.get("description") or "")


def _line(node: Node) -> Line:
    return node.document.line(node.place)


def _custom(node: Node, own: str | None) -> tuple[str, tuple[str, ...], dict[str, Any]] | None:
    engine, place = node.get("engine"), node.child("implementation")
    if engine != ENGINE:
        node.fault("quality-not-run", "the engine must be 'kasbah': no other is run.", nearest(str(engine), (ENGINE,)))
        return None
    if place is None or not isinstance(place.value, dict):
        node.fault("wrong-value", "'implementation' must be a mapping with rule, fields and the rule's arguments.")
        return None
    name = place.get("rule")
    if not isinstance(name, str) or name not in RULES:
        hint = nearest(name, RULES) if isinstance(name, str) else None
        (place.child("rule") or place).fault("unknown-rule", f"the rule is none of {', '.join(RULES)}.", hint)
        return None
    given = place.mapping(("rule", "fields", *RULES[name].arguments))
    fields = given["fields"].texts() if "fields" in given else (own,) if own and RULES[name].fields[1] else ()
    arguments = _arguments(given, name)
    sound = len(given) == len(place.value) and _complete(place, name, fields, arguments)
    return (name, fields, arguments) if sound else None


def _arguments(given: dict[str, Node], name: str) -> dict[str, Any]:
    known = RULES[name].arguments
    return {key: one for key in known if key in given and (one := _argument(given[key], key)) is not None}


def _complete(node: Node, name: str, fields: tuple[str, ...], arguments: dict[str, Any]) -> bool:
    """Whether a rule has as many fields as it takes, and an argument if it takes any."""
    rule = RULES[name]
    least, most = rule.fields
    if not least <= len(fields) <= most:
        count = f"{least}" if least == most else f"{least} to {most}"
        node.fault("rule-fields", f"the rule '{name}' takes {count} field(s) in 'fields'.")
    elif rule.arguments and not arguments:
        wanted = " or ".join(f"'{key}'" for key in rule.arguments)
        node.fault("rule-arguments", f"the rule '{name}' needs {wanted}.")
    else:
        return True
    return False


def _argument(node: Node, key: str) -> Any:
    """An argument of the right type, else a fault and None."""
    if key == "values":
        return list(node.scalars()) or None
    if key in ("minLength", "maxLength"):
        return node.count(0, 10_000_000)
    fits, wanted = _accepts(key, node.value)
    return node.value if fits else node.wrong(wanted)


def _accepts(key: str, value: object) -> tuple[bool, str]:
    """Whether a value fits an argument, and what would."""
    if key == "pattern":
        return is_pattern(value), "a regular expression (RE2)"
    if key == "to":
        return isinstance(value, str) and bool(_REFERENCE.match(value)), "<system>.<table>.<column>"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in _BOUNDS:
        return number or isinstance(value, str), "a number, or a day or moment in ISO 8601"
    return number, "a number"


def is_pattern(value: object) -> bool:
    """Whether a text is an RE2 expression."""
    if not isinstance(value, str):
        return False
    try:
        pc.match_substring_regex(pa.array([""]), f"^(?:{value})$")
    except pa.ArrowInvalid:
        return False
    return True


def _library(node: Node, own: str | None) -> tuple[str, tuple[str, ...], dict[str, Any]] | None:
    metric = node.get("metric")
    arguments = node.get("arguments") or {}
    named = arguments.get("properties")
    fields = (own,) if own else tuple(str(p) for p in named) if isinstance(named, list) else ()
    if metric == "rowCount" and not own:
        return _row_count(node)
    if metric == "nullValues" and len(fields) == 1:
        return _null_share(node, fields)
    if metric == "duplicateValues" and fields and node.get("mustBe") == 0:
        return "unique", fields, {}
    if metric == "invalidValues" and len(fields) == 1 and node.get("mustBe") == 0:
        return _invalid_values(node, fields, arguments)
    node.fault(
        "quality-not-run",
        f"this can't be run. Of the metrics {', '.join(_METRICS)} can: rowCount of a dataset with a bound, "
        "nullValues of a field in percent, duplicateValues and invalidValues with 'mustBe: 0'.",
    )
    return None


def _row_count(node: Node) -> tuple[str, tuple[str, ...], dict[str, Any]] | None:
    exact, between = node.get("mustBe"), node.get("mustBeBetween")
    low, high = node.get("mustBeGreaterOrEqualTo"), node.get("mustBeLessOrEqualTo")
    above, below = node.get("mustBeGreaterThan"), node.get("mustBeLessThan")
    if between:
        low, high = between
    elif exact is not None:
        low = high = exact
    low = above + 1 if isinstance(above, int) else low
    high = below - 1 if isinstance(below, int) else high
    limits = {k: v for k, v in (("min", low), ("max", high)) if isinstance(v, int)}
    if not limits:
        node.fault(
            "quality-not-run", "rowCount needs a bound in whole rows: mustBe, mustBeBetween, mustBeGreaterThan …"
        )
        return None
    return "row_count", (), limits


def _null_share(node: Node, fields: tuple[str, ...]) -> tuple[str, tuple[str, ...], dict[str, Any]] | None:
    most = node.get("mustBe") if node.get("mustBe") is not None else node.get("mustBeLessOrEqualTo")
    if most == 0:
        return "null_share", fields, {"max": 0.0}
    if isinstance(most, int | float) and 0 <= most <= 100 and node.get("unit") == "percent":
        return "null_share", fields, {"max": most / 100}
    node.fault("quality-not-run", "nullValues needs 'mustBe: 0', or 'mustBeLessOrEqualTo' with 'unit: percent'.")
    return None


def _invalid_values(
    node: Node, fields: tuple[str, ...], arguments: dict[str, Any]
) -> tuple[str, tuple[str, ...], dict[str, Any]] | None:
    values, pattern = arguments.get("validValues"), arguments.get("pattern")
    if isinstance(values, list) and values:
        return "in_set", fields, {"values": [str(v) for v in values]}
    if is_pattern(pattern):
        return "matches", fields, {"pattern": pattern}
    node.fault("quality-not-run", "invalidValues needs 'arguments' with 'validValues' or a 'pattern' (RE2).")
    return None
