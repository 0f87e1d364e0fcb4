"""libsodium over whole Arrow buffers: the engine for many cells.

No cipher is ours: AES-256-GCM, BLAKE2b and the random stream are libsodium's, as PyNaCl ships it, called at the
addresses that its cffi module gives. Ours are the loops, the padding and the base64 between buffers (`loops`).
Import this module through `choice`, which does without it where it can't run.
"""

import hmac
import os
import sys
from typing import Final

import numpy as np
import numpy.typing as npt
from nacl._sodium import ffi, lib

from governance.protection import loops
from governance.protection.columns import I32, I64, U8, Column
from governance.protection.tokenform import BLOCK

SLACK: Final = 64
BLAKE2B_BLOCK: Final = 128
WAITING: Final = 8 * (8 + 2 + 2) + 2 * BLAKE2B_BLOCK

SYMBOLS = (
    "sodium_init",
    "crypto_aead_aes256gcm_is_available",
    "crypto_aead_aes256gcm_encrypt",
    "crypto_aead_aes256gcm_decrypt",
    "crypto_generichash_blake2b_salt_personal",
    "crypto_generichash_blake2b_init_salt_personal",
    "crypto_generichash_blake2b_update",
    "crypto_generichash_blake2b_final",
    "crypto_generichash_statebytes",
    "randombytes_buf_deterministic",
)
"""What PyNaCl must expose; it is pinned, and a test looks for each."""


def available() -> bool:
    """Whether libsodium is initialised and has what is called here, and the CPU is little endian and has AES."""
    if sys.byteorder != "little" or not all(hasattr(lib, name) for name in SYMBOLS):
        return False
    return bool(lib.sodium_init() >= 0 and lib.crypto_aead_aes256gcm_is_available() == 1)


def _at(array: npt.NDArray[np.generic] | None) -> int:
    """Where an array's first element lies; 0 for None. The caller keeps the array alive."""
    return 0 if array is None else int(array.ctypes.data)


def _function(name: str) -> int:
    return int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))


def _room_for_name(origin: bytes) -> U8:
    return np.frombuffer(bytearray(origin + bytes(loops.NAME)), np.uint8)


def _longest(column: Column, rows: range) -> int:
    ends = column.offsets[rows.start : rows.stop + 1]
    return int((ends[1:] - ends[:-1]).max(initial=0))


def _pool() -> U8:
    """Nonces to come, seeded afresh by the operating system; the seed in use lies behind them."""
    pool = np.zeros(loops.RANDOM_BYTES + 32, np.uint8)
    pool[:32] = np.frombuffer(os.urandom(32), np.uint8)
    return pool


def _aligned(size: int) -> U8:
    room = np.zeros(size + 64, np.uint8)
    start = -_at(room) % 64
    return room[start : start + size]


def _keyed_state(key: bytes, person: bytes) -> U8 | None:
    """libsodium's BLAKE2b state after the key's block, so that it is taken in once and not with every value.

    Half the work of a short value. libsodium compresses the key's block only when more follows: one block and a byte
    do, and setting the count of waiting bytes back to none forgets them. That reaches into its structure, so the
    count must be where it is expected and a digest from the state must equal the one-shot function's; else None,
    and every value goes through the one-shot function.
    """
    state = _aligned(lib.crypto_generichash_statebytes())
    handle = ffi.cast("crypto_generichash_blake2b_state *", _at(state))
    salt, filler = bytes(16), bytes(BLAKE2B_BLOCK + 1)
    lib.crypto_generichash_blake2b_init_salt_personal(handle, key, len(key), loops.DIGEST, salt, person)
    lib.crypto_generichash_blake2b_update(handle, filler, len(filler))
    waiting = state[WAITING : WAITING + 8].view(np.int64)
    if waiting[0] != len(filler):
        return None
    waiting[0] = 0
    trial, found, expected = _aligned(len(state)), ffi.new("unsigned char[32]"), ffi.new("unsigned char[32]")
    trial[:] = state
    handle = ffi.cast("crypto_generichash_blake2b_state *", _at(trial))
    for part in (filler, b"trial"):
        lib.crypto_generichash_blake2b_update(handle, part, len(part))
    lib.crypto_generichash_blake2b_final(handle, found, loops.DIGEST)
    whole = filler + b"trial"
    lib.crypto_generichash_blake2b_salt_personal(expected, loops.DIGEST, whole, len(whole), key, len(key), salt, person)
    return state if hmac.compare_digest(bytes(found), bytes(expected)) else None


