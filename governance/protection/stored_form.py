"""What protected columns look like where they are stored: whether a cell can be what its column promises.

By form alone, without any key. A cell of the right form may still not open; one of another form is no protected cell.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from governance.protection.tokenform import BLOCK, NONCE, PREFIX, TAG

MASKED = "***"
"""What a masked cell holds."""

Mask = npt.NDArray[np.bool_]

_TOKEN = rf"\A{PREFIX.decode().replace('.', '[.]')}[A-Za-z0-9_-]+\z"
_PSEUDONYM = r"\A[0-9a-f]{32}\z"


def not_tokens(values: pa.Array) -> Mask:
    """The cells that hold something else than a token: wrong prefix, sign or length."""
    text = _text(values)
    sizes = pc.binary_length(text).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64) - len(PREFIX)
    raw = sizes * 3 // 4
    whole: Mask = (sizes % 4 != 1) & (raw >= NONCE + BLOCK + TAG) & ((raw - NONCE - TAG) % BLOCK == 0)
    return _held(text) & ~(_matches(text, _TOKEN) & whole)


def not_pseudonyms(values: pa.Array) -> Mask:
    """The cells that hold something else than a pseudonym's 32 hexadecimal digits."""
    text = _text(values)
    return _held(text) & ~_matches(text, _PSEUDONYM)


def not_masked(values: pa.Array) -> Mask:
    """The cells that hold something else than the mask."""
    text = _text(values)
    same = pc.equal(text, pa.scalar(MASKED, text.type)).fill_null(True)
    return ~np.asarray(same.to_numpy(zero_copy_only=False), dtype=bool)


def _text(values: pa.Array) -> pa.Array:
    kind = values.type
    return values if pa.types.is_string(kind) or pa.types.is_large_string(kind) else values.cast(pa.string())


def _held(values: pa.Array) -> Mask:
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False), dtype=bool)


def _matches(values: pa.Array, pattern: str) -> Mask:
    found = pc.match_substring_regex(values, pattern).fill_null(False)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool)
