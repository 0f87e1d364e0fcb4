"""The compiled loops: rows of a column through libsodium, base64 between the buffers.

Every argument is an address or a size, a plain integer, so each loop is compiled once, whatever the column's type.
A C function's address is an argument too: numba would store a global one in its cache, and crash the next process,
where the library lies elsewhere. No interpreter lock is held. Nothing here checks a bound: `kernel` hands in buffers
that `columns`, `cells`, `digests` and `pairs` have measured.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from governance.protection.machine import (
    call,
    compiled,
    copy,
    fetch,
    leading_zeros,
    read8,
    read16,
    read32,
    read64,
    swap,
    write8,
    write32,
    write64,
)
from governance.protection.tokenform import BAD_PADDING, BLOCK, NONCE, NOT_A_TOKEN, NOT_AUTHENTIC, PREFIX, TAG

DIGEST: Final = 32
KEY: Final = 32
NAME: Final = 16
PREFIX_BYTES: Final = len(PREFIX)
PREFIX_WORD: Final = int.from_bytes(PREFIX, "little")
OVERHEAD: Final = NONCE + TAG
INVALID: Final = 1 << 31
NONCES: Final = 256
RANDOM_BYTES: Final = 32 + NONCES * NONCE
AHEAD: Final = 8

ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8)


# --- Base64 (RFC 4648, section 5, no padding) -----------------------------------------------------------------------


def _encode_table() -> npt.NDArray[np.uint16]:
    """Two characters, little endian, for each 12 bits."""
    first, second = np.divmod(np.arange(4096), 64)
    return (ALPHABET[first] | ALPHABET[second].astype(np.uint16) << 8).astype(np.uint16)


def _decode_table() -> npt.NDArray[np.uint32]:
    """For each place in a group of four, the character's 6 bits where they belong in 24, or INVALID."""
    table = np.full((4, 256), INVALID, np.uint32)
    for place in range(4):
        table[place, ALPHABET] = np.arange(64, dtype=np.uint32) << np.uint32(18 - 6 * place)
    return table


ENCODE = _encode_table()
DECODE = _decode_table()


@compiled
def _encode(source: int, size: int, target: int, table: int) -> None:
    """Reads up to 7 bytes past the source, writes no byte past the target."""
    stop = source + size
    while source + 6 <= stop:
        word = swap(read64(source))
        low = read16(table + ((word >> 51) & 0x1FFE)) | read16(table + ((word >> 39) & 0x1FFE)) << 16
        high = read16(table + ((word >> 27) & 0x1FFE)) | read16(table + ((word >> 15) & 0x1FFE)) << 16
        write64(target, low | high << 32)
        source += 6
        target += 8
    if source + 3 <= stop:
        word = swap(read64(source))
        low = read16(table + ((word >> 51) & 0x1FFE)) | read16(table + ((word >> 39) & 0x1FFE)) << 16
        write32(target, low)
        source += 3
        target += 4
    if source < stop:
        rest = read8(source) << 16
        if source + 1 < stop:
            rest |= read8(source + 1) << 8
        low = read16(table + ((rest >> 11) & 0x1FFE))
        write8(target, low)
        write8(target + 1, low >> 8)
        if source + 1 < stop:
            write8(target + 2, read16(table + ((rest << 1) & 0x1FFE)))


@compiled
def _decode(source: int, size: int, target: int, table: int) -> bool:
    """False unless canonical. Reads no character past the source, writes up to 2 bytes past the target."""
    stop = source + size
    seen = 0
    while source + 8 <= stop:
        word = read64(source)
        left = (
            read32(table + ((word & 0xFF) << 2))
            | read32(table + 1024 + ((word >> 6) & 0x3FC))
            | read32(table + 2048 + ((word >> 14) & 0x3FC))
            | read32(table + 3072 + ((word >> 22) & 0x3FC))
        )
        right = (
            read32(table + ((word >> 30) & 0x3FC))
            | read32(table + 1024 + ((word >> 38) & 0x3FC))
            | read32(table + 2048 + ((word >> 46) & 0x3FC))
            | read32(table + 3072 + ((word >> 54) & 0x3FC))
        )
        seen |= left | right
        write64(target, swap((left << 24 | right) << 16))
        source += 8
        target += 6
    while source < stop:
        count = min(stop - source, 4)
        group = 0
        for place in range(count):
            group |= read32(table + 1024 * place + 4 * read8(source + place))
        seen |= group
        # 2 characters carry 1 byte and 4 spare bits, 3 carry 2 and 2; spare bits that are set stand for nothing.
        if (count == 2 and group & 0xFFFF) or (count == 3 and group & 0xFF):
            return False
        for place in range(count - 1):
            write8(target + place, group >> (16 - 8 * place))
        source += count
        target += count - 1
    return seen & INVALID == 0


