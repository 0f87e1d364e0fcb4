"""Installations on the session's PostgreSQL, and what a reader of the results should know."""

from collections.abc import Callable, Iterator

import pytest
from stacks import Make, Stack, installations

from local.postgres import Postgres

_NOTES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def note(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Adds a line to the summary."""
    return pytestconfig.stash.setdefault(_NOTES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The lines that tests have noted."""
    for line in terminalreporter.config.stash.get(_NOTES, []):
        terminalreporter.write_line(f"NOTE {line}")


@pytest.fixture(scope="module")
def make_stack(postgres: Postgres) -> Iterator[Make]:
    """Makes installations."""
    with installations(postgres, postgres) as make:
        yield make


@pytest.fixture
def stack(make_stack: Make) -> Stack:
    """A fresh installation."""
    return make_stack()
