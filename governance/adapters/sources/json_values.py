"""One JSON record to one row of texts, without guessing a type.

A number keeps its literal text (1.10 stays 1.10), true and false are words, a nested object becomes dotted paths, a
list becomes JSON text. The wrappers of MongoDB's Extended JSON (`{"$oid": …}`, `{"$date": …}`, `{"$numberLong": …}`)
give way to what they hold.
"""

import json
import re
from typing import Any

from governance.errors import SourceError
from governance.flows.source import LARGEST_RECORD, MalformedReason

DEEPEST = 64
WIDEST = 4096
"""Levels and leaves that a record may have."""

Row = dict[str, str | None]

_WRAPPERS = frozenset(
    ("$oid", "$date", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal", "$uuid", "$symbol")
)
_ODD_ESCAPE = re.compile(r"\\u(?:0000|[dD][89abAB])")
_BLANK = re.compile(r"[ \t\r\n]*")


class Number(str):
    """A number's literal text, told from a string where it matters: in lists."""

    __slots__ = ()


class UnfitError(SourceError):
    """A value that is no record; says why, and nothing of the value."""

    def __init__(self, reason: MalformedReason) -> None:
        super().__init__(f"the record is malformed: {reason}")
        self.reason = reason


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) != len(pairs):
        raise UnfitError(MalformedReason.DUPLICATE_KEY)
    return held


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=Number, parse_int=Number, parse_constant=Number)


def decode_at(text: str, at: int) -> tuple[Any, int] | None:
    """The value that begins at `at` and the place after it; None if it is cut off or unfit (`decode` says which)."""
    try:
        return _decoder.raw_decode(text, at)
    except (UnfitError, RecursionError, ValueError):
        return None


def decode(text: str) -> Any:
    """The one value that the text is. Raises UnfitError."""
    begin = _end_of_blank(text, 0)
    try:
        value, end = _decoder.raw_decode(text, begin)
    except RecursionError:
        raise UnfitError(MalformedReason.TOO_DEEP) from None
    except ValueError:
        end, value = -1, None
    if _end_of_blank(text, end) != len(text):
        raise UnfitError(MalformedReason.NUL_BYTE if "\0" in text else MalformedReason.NOT_JSON)
    return value


def _end_of_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at) if at >= 0 else None
    return found.end() if found else -1


def is_odd(text: str) -> bool:
    """Whether a record in the text may hold NUL or a surrogate without its other half, raw or escaped."""
    if _ODD_ESCAPE.search(text):
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def to_row(value: Any, *, odd: bool = False) -> Row:
    """The record as a row; `odd` asks for a look at every text. Raises UnfitError."""
    if type(value) is not dict:
        raise UnfitError(MalformedReason.NOT_AN_OBJECT)
    row: Row = {}
    for key, held in value.items():
        if (held is None or isinstance(held, str)) and key not in row:
            row[key] = held
        else:
            _put(row, key, held, 1)
    if len(row) > WIDEST:
        raise UnfitError(MalformedReason.TOO_WIDE)
    if odd:
        _look(row)
    return row


def check_length(text: str) -> None:
    """Raise UnfitError if a record's text comes to more bytes than a record may have."""
    if len(text) > LARGEST_RECORD // 4 and len(text.encode("utf-8", "surrogatepass")) > LARGEST_RECORD:
        raise UnfitError(MalformedReason.TOO_LARGE)


def _put(row: Row, path: str, value: Any, depth: int) -> None:
    if type(value) is dict:
        _put_object(row, path, value, depth)
        return
    if path in row:
        raise UnfitError(MalformedReason.DUPLICATE_KEY)
    if value is None or isinstance(value, str):
        row[path] = value
    elif type(value) is bool:
        row[path] = "true" if value else "false"
    else:
        row[path] = _text(value, depth)


def _put_object(row: Row, path: str, value: dict[str, Any], depth: int) -> None:
    if depth > DEEPEST:
        raise UnfitError(MalformedReason.TOO_DEEP)
    if len(value) == 1 and (held := next(iter(value.items())))[0] in _WRAPPERS:
        _put(row, path, held[1], depth + 1)
    elif not value:
        _put(row, path, None, depth)
    else:
        for key, held in value.items():
            _put(row, f"{path}.{key}", held, depth + 1)


def _text(value: Any, depth: int) -> str:
    """JSON text of a value within a list; numbers as they were written."""
    if depth > DEEPEST:
        raise UnfitError(MalformedReason.TOO_DEEP)
    if type(value) is Number:
        return value
    if isinstance(value, str) and "\0" in value:
        raise UnfitError(MalformedReason.NUL_BYTE)
    if type(value) is list:
        return "[" + ",".join(_text(one, depth + 1) for one in value) + "]"
    if type(value) is dict:
        if len(value) == 1 and (held := next(iter(value.items())))[0] in _WRAPPERS:
            return _text(held[1], depth + 1)
        return "{" + ",".join(f"{_text(k, depth)}:{_text(v, depth + 1)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _look(row: Row) -> None:
    every = "".join(row) + "".join(value for value in row.values() if value)
    if "\0" in every:
        raise UnfitError(MalformedReason.NUL_BYTE)
    try:
        every.encode()
    except UnicodeEncodeError:
        raise UnfitError(MalformedReason.ENCODING) from None
