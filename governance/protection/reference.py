"""The same bytes as the kernel's, one row at a time through `cryptography` and hashlib.

Used where the CPU lacks AES instructions and where few cells are touched, since loading the kernel costs more than
it saves there. Formats are those of `kernel`: a token of either opens with the other.
"""

import base64
import hashlib
import os

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.protection.columns import I32, I64, U8, Column
from governance.protection.tokenform import (
    BAD_PADDING,
    BLOCK,
    NONCE,
    NOT_A_TOKEN,
    NOT_AUTHENTIC,
    OPENED,
    PREFIX,
    TAG,
)


class Reference:
    """The engine without compiled code. What each method does: `engine.Engine`."""

    name = "reference"

    def digest(self, column: Column, rows: range, key: bytes, person: bytes, out: U8) -> None:
        """See `Engine.digest`."""
        for row in rows:
            if not column.is_null(row):
                digest = hashlib.blake2b(column.bytes_at(row), key=key, person=person, digest_size=32).digest()
                out[row] = np.frombuffer(digest, np.uint8)

    def encrypt(
        self, column: Column, rows: range, subject: I32, keys: U8, names: U8, origin: bytes, ends: I64, out: U8
    ) -> None:
        """See `Engine.encrypt`."""
        for row in rows:
            if column.is_null(row):
                continue
            who = subject[row]
            sealed = _seal(keys[who].tobytes(), _pad(column.bytes_at(row)), origin + names[who].tobytes())
            token = PREFIX + base64.urlsafe_b64encode(sealed).rstrip(b"=")
            out[ends[row] : ends[row + 1]] = np.frombuffer(token, np.uint8)

    def open(
        self,
        column: Column,
        rows: range,
        subject: I32,
        keys: U8,
        names: U8,
        origin: bytes,
        out: U8,
        lengths: I64,
        status: U8,
    ) -> int:
        """See `Engine.open`."""
        used = 0
        for row in rows:
            if column.is_null(row) or status[row] != OPENED:
                continue
            who = subject[row]
            key, associated = keys[who].tobytes(), origin + names[who].tobytes()
            plain, status[row] = _open_token(column.bytes_at(row), key, associated)
            out[used : used + len(plain)] = np.frombuffer(plain, np.uint8)
            lengths[row] = len(plain)
            used += len(plain)
        return used

    def seal_rows(self, plain: U8, ids: U8, key: bytes, context: bytes, out: U8) -> None:
        """See `Engine.seal_rows`."""
        cipher = AESGCM(key)
        for row in range(len(plain)):
            nonce = os.urandom(NONCE)
            sealed = nonce + cipher.encrypt(nonce, plain[row].tobytes(), context + ids[row].tobytes())
            out[row] = np.frombuffer(sealed, np.uint8)

    def open_rows(self, sealed: U8, ids: U8, key: bytes, context: bytes, out: U8) -> int:
        """See `Engine.open_rows`."""
        cipher = AESGCM(key)
        for row in range(len(sealed)):
            raw = sealed[row].tobytes()
            try:
                plain = cipher.decrypt(raw[:NONCE], raw[NONCE:], context + ids[row].tobytes())
            except InvalidTag:
                return row
            out[row] = np.frombuffer(plain, np.uint8)
        return -1


def _pad(plain: bytes) -> bytes:
    return plain + b"\x80" + b"\x00" * (BLOCK - 1 - len(plain) % BLOCK)


def _seal(key: bytes, plain: bytes, associated: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def _open_token(token: bytes, key: bytes, associated: bytes) -> tuple[bytes, int]:
    text = token[len(PREFIX) :]
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b"", NOT_A_TOKEN
    whole = len(raw) >= NONCE + BLOCK + TAG and (len(raw) - NONCE - TAG) % BLOCK == 0
    # Python's decoder takes '+', '/' and spare bits: only what it would itself write is canonical.
    if not (whole and PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=") == token):
        return b"", NOT_A_TOKEN
    try:
        padded = AESGCM(key).decrypt(raw[:NONCE], raw[NONCE:], associated)
    except InvalidTag:
        return b"", NOT_AUTHENTIC
    plain = padded.rstrip(b"\x00")
    if not plain.endswith(b"\x80") or len(padded) - len(plain) >= BLOCK:
        return b"", BAD_PADDING
    return plain[:-1], OPENED
