"""The stores of streams for the tests: one of each for a whole session, started when a test first asks for it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from local.cassandra import Cassandra
from local.mongodb import MongoDB
from local.s3 import S3
from local.service import Service

_S = TypeVar("_S", bound=Service)


@contextmanager
def _running(kind: type[_S]) -> Iterator[_S]:
    folder = Path(tempfile.mkdtemp(prefix="kb"))
    folder.chmod(0o755)
    service = kind(folder / kind.name)
    try:
        yield service.start()
    finally:
        service.remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cassandra() -> Iterator[Cassandra]:
    """Real Cassandra, which asks for a password. Tests make keyspaces of their own."""
    with _running(Cassandra) as service:
        yield service


@pytest.fixture(scope="session")
def mongodb() -> Iterator[MongoDB]:
    """MongoDB, or the stand-in for it (`real` tells which). Tests make databases of their own."""
    with _running(MongoDB) as service:
        yield service


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server with an empty bucket."""
    with _running(S3) as service:
        yield service
