"""Alembic's entry: runs on the connection that `database.migrate` hands over."""

from alembic import context

from governance.adapters.control.database import SCHEMA, metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table_schema=SCHEMA)
with context.begin_transaction():
    context.run_migrations()
