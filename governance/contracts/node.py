"""A place in a document, read as a type. What has the wrong type is a fault, and reads as absent."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from governance.contracts.document import Document, Place, Step
from governance.contracts.standard import field_of
from governance.contracts.types import Fault
from governance.contracts.words import nearest

_SHOWN = 20


@dataclass(frozen=True)
class Node:
    """One value of a document, with its place and the list that faults go to."""

    document: Document
    place: Place
    value: Any
    faults: list[Fault]

    @property
    def line(self) -> int:
        """The 1-based line."""
        return self.document.line(self.place).line

    @property
    def word(self) -> str:
        """What this place is called: its key, or for the value of a custom property that property's name."""
        if self.place and self.place[-1] == "value":
            around: Any = self.document.data
            for step in self.place[:-1]:
                around = around[step]
            if isinstance(around, dict) and isinstance(around.get("property"), str):
                return str(around["property"])
        named = [step for step in self.place if isinstance(step, str)]
        return named[-1] if named else "the contract"

    def fault(self, code: str, message: str, hint: str | None = None) -> None:
        """Add a fault at this place."""
        self.faults.append(
            Fault(self.document.line(self.place), code, message, field_of(self.document, self.place), hint)
        )

    def wrong(self, wanted: str) -> None:
        """Add the fault that this value isn't what it must be."""
        self.fault("wrong-value", f"'{self.word}' must be {wanted}.")

    def child(self, step: Step) -> "Node | None":
        """What stands under a key or index; None where nothing does."""
        if isinstance(self.value, dict) and isinstance(step, str):
            found = self.value.get(step)
        elif isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            found = self.value[step]
        else:
            found = None
        return None if found is None else Node(self.document, (*self.place, step), found, self.faults)

    def items(self, step: Step | None = None) -> Iterator["Node"]:
        """The elements of the list here, or under a key; none where there is no list."""
        here = self if step is None else self.child(step)
        if here is not None and isinstance(here.value, list):
            for index, value in enumerate(here.value):
                yield Node(here.document, (*here.place, index), value, here.faults)

    def get(self, step: Step) -> Any:
        """The bare value of a standard term: the lint has seen to its type."""
        found = self.child(step)
        return None if found is None else found.value

    def text(self) -> str | None:
        """A text that isn't blank."""
        if isinstance(self.value, str) and self.value.strip():
            return self.value
        self.wrong("a text that isn't blank")
        return None

    def any_text(self) -> str | None:
        """A text, which may be empty."""
        if isinstance(self.value, str):
            return self.value
        self.wrong("a text")
        return None

    def character(self) -> str | None:
        """One ASCII character, as a delimiter or quote."""
        if isinstance(self.value, str) and len(self.value) == 1 and self.value.isascii():
            return self.value
        self.wrong("one ASCII character")
        return None

    def flag(self) -> bool | None:
        """True or false."""
        if isinstance(self.value, bool):
            return self.value
        self.wrong("true or false")
        return None

    def count(self, least: int, most: int) -> int | None:
        """A whole number between two bounds."""
        if isinstance(self.value, int) and not isinstance(self.value, bool) and least <= self.value <= most:
            return self.value
        self.wrong(f"a whole number from {least} to {most}")
        return None

    def share(self) -> float | None:
        """A number from 0 to 1."""
        if isinstance(self.value, int | float) and not isinstance(self.value, bool) and 0 <= self.value <= 1:
            return float(self.value)
        self.wrong("a number from 0 to 1")
        return None

    def one_of(self, words: tuple[str, ...]) -> str | None:
        """A word of a closed set."""
        if isinstance(self.value, str) and self.value in words:
            return self.value
        hint = nearest(self.value, words) if isinstance(self.value, str) else None
        self.fault("unknown-word", f"'{self.word}' is none of {_listed(words)}.", hint)
        return None

    def texts(self, *, blank: bool = False) -> tuple[str, ...]:
        """A list of texts, or one text. With `blank`, empty ones too."""
        values = self.value if isinstance(self.value, list) else [self.value]
        if values and all(isinstance(v, str) and (blank or v.strip()) for v in values):
            if len(set(values)) == len(values):
                return tuple(values)
            self.wrong("a list without repetitions")
        else:
            self.wrong("a text or a list of texts")
        return ()

    def scalars(self) -> tuple[str, ...]:
        """A list of texts or numbers, as texts."""
        values = self.value if isinstance(self.value, list) else []
        if values and all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in values):
            return tuple(str(v) for v in values)
        self.wrong("a list of texts or numbers")
        return ()

    def rising(self) -> tuple[float, ...]:
        """A list of numbers, each above the one before."""
        values = self.value if isinstance(self.value, list) else []
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
        if values and len(numbers) == len(values) and all(a < b for a, b in pairwise(numbers)):
            return tuple(numbers)
        self.wrong("a list of numbers in rising order")
        return ()

    def mapping(self, terms: tuple[str, ...]) -> dict[str, "Node"]:
        """What stands under each key of a mapping whose keys are a closed set."""
        if not isinstance(self.value, dict):
            self.wrong(f"a mapping with {', '.join(terms)}")
            return {}
        return {key: node for key in self.value if (node := self._known(key, terms)) is not None}

    def _known(self, key: str, terms: tuple[str, ...]) -> "Node | None":
        node = Node(self.document, (*self.place, key), self.value[key], self.faults)
        if key in terms:
            return node
        node.fault("unknown-word", f"'{key}' is none of {_listed(terms)}.", nearest(key, terms))
        return None


def _listed(words: tuple[str, ...]) -> str:
    """A closed set, as far as a sentence can hold it."""
    return ", ".join(words) if len(words) <= _SHOWN else f"{', '.join(words[:_SHOWN])} and {len(words) - _SHOWN} more"


def custom_properties(node: Node, terms: tuple[str, ...], owner: str) -> dict[str, Node]:
    """The values of a closed set of custom properties. Unknown and repeated ones are faults."""
    found: dict[str, Node] = {}
    for entry in node.items("customProperties"):
        name, value = entry.get("property"), entry.value.get("value") if isinstance(entry.value, dict) else None
        if not isinstance(name, str):
            continue
        if name not in terms:
            message = f"'{name}' is no custom property of a {owner}: these are {', '.join(terms)}."
            entry.fault("unknown-custom-property", message, nearest(name, terms))
        elif name in found:
            entry.fault("duplicate-custom-property", f"'{name}' stands here twice: keep one.")
        else:
            found[name] = Node(node.document, (*entry.place, "value"), value, node.faults)
    return found
