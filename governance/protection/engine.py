"""Which implementation does the work: compiled kernel or reference.

Both give and take the same bytes. The kernel needs AES instructions and, once a process, the time to load it, so a
process that touches few cells never loads it: only a call of FEW_CELLS or more does, or `warm`. Once loaded it does
every call.
"""

import functools
from typing import Protocol

from governance.protection.columns import I32, I64, U8, Column
from governance.protection.reference import Reference

FEW_CELLS = 8192


class Engine(Protocol):
    """Fills buffers that `digests`, `cells` and `pairs` have checked and laid out."""

    @property
    def name(self) -> str:
        """kernel or reference."""

    def digest(self, column: Column, rows: range, key: bytes, person: bytes, out: U8) -> None:
        """See `Reference.digest`."""

    def encrypt(
        self, column: Column, rows: range, subject: I32, keys: U8, names: U8, origin: bytes, ends: I64, out: U8
    ) -> None:
        """See `Reference.encrypt`."""

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
        """See `Reference.open`."""

    def seal_rows(self, plain: U8, ids: U8, key: bytes, context: bytes, out: U8) -> None:
        """See `Reference.seal_rows`."""

    def open_rows(self, sealed: U8, ids: U8, key: bytes, context: bytes, out: U8) -> int:
        """See `Reference.open_rows`."""


_REFERENCE = Reference()


def choose(cells: int) -> Engine:
    """The engine for a call that touches so many cells."""
    return warm() if cells >= FEW_CELLS or _load.cache_info().currsize else _REFERENCE


def warm() -> Engine:
    """Load the kernel ahead of use, as a long-running process does at its start; the reference where it can't run."""
    return _load()


@functools.cache
def _load() -> Engine:
    return _REFERENCE
