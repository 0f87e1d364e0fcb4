"""The ledger in PostgreSQL, for reading: snapshots through server-side cursors, proofs through tiles."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from governance.adapters.control.database import SCHEMA, transaction
from governance.adapters.control.ledger_tables import HEAD, RECORD, STATE, TILE
from governance.audit.heads import SignedHead
from governance.audit.merkle import TILE_LEAVES, Frontier, consistency_proof, inclusion_proof
from governance.audit.records import Entry, decode
from governance.errors import AuditError, StoreUnavailableError

_FETCH_ROWS = 5_000
NO_STATE = "the ledger's running state is not there: restore a copy of the control database"
_PROOF_REST = "the ledger lacks records that the proof needs: run `kasbah audit verify`"


class PostgresHistory:
    """Reads a ledger; needs no signing key."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def snapshot(self) -> "AbstractContextManager[PostgresSnapshot]":
        """One moment of the ledger (REPEATABLE READ, read only)."""
        return _snapshot(self._engine)

    def size(self) -> int:
        """How many records the running state counts."""
        with ledger_transaction(self._engine) as connection:
            size = connection.execute(sa.select(STATE.c.size)).scalar_one_or_none()
        if size is None:
            raise AuditError(NO_STATE)
        return int(size)

    def stored_head(self, size: int) -> SignedHead | None:
        """The head that is stored for this size, unchecked."""
        with ledger_transaction(self._engine) as connection:
            row = connection.execute(sa.select(HEAD).where(HEAD.c.size == size)).one_or_none()
        return _head(row) if row else None

    def last(self, count: int) -> list[Entry]:
        """The newest records, oldest first. Raises RecordError on one that is no record."""
        newest = sa.select(RECORD.c.record).order_by(RECORD.c.index.desc()).limit(count)
        with ledger_transaction(self._engine) as connection:
            rows = connection.execute(newest).scalars().all()
        return [decode(bytes(record)) for record in reversed(rows)]

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """The proof that record `index` is in the tree of `size` records; reads about 1,024 + size / 1,024 hashes.

        The proof is only as good as the stored hashes: check it with `merkle.check_inclusion` against a signed root.
        """
        with ledger_transaction(self._engine) as connection:
            return inclusion_proof(index, size, _Ranges(connection).root)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The proof that the tree of `old` records is the beginning of the tree of `new` ones."""
        with ledger_transaction(self._engine) as connection:
            return consistency_proof(old, new, _Ranges(connection).root)


class PostgresSnapshot:
    """One moment of the stored ledger."""

    def __init__(self, connection: sa.Connection) -> None:
        state = connection.execute(sa.select(STATE.c.size, STATE.c.peaks)).one_or_none()
        if state is None:
            raise AuditError(NO_STATE)
        self.size = int(state.size)
        self.peaks = bytes(state.peaks)
        self._client = client(connection)
        self._streams = ExitStack()

    def close(self) -> None:
        """End the streams that were not read to their end."""
        self._streams.close()

    def rows(self, first: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """(index, record bytes, stored leaf hash) by index, from `first` on."""
        return self._stream(
            "ledger_rows",
            sql.SQL("SELECT index, record, leaf FROM {} WHERE index >= {} ORDER BY index").format(
                table_name(RECORD), sql.Literal(first)
            ),
        )

    def heads(self) -> Iterator[SignedHead]:
        """The stored heads by size, unchecked."""
        query = sql.SQL("SELECT size, root, at, peaks, key_id, signature FROM {} ORDER BY size").format(
            table_name(HEAD)
        )
        return (SignedHead(*row) for row in self._stream("ledger_heads", query))

    def tiles(self) -> Iterator[tuple[int, bytes]]:
        """The stored tiles by number."""
        return self._stream(
            "ledger_tiles", sql.SQL("SELECT index, root FROM {} ORDER BY index").format(table_name(TILE))
        )

    def _stream(self, name: str, query: sql.Composed) -> Iterator[Any]:
        return self._streams.enter_context(closing(self._fetched(name, query)))

    def _fetched(self, name: str, query: sql.Composed) -> Generator[Any, None, None]:
        with self._client.cursor(name) as cursor:
            cursor.itersize = _FETCH_ROWS
            cursor.execute(query, binary=True)
            yield from cursor


class _Ranges:
    """Roots of ranges of leaves, as proofs ask for them: whole tiles are not read leaf by leaf."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def root(self, first: int, end: int) -> bytes:
        """The root of the leaves [first, end). RFC 9162's ranges begin at a multiple of a power of two >= their size,
        so one of 1,024 leaves or more begins at a tile.
        """
        tree = Frontier()
        if end - first < TILE_LEAVES:
            tree.extend(self._column(RECORD, RECORD.c.leaf, first, end))
            return tree.root()
        whole = (end - first) // TILE_LEAVES
        number = first // TILE_LEAVES
        tree.extend(self._column(TILE, TILE.c.root, number, number + whole))
        upper = tree.peaks
        rest = Frontier()
        rest.extend(self._column(RECORD, RECORD.c.leaf, (number + whole) * TILE_LEAVES, end))
        return Frontier(end - first, [*upper, *rest.peaks]).root()

    def _column(self, table: sa.Table, column: sa.Column[bytes], first: int, end: int) -> Sequence[bytes]:
        chosen = sa.select(column).where(table.c.index >= first, table.c.index < end).order_by(table.c.index)
        found = self._connection.execute(chosen).scalars().all()
        if len(found) != end - first:
            raise AuditError(_PROOF_REST)
        return found


@contextmanager
def ledger_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction; what the database or its client raises becomes an error of Kasbah's, without a value in it."""
    with translated(), transaction(engine) as connection:
        yield connection


@contextmanager
def translated() -> Iterator[None]:
    """StoreUnavailableError where the database is away or full, AuditError where its tables refuse."""
    try:
        yield
    except (psycopg.Error, sa.exc.DBAPIError) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        state = getattr(cause, "sqlstate", None) or type(cause).__name__
        if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError):
            raise StoreUnavailableError(f"the ledger's database can't be reached or is full: {state}") from None
        if isinstance(cause, psycopg.IntegrityError):
            raise AuditError(
                "the ledger's records go beyond its running state, so nothing is appended: run `kasbah audit verify`"
            ) from None
        raise AuditError(f"the ledger's tables refuse ({state}): run `kasbah keys init`") from None


@contextmanager
def _snapshot(engine: sa.Engine) -> Iterator[PostgresSnapshot]:
    with translated(), engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            snapshot = PostgresSnapshot(connection)
            try:
                yield snapshot
            finally:
                snapshot.close()


def client(connection: sa.Connection) -> "psycopg.Connection[Any]":
    """The psycopg connection below, in the same transaction: for COPY and server-side cursors."""
    below = connection.connection.driver_connection
    if not isinstance(below, psycopg.Connection):
        raise AuditError("the ledger needs a psycopg connection")
    return below


def table_name(table: sa.Table) -> sql.Identifier:
    """Schema and name, quoted."""
    return sql.Identifier(SCHEMA, table.name)


def _head(row: Any) -> SignedHead:
    return SignedHead(row.size, bytes(row.root), row.at, bytes(row.peaks), row.key_id, bytes(row.signature))
