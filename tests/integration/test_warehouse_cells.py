"""What a scan reads of a table has the types that the load searched: an amount is no text there either."""

from decimal import Decimal

import psycopg
import pyarrow as pa
from made_rows import PLAN, loaded, row

from governance.adapters.warehouse import PostgresWarehouse
from governance.adapters.warehouse.cells import WarehouseCells


def read(database: str) -> pa.Table:
    cells = WarehouseCells(database)
    (copy,) = cells.copies(PLAN)
    pieces = [piece.rows for piece in cells.pieces(PLAN, copy, frozenset())]
    return pa.Table.from_batches([batch for batch in pieces if batch.num_rows])


def test_stored_decimals_are_read_as_decimals(database: str) -> None:
    loaded(PostgresWarehouse(database), "r1", [row("a", total_amount=Decimal("12345.67")), row("b", total_amount=None)])
    amounts = read(database).column("total_amount")
    assert amounts.type == pa.decimal128(12, 2)
    assert sorted(amounts.to_pylist(), key=str) == [Decimal("12345.67"), None]


def test_what_is_no_number_stays_text_and_names_no_value(database: str) -> None:
    loaded(PostgresWarehouse(database), "r1", [row("a", total_amount=Decimal("1.00"))])
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE store.orders SET total_amount = 'NaN'")
    assert read(database).column("total_amount").to_pylist() == ["NaN"]
