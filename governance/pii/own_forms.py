"""A person's own e-mail address, telephone number, postal address and identifiers in a text, however written."""

import re
from collections.abc import Iterator
from itertools import pairwise

from governance.pii.folding import Folded, fold
from governance.pii.own_names import letters, single
from governance.pii.own_search import ANYWHERE, Needle, Place, Text, needle_of, needles
from governance.pii.own_words import COUNTRY_CODES, ROLES

WHOLE, PART = 1.0, 0.85
CAPITAL = 0.8
MOST_LINES = 16
LEAST_DIGITS, LONGEST_PREFIX = 6, 5
"""Fewest digits of a number that are the number; most digits before it: 00 and a country code."""

_EXTENSION = re.compile(r"(?i)[\s,;/]*(?:extension|extn|ext|x|#)\.?\s*:?\s*[0-9]{1,7}\D*$")
_TRUNK_ZERO = re.compile(r"^[(\s]*(?:\+|00)[\d\s.()-]{0,12}\(0\)")
_DOMAIN = re.compile(r"@[^\s@,;:<>()\"]*[^\s@,;:<>()\".!?]")
_LINES = re.compile(r"[,;\n\r]+")


def email(text: Text, value: str) -> Iterator[Place]:
    """The address, and its local part with or without its +tag where that speaks for a person. Raises TooManyError."""
    local, at, domain = value.strip().rpartition("@")
    if not at:
        yield from identifier(text, value)
        return
    parts = dict.fromkeys((local, local.partition("+")[0]))
    whole = (value, f"{local.partition('+')[0]}@{domain}") if len(fold(domain).symbols) >= 3 else (value,)
    for needle in dict.fromkeys(n for one in whole for n in needles(one) if len(n.symbols) >= 5):
        for start, stop in text.find(needle):
            yield text.place(start, stop, WHOLE)
    for needle in dict.fromkeys(n for part in parts for n in needles(part)):
        for start, stop in text.find(needle):
            score = _local(text, needle, start, stop)
            if score:
                yield _with_domain(text, text.place(start, stop, score))


def _with_domain(text: Text, place: Place) -> Place:
    """The place with the domain that follows it: the person's address elsewhere."""
    domain = _DOMAIN.match(text.raw, place.end)
    return place._replace(end=domain.end()) if domain else place


def _local(text: Text, needle: Needle, start: int, stop: int) -> float:
    symbols = needle.symbols
    if len(symbols) < 3:
        return 0.0
    if text.gap(stop) == "@":
        return 0.0 if symbols in ROLES else PART
    if len(symbols) < 4 or symbols in ROLES or (symbols.isdecimal() and len(symbols) < LEAST_DIGITS):
        return 0.0
    if any(c.isdecimal() for c in symbols):
        return PART
    if not needle.joints:
        return single(text, start, stop, symbols)
    return PART if len(symbols) >= 8 or single(text, start, stop, symbols) >= CAPITAL else 0.0


def phone(text: Text, value: str) -> Iterator[Place]:
    """The number's last six digits or more, as many as the text has: with its country code, trunk zero or neither,
    grouped in any way. A longer number that only ends so is another's.
    """
    number = phone_digits(value)
    if len(number) < LEAST_DIGITS:
        return
    for start, stop in text.find_tail(number[-LEAST_DIGITS:]):
        begin = _extend(text, number, start)
        if begin >= 0:
            yield Place(begin, int(text.folded.end[stop - 1]), WHOLE)


def phone_digits(value: str) -> str:
    """A telephone number's national digits: no country code, no zero before the area, no extension."""
    bare = _EXTENSION.sub("", value.strip())
    if zero := _TRUNK_ZERO.match(bare):
        return "".join(c for c in fold(bare[zero.end() :]).symbols if c.isdecimal()).lstrip("0")
    digits = "".join(c for c in fold(bare).symbols if c.isdecimal())
    international = bare.lstrip("( \t").startswith(("+", "\uff0b"))
    if not international and digits.startswith("00"):
        international, digits = True, digits[2:]
    if not international:
        return digits.lstrip("0")
    code = 1 if digits[:1] in {"1", "7"} else 2 if digits[:2] in COUNTRY_CODES else 3
    return digits[code:].lstrip("0")


