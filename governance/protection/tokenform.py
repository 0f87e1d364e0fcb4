"""The text form of an encrypted cell, and why one is refused.

`kb1.` then base64url without padding (RFC 4648 section 5) of nonce (12 bytes), AES-256-GCM ciphertext (a multiple of
16 bytes) and tag (16 bytes). Exactly one text stands for given bytes: spare bits are zero, nothing else is read.
"""

from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

PREFIX: Final = b"kb1."
NONCE: Final = 12
TAG: Final = 16
BLOCK: Final = 16

S = TypeVar("S", int, npt.NDArray[np.int64])

OPENED: Final = 0
NOT_A_TOKEN: Final = 1
NOT_AUTHENTIC: Final = 2
BAD_PADDING: Final = 3
NO_KEY: Final = 4
NOT_TEXT: Final = 5

REASONS: Final = {
    NOT_A_TOKEN: "is no token: wrong prefix, cut short, or not canonical base64url",
    NOT_AUTHENTIC: "doesn't authenticate: it was altered, or belongs to another subject, field or dataset",
    BAD_PADDING: "authenticates but isn't padded as a cell is",
    NO_KEY: "has no subject key: it was shredded, or the row names no subject",
    NOT_TEXT: "opens to bytes that aren't UTF-8; open the column as binary",
}


def token_size(plain: S) -> S:
    """Bytes of the token of a value of `plain` bytes; works on numpy arrays of sizes too."""
    raw = plain // BLOCK * BLOCK + (NONCE + BLOCK + TAG)
    return (raw * 4 + 2) // 3 + len(PREFIX)
