"""Real services for the tests. Nothing here skips: a service that can't start is a failure."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from governance.adapters.control.database import connect, migrate
from local.postgres import Postgres

pytest_plugins = ("services",)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One real PostgreSQL for the whole session. Its path is short because of the socket's limit."""
    folder = Path(tempfile.mkdtemp(prefix="kb"))
    server = Postgres.start(folder / "pg")
    yield server
    server.remove()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgres: Postgres) -> Iterator[str]:
    """The address of a fresh, empty database."""
    name = f"t_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        yield postgres.dsn(name)
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def control(database: str) -> Iterator[sa.Engine]:
    """A migrated control database of its own."""
    engine = connect(database)
    migrate(engine)
    yield engine
    engine.dispose()
