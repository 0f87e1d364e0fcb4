"""Dates and timestamps from text, by a declared pattern, on whole Arrow columns. Never guessed, never rolled over.

Patterns are those of ODCS, that is of Java's DateTimeFormatter: yyyy MM M MMM dd d HH H hh h mm m ss s S… a X XXX
and quoted literals;
`iso` is ISO 8601, `epoch_seconds` and `epoch_millis` count from 1970-01-01 UTC. A timestamp without a zone is in UTC.
"""

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import ContractError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TOKENS = {
    "yyyy": ("year", r"[0-9]{4}"),
    "MMM": ("month_name", "(?i:" + "|".join(_MONTHS) + ")"),
    "MM": ("month", r"[0-9]{2}"),
    "M": ("month", r"[0-9]{1,2}"),
    "dd": ("day", r"[0-9]{2}"),
    "d": ("day", r"[0-9]{1,2}"),
    "HH": ("hour", r"[0-9]{2}"),
    "H": ("hour", r"[0-9]{1,2}"),
    "hh": ("half_hour", r"[0-9]{2}"),
    "h": ("half_hour", r"[0-9]{1,2}"),
    "mm": ("minute", r"[0-9]{2}"),
    "m": ("minute", r"[0-9]{1,2}"),
    "ss": ("second", r"[0-9]{2}"),
    "s": ("second", r"[0-9]{1,2}"),
    "a": ("half", r"(?i:am|pm)"),
    "X": ("zone", r"Z|[+-][0-9]{2}(?::?[0-9]{2})?"),
    "XX": ("zone", r"Z|[+-][0-9]{4}"),
    "XXX": ("zone", r"Z|[+-][0-9]{2}:[0-9]{2}"),
}
_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|.", re.DOTALL)
_FIRST, _LAST = (
    pa.scalar(text).cast(pa.timestamp("us", tz="UTC"))
    for text in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")
)
_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_ISO_DATE = r"^(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})$"
_ISO_MOMENT = (
    r"^(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?"
    r" ?(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$"
)


@lru_cache(maxsize=256)
def pattern_to_regex(pattern: str) -> str:
    """The RE2 expression with named groups that a date pattern stands for. Raises ContractError."""
    parts = []
    for match in _PIECE.finditer(pattern):
        piece = match[0]
        if match[1] is not None:
            parts.append(re.escape(match[1].replace("''", "'") or "'"))
        elif set(piece) == {"S"}:
            parts.append(rf"(?P<fraction>[0-9]{{1,{max(len(piece), 9)}}})")
        elif piece in _TOKENS:
            name, expression = _TOKENS[piece]
            parts.append(f"(?P<{name}>{expression})")
        elif piece[0].isalpha():
            raise ContractError(f"the date pattern has '{piece}', which is none of {', '.join(sorted(_TOKENS))}, S")
        else:
            parts.append(re.escape(piece))
    return "^" + "".join(parts) + "$"


def parse_dates(values: pa.Array, pattern: str) -> pa.Array:
    """date32 of a text column; null where the text isn't a day of the calendar in this pattern."""
    encoded = values.dictionary_encode()
    days = _moments(encoded.dictionary, _ISO_DATE if pattern == "iso" else pattern_to_regex(pattern))
    return (
        days.cast(pa.timestamp("s")).cast(pa.date32()).take(encoded.indices)
        if len(days)
        else pa.nulls(len(values), pa.date32())
    )


def parse_timestamps(values: pa.Array, pattern: str) -> pa.Array:
    """timestamp[us, UTC] of a text column; null where the text is no moment of the years 1 to 9999 in this pattern."""
    moments = _timestamps(values, pattern)
    outside = pc.or_(pc.less(moments, _FIRST), pc.greater(moments, _LAST))
    return pc.if_else(outside, pa.scalar(None, moments.type), moments) if pc.any(outside).as_py() else moments


def _timestamps(values: pa.Array, pattern: str) -> pa.Array:
    target = pa.timestamp("us", tz="UTC")
    if pattern in ("epoch_seconds", "epoch_millis"):
        fits = pc.match_substring_regex(values, r"^-?[0-9]{1,14}$")
        numbers = pc.if_else(fits, values, pa.scalar(None, values.type)).cast(pa.int64())
        if pattern == "epoch_seconds":  # beyond the calendar, and in microseconds beyond an int64 too
            numbers = pc.if_else(pc.less(pc.abs(numbers), 10**12), numbers, pa.scalar(None, pa.int64()))
        micros = pc.multiply(numbers, 1_000_000 if pattern == "epoch_seconds" else 1_000)
        return micros.cast(pa.timestamp("us")).cast(target)
    if pattern == "iso" and len(values):
        plain = pc.match_substring_regex(
            values, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
        )
        if pc.all(plain, skip_nulls=True).as_py() is not False:
            try:
                return values.cast(target)
            except pa.ArrowInvalid:
                pass  # an impossible day or hour somewhere: the slower way tells which rows
    return (
        _moments(values, _ISO_MOMENT if pattern == "iso" else pattern_to_regex(pattern))
        .cast(pa.timestamp("us"))
        .cast(target)
    )


