"""Installations on the session's PostgreSQL."""

from collections.abc import Iterator

import pytest
from stacks import Make, Stack, installations

from local.postgres import Postgres


@pytest.fixture(scope="module")
def make_stack(postgres: Postgres) -> Iterator[Make]:
    """Makes installations."""
    with installations(postgres, postgres) as make:
        yield make


@pytest.fixture
def stack(make_stack: Make) -> Stack:
    """A fresh installation."""
    return make_stack()
