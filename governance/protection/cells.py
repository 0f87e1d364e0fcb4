"""Cells: one value, encrypted under its subject's key and bound to its origin.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; the plaintext is padded to a multiple of 16 bytes as ISO/IEC
7816-4 says (libsodium's sodium_pad), so a token tells a value's length only in steps of 16. Associated data are
dataset id, field id and pseudonym, each with its length, so no cell passes for another person's, field's or
dataset's. Two cells of one person and field are interchangeable.

Random nonces: a key is one person's, so even a billion cells of one person (2**30) leave the chance that two share a
nonce under 2**-37. SP 800-38D's own limit, 2**32 a key, is out of reach.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.errors import KeyUnavailableError, ProtectionError, TokenError
from governance.protection.choice import choose
from governance.protection.columns import (
    I32,
    I64,
    U8,
    Column,
    Mask,
    array_of,
    column_of,
    new_buffer,
    over_rows,
)
from governance.protection.engine import Engine
from governance.protection.framing import frame
from governance.protection.keytable import PSEUDONYM_BYTES, KeyTable
from governance.protection.tokenform import BLOCK, NO_KEY, NOT_TEXT, OPENED, REASONS, token_size

__all__ = ["KeyTable", "encrypt", "open", "try_open"]

Values: TypeAlias = pa.Array | pa.ChunkedArray
Subjects: TypeAlias = npt.NDArray[np.integer]


def encrypt(
    values: Values,
    subject: Subjects,
    keys: KeyTable,
    dataset: str,
    field: str,
    *,
    threads: int = 1,
    engine: Engine | None = None,
) -> pa.Array:
    """A token for each value of a text or binary column; null stays null.

    subject: for each row its subject's row in `keys`; -1 only where the value is null. dataset and field are the
    stable ids of the origin. Returns `string`, or `large_string` where the tokens take more than 2 GiB.
    Raises KeyUnavailableError naming the first row that has a value but no key.
    """
    column = column_of(values)
    who = _subjects(subject, len(column))
    lost = _keyless(who, column, keys)
    if lost.any():
        raise KeyUnavailableError(
            f"row {lost.argmax()}: the value of {dataset}.{field} has no subject key, so it can't be stored"
        )
    ends = _token_ends(column)
    buffer, out = new_buffer(int(ends[-1]))
    origin, secret, names = _origin(dataset, field), keys.reveal(), keys.pseudonyms
    worker = engine or choose(len(column))
    over_rows(
        len(column),
        threads,
        lambda start, stop: worker.encrypt(column, range(start, stop), who, secret, names, origin, ends, out),
    )
    if len(keys) != len(secret):
        raise KeyUnavailableError("the key table was cleared while cells were encrypted; none of them may be stored")
    return array_of(pa.string(), ends, buffer, column.valid)


def open(  # noqa: A001  read as cells.open
    tokens: Values,
    subject: Subjects,
    keys: KeyTable,
    dataset: str,
    field: str,
    *,
    threads: int = 1,
    as_type: pa.DataType | None = None,
    engine: Engine | None = None,
) -> pa.Array:
    """The values behind a column of tokens; null stays null. Arguments as in `encrypt`.

    as_type: string (default), binary, or their large kin, which also come where values take more than 2 GiB.
    Raises TokenError, naming the first row that refuses and why, never its value; KeyUnavailableError where that
    row has no key.
    """
    opened = _open(tokens, subject, keys, (dataset, field), threads, as_type, engine)
    failed = opened.status != OPENED
    if failed.any():
        row = int(failed.argmax())
        reason = int(opened.status[row])
        error = KeyUnavailableError if reason == NO_KEY else TokenError
        raise error(f"row {row} of {dataset}.{field} {REASONS[reason]}")
    return opened.values


def try_open(
    tokens: Values,
    subject: Subjects,
    keys: KeyTable,
    dataset: str,
    field: str,
    *,
    threads: int = 1,
    as_type: pa.DataType | None = None,
    engine: Engine | None = None,
) -> tuple[pa.Array, Mask]:
    """As `open`, but a row that refuses becomes null and is true in the mask (numpy, bool) that comes second."""
    opened = _open(tokens, subject, keys, (dataset, field), threads, as_type, engine)
    return opened.values, opened.status != OPENED


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Opened:
    values: pa.Array
    status: U8


def _open(
    tokens: Values,
    subject: Subjects,
    keys: KeyTable,
    place: tuple[str, str],
    threads: int,
    as_type: pa.DataType | None,
    engine: Engine | None,
) -> _Opened:
    kind = as_type or pa.string()
    if kind not in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary()):
        raise ProtectionError(f"cells open as string or binary, not as {kind}")
    column = column_of(tokens)
    rows = len(column)
    who = _subjects(subject, rows)
    status = np.where(_keyless(who, column, keys), NO_KEY, OPENED).astype(np.uint8)
    lengths = np.zeros(rows, np.int64)
    origin, secret, names = _origin(*place), keys.reveal(), keys.pseudonyms
    worker = engine or choose(rows)

    def work(start: int, stop: int) -> U8:
        most = int(column.offsets[stop] - column.offsets[start])
        room = np.empty(most * 3 // 4 + BLOCK, np.uint8)
        used = worker.open(column, range(start, stop), who, secret, names, origin, room, lengths, status)
        return room[:used]

    parts = over_rows(rows, threads, work)
    data = parts[0] if len(parts) == 1 else np.concatenate(parts)
    ends = np.zeros(rows + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    if kind in (pa.string(), pa.large_string()):
        _refuse_non_text(data, ends, status)
    return _Opened(array_of(kind, ends, pa.py_buffer(data), _still_valid(column, status)), status)


def _still_valid(column: Column, status: U8) -> Mask | None:
    opened: Mask = status == OPENED
    if column.valid is not None:
        return opened & column.valid
    return None if opened.all() else opened


def _refuse_non_text(data: U8, ends: I64, status: U8) -> None:
    """Mark the rows whose bytes aren't UTF-8. All at once is quick; row by row only where that fails."""
    try:
        array_of(pa.string(), ends, pa.py_buffer(data), None).validate(full=True)
    except pa.ArrowInvalid:
        for row in range(len(status)):
            try:
                data[ends[row] : ends[row + 1]].tobytes().decode()
            except UnicodeDecodeError:
                status[row] = NOT_TEXT


def _origin(dataset: str, field: str) -> bytes:
    # Followed by the pseudonym, whose length stands here: the same bytes as frame(…, pseudonym).
    return frame("kb1", dataset, field) + PSEUDONYM_BYTES.to_bytes(4, "big")


def _subjects(subject: Subjects, rows: int) -> I32:
    if subject.shape != (rows,) or not np.issubdtype(subject.dtype, np.integer):
        raise ProtectionError(f"subjects must be {rows} integers, not {subject.dtype} of shape {subject.shape}")
    if subject.dtype != np.int32 and rows and not (-(2**31) <= int(subject.min()) <= int(subject.max()) < 2**31):
        raise ProtectionError("subjects must fit 32 bits")
    return np.ascontiguousarray(subject, np.int32)


def _keyless(who: I32, column: Column, keys: KeyTable) -> Mask:
    lost: Mask = who.view(np.uint32) >= np.uint32(len(keys))
    return lost if column.valid is None else lost & column.valid


def _token_ends(column: Column) -> I64:
    sizes = token_size(np.diff(column.offsets))
    if column.valid is not None:
        sizes[~column.valid] = 0
    ends = np.zeros(len(column) + 1, np.int64)
    np.cumsum(sizes, out=ends[1:])
    return ends
