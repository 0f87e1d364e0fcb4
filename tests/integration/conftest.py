"""An installation for what enforcement promises, on the session's PostgreSQL."""

from collections.abc import Iterator

import pytest
from desk import NOW, Desk, installation

from local.postgres import Postgres


@pytest.fixture(scope="module")
def installed(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for all tests of a module."""
    with installation(postgres, tmp_path_factory.mktemp("kms")) as made:
        yield made


@pytest.fixture
def desk(installed: Desk) -> Desk:
    """Today is 21 November 2026, unless a test says otherwise. People of earlier tests are there already."""
    installed.now = NOW
    return installed