def _extend(text: Text, number: str, start: int) -> int:
    """The character at which the number begins, going back from its last six digits; -1 where it is another's."""
    symbols, edge = text.folded.symbols, text.folded.edge
    at, left = start, len(number) - LEAST_DIGITS
    while left and at and symbols[at - 1] == number[left - 1] and text.near(at):
        at, left = at - 1, left - 1
    if left:  # not all of it: the part must begin a group of digits
        while at <= start and not edge[at]:
            at += 1
        return int(text.folded.begin[at]) if at <= start else -1
    low = _group(text, at)
    if at - low > LONGEST_PREFIX:
        return -1
    return _with_country(text, low, at)


def _group(text: Text, at: int) -> int:
    """Where the digits begin that touch what stands at a symbol."""
    low = at
    while low and not text.folded.edge[low] and at - low <= LONGEST_PREFIX:
        low -= 1
    return low


def _with_country(text: Text, low: int, number: int) -> int:
    """The character before which a country code and its plus stand, if they do."""
    raw, symbols, begin = text.raw, text.folded.symbols, text.folded.begin
    at = low
    while at and number - at < LONGEST_PREFIX and symbols[at - 1].isdecimal() and text.near(at):
        at -= 1
        if raw[int(begin[at]) - 1 : int(begin[at])] == "+":
            return int(begin[at]) - 1
        if symbols[at : at + 2] == "00" and text.folded.edge[at]:
            return int(begin[at])
    first = int(begin[low])
    return first - 1 if first and raw[first - 1] == "+" else first


def address(text: Text, value: str) -> Iterator[Place]:
    """The whole address, and each of its lines with a number and four letters: a street with its house number, a town
    with its postal code. The house number may stand on the other side of the street's name. Raises TooManyError.
    """
    yield from identifier(text, value)
    for line in _LINES.split(value)[:MOST_LINES]:
        if not any(c.isnumeric() for c in line):
            continue
        for written_out in (False,) if line.isascii() else (False, True):
            one = fold(line, written_out=written_out)
            letters = sum(c.isalpha() for c in one.symbols)
            if letters < 4 or letters == len(one.symbols) or _longest_word(one) not in text.folded.symbols:
                continue
            for needle in dict.fromkeys((needle_of(one, 0, len(one.symbols)), *_turned(line, written_out=written_out))):
                for start, stop in text.find(needle):
                    yield text.place(start, stop, PART)


def _longest_word(one: Folded) -> str:
    """The longest run of letters, which every way of writing a line has in it."""
    edges = one.edge.nonzero()[0].tolist()
    return max((one.symbols[low:high] for low, high in pairwise(edges)), key=len, default="")


def _turned(line: str, *, written_out: bool) -> list[Needle]:
    """The line with its first or last word on the other side, if one of them has a digit."""
    words = line.split()
    first, last = (any(c.isdecimal() for c in fold(w).symbols) for w in (words[0], words[-1]))
    if first == last:
        return []
    turned = fold(" ".join([*words[1:], words[0]] if first else [words[-1], *words[:-1]]), written_out=written_out)
    return [needle_of(turned, 0, len(turned.symbols))]


def identifier(text: Text, value: str) -> Iterator[Place]:
    """A value as it stands: one with digits grouped in any way, from five symbols on (six if it is all digits); one of
    letters only with its own words, from four letters on. Raises TooManyError.
    """
    for needle in needles(value):
        symbols = needle.symbols
        digits = sum(c.isdecimal() for c in symbols)
        if digits:
            if len(symbols) >= (LEAST_DIGITS if digits == len(symbols) else 5):
                loose = Needle(symbols, ANYWHERE) if digits * 2 >= len(symbols) else needle
                for start, stop in text.find(loose):
                    yield text.place(start, stop, WHOLE)
        elif letters(symbols) >= 4:
            for start, stop in text.find(needle):
                score = WHOLE if len(needle.joints) and len(symbols) >= 8 else single(text, start, stop, symbols)
                if score:
                    yield text.place(start, stop, score)
