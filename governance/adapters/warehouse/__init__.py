"""The warehouse on PostgreSQL: Arrow in and out by ADBC (binary COPY), SQL by psycopg.

`shape` is what a plan looks like as a table, `staging` takes the governed rows of a run, `merge` decides which of them
win, `publish` moves them in one transaction, `ledgers` is the warehouse's own bookkeeping, `session` the connections.
"""

from governance.adapters.warehouse.postgres import PostgresWarehouse
from governance.adapters.warehouse.session import StoreRefusedError

__all__ = ["PostgresWarehouse", "StoreRefusedError"]
