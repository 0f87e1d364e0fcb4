r"""What a cell must have for Google's phone number matcher to find a number in it: digits, enough of them, of a region.

The proof, from phonenumbers' source (`phonenumbermatcher.py`, `phonenumberutil.py`) and its metadata:

1. A find is a part of what its `_PATTERN` matches: digits of any script with up to four signs between two of them,
   after a plus or a bracket or nothing, and an extension. Its parts begin and end at signs, so no digit stands next to
   the digits of a find, but behind a run of 20 of them or of 10 behind the mark of an extension (LONG, CUT).
2. From leniency VALID on, the digits that are parsed, D, must name a valid national number: one of its region's types
   matches it whole, at one of the type's lengths. What is taken from D, or added to it, before that:
   - a plus and a country code (PLUS), or a dialling-out prefix and a country code (OUT);
   - the region's own country code without a plus (OWN);
   - the national prefix, which the region's rule may replace by others, of its literal digits at most (PREFIX);
   - nothing (BARE): then the format that fits must not ask for the national prefix, unless D begins as if it had it.
   Of the number that is left, the first three digits and the length are known that a valid one can have.
3. Letters count as digits only if there are three, behind a digit: the sign x, or an extension's word (LETTERS).

Where a digit or a sign between the digits is outside ASCII, any digits of enough count pass (OTHER).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from functools import lru_cache
from typing import Any

import phonenumbers
import regex
from phonenumbers import phonenumberutil

from governance.adapters.presidio.starts import EVERY_START, LONGEST, starts_of
from governance.pii.charset import NOT_ASCII, CharSet, re2
from governance.pii.measures import DIGITS, LENGTH, LETTERS, NOTHING, RUN, Kind, Needs, kinds
from governance.pii.superset import Clause
from governance.pii.syntax import Chars, NotUnderstoodError, edge, parse

_TYPES = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)
_MOST_REGIONS = 24  # with more of them the digits' values say nothing
_MOST_LENGTHS = 3  # with more of them a prefix's pattern would be large
_NOT_GEOGRAPHIC = "001"
_DIGIT = re2(CharSet.chars("0123456789") | NOT_ASCII)  # a wide one: the clause's needs count the digits themselves
# From VALID on, a find has no Latin letter beside it; one that begins an extension (e, x, i, a) may follow its digits.
_BEFORE, _AFTER = r"(?:\A|[^0-9A-Za-z])", r"(?:\z|[^0-9B-DF-HJ-WYZb-df-hj-wyz])"
_EXTENSIONS = r"(?:[eE]?[xX][tT]|[iI\x{130}\x{131}][nN][tT]|[aA][nN][eE][xX][oO])"
_MARKS = r"(?:[xX#~\x{80}-\x{10ffff}]|[iI\x{80}-\x{10ffff}][nN\x{80}-\x{10ffff}][tT\x{80}-\x{10ffff}])"


def phone_clauses(regions: Sequence[str], leniency: int) -> tuple[Clause, ...] | None:
    """Each text with a number of these regions (or any, written with a plus) holds one of these; None if not known."""
    if leniency not in (0, 1, 2, 3) or not all(isinstance(region, str) for region in regions):
        return None
    if leniency == 0:
        return (_clause(f"{_DIGIT}{_more(1)}", 2),)
    return _valid(tuple(regions))


@lru_cache(maxsize=32)
def _valid(regions: tuple[str, ...]) -> tuple[Clause, ...] | None:
    known: list[Any] = [phonenumbers.PhoneMetadata.metadata_for_region(region.upper(), None) for region in regions]
    if not all(known):
        return None
    fewest = min(len(str(code)) + _fewest(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    least = min(fewest, *(_fewest(one.country_code, one) for one in known))
    signs = re2(_signs())
    clauses = [
        _clause(rf"[+\x{{ff0b}}](?:[+\x{{ff0b}}(\[]|{signs})*{_DIGIT}{_more(fewest - 1)}", fewest),  # PLUS
        _clause(rf"{_DIGIT}(?:(?:{signs}|{_DIGIT})*[xX]){{3}}", 3, letters=3),  # LETTERS, by the sign x
        _clause(
            rf"{_DIGIT}{_more(2)}(?:{signs}|[\t,;:.])*{_EXTENSIONS}", 3, letters=2
        ),  # LETTERS, by an extension's word
        _clause(rf"{_MARKS}[:.\x{{ff0e}}]?[ \t,\x{{a0}}-]*{_DIGIT}{{10}}", 10, 10),  # CUT
        _clause(rf"{_DIGIT}{{20}}", 20, 20),  # LONG
    ]
    if len(known) > _MOST_REGIONS:
        return (*clauses, _clause(_DIGIT + _more(least - 1), least))
    far = re2((_signs() | kinds()[Kind.DIGIT]) & NOT_ASCII, exact=True)
    clauses.append(_clause(far, least, also=(_DIGIT + _more(least - 1),)))  # OTHER
    forms: list[tuple[int, str]] = []
    bare: defaultdict[int, set[str]] = defaultdict(set)
    for one in known:
        forms += _with_prefix(one, fewest)
        for length, starts in _bare(one.country_code).items():
            bare[length] |= starts
    forms += [(n, _starting(starts) + _followed(n - 3) + _AFTER) for n, starts in sorted(bare.items()) if starts]
    return (*clauses, *_together(forms))


def _together(forms: Sequence[tuple[int, str]]) -> Iterable[Clause]:
    """One clause for those that need few digits, one for more, and one for many: each a pattern to be run once."""
    for low, high in ((0, 6), (7, 8), (9, LONGEST * 2)):
        if these := [(digits, pattern) for digits, pattern in forms if low <= digits <= high]:
            patterns = "|".join(dict.fromkeys(pattern for _, pattern in these))
            yield _clause(f"{_BEFORE}(?:{patterns})", min(digits for digits, _ in these))


def _with_prefix(one: Any, fewest: int) -> Iterable[tuple[int, str]]:
    """OUT, OWN and PREFIX of a region: the digits that each needs, and its pattern."""
    code = str(one.country_code)
    if outward := _outward(one.international_prefix):
        yield fewest + 1, _starting(outward) + _followed(fewest - 2)
    own = _join(map(_one_of, code))
    rules = [one, *_main(one.country_code)]
    plain = [_plain_prefixes(rule) for rule in rules]
    numbers = _numbers(one.country_code)
    if numbers and all(prefixes is not None for prefixes in plain):
        prefixes = sorted({prefix for some in plain for prefix in some or ()})
        taken = f"(?:{'|'.join(_join(map(_one_of, prefix)) + _gap() for prefix in prefixes)})"
        head = f"(?:{own}{_gap()}{taken + '{0,2}' if prefixes else ''}{'|' + taken + '{1,2}' if prefixes else ''})"
        for length, starts, after in _few(numbers):
            yield length + 1, head + _starting(starts) + _followed(length - 3) + after
        return
    least = min(_fewest(one.country_code, rule) for rule in rules)
    yield least + len(code), own + _followed(least)
    for rule in rules:
        if prefix := _first_digits(rule.national_prefix_for_parsing):
            # Where a rule writes the number anew, the prefix may be all that it takes away.
            bare = 0 if rule.national_prefix_transform_rule else 1
            yield least + bare, _one_of(prefix) + _followed(least + bare - 1)


def _outward(prefix: str | None) -> frozenset[str]:
    """The first three digits of a number dialled out of a region: its prefix, with no 0 behind (it would be none)."""
    if not prefix or _looks(prefix):
        return EVERY_START if prefix else frozenset()
    out = regex.compile(prefix)

    def begins(start: str) -> bool:
        taken = out.match(start)
        inside = taken is not None and taken.end() < len(start) and start[taken.end()] != "0"
        return inside or out.fullmatch(start, partial=True) is not None

    return frozenset(filter(begins, EVERY_START))


def _few(numbers: dict[int, frozenset[str]]) -> Iterable[tuple[int, frozenset[str], str]]:
    """Each length with its starts and what follows; where there are many lengths, the shortest with all starts."""
    if len(numbers) > _MOST_LENGTHS:
        return [(min(numbers), frozenset().union(*numbers.values()), "")]
    return [(length, starts, _AFTER) for length, starts in sorted(numbers.items())]


def _plain_prefixes(rule: Any) -> tuple[str, ...] | None:
    """The national prefixes, where they are just digits to be taken away; None where there is more to it."""
    prefix = rule.national_prefix_for_parsing
    if not prefix:
        return ()
    if rule.national_prefix_transform_rule or regex.fullmatch(r"\d+(?:\|\d+)*", prefix) is None:
        return None
    return tuple(prefix.split("|"))


def _fewest(code: int, rules: Any = None) -> int:
    """The fewest digits of which a national number of a country code can be made, by its main region's rules (and
    these).
    """
    lengths = [n for one in _regions(code) for kind in _kinds(one) for n in _lengths(kind, one)]
    added = [
        len(regex.sub(r"\\\d", "", one.national_prefix_transform_rule or "")) for one in (*_main(code), rules) if one
    ]
    # A rule may be applied when the country code is taken off and once more after it.
    return max(2, min(lengths, default=2) - 2 * max(added, default=0))


def _main(code: int) -> tuple[Any, ...]:
    one = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, _main_region(code))
    return () if one is None else (one,)


@lru_cache(maxsize=512)
def _regions(code: int) -> tuple[Any, ...]:
    of = phonenumbers.PhoneMetadata
    names = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
    every = [
        of.metadata_for_nongeo_region(code, None) if name == _NOT_GEOGRAPHIC else of.metadata_for_region(name, None)
        for name in names
    ]
    return tuple(one for one in every if one is not None)


def _main_region(code: int) -> str:
    return str(phonenumbers.region_code_for_country_code(code))


def _kinds(one: Any) -> list[Any]:
    found = [getattr(one, name) for name in _TYPES]
    return [kind for kind in found if kind is not None and kind.national_number_pattern]


def _lengths(kind: Any, one: Any) -> list[int]:
    """The lengths of a type's numbers; any, where the metadata names none."""
    for lengths in (kind.possible_length, one.general_desc.possible_length):
        if lengths:
            return [n for n in lengths if n > 0]
    return list(range(2, LONGEST + 1))