def parse_times(values: pa.Array) -> pa.Array:
    """time64[us] of a text column in ISO 8601 (hours and minutes at least); null where it is no time of day."""
    expression = r"^(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,6}))?)?$"
    return _moments(values, expression).cast(pa.time64("us"))


def _moments(values: pa.Array, expression: str) -> pa.Array:
    """int64-backed timestamp[us] of texts that fit the expression and name a possible moment; null elsewhere."""
    found = pc.extract_regex(values.cast(pa.string()), expression)
    groups = {found.type.field(i).name: found.field(i) for i in range(found.type.num_fields)}
    fits = found.is_valid().to_numpy(zero_copy_only=False) & values.is_valid().to_numpy(zero_copy_only=False)
    year, day = _digits(groups, "year", 1970, fits), _digits(groups, "day", 1, fits)
    month = _month(groups, fits)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    possible = (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1)
    last = _DAYS[np.clip(month, 1, 12) - 1] + (leap & (month == 2))
    possible &= day <= last
    hour = _hour(groups, fits)
    minute, second = _digits(groups, "minute", 0, fits), _digits(groups, "second", 0, fits)
    possible &= (hour >= 0) & (hour < 24) & (minute < 60) & (second < 60)
    offset, offset_fits = _offset(groups, fits)
    good = fits & possible & offset_fits
    months = (np.where(good, year, 1970) - 1970) * 12 + np.where(good, month, 1) - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + np.where(good, day, 1) - 1
    micros = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) * 1_000_000 + _fraction(groups, fits)
    return pa.array(micros, mask=~good).cast(pa.timestamp("us"))


def _digits(groups: dict[str, pa.Array], name: str, default: int, fits: np.ndarray) -> np.ndarray:
    if name not in groups:
        return np.full(len(fits), default, dtype=np.int64)
    texts = pc.if_else(pc.equal(pc.binary_length(groups[name]), 0), pa.scalar(None, pa.string()), groups[name])
    numbers = texts.cast(pa.int64()).fill_null(default).to_numpy(zero_copy_only=False)
    return np.where(fits, numbers, default)


def _month(groups: dict[str, pa.Array], fits: np.ndarray) -> np.ndarray:
    if "month_name" not in groups:
        return _digits(groups, "month", 1, fits)
    place = pc.index_in(pc.utf8_lower(groups["month_name"]), value_set=pa.array(_MONTHS))
    return np.asarray(place.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64) + 1


def _hour(groups: dict[str, pa.Array], fits: np.ndarray) -> np.ndarray:
    if "half_hour" not in groups:
        return _digits(groups, "hour", 0, fits)
    hour = _digits(groups, "half_hour", 12, fits)
    if "half" not in groups:
        return np.where((hour >= 1) & (hour <= 12), hour, -1)
    afternoon = pc.equal(pc.utf8_lower(groups["half"]), "pm").fill_null(False).to_numpy(zero_copy_only=False)
    return np.where((hour >= 1) & (hour <= 12), hour % 12 + 12 * afternoon, -1)


def _fraction(groups: dict[str, pa.Array], fits: np.ndarray) -> np.ndarray:
    if "fraction" not in groups:
        return np.zeros(len(fits), dtype=np.int64)
    padded = pc.utf8_slice_codeunits(pc.utf8_rpad(groups["fraction"], 6, "0"), 0, 6)
    return _digits({"f": padded}, "f", 0, fits)


def _offset(groups: dict[str, pa.Array], fits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minutes east of UTC, and where they are possible (at most 18 hours)."""
    if "zone" not in groups:
        return np.zeros(len(fits), dtype=np.int64), np.ones(len(fits), dtype=bool)
    zone = pc.replace_substring_regex(groups["zone"], r"^Z$", "+0000")
    parts = pc.extract_regex(zone, r"^(?P<sign>[+-])(?P<h>[0-9]{2}):?(?P<m>[0-9]{2})?$")
    named = {n: parts.field(i) for i, n in enumerate(("sign", "h", "m"))}
    minutes = _digits(named, "h", 0, fits) * 60 + _digits(named, "m", 0, fits)
    west = pc.equal(named["sign"], "-").fill_null(False).to_numpy(zero_copy_only=False)
    return np.where(west, -minutes, minutes), minutes <= 18 * 60
