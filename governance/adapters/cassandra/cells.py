"""A table of Cassandra as a scan reads it (`governance.flows.stored.StoredCells`): by parts of the ring of tokens."""

from collections.abc import Iterator

import pyarrow as pa

from governance.adapters.cassandra.server import Server
from governance.adapters.cassandra.shape import VERSION, Shape, quoted, shape_of, stored_columns
from governance.adapters.cassandra.values import plain
from governance.enforcement.plan import EnforcementPlan
from governance.errors import UserError
from governance.flows.stored import Copy, Piece
from governance.flows.stored_records import rows_of

STORE = "cassandra"

_PARTS = 128
_FIRST, _LAST = -(2**63), 2**63 - 1
_TABLE = "SELECT id FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?"
_PARTITIONER = "SELECT partitioner FROM system.local"
_KNOWN = "Murmur3Partitioner"


class CassandraCells:
    """The tables of one cluster. Errors are those of `Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def copies(self, plan: EnforcementPlan) -> tuple[Copy, ...]:
        """The dataset's table, if it is there. UserError where the cluster spreads rows in a way of its own."""
        shape = shape_of(plan)
        found = self._server.ask(_TABLE, (shape.keyspace, shape.table))
        if not found:
            return ()
        (local,) = self._server.ask(_PARTITIONER)
        if not local["partitioner"].endswith(_KNOWN):
            raise UserError(f"Cassandra's rows can be scanned where it spreads them by {_KNOWN}, its default")
        return (Copy(STORE, f"{shape.keyspace}.{shape.table}", f"{found[0]['id']}/{_PARTS}"),)

    def pieces(self, plan: EnforcementPlan, copy: Copy, leave: frozenset[str], position: int = 0) -> Iterator[Piece]:
        """All rows from the part `position` of the ring on. UserError where the table is gone since it was listed."""
        shape = shape_of(plan)
        names = [name for name in stored_columns(self._server, shape) if name not in {*leave, VERSION}]
        if not names:
            raise UserError(f"{copy.name} was dropped while it was scanned: scan again")
        statement = _part_of(shape, names)
        for part in range(position, _PARTS):
            for page in self._server.pages(statement, _bounds(part)):
                if page:
                    rows = [{name: plain(cell) for name, cell in row.items()} for row in page]
                    yield Piece(rows_of(rows, plan), None)
            yield Piece(pa.record_batch({}), part + 1)


def _part_of(shape: Shape, names: list[str]) -> str:
    cells, token = ", ".join(map(quoted, names)), f"token({', '.join(map(quoted, shape.key))})"
    return f"SELECT {cells} FROM {shape.target} WHERE {token} > ? AND {token} <= ?"  # noqa: S608


def _bounds(part: int) -> tuple[int, int]:
    """After the first, up to and with the last token of a part. No row has the very first token there is."""
    step = 2**64 // _PARTS
    last = _LAST if part == _PARTS - 1 else _FIRST + (part + 1) * step
    return _FIRST + part * step, last
