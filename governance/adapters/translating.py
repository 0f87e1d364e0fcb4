"""Errors of outside systems' clients as this project's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from governance.errors import KasbahError

E = TypeVar("E", bound=Exception)


@contextmanager
def translating(kinds: tuple[type[E], ...], meaning: Callable[[E], KasbahError]) -> Iterator[None]:
    """Turn errors of these kinds into what they mean to us, and cut the originals off, since they may quote data."""
    failure: KasbahError | None = None
    try:
        yield
    except kinds as error:
        failure = meaning(error)
    if failure is not None:
        try:
            raise failure
        finally:
            # A context manager's error always gets the one it handles as its context: it can only be taken off again.
            failure.__context__ = None
