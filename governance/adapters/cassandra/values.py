"""Cells between messages, Cassandra and Arrow."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
from cassandra.util import Date, Time

Record = dict[str, Any]


def reader(kind: pa.DataType) -> Callable[[Any], Any]:
    """How a cell of a message (`flows.governed`) becomes what the driver takes; null stays null."""
    if pa.types.is_decimal(kind):
        return Decimal
    if pa.types.is_timestamp(kind):
        return _moment
    if pa.types.is_date(kind):
        return date.fromisoformat
    if pa.types.is_time(kind):
        return lambda text: Time(time.fromisoformat(text))
    if pa.types.is_floating(kind):
        return float
    return _as_is


def plain(value: Any) -> Any:
    """A cell that the driver gives, as Python's own type: a moment with its zone, a date, a time."""
    if isinstance(value, Date):
        return value.date()
    if isinstance(value, Time):
        return value.time()
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def key_values(key: bytes) -> tuple[Any, ...]:
    """The values of an identity as messages carry it: a JSON array, or one text."""
    if key.startswith(b"["):
        return tuple(orjson.loads(key))
    return (key.decode(),)


def _moment(text: str) -> datetime:
    """Cut to milliseconds, as Cassandra would: both for a record and for what it is compared with."""
    found = datetime.fromisoformat(text).astimezone(UTC)
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def _as_is(value: Any) -> Any:
    return value
