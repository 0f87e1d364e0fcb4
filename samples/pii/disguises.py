"""Values that a person reads and a pattern doesn't: seen in the text's NFKC form without format characters."""

import random
from collections.abc import Callable

_JOINER, _MARK, _HYPHEN = "\u200d", "\u200f", "\u00ad"


def _wide(chance: random.Random, value: str) -> str:
    """Full-width forms of all printable ASCII, as East Asian keyboards write them."""
    del chance
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else "\u3000" if c == " " else c for c in value)


def _joined(chance: random.Random, value: str) -> str:
    """A zero-width joiner inside, at two places at most."""
    for at in sorted({chance.randrange(1, len(value)), len(value) // 2}, reverse=True):
        value = value[:at] + _JOINER + value[at:]
    return value


def _marked(chance: random.Random, value: str) -> str:
    """Right-to-left marks between characters, as copied from a bidirectional text."""
    at = chance.randrange(1, len(value))
    return _MARK + value[:at] + _MARK + value[at:] + _MARK


def _soft(chance: random.Random, value: str) -> str:
    """Soft hyphens, as copied from a web page."""
    at = chance.randrange(1, len(value))
    return value[:at] + _HYPHEN + value[at:]


def _styled(chance: random.Random, value: str) -> str:
    """Mathematical bold digits and letters, as in social networks' profiles."""
    del chance
    starts = {"0": 0x1D7CE, "A": 0x1D400, "a": 0x1D41A}
    made = ""
    for c in value:
        first = next((f for f, last in (("0", "9"), ("A", "Z"), ("a", "z")) if f <= c <= last), "")
        made += chr(starts[first] + ord(c) - ord(first)) if first else c
    return made


WAYS: tuple[Callable[[random.Random, str], str], ...] = (_wide, _joined, _marked, _soft, _styled)


def disguise(chance: random.Random, value: str) -> str:
    """The value in one of the ways."""
    return chance.choice(WAYS)(chance, value)