class Kernel:
    """The engine that compiles. What each method does: `engine.Engine`. Buffers must be C-contiguous."""

    name = "kernel"

    def __init__(self) -> None:
        self._seal = _function("crypto_aead_aes256gcm_encrypt")
        self._unseal = _function("crypto_aead_aes256gcm_decrypt")
        self._blake2b = _function("crypto_generichash_blake2b_salt_personal")
        self._update = _function("crypto_generichash_blake2b_update")
        self._final = _function("crypto_generichash_blake2b_final")
        self._random = _function("randombytes_buf_deterministic")

    def digest(self, column: Column, rows: range, key: bytes, person: bytes, out: U8) -> None:
        """See `Engine.digest`."""
        secret, who = np.frombuffer(key, np.uint8), np.frombuffer(person, np.uint8)
        state = _keyed_state(key, person)
        if state is None:
            source = (_at(column.data), _at(column.offsets), _at(column.valid))
            loops.digest_rows(self._blake2b, *source, _at(secret), _at(who), _at(out), rows.start, rows.stop)
            return
        scratch = _aligned(len(state))
        loops.digest_rows_keyed(
            (self._blake2b, self._update, self._final),
            (_at(state), _at(scratch), len(state)),
            (_at(column.data), _at(column.offsets), _at(column.valid)),
            _at(secret),
            _at(who),
            _at(out),
            rows.start,
            rows.stop,
        )

    def encrypt(
        self, column: Column, rows: range, subject: I32, keys: U8, names: U8, origin: bytes, ends: I64, out: U8
    ) -> None:
        """See `Engine.encrypt`."""
        pool, associated = _pool(), _room_for_name(origin)
        scratch = np.empty(_longest(column, rows) + loops.OVERHEAD + BLOCK + SLACK, np.uint8)
        loops.encrypt_rows(
            (self._seal, self._random),
            (_at(column.data), _at(column.offsets), _at(column.valid), _at(subject)),
            (_at(keys), _at(names)),
            (_at(associated), len(origin)),
            (_at(ends), _at(out)),
            (_at(pool), _at(scratch), _at(loops.ENCODE)),
            rows.start,
            rows.stop,
        )

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
        associated = _room_for_name(origin)
        scratch = np.empty(_longest(column, rows) + SLACK, np.uint8)
        used: int = loops.open_rows(
            self._unseal,
            (_at(column.data), _at(column.offsets), _at(column.valid), _at(subject)),
            (_at(keys), _at(names)),
            (_at(associated), len(origin)),
            (_at(out), _at(lengths), _at(status)),
            (_at(scratch), _at(loops.DECODE)),
            rows.start,
            rows.stop,
        )
        return used

    def seal_rows(self, plain: U8, ids: U8, key: bytes, context: bytes, out: U8) -> None:
        """See `Engine.seal_rows`."""
        secret, associated, pool = np.frombuffer(key, np.uint8), _room_for_name(context), _pool()
        loops.seal_pairs(
            self._seal,
            self._random,
            _at(plain),
            plain.shape[1],
            _at(ids),
            _at(secret),
            (_at(associated), len(context)),
            _at(out),
            _at(pool),
            len(plain),
        )

    def open_rows(self, sealed: U8, ids: U8, key: bytes, context: bytes, out: U8) -> int:
        """See `Engine.open_rows`."""
        secret, associated = np.frombuffer(key, np.uint8), _room_for_name(context)
        refused: int = loops.open_pairs(
            self._unseal,
            _at(sealed),
            out.shape[1],
            _at(ids),
            _at(secret),
            (_at(associated), len(context)),
            _at(out),
            len(sealed),
        )
        return refused
