"""Messages that go wrong, one function a defect, for the tests of whoever consumes a topic.

Each gives a message's key and value and what must become of it on a raw topic of listings. On a governed topic all of
them are forged, since none has a MAC. Around each a test puts sound ones, to see them survive: `sound`.
"""

from collections.abc import Callable
from typing import NamedTuple

import orjson

from samples.products import records
from samples.rows import ADMITTED, Outcome

MEGABYTE = 2**20


class BadMessage(NamedTuple):
    """`name` is the defect, `outcome` what must become of the message as a raw record."""

    name: str
    key: bytes | None
    value: bytes | None
    outcome: Outcome


def sound(number: int = 0) -> BadMessage:
    """A listing with nothing wrong about it."""
    return BadMessage("sound", f"P-{number}".encode(), _listing(number), ADMITTED)


def not_json() -> BadMessage:
    """Words."""
    return _malformed("not_json", b"the listing follows by post", "not_json")


def empty() -> BadMessage:
    """A value of no bytes, which is no tombstone."""
    return _malformed("empty", b"", "not_json")


def cut_off() -> BadMessage:
    """A record that ends within a text."""
    return _malformed("cut_off", _listing()[:40], "not_json")


def two_records() -> BadMessage:
    """One record after another."""
    return _malformed("two_records", _listing(1) + _listing(2), "not_json")


def array() -> BadMessage:
    """A list of records where one is due."""
    return _malformed("array", b"[" + _listing() + b"]", "not_an_object")


def bare_number() -> BadMessage:
    """42."""
    return _malformed("bare_number", b"42", "not_an_object")


def bare_null() -> BadMessage:
    """The word null, which is no tombstone."""
    return _malformed("bare_null", b"null", "not_an_object")


def wrong_schema() -> BadMessage:
    """A record of something else."""
    record = {"orderId": "O-000001", "lines": [{"sku": "A1", "pieces": 2}], "paid": True}
    return BadMessage("wrong_schema", b"O-000001", orjson.dumps(record), Outcome("required", "id"))


def no_object_inside() -> BadMessage:
    """A record in whose text fields stand records."""
    record = _record() | {"title": {"en": "Mug Set", "de": "Becher"}}
    return BadMessage("no_object_inside", b"P-0", orjson.dumps(record), Outcome("required", "title"))


def not_finite() -> BadMessage:
    """The bare word NaN for a number of pieces: Python's decoder takes it, JSON doesn't know it."""
    value = _listing().replace(b'"quantity":', b'"quantity":NaN,"was":')
    return BadMessage("not_finite", b"P-0", value, Outcome("type", "quantity"))


def duplicate_keys() -> BadMessage:
    """The name `id` twice, with different values: who takes the first and who takes the last disagree."""
    return _malformed("duplicate_keys", b'{"id":"P-777777",' + _listing()[1:], "duplicate_key")


def invalid_utf8() -> BadMessage:
    """A title in Windows-1252."""
    return _malformed("invalid_utf8", _titled("Décor").decode().encode("cp1252"), "encoding")


def utf16() -> BadMessage:
    """The whole record in UTF-16."""
    return _malformed("utf16", _listing().decode().encode("utf-16"), "encoding")


def lone_surrogate() -> BadMessage:
    r"""The escape \ud800, half of a character."""
    return _malformed("lone_surrogate", _titled("Mug@Set").replace(b"@", rb"\ud800"), "encoding")


def nul_byte() -> BadMessage:
    r"""The escape \u0000 in a title."""
    return _malformed("nul_byte", _titled("Mug\0Set"), "nul_byte")


def deep(levels: int = 100_000) -> BadMessage:
    """A list within a list within a list."""
    value = _listing()[:-1] + b',"more":' + b"[" * levels + b"]" * levels + b"}"
    return _malformed("deep", value, "too_deep")


def deep_object(levels: int = 1000) -> BadMessage:
    """A record within a record within a record."""
    value = _listing()[:-1] + b',"more":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"
    return _malformed("deep_object", value, "too_deep")


def wide(names: int = 20_000) -> BadMessage:
    """A record of more names than any table has columns."""
    value = orjson.dumps(_record() | {f"field{n}": n for n in range(names)})
    return _malformed("wide", value, "too_wide")


def huge(size: int = 10 * MEGABYTE) -> BadMessage:
    """A record with a title of `size` bytes. The broker must be told to take it."""
    return BadMessage("huge", b"P-0", _titled("Mug " * (size // 4)), Outcome("rule", "title", "title_length"))


def huge_noise(size: int = 10 * MEGABYTE) -> BadMessage:
    """`size` bytes that are no text at all."""
    return _malformed("huge_noise", b"\xff\xfe\x00" * (size // 3), "encoding")


def huge_number(digits: int = 1_000_000) -> BadMessage:
    """A number of pieces with a million digits: quadratic to read for who makes a number of it."""
    value = _listing().replace(b'"quantity":', b'"quantity":' + b"9" * digits + b',"was":')
    return BadMessage("huge_number", b"P-0", value, Outcome("type", "quantity"))


def tombstone() -> BadMessage:
    """A key without a value. On a raw topic nobody may delete by it: it holds no record."""
    return BadMessage("tombstone", b"P-0", None, Outcome("malformed", detail="not_an_object"))


def no_key() -> BadMessage:
    """A sound listing without a message key: a raw record's identity is in its value."""
    return BadMessage("no_key", None, _listing(3), ADMITTED)


ALL: tuple[Callable[[], BadMessage], ...] = (
    not_json, empty, cut_off, two_records, array, bare_number, bare_null, wrong_schema, no_object_inside, not_finite,
    duplicate_keys, invalid_utf8, utf16, lone_surrogate, nul_byte, deep, deep_object, wide, huge, huge_noise,
    huge_number, tombstone, no_key,
)  # fmt: skip
"""Every one, as it comes without an argument."""


def _malformed(name: str, value: bytes, detail: str) -> BadMessage:
    return BadMessage(name, b"P-0", value, Outcome("malformed", detail=detail))


def _record(number: int = 0) -> dict[str, object]:
    *_, last = records(3, number + 1)
    return last


def _listing(number: int = 0) -> bytes:
    return orjson.dumps(_record(number))


def _titled(title: str) -> bytes:
    return orjson.dumps(_record() | {"title": title})
