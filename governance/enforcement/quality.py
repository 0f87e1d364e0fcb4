"""Rules on one row, vectorised. A rule that can't be evaluated because some of its values are null fails:
only a row in which all of them are null passes (whether they may be null is `required`'s business).
"""

import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.plan import RulePlan, arrow_type
from governance.errors import ContractError

_CENT = 100


def broken(rule: RulePlan, values: dict[str, pa.Array]) -> np.ndarray:
    """Mask of the rows that break the rule. Raises ContractError for an unknown rule: never a pass."""
    check = _RULES.get(rule.rule)
    if check is None:
        raise ContractError(f"row rule '{rule.rule}' of {rule.name} is none of {', '.join(sorted(_RULES))}")
    columns = [values[f] for f in rule.fields]
    held = np.array([c.is_valid().to_numpy(zero_copy_only=False) for c in columns])
    holds = check(columns, rule.arguments)
    passes = holds.fill_null(False).to_numpy(zero_copy_only=False) if isinstance(holds, pa.Array) else holds
    return np.asarray(held.any(axis=0) & ~(held.all(axis=0) & passes))


def _difference(columns: list[pa.Array], _: dict[str, Any]) -> pa.Array:
    """The first is the second less the third, exactly."""
    whole, left, right = columns
    return pc.equal(whole, pc.subtract(left, right))


def _unit_price(columns: list[pa.Array], _: dict[str, Any]) -> np.ndarray:
    """round(total ÷ quantity, 2) = price, either way of rounding the half cent. In cents, which a double holds
    exactly.
    """
    total, quantity, price = (_doubles(c) for c in columns)
    cents = np.abs(np.round(total * _CENT) - np.round(price * _CENT) * quantity)
    return np.asarray((quantity != 0) & (cents <= np.abs(quantity) / 2))


def _doubles(column: pa.Array) -> np.ndarray:
    return np.asarray(column.cast(pa.float64()).fill_null(math.nan).to_numpy(zero_copy_only=False))


def _not_negative(columns: list[pa.Array], _: dict[str, Any]) -> pa.Array:
    return pc.greater_equal(columns[0], _scalar(0, columns[0].type))


def _between(columns: list[pa.Array], limits: dict[str, Any]) -> pa.Array:
    column = columns[0]
    result = column.is_valid()
    for name, compare in _BOUNDS.items():
        if name in limits:
            result = pc.and_(result, compare(column, _scalar(limits[name], column.type)))
    return result


def _scalar(value: object, kind: pa.DataType) -> pa.Scalar:
    """A contract's bound in the column's type; a bound that the type can't hold exactly is compared as a double."""
    if isinstance(value, str | date | datetime) and pa.types.is_temporal(kind):
        return pa.scalar(str(value), pa.string()).cast(kind)
    text = pa.scalar(str(value), pa.string())
    try:
        return text.cast(kind)
    except pa.ArrowInvalid:
        return text.cast(pa.float64())


def _in_set(columns: list[pa.Array], arguments: dict[str, Any]) -> pa.Array:
    column = columns[0]
    allowed = pa.array([str(v) for v in arguments["values"]], pa.string())
    return pc.is_in(column, value_set=allowed.cast(column.type))


def _matches(columns: list[pa.Array], arguments: dict[str, Any]) -> pa.Array:
    """The whole text matches (RE2), as ODCS' pattern means it."""
    return pc.match_substring_regex(columns[0], f"^(?:{arguments['pattern']})$")


def _length(columns: list[pa.Array], limits: dict[str, Any]) -> pa.Array:
    length = pc.utf8_length(columns[0])
    low, high = limits.get("minLength", 0), limits.get("maxLength", 2**31 - 1)
    return pc.and_(pc.greater_equal(length, low), pc.less_equal(length, high))


def _not_after(columns: list[pa.Array], _: dict[str, Any]) -> pa.Array:
    """The first moment or day is not after the second."""
    first, second = columns
    return pc.less_equal(first.cast(arrow_type("timestamp")), second.cast(arrow_type("timestamp")))


_BOUNDS: dict[str, Callable[..., pa.Array]] = {
    "minimum": pc.greater_equal,
    "maximum": pc.less_equal,
    "exclusiveMinimum": pc.greater,
    "exclusiveMaximum": pc.less,
    "min": pc.greater_equal,
    "max": pc.less_equal,
}

_RULES: dict[str, Callable[[list[pa.Array], dict[str, Any]], pa.Array | np.ndarray]] = {
    "net_of": _difference,
    "difference": _difference,
    "unit_price": _unit_price,
    "not_negative": _not_negative,
    "between": _between,
    "in_set": _in_set,
    "matches": _matches,
    "length": _length,
    "not_after": _not_after,
}
