"""Known answers of two engines against each other, asked before the compiled one may work."""

from typing import Final

import numpy as np

from governance.errors import ProtectionError
from governance.protection.columns import I64, U8, Column
from governance.protection.engine import Engine
from governance.protection.tokenform import token_size

SIZES: Final = (0, 1, 15, 16, 17, 20, 31, 127, 128, 129, 300)
ROWS: Final = range(len(SIZES))
KEY: Final = bytes(range(32))
CONTEXT: Final = b"proof"


def prove(engine: Engine, other: Engine) -> None:
    """Digests must be equal, tokens and sealed pairs of each open with the other.

    Raises ProtectionError, so that no cell is ever written by machine code that is stale or wrong.
    """
    column = Column(np.frombuffer(b"".join(b"x" * size for size in SIZES), np.uint8), _ends(*SIZES), None)
    if not (_digests(engine, column) == _digests(other, column)).all():
        raise _wrong(engine, "digests")
    for one, two in ((engine, other), (other, engine)):
        if not _cells_open(one, two, column):
            raise _wrong(engine, "tokens")
        if not _pairs_open(one, two):
            raise _wrong(engine, "sealed pairs")


def _wrong(engine: Engine, what: str) -> ProtectionError:
    return ProtectionError(f"the {engine.name} makes wrong {what}; delete its cache (__pycache__) and start again")


def _digests(engine: Engine, column: Column) -> U8:
    out = np.zeros((len(column), 32), np.uint8)
    engine.digest(column, ROWS, KEY, CONTEXT.ljust(16, b"\x00"), out)
    return out


def _cells_open(one: Engine, two: Engine, column: Column) -> bool:
    keys, names = _subjects()
    who = np.arange(len(SIZES), dtype=np.int32)[::-1].copy()
    ends = _ends(*(token_size(size) for size in SIZES))
    tokens, plain = np.zeros(int(ends[-1]), np.uint8), np.zeros(int(ends[-1]), np.uint8)
    lengths, status = np.zeros(len(SIZES), np.int64), np.zeros(len(SIZES), np.uint8)
    one.encrypt(column, ROWS, who, keys, names, CONTEXT, ends, tokens)
    used = two.open(Column(tokens, ends, None), ROWS, who, keys, names, CONTEXT, plain, lengths, status)
    same = used == len(column.data) and bool((plain[:used] == column.data).all())
    return same and not status.any() and lengths.tolist() == list(SIZES)


def _pairs_open(one: Engine, two: Engine) -> bool:
    keys, names = _subjects()
    sealed, found = np.zeros((len(SIZES), 60), np.uint8), np.zeros_like(keys)
    one.seal_rows(keys, names, KEY, CONTEXT, sealed)
    return two.open_rows(sealed, names, KEY, CONTEXT, found) < 0 and bool((found == keys).all())


def _subjects() -> tuple[U8, U8]:
    count = len(SIZES)
    keys = np.arange(count * 32).astype(np.uint8).reshape(count, 32)
    return keys, keys[::-1, :16].copy()


def _ends(*sizes: int) -> I64:
    return np.cumsum([0, *sizes]).astype(np.int64)
