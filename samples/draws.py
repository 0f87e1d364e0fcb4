"""Random numbers by name: what a record is made of depends on the seed and its number alone, never on the ones before.

So record one million costs no more than record one, and whoever asks for it, in whatever order, gets the same.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """The numbers of one topic: some 450 bits of them, enough for a hundred choices among twenty."""

    __slots__ = ("_left",)

    def __init__(self, seed: int, topic: str, *numbers: int) -> None:
        name = f"{seed}/{topic}/{'/'.join(map(str, numbers))}"
        self._left = int.from_bytes(blake2b(name.encode()).digest())

    def below(self, bound: int) -> int:
        """A whole number from 0 to `bound` - 1."""
        self._left, found = divmod(self._left, bound)
        return found

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        self._left, found = divmod(self._left, len(choices))
        return choices[found]
