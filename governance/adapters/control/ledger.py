"""The ledger in PostgreSQL, for writing.

One row holds the running state, and locking it orders concurrent writers: indexes have no gap, and an append costs its
own records. Records go in by COPY; the tree is extended while the server stores them.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.dialects.postgresql import insert

from governance.adapters.control.history import (
    NO_STATE,
    PostgresHistory,
    client,
    ledger_transaction,
    table_name,
    translated,
)
from governance.adapters.control.ledger_tables import HEAD, RECORD, STATE, TILE
from governance.audit.heads import SignedHead, Signer, sign_head, split_peaks
from governance.audit.ledger import Anchor, Appended, check_not_rolled_back, continue_from
from governance.audit.merkle import Frontier, leaf_hash
from governance.audit.records import Record, encode, stamp
from governance.errors import AuditError, RolledBackError
from governance.model.clock import Clock

# synchronous_commit is raised where a role or database lowered it, and never lowered.
_LOCK = sql.SQL(
    "SELECT size, peaks, current_setting('fsync'), set_config('synchronous_commit', "
    "CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true) "
    "FROM {} WHERE id = 1 FOR UPDATE"
).format(table_name(STATE))
_ADVANCE = sql.SQL("UPDATE {} SET size = %s, peaks = %s WHERE id = 1").format(table_name(STATE))
_COPY = sql.SQL("COPY {} (index, record, leaf) FROM STDIN (FORMAT BINARY)").format(table_name(RECORD))
_TILES = sql.SQL("INSERT INTO {} (index, root) VALUES (%s, %s)").format(table_name(TILE))


class PostgresLedger(PostgresHistory):
    """Appends, signs and publishes."""

    def __init__(self, engine: sa.Engine, clock: Clock, signer: Signer, anchor: Anchor) -> None:
        super().__init__(engine)
        self._clock = clock
        self._signer = signer
        self._anchor = anchor

    def append(self, records: Sequence[Record]) -> Appended:
        """Keep the records, durably, next to each other; see the Protocol for what is raised."""
        with ledger_transaction(self._engine) as connection:
            return self.append_within(connection, records)

    def append_within(self, connection: sa.Connection, records: Sequence[Record]) -> Appended:
        """The same as part of the caller's transaction on the control database: both commit, or neither.

        Other writers wait from here until that commit, so this belongs at the transaction's end.
        """
        if not records:
            raise AuditError("an empty batch can't be appended to the ledger")
        with translated():
            return self._append(client(connection), records)

    def _append(self, connection: "psycopg.Connection[Any]", records: Sequence[Record]) -> Appended:
        with connection.cursor() as cursor:
            tree = _locked(cursor)
            first, at = tree.size, stamp(self._clock())
            leaves = []
            with cursor.copy(_COPY) as copy:
                copy.set_types(["int8", "bytea", "bytea"])
                for index, record in enumerate(records, first):
                    stored = encode(record, index, at)
                    leaf = leaf_hash(stored)
                    leaves.append(leaf)
                    copy.write_row((index, stored, leaf))
                tiles = tree.extend(leaves)
            if tiles:
                cursor.executemany(_TILES, tiles)
            cursor.execute(_ADVANCE, (tree.size, b"".join(tree.peaks)))
        return Appended(first, tree.size - 1)

    def head(self) -> SignedHead:
        """Sign the ledger as it is. Reads the records since the anchor's newest head.

        Raises RolledBackError or AuditError, and signs nothing, unless the records are shown to continue that head.
        """
        check_not_rolled_back(self, self._anchor)
        base = self._base()
        with self.snapshot() as snapshot:
            tree = continue_from(base, snapshot)
        return sign_head(tree, stamp(self._clock()), self._signer)

    def publish_head(self) -> SignedHead:
        """`head()`, stored, then copied to the anchor; in that order, so that a crash between leaves the anchor behind
        and never ahead. Publishing again catches up.
        """
        head = self._stored(self.head())
        self._anchor.append_head(head)
        return head

    def _base(self) -> Frontier:
        """The tree at the anchor's newest head, whose signature is checked, or the empty one."""
        held = self._anchor.newest_head()
        if held is None:
            self._check_first_anchoring()
            return Frontier()
        fault = held.fault(self._signer.verifying_key)
        if fault:
            raise AuditError(f"the anchor's newest head, of {held.size} records: {fault}. Run `kasbah audit verify`")
        return held.frontier()

    def _check_first_anchoring(self) -> None:
        """Several stored heads and an empty anchor: it is another one, or was emptied. One may come of a crash."""
        with ledger_transaction(self._engine) as connection:
            stored = connection.execute(sa.select(sa.func.count()).select_from(HEAD)).scalar_one()
        if stored > 1:
            raise RolledBackError(
                f"the anchor holds no head, but the database published {stored}: name the right anchor, or restore it"
            )

    def _stored(self, head: SignedHead) -> SignedHead:
        """Keep the head unless one of this size stands there; returns the one that does."""
        values = {
            "size": head.size,
            "root": head.root,
            "at": head.at,
            "peaks": head.peaks,
            "key_id": head.key_id,
            "signature": head.signature,
        }
        with ledger_transaction(self._engine) as connection:
            connection.execute(insert(HEAD).values(values).on_conflict_do_nothing())
        stored = self.stored_head(head.size)
        if stored is None or stored.root != head.root or stored.fault(self._signer.verifying_key):
            raise AuditError(
                f"the database holds another head of {head.size} records than its records give: "
                "run `kasbah audit verify`"
            )
        return stored


def _locked(cursor: "psycopg.Cursor[Any]") -> Frontier:
    """The running state, locked until the transaction ends."""
    row = cursor.execute(_LOCK).fetchone()
    if row is None:
        raise AuditError(NO_STATE)
    if row[2] != "on":
        raise AuditError("PostgreSQL runs with fsync off, so nothing it keeps is durable: turn it on")
    return Frontier(row[0], split_peaks(bytes(row[1])))
