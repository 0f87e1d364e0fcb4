"""Texts that a pattern matches, drawn from the standard library's reading of it, and texts nearly like them.

It shares nothing with the reading under test, so that what the one gets wrong the other doesn't.
"""

import random
import unicodedata
from functools import lru_cache
from typing import Any

from re import _parser as reader  # type: ignore[attr-defined]  # isort: skip

_JUNK = list("aZ09_ -./:@#\n\t,;+()") + list("éßÄжя漢あ\u0661\u0967\uff11\u200d\u0301\ufeff\u00a0\u3000\U0001f600")
_CASES = {"k": "kK\u212a", "s": "sS\u017f", "i": "iI\u0130\u0131"}
_ZEROS = [ord(c) for c in "0\u0660\u06f0\u0966\u0e50\uff10\U0001d7ce\U0001e950"]
_LATER = -1
_SPACES = " \t\n\u00a0\u2003\u3000\x1c\x85"


def texts_of(pattern: str, chance: random.Random, count: int) -> list[str]:
    """Texts around what the pattern matches; most of them changed somewhere. Whether one is matched is for the caller
    to find out.
    """
    tree = _tree(pattern)
    return [around(changed(_whole(tree, chance), chance), chance) for _ in range(count)]


def text_of(pattern: str, chance: random.Random) -> str:
    """A text that the pattern matches, but for what it says of the text around."""
    return _whole(_tree(pattern), chance)


def _whole(tree: Any, chance: random.Random) -> str:
    groups: dict[int, str] = {}
    return _draw(tree, chance, groups) + groups.get(_LATER, "")


@lru_cache(maxsize=512)
def _tree(pattern: str) -> Any:
    inline = "(?i)" if "(?i)" in pattern else ""
    return reader.parse(inline + pattern.replace("(?i)", ""))


def _draw(tree: Any, chance: random.Random, groups: dict[int, str]) -> str:
    return "".join(_DRAWN[str(name)](value, chance, groups) for name, value in tree)


def _repeat(value: Any, chance: random.Random, groups: dict[int, str]) -> str:
    low, high, body = value
    most = min(int(high), int(low) + 6)
    return "".join(
        _draw(body, chance, groups) for _ in range(chance.choice([int(low), most, chance.randint(low, most)]))
    )


def _group(value: Any, chance: random.Random, groups: dict[int, str]) -> str:
    number, _, _, body = value
    text = _draw(body, chance, groups)
    groups[number] = text
    return text


def _member(value: Any, chance: random.Random, groups: dict[int, str]) -> str:
    if str(value[0][0]) == "NEGATE":
        outside = [c for c in _JUNK if not _holds(value[1:], c)]
        return chance.choice(outside or ["~"])
    name, one = chance.choice(value)
    return str(_DRAWN[str(name)](one, chance, groups))


def _holds(members: Any, char: str) -> bool:
    for name, value in members:
        kind = str(name)
        if kind == "LITERAL" and chr(value) == char:
            return True
        if kind == "RANGE" and value[0] <= ord(char) <= value[1]:
            return True
        if kind == "CATEGORY":
            return True
    return False


def _category(value: Any, chance: random.Random, groups: dict[int, str]) -> str:
    del groups
    kind = str(value)
    if kind.endswith("NOT_DIGIT") or kind.endswith("NOT_WORD") or kind.endswith("NOT_SPACE"):
        return chance.choice("~!" if "WORD" in kind else "~x")
    if kind.endswith("DIGIT"):
        return str(chance.randint(0, 9))
    if kind.endswith("SPACE"):
        return chance.choice(_SPACES)
    return chance.choice("abcXYZ059_éß漢")


def _look(value: Any, chance: random.Random, groups: dict[int, str]) -> str:
    # What must stand before is written there; what must follow is hoped for, and written after the whole.
    direction, body = value
    text = _draw(body, chance, groups)
    if direction < 0:
        return text
    groups[_LATER] = f"{groups.get(_LATER, '')} {text}"
    return ""


_DRAWN: dict[str, Any] = {
    "LITERAL": lambda value, chance, groups: chr(value),
    "NOT_LITERAL": lambda value, chance, groups: chance.choice([c for c in _JUNK if c != chr(value)]),
    "ANY": lambda value, chance, groups: chance.choice(_JUNK),
    "RANGE": lambda value, chance, groups: chr(chance.randint(*value)),
    "IN": _member,
    "CATEGORY": _category,
    "BRANCH": lambda value, chance, groups: _draw(chance.choice(value[1]), chance, groups),
    "MAX_REPEAT": _repeat,
    "MIN_REPEAT": _repeat,
    "POSSESSIVE_REPEAT": _repeat,
    "SUBPATTERN": _group,
    "ATOMIC_GROUP": _draw,
    "GROUPREF": lambda value, chance, groups: groups.get(value, ""),
    "ASSERT": _look,
    "ASSERT_NOT": lambda value, chance, groups: "",
    "AT": lambda value, chance, groups: "",
}


def _other_case(char: str, chance: random.Random) -> str:
    known = _CASES.get(char.lower() if char not in "\u0130\u0131" else "i")
    return chance.choice(known) if known else char.swapcase() if len(char.swapcase()) == 1 else char


def _other_script(char: str, chance: random.Random) -> str:
    if char.isdecimal():
        return chr(chance.choice(_ZEROS) + unicodedata.decimal(char))
    if "!" <= char <= "~" and chance.random() < 0.3:
        return chr(ord(char) + 0xFEE0)
    return chance.choice(_SPACES) if char == " " else char


def changed(text: str, chance: random.Random) -> str:
    """The text with other cases, other digits, or a character less or another; or as it is."""
    change = chance.choice(["none", "none", "case", "case", "digits", "both", "drop", "swap"])
    if change in ("case", "both"):
        text = "".join(_other_case(c, chance) if chance.random() < 0.5 else c for c in text)
    if change in ("digits", "both"):
        often = chance.choice([0.1, 1.0])
        text = "".join(_other_script(c, chance) if chance.random() < often else c for c in text)
    if change in ("drop", "swap") and text:
        at = chance.randrange(len(text))
        text = text[:at] + ("" if change == "drop" else chance.choice(_JUNK)) + text[at + 1 :]
    return text


def around(text: str, chance: random.Random) -> str:
    """The text between others, or at an end."""
    before = "".join(chance.choice(_JUNK) for _ in range(chance.choice([0, 0, 1, 2, 5])))
    after = "".join(chance.choice(_JUNK) for _ in range(chance.choice([0, 0, 1, 2, 5])))
    return before + text + after