# --- Loops over rows ------------------------------------------------------------------------------------------------


@compiled
def digest_rows(
    blake2b: int, data: int, ends: int, valid: int, key: int, person: int, out: int, start: int, stop: int
) -> None:
    for row in range(start, stop):
        if valid and read8(valid + row) == 0:
            continue
        begin = read64(ends + 8 * row)
        size = read64(ends + 8 * row + 8) - begin
        call(blake2b, (out + DIGEST * row, DIGEST, data + begin, size, key, DIGEST, 0, person))


@compiled
def digest_rows_keyed(
    functions: tuple[int, int, int],
    state: tuple[int, int, int],
    source: tuple[int, int, int],
    key: int,
    person: int,
    out: int,
    start: int,
    stop: int,
) -> None:
    """As `digest_rows`, from a state that has taken in the key. An empty value has no other block than the key's."""
    blake2b, update, final = functions
    keyed, scratch, state_size = state
    data, ends, valid = source
    for row in range(start, stop):
        if valid and read8(valid + row) == 0:
            continue
        begin = read64(ends + 8 * row)
        size = read64(ends + 8 * row + 8) - begin
        if size == 0:
            call(blake2b, (out + DIGEST * row, DIGEST, data + begin, 0, key, DIGEST, 0, person))
        else:
            copy(scratch, keyed, state_size)
            call(update, (scratch, data + begin, size))
            call(final, (scratch, out + DIGEST * row, DIGEST))


@compiled
def _refill(random: int, pool: int) -> None:
    """The next nonces. The first 32 bytes of each fill seed the next one and are kept for nothing else."""
    seed = pool + RANDOM_BYTES
    copy(seed, pool, 32)
    call(random, (pool, RANDOM_BYTES, seed))


