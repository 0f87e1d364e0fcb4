"""Connection, schema and migrations of the control database.

Tables live beside the module that reads and writes them, on the one `metadata` here. The schema itself is made by the
Alembic migrations under `migrations/`, never by `create_all`; a test holds the two against each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from governance.errors import SettingsError, StoreUnavailableError

SCHEMA = "kasbah_control"
metadata = sa.MetaData(schema=SCHEMA)

_MIGRATIONS = Path(__file__).parent / "migrations"


def connect(dsn: str) -> sa.Engine:
    """An engine for a libpq address (`postgresql://…` or `host=… dbname=…`), READ COMMITTED, psycopg 3.

    Nothing is opened yet: the first use may raise StoreUnavailableError through `transaction`.
    """
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _open(dsn),
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        hide_parameters=True,
    )


def _open(dsn: str) -> object:
    return psycopg.connect(dsn, connect_timeout=10, application_name="kasbah")


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction; a lost or full database becomes StoreUnavailableError without any statement or value in it."""
    try:
        with engine.begin() as connection:
            yield connection
    except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
        raise StoreUnavailableError(f"the control database can't be reached or is full: {_state(error)}") from None


def _state(error: sa.exc.DBAPIError) -> str:
    """SQLSTATE or the client's class name: enough to act on, and no data value."""
    code = getattr(error.orig, "sqlstate", None)
    return f"SQLSTATE {code}" if code else type(error.orig).__name__


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to the newest revision. Safe to repeat and to run from two processes at once."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with transaction(engine) as connection:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtextextended('kasbah.migrate', 0))"))
        connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_revision(engine: sa.Engine) -> None:
    """Raise SettingsError unless the schema is at this release's revision."""
    head = ScriptDirectory(str(_MIGRATIONS)).get_current_head()
    with transaction(engine) as connection:
        context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
        current = context.get_current_revision()
    if current != head:
        raise SettingsError(
            f"the control database is at revision {current or 'none'}, this release needs {head}: "
            "run `kasbah keys init`"
        )
