"""What an engine does; `reference` and `kernel` are the two. Which one works is `choice`'s to say."""

from typing import Protocol

from governance.protection.columns import I32, I64, U8, Column


class Engine(Protocol):
    """Fills buffers that `digests`, `cells` and `pairs` have checked and laid out.

    rows: the range to work on, so that threads share a column. subject, keys, names: each row's subject, the keys
    (m, 32) and pseudonyms (m, 16). origin: the associated data up to the pseudonym.
    """

    @property
    def name(self) -> str:
        """kernel or reference."""

    def digest(self, column: Column, rows: range, key: bytes, person: bytes, out: U8) -> None:
        """Fill out[i] (32 bytes) with the keyed BLAKE2b-256 of each row that isn't null."""

    def encrypt(
        self, column: Column, rows: range, subject: I32, keys: U8, names: U8, origin: bytes, ends: I64, out: U8
    ) -> None:
        """Write each row's token at out[ends[i]:ends[i + 1]], which has room for just that."""

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
        """Write the values one after another to out; fill lengths and status of the rows; bytes written.

        Rows that are null or already have a status are passed over. out has room for 3/4 of the tokens' bytes and
        a block.
        """

    def seal_rows(self, plain: U8, ids: U8, key: bytes, context: bytes, out: U8) -> None:
        """Seal each row of plain (m, w) under one key, its id in the associated data, into out (m, 28 + w)."""

    def open_rows(self, sealed: U8, ids: U8, key: bytes, context: bytes, out: U8) -> int:
        """Undo `seal_rows`. Returns the first row that refuses, or -1."""