@compiled
def encrypt_rows(
    functions: tuple[int, int],
    source: tuple[int, int, int, int],
    table: tuple[int, int],
    associated: tuple[int, int],
    target: tuple[int, int],
    work: tuple[int, int, int],
    start: int,
    stop: int,
) -> None:
    seal, random = functions
    data, ends, valid, subject = source
    keys, names = table
    origin, origin_size = associated
    token_ends, out = target
    pool, scratch, characters = work
    left = 0
    nonce = 0
    for row in range(start, stop):
        if row + AHEAD < stop:
            later = read32(subject + 4 * (row + AHEAD))
            if later < INVALID:
                fetch(keys + KEY * later)
                fetch(names + NAME * later)
        if valid and read8(valid + row) == 0:
            continue
        if left == 0:
            _refill(random, pool)
            left, nonce = NONCES, pool + 32
        begin = read64(ends + 8 * row)
        size = read64(ends + 8 * row + 8) - begin
        padded = (size // BLOCK + 1) * BLOCK
        who = read32(subject + 4 * row)
        write64(scratch, read64(nonce))
        write32(scratch + 8, read32(nonce + 8))
        nonce += NONCE
        left -= 1
        plain = scratch + NONCE
        copy(plain, data + begin, size)
        write64(plain + size, 0x80)
        write64(plain + size + 8, 0)
        name = origin + origin_size
        write64(name, read64(names + NAME * who))
        write64(name + 8, read64(names + NAME * who + 8))
        call(seal, (plain, 0, plain, padded, origin, origin_size + NAME, 0, scratch, keys + KEY * who))
        token = out + read64(token_ends + 8 * row)
        write32(token, PREFIX_WORD)
        _encode(scratch, OVERHEAD + padded, token + PREFIX_BYTES, characters)


@compiled
def _unpadded(last: int) -> int:
    """How many bytes of a final block of 16 are the value's, -1 if it isn't padded (ISO/IEC 7816-4)."""
    size = 8
    word = read64(last + 8)
    if word == 0:
        size = 0
        word = read64(last)
    if word == 0:
        return -1
    shift: int = (63 - leading_zeros(word)) // 8
    if (word >> (8 * shift)) & 0xFF != 0x80:
        return -1
    return size + shift


@compiled
def _open_token(
    unseal: int, token: int, size: int, key: int, origin: int, origin_size: int, plain: int, scratch: int, table: int
) -> int:
    """The value's length, its bytes at `plain`; or minus the reason why the token refuses."""
    body = size - PREFIX_BYTES
    raw = body * 3 // 4
    padded = raw - OVERHEAD
    if padded < BLOCK or padded % BLOCK or body % 4 == 1 or read32(token) != PREFIX_WORD:
        return -NOT_A_TOKEN
    if not _decode(token + PREFIX_BYTES, body, scratch, table):
        return -NOT_A_TOKEN
    if call(unseal, (plain, 0, 0, scratch + NONCE, raw - NONCE, origin, origin_size, scratch, key)) != 0:
        return -NOT_AUTHENTIC
    rest = _unpadded(plain + padded - BLOCK)
    return -BAD_PADDING if rest < 0 else padded - BLOCK + rest


@compiled
def open_rows(
    unseal: int,
    source: tuple[int, int, int, int],
    table: tuple[int, int],
    associated: tuple[int, int],
    target: tuple[int, int, int],
    work: tuple[int, int],
    start: int,
    stop: int,
) -> int:
    data, ends, valid, subject = source
    keys, names = table
    origin, origin_size = associated
    out, lengths, status = target
    scratch, characters = work
    name = origin + origin_size
    plain = out
    for row in range(start, stop):
        if row + AHEAD < stop:
            later = read32(subject + 4 * (row + AHEAD))
            if later < INVALID:
                fetch(keys + KEY * later)
                fetch(names + NAME * later)
        if (valid and read8(valid + row) == 0) or read8(status + row) != 0:
            continue
        begin = read64(ends + 8 * row)
        size = read64(ends + 8 * row + 8) - begin
        who = read32(subject + 4 * row)
        write64(name, read64(names + NAME * who))
        write64(name + 8, read64(names + NAME * who + 8))
        found = _open_token(
            unseal, data + begin, size, keys + KEY * who, origin, origin_size + NAME, plain, scratch, characters
        )
        if found < 0:
            write8(status + row, -found)
        else:
            write64(lengths + 8 * row, found)
            plain += found
    return plain - out


@compiled
def seal_pairs(
    seal: int, random: int, plain: int, width: int, ids: int, key: int, associated: tuple[int, int], out: int,
    pool: int, rows: int,
) -> None:  # fmt: skip
    origin, origin_size = associated
    step = width + OVERHEAD
    for row in range(rows):
        if row % NONCES == 0:
            _refill(random, pool)
        copy(out + step * row, pool + 32 + NONCE * (row % NONCES), NONCE)
        copy(origin + origin_size, ids + NAME * row, NAME)
        sealed = out + step * row
        call(
            seal,
            (sealed + NONCE, 0, plain + width * row, width, origin, origin_size + NAME, 0, sealed, key),
        )


@compiled
def open_pairs(
    unseal: int, sealed: int, width: int, ids: int, key: int, associated: tuple[int, int], out: int, rows: int
) -> int:
    origin, origin_size = associated
    step = width + OVERHEAD
    for row in range(rows):
        copy(origin + origin_size, ids + NAME * row, NAME)
        nonce = sealed + step * row
        given = (out + width * row, 0, 0, nonce + NONCE, step - NONCE, origin, origin_size + NAME, nonce, key)
        if call(unseal, given) != 0:
            return row
    return -1