@lru_cache(maxsize=64)
def _numbers(code: int) -> dict[int, frozenset[str]]:
    """For each length of a national number, the first three digits that a valid one may have; empty if not known."""
    found: defaultdict[int, frozenset[str]] = defaultdict(frozenset)
    for one in _regions(code):
        whole = starts_of(one.general_desc.national_number_pattern)
        for kind in _kinds(one):
            starts = starts_of(kind.national_number_pattern)
            for length in _lengths(kind, one):
                if length < 3:
                    return {}
                found[length] |= starts[length] & whole[length]
    return {length: starts for length, starts in found.items() if starts}


@lru_cache(maxsize=64)
def _bare(code: int) -> dict[int, frozenset[str]]:
    """Of those, the ones that a number written without a prefix may have, or one that looks as if it had one."""
    formats = [_Format(one) for main in _main(code) for one in main.number_format]
    like = {start for main in _main(code) for start in EVERY_START if _like_prefix(main, start)}
    numbers = _numbers(code)
    if not numbers:
        return dict.fromkeys(range(3, LONGEST + 1), EVERY_START)
    return {length: _standing(starts, length, formats) | (starts & like) for length, starts in numbers.items()}


def _like_prefix(rule: Any, start: str) -> bool:
    plain = _plain_prefixes(rule)
    if plain is None:
        return start[0] in _first_digits(rule.national_prefix_for_parsing)
    return any(start.startswith(prefix[:3]) for prefix in plain)


