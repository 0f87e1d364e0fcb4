"""Index digests: what stands in the control database for an alias."""

import pyarrow as pa

from governance.errors import KeyUnavailableError, ProtectionError
from governance.model.secret import Secret
from governance.protection.choice import choose
from governance.protection.columns import bitmap, column_of, new_buffer, over_rows
from governance.protection.engine import Engine

DIGEST_BYTES = 32
PERSON_BYTES = 16


def index_digests(
    values: pa.Array | pa.ChunkedArray,
    key: Secret,
    entity: str,
    threads: int = 1,
    engine: Engine | None = None,
) -> pa.FixedSizeBinaryArray:
    """Keyed BLAKE2b-256 of each value, personalised by entity (RFC 7693); null stays null.

    Equals hashlib.blake2b(value, key=…, digest_size=32, person=entity in UTF-8, padded with zeroes to 16 bytes).
    Text is digested as UTF-8, as it is: normalise before. Raises KeyUnavailableError unless the key has 32 bytes,
    ProtectionError for an entity of more than 16 bytes or a column that is neither text nor bytes.
    """
    if len(key) != DIGEST_BYTES:
        raise KeyUnavailableError(f"an index key has {DIGEST_BYTES} bytes, this one {len(key)}")
    column = column_of(values)
    person, raw_key = _person(entity), key.reveal()
    buffer, memory = new_buffer(len(column) * DIGEST_BYTES)
    out = memory.reshape(len(column), DIGEST_BYTES)
    if column.valid is not None:
        out[~column.valid] = 0
    worker = engine or choose(len(column))
    over_rows(len(column), threads, lambda start, stop: worker.digest(column, range(start, stop), raw_key, person, out))
    return pa.Array.from_buffers(pa.binary(DIGEST_BYTES), len(column), [bitmap(column.valid), buffer])


def nest(digests: pa.FixedSizeBinaryArray, new_key: Secret, entity: str, threads: int = 1) -> pa.FixedSizeBinaryArray:
    """H(new, old): digests under the next index key, made from the old ones without knowing any value."""
    return index_digests(digests, new_key, entity, threads)


def _person(entity: str) -> bytes:
    person = entity.encode()
    if not 1 <= len(person) <= PERSON_BYTES:
        raise ProtectionError(f"an entity's name takes 1 to {PERSON_BYTES} bytes of UTF-8, this one {len(person)}")
    return person.ljust(PERSON_BYTES, b"\x00")
