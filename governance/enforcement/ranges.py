"""Amounts that are written as a range, and amounts as one of a few bands."""

from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from math import floor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.convert import convert

_AMOUNT = r"[0-9][0-9,]*(?:\.[0-9]+)?"
_UNIT = r"(?:[A-Z]{2,3}\s?)?\p{Sc}?\s?"
_RANGE = rf"^\s*{_UNIT}(?P<one>{_AMOUNT})\s?\p{{Sc}}?(?:\s*[-–—]\s*{_UNIT}(?P<other>{_AMOUNT})\s?\p{{Sc}}?)?\s*$"  # noqa: RUF001

_DIGITS, _TOO_MUCH = 76, 10**38
"""Of the widest decimal that Arrow has; what no column of a plan reaches."""
_EXACT = Context(prec=_DIGITS)


def range_bounds(text: pa.Array, word: str) -> tuple[pa.Array, pa.Array]:
    """The lower and the higher bound of `7.92 - 16.23`, in the type `word` (int64, double or decimal).

    One amount is both bounds; which of two stands first doesn't matter. Amounts may carry a currency sign or code and
    commas between thousands. Both bounds are null where a text is anything else, or a bound doesn't fit the type.
    """
    found = pc.extract_regex(text, _RANGE)
    one, other = (pc.struct_field(found, name) for name in ("one", "other"))
    single = pc.equal(other, "")  # a group that took no part
    first, second = (convert(part, word, ("money",), ("",), trim=False).values for part in (one, other))
    second = pc.if_else(single, first, second)
    lower, higher = pc.less(first, second), pc.greater(first, second)  # null where either bound is
    return pc.if_else(lower, first, second), pc.if_else(higher, first, second)


def band(numbers: pa.Array, limits: Sequence[float], labels: Sequence[str]) -> pa.Array:
    """The label of the first limit that a number doesn't exceed, the last label above them all; null for null.

    `limits` rise, and there is one label more. Decimals are compared as decimals, never as doubles.
    """
    place = np.zeros(len(numbers), dtype=np.int64)
    for limit in limits:
        place += _above(numbers, limit)
    missing = ~_mask(numbers.is_valid())
    return pa.array(list(labels), pa.string()).take(pa.array(place, mask=missing))


def _above(numbers: pa.Array, limit: float) -> np.ndarray:
    """Which numbers exceed a limit (nulls don't). A type without fractions, or with few, has none between the limit
    and the next lower number that it can hold.
    """
    kind = numbers.type
    if pa.types.is_floating(kind):
        return _mask(pc.greater(numbers, float(limit)).fill_null(False))
    scale = kind.scale if pa.types.is_decimal(kind) else 0
    units = floor(Fraction(str(limit)) * 10**scale)
    if abs(units) >= _TOO_MUCH:
        return _mask(numbers.is_valid()) if units < 0 else np.zeros(len(numbers), dtype=bool)
    wide = pa.decimal256(_DIGITS, scale)
    held = pa.scalar(Decimal(units).scaleb(-scale, _EXACT), wide)
    return _mask(pc.greater(numbers.cast(wide), held).fill_null(False))


def _mask(values: pa.Array) -> np.ndarray:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)