def _looks(pattern: str) -> bool:
    return regex.search(r"\(\?[^:]", pattern) is not None


class _Format:
    """A way to write a country's numbers: the starts it surely takes and those it may, and the lengths."""

    def __init__(self, one: Any) -> None:
        self.asks = _asks_for_prefix(one)
        self.sure = self.possible = EVERY_START
        if one.leading_digits_pattern:
            lead = regex.compile(one.leading_digits_pattern[-1])
            if _looks(lead.pattern):
                self.sure = frozenset()
            else:
                self.sure = frozenset(s for s in EVERY_START if lead.match(s))
                self.possible = frozenset(s for s in EVERY_START if lead.match(s, partial=True))
        plain = regex.fullmatch(r"(?:\(?\\d(?:\{\d+(?:,\d+)?\})?\)?)+", one.pattern) is not None
        self.lengths = frozenset(n for n in range(LONGEST + 1) if not plain or regex.fullmatch(one.pattern, "0" * n))
        if not plain:
            self.sure = frozenset()


def _standing(starts: frozenset[str], length: int, formats: Sequence[_Format]) -> frozenset[str]:
    """Of these starts, those with which a number of this length may be written without the national prefix: the first
    format that fits doesn't ask for it, or none fits.
    """
    allowed: frozenset[str] = frozenset()
    for one in formats:
        if length not in one.lengths:
            continue
        if one.asks:
            starts -= one.sure
        else:
            allowed |= starts & one.possible
    return allowed | starts


