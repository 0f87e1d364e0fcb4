"""Randomness that depends on the seed and the topic alone, so that one part's draws never move another's."""

import random
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def stream(seed: int, *topic: str | int | float) -> random.Random:
    """The random numbers of one topic. The same seed and topic give the same ones on every machine."""
    return random.Random("/".join(str(part) for part in (seed, *topic)))


def weighted(chance: random.Random, choices: Iterable[tuple[T, float]]) -> Iterator[T]:
    """Draw from (choice, weight) for ever."""
    words, weights = zip(*choices, strict=True)
    while True:
        yield from chance.choices(words, weights, k=256)
