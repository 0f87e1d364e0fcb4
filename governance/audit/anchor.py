"""The lines of an anchor: signed heads and erasures, each holding the hash of the line before it.

The chain finds an edited, dropped or reordered line inside the anchor. It can't find that the last lines were cut off:
that is what other credentials and append-only storage are for.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, TypeAlias

import orjson

from governance.audit.heads import SignedHead
from governance.audit.records import MAX_INTEGER, Value, canonical
from governance.errors import AuditError

FIRST_PREVIOUS: Final = "0" * 64
"""What the first line holds in place of a hash."""


class AnchorError(AuditError):
    """A line of the anchor is not what was written; the message has its number (from 1)."""


@dataclass(frozen=True)
class Erasure:
    """A person who was erased: the internal id, which is random and never reused, and the request's id."""

    subject: int
    request: str


AnchorEntry: TypeAlias = SignedHead | Erasure


@dataclass(frozen=True)
class Chain:
    """Where an anchor ends: how many lines, and the hash of the last one."""

    lines: int = 0
    previous: str = FIRST_PREVIOUS


def add_line(chain: Chain, entry: AnchorEntry) -> tuple[bytes, Chain]:
    """The line for an entry (canonical JSON and a newline), and the chain behind it."""
    kind = "head" if isinstance(entry, SignedHead) else "erasure"
    fields: dict[str, Value] = (
        entry.to_fields() if isinstance(entry, SignedHead) else {"request": entry.request, "subject": entry.subject}
    )
    line = canonical({**fields, "kind": kind, "line": chain.lines + 1, "previous": chain.previous})
    return line + b"\n", Chain(chain.lines + 1, sha256(line).hexdigest())


def read_line(chain: Chain, line: bytes) -> tuple[AnchorEntry, Chain]:
    """One line's entry (without its newline), and the chain behind it.

    Raises AnchorError where the line is not canonical, doesn't follow the one before, or is of no known kind.
    """
    number = chain.lines + 1
    fields = _object(line, number)
    if fields.pop("line", None) != number or fields.pop("previous", None) != chain.previous:
        raise AnchorError(
            f"anchor line {number} doesn't follow the line before it: one of the two was edited, dropped or moved"
        )
    return _entry(fields, number), Chain(number, sha256(line).hexdigest())


def read_lines(lines: Iterable[bytes]) -> Iterator[AnchorEntry]:
    """Entries of whole lines, checked as a chain."""
    chain = Chain()
    for line in lines:
        entry, chain = read_line(chain, line)
        yield entry


def _entry(fields: dict[str, Any], number: int) -> AnchorEntry:
    kind = fields.pop("kind", None)
    if kind == "erasure":
        return _erasure(fields, number)
    if kind != "head":
        raise AnchorError(f"anchor line {number} is neither a head nor an erasure")
    try:
        return SignedHead.from_fields(fields)
    except AuditError as error:
        raise AnchorError(f"anchor line {number}: {error}") from None


def _erasure(fields: Mapping[str, object], number: int) -> Erasure:
    subject, request = fields.get("subject"), fields.get("request")
    fits = type(subject) is int and 0 <= subject <= MAX_INTEGER and isinstance(request, str)
    if set(fields) != {"subject", "request"} or not fits:
        raise AnchorError(f"anchor line {number}: an erasure has an internal id and a request id, and nothing else")
    return Erasure(int(str(subject)), str(request))


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise AnchorError(f"anchor line {number} is not JSON: it was edited or cut") from None
    if not isinstance(fields, dict) or orjson.dumps(fields, option=orjson.OPT_SORT_KEYS) != line:
        raise AnchorError(f"anchor line {number} is not canonical JSON: it was edited")
    return fields