def _asks_for_prefix(one: Any) -> bool:
    rule = one.national_prefix_formatting_rule
    return bool(rule and not one.national_prefix_optional_when_formatting and not regex.fullmatch(r"\(?\\1\)?", rule))


def _first_digits(pattern: str | None) -> str:
    """The digits that such a prefix can begin with: all, where it isn't understood or can be nothing."""
    if not pattern:
        return ""
    try:
        chars, empty = edge(parse(pattern, 0), left=True)
    except NotUnderstoodError:
        return "0123456789"
    return "0123456789" if empty else (chars & CharSet.chars("0123456789")).members()


@lru_cache(maxsize=1)
def _signs() -> CharSet:
    """The signs between two digits of a number, as phonenumbers has them."""
    tree = parse(f"[{phonenumberutil._VALID_PUNCTUATION}]", int(regex.IGNORECASE))
    if not isinstance(tree, Chars):
        raise TypeError("phonenumbers' signs are no set of characters")
    return tree.most


@lru_cache(maxsize=1)
def _gap() -> str:
    """Signs of ASCII, or nothing."""
    return re2(_signs() - NOT_ASCII) + "*"


def _one_of(digits: str) -> str:
    return re2(CharSet.chars(digits))


def _more(count: int) -> str:
    """As many digits more, with signs before each; of any script."""
    return f"(?:{re2(_signs())}*{_DIGIT}){{{count}}}" if count > 0 else ""


def _followed(count: int) -> str:
    """As many digits more, with signs before each; of ASCII."""
    return f"(?:{_gap()}[0-9]){{{count}}}" if count > 0 else ""


def _join(digits: Iterable[str]) -> str:
    return _gap().join(digits)


def _starting(starts: Set[str]) -> str:
    """The starts (of three digits), those that differ only in one digit put together."""
    ends: defaultdict[str, set[str]] = defaultdict(set)
    for start in starts:
        ends[start[:2]].add(start[2])
    middles: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for start, lasts in ends.items():
        middles[start[0], "".join(sorted(lasts))].add(start[1])
    firsts: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for (first, last), middle in middles.items():
        firsts["".join(sorted(middle)), last].add(first)
    parts = [_join(map(_one_of, ("".join(sorted(first)), *rest))) for rest, first in sorted(firsts.items())]
    return f"(?:{'|'.join(parts)})"


def _clause(pattern: str, digits: int, run: int = 1, letters: int = 0, also: tuple[str, ...] = ()) -> Clause:
    needed = dict(enumerate(NOTHING)) | {LENGTH: digits + letters, DIGITS: digits, LETTERS: letters, RUN: run}
    needs: Needs = tuple(needed.values())
    return Clause((pattern, *also), needs)
