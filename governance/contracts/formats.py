"""The closed set of forms in which a source may write dates, moments, numbers and truth values.

`enforcement.convert` and `enforcement.dates` read exactly these; a test holds the two together.
"""

import re

from governance.contracts.types import LogicalType

NUMBERS = ("plain", "money", "money_comma")
INTEGERS = (*NUMBERS, "float_integer")
BOOLEANS = ("true_false", "yes_no", "0_1")
TEXTS = ("float_integer",)
DATES = ("iso",)
MOMENTS = ("iso", "epoch_seconds", "epoch_millis")

_LETTERS = ("yyyy", "MM", "M", "MMM", "dd", "d", "HH", "H", "hh", "h", "mm", "m", "ss", "s", "a", "X", "XX", "XXX")
_PIECE = re.compile(r"'(?:[^']|'')*'|([A-Za-z])\1*|.", re.DOTALL)
_SEVERAL = (("MM", "M", "MMM"), ("dd", "d"), ("HH", "H", "hh", "h"), ("mm", "m"), ("ss", "s"), ("X", "XX", "XXX"))


def words_for(kind: LogicalType) -> tuple[str, ...]:
    """The named forms of a logical type."""
    return {
        LogicalType.NUMBER: NUMBERS,
        LogicalType.INTEGER: INTEGERS,
        LogicalType.BOOLEAN: BOOLEANS,
        LogicalType.STRING: TEXTS,
        LogicalType.DATE: DATES,
        LogicalType.TIMESTAMP: MOMENTS,
        LogicalType.TIME: ("iso",),
    }.get(kind, ())


def is_form(kind: LogicalType, form: str) -> bool:
    """Whether values of the logical type may be declared in this form."""
    if form in words_for(kind):
        return True
    if kind not in (LogicalType.DATE, LogicalType.TIMESTAMP):
        return False
    return pattern_fault(form) is None


def pattern_fault(pattern: str) -> str | None:
    """Why a text is no date pattern (of Java's DateTimeFormatter, as in ODCS); None if it is one."""
    pieces = [m[0] for m in _PIECE.finditer(pattern) if m[1]]
    unknown = [p for p in pieces if p not in _LETTERS and set(p) != {"S"}]
    if unknown:
        return f"'{unknown[0]}' is none of {', '.join(_LETTERS)}, S"
    if pattern.count("'") % 2:
        return "a quote isn't closed"
    return _combination_fault(pieces)


def _combination_fault(pieces: list[str]) -> str | None:
    present = [[p for p in pieces if p in group] for group in _SEVERAL]
    fractions = [p for p in pieces if set(p) == {"S"}]
    if len(set(pieces)) < len(pieces) or len(fractions) > 1 or any(len(group) > 1 for group in present):
        return "a part stands in it twice"
    if "yyyy" not in pieces or not present[0] or not present[1]:
        return "a year, a month and a day must stand in it"
    if any(p in ("hh", "h") for p in pieces) != ("a" in pieces):
        return "'hh' and 'a' belong together"
    return None
