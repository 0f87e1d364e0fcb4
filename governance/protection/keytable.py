"""The unwrapped keys of one batch's subjects."""

import os
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from governance.errors import KeyUnavailableError

KEY_BYTES = 32
PSEUDONYM_BYTES = 16

Bytes2D = npt.NDArray[np.uint8]


def _owned(rows: Bytes2D, width: int, what: str) -> Bytes2D:
    if rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != width:
        raise KeyUnavailableError(f"{what} must be uint8 of shape (m, {width}), not {rows.dtype} {rows.shape}")
    return np.require(rows, requirements=["C", "W", "O"])


class KeyTable:
    """Subject keys (m, 32) and pseudonyms (m, 16), uint8; row i is subject i of the batch.

    Takes the arrays over (and copies what it can't write to), so that `clear` wipes them. Refuses repr, pickle,
    copying and comparison. Wiping reaches these arrays only: Python can't promise that no copy was made elsewhere.
    """

    __slots__ = ("_keys", "_pseudonyms")

    def __init__(self, keys: Bytes2D, pseudonyms: Bytes2D) -> None:
        if len(keys) != len(pseudonyms):
            raise KeyUnavailableError(f"{len(keys)} keys but {len(pseudonyms)} pseudonyms")
        self._keys = _owned(keys, KEY_BYTES, "subject keys")
        self._pseudonyms = _owned(pseudonyms, PSEUDONYM_BYTES, "pseudonyms")

    @classmethod
    def random(cls, count: int) -> "KeyTable":
        """`count` new subjects: keys and pseudonyms from the operating system's generator."""
        keys = np.frombuffer(bytearray(os.urandom(count * KEY_BYTES)), np.uint8)
        pseudonyms = np.frombuffer(bytearray(os.urandom(count * PSEUDONYM_BYTES)), np.uint8)
        return cls(keys.reshape(count, KEY_BYTES), pseudonyms.reshape(count, PSEUDONYM_BYTES))

    @classmethod
    def join(cls, *tables: "KeyTable") -> "KeyTable":
        """One table with the rows of all, in order. The given tables stay as they are; clear them if done with."""
        if not tables:
            return cls.random(0)
        return cls(
            np.concatenate([table.reveal() for table in tables]),
            np.concatenate([table.pseudonyms for table in tables]),
        )

    def take(self, rows: npt.NDArray[np.integer]) -> "KeyTable":
        """A new table of the given rows, in the given order."""
        return KeyTable(self._keys[rows], self._pseudonyms[rows])

    def reveal(self) -> Bytes2D:
        """The keys themselves, (m, 32), for the one call that needs them."""
        return self._keys

    @property
    def pseudonyms(self) -> Bytes2D:
        """The pseudonyms, (m, 16), read-only. They stand in every store and are no secret."""
        view = self._pseudonyms.view()
        view.flags.writeable = False
        return view

    def clear(self) -> None:
        """Overwrite keys and pseudonyms with zeroes and leave the table empty: what is tried afterwards refuses.

        An encryption under way in another thread refuses too, at its end.
        """
        keys, pseudonyms = self._keys, self._pseudonyms
        self._keys, self._pseudonyms = keys[:0], pseudonyms[:0]
        keys[:] = 0
        pseudonyms[:] = 0

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> NoReturn:
        raise TypeError("a key table has no printable form")

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key table can't be pickled or copied")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("key tables can't be compared")

    __hash__ = None  # type: ignore[assignment]
