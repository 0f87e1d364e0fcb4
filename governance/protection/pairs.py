"""A subject's key and pseudonym, sealed together as one value under the epoch's key; and other single values."""

import os

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.errors import KeyUnavailableError, TokenError
from governance.model.secret import Secret
from governance.protection.choice import choose
from governance.protection.columns import column_of, new_buffer
from governance.protection.engine import Engine
from governance.protection.framing import Part, frame
from governance.protection.keytable import KEY_BYTES, PSEUDONYM_BYTES, KeyTable
from governance.protection.tokenform import NONCE, TAG

ID_BYTES = 16
PAIR_BYTES = KEY_BYTES + PSEUDONYM_BYTES
SEALED_BYTES = NONCE + PAIR_BYTES + TAG

Ids = npt.NDArray[np.uint8]


def seal(
    keys: KeyTable, ids: Ids, epoch_key: Secret, entity: str, epoch: int, engine: Engine | None = None
) -> pa.FixedSizeBinaryArray:
    """Each subject's key and pseudonym under the epoch's key: nonce, AES-256-GCM ciphertext, tag; 76 bytes a row.

    ids: the internal ids, uint8 of shape (m, 16). Entity, epoch and internal id are authenticated, so a sealed
    value can't be moved to another row. Random 96-bit nonces: at 2**32 values under one epoch's key a collision is
    still less likely than 2**-32 (NIST SP 800-38D, 8.3). Raises KeyUnavailableError for a key of another size.
    """
    raw_key, context = _checked(epoch_key), _context(entity, epoch)
    rows = _ids(ids, len(keys))
    buffer, memory = new_buffer(len(keys) * SEALED_BYTES)
    plain = np.concatenate([keys.reveal(), keys.pseudonyms], axis=1)
    worker = engine or choose(len(keys))
    worker.seal_rows(plain, rows, raw_key, context, memory.reshape(len(keys), SEALED_BYTES))
    plain[:] = 0
    return pa.Array.from_buffers(pa.binary(SEALED_BYTES), len(keys), [None, buffer])


def open(  # noqa: A001  read as pairs.open
    sealed: pa.Array | pa.ChunkedArray,
    ids: Ids,
    epoch_key: Secret,
    entity: str,
    epoch: int,
    engine: Engine | None = None,
) -> KeyTable:
    """Undo `seal`; row i of the table is row i of `sealed`.

    Raises TokenError naming the first row that is null, of another length, altered, or sealed for another internal
    id, entity, epoch or key; then no key at all is given.
    """
    raw_key, context = _checked(epoch_key), _context(entity, epoch)
    column = column_of(sealed)
    rows = _ids(ids, len(column))
    odd = np.diff(column.offsets) != SEALED_BYTES
    if column.valid is not None:
        odd |= ~column.valid
    if odd.any():
        raise TokenError(f"row {odd.argmax()}: a sealed pair has {SEALED_BYTES} bytes; this one is null or has not")
    packed = column.data[column.offsets[0] : column.offsets[-1]].reshape(len(column), SEALED_BYTES)
    plain = np.zeros((len(column), PAIR_BYTES), np.uint8)
    worker = engine or choose(len(column))
    refused = worker.open_rows(packed, rows, raw_key, context, plain)
    if refused < 0:
        table = KeyTable(plain[:, :KEY_BYTES].copy(), plain[:, KEY_BYTES:].copy())
    plain[:] = 0
    if refused >= 0:
        raise TokenError(
            f"row {refused}: the sealed pair doesn't open: it was altered, or is of another subject, entity or epoch"
        )
    return table


def seal_bytes(plaintext: bytes, key: Secret, context: tuple[Part, ...]) -> bytes:
    """One value under a key: nonce, AES-256-GCM ciphertext, tag. The context is authenticated, part by part.

    Its length shows. Raises KeyUnavailableError unless the key has 32 bytes.
    """
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(_checked(key)).encrypt(nonce, plaintext, frame("kb1.bytes", *context))


def open_bytes(sealed: bytes, key: Secret, context: tuple[Part, ...]) -> bytes:
    """Undo `seal_bytes`. Raises TokenError if the value is cut short, altered, or of another key or context."""
    cipher = AESGCM(_checked(key))
    if len(sealed) < NONCE + TAG:
        raise TokenError("a sealed value is cut short")
    try:
        return cipher.decrypt(sealed[:NONCE], sealed[NONCE:], frame("kb1.bytes", *context))
    except InvalidTag:
        raise TokenError("a sealed value doesn't open: it was altered, or belongs to another place or key") from None


def _context(entity: str, epoch: int) -> bytes:
    # Followed by the internal id, whose length stands here: the same bytes as frame(…, id).
    return frame("kb1.pair", entity, epoch.to_bytes(8, "big")) + ID_BYTES.to_bytes(4, "big")


def _checked(key: Secret) -> bytes:
    if len(key) != KEY_BYTES:
        raise KeyUnavailableError(f"a sealing key has {KEY_BYTES} bytes, this one {len(key)}")
    return key.reveal()


def _ids(ids: Ids, rows: int) -> Ids:
    if ids.dtype != np.uint8 or ids.shape != (rows, ID_BYTES):
        raise TokenError(f"internal ids must be uint8 of shape ({rows}, {ID_BYTES}), not {ids.dtype} {ids.shape}")
    return np.ascontiguousarray(ids)
