"""Lengths of time as contracts write them: `7` with unit `y`, `30 d`, or ISO 8601 `P7Y`; kept as ISO 8601."""

import re

_UNITS = {
    "s": "S",
    "second": "S",
    "seconds": "S",
    "min": "MIN",
    "minute": "MIN",
    "minutes": "MIN",
    "h": "H",
    "hour": "H",
    "hours": "H",
    "d": "D",
    "day": "D",
    "days": "D",
    "w": "W",
    "week": "W",
    "weeks": "W",
    "month": "M",
    "months": "M",
    "m": "M",
    "y": "Y",
    "yr": "Y",
    "year": "Y",
    "years": "Y",
}
_DAYS = {"S": 0, "MIN": 0, "H": 0, "D": 1, "W": 7, "M": 30, "Y": 365}
_LONGEST_DAYS = 100 * 366
_ISO = re.compile(r"P([1-9][0-9]{0,5})([DWMY])\Z|PT([1-9][0-9]{0,5})([HMS])\Z")
_WRITTEN = re.compile(r"\s*([1-9][0-9]{0,5})\s*([A-Za-z]+)\s*\Z")

UNITS = ("s", "min", "h", "d", "w", "m", "y")
"""The short words for a unit; `m` is a month, as in ODCS."""


def period(value: object, unit: str | None = None) -> str | None:
    """The ISO 8601 form (`P7Y`, `PT24H`); None where it is no bounded length of time from a second to 100 years."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value) if unit is None else f"{value} {unit}"
    if match := _ISO.match(text):
        count, letter = (match[1], match[2]) if match[1] else (match[3], match[4])
        letter = "MIN" if match[3] and letter == "M" else letter
    elif (match := _WRITTEN.match(text)) and match[2].lower() in _UNITS:
        count, letter = match[1], _UNITS[match[2].lower()]
    else:
        return None
    if int(count) * _DAYS[letter] > _LONGEST_DAYS:
        return None
    return f"PT{count}{letter[0]}" if letter in ("S", "MIN", "H") else f"P{count}{letter}"


def seconds(iso: str) -> int:
    """About how long a period of this module is (a month 30 days, a year 365): for comparing two of them."""
    match = _ISO.match(iso)
    if match is None:
        raise ValueError("not a period made by this module")
    if match[1]:
        return int(match[1]) * _DAYS[match[2]] * 86_400
    return int(match[3]) * {"H": 3_600, "M": 60, "S": 1}[match[4]]
