"""Every code point, tried: what a set is read as holds all that `regex` matches, in RE2 and in the cheap pass too."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import regex

from governance.pii.charset import CharSet, re2
from governance.pii.measures import CAP, MEASURES, SIZE, STRETCHES, WHOLE, Kind, kind_of, kinds
from governance.pii.prefilter import Condition, met_rows
from governance.pii.sifting import Sieve
from governance.pii.superset import Clause
from governance.pii.syntax import Chars, parse

CODES = np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x110000)])
TEXT = "".join(map(chr, CODES))
CELLS = pa.array(list(TEXT), pa.large_string())

SETS = [
    *"akis0.\u0130\u0131\u017f\u212a\u01c6\u00b5",
    r"\D",
    r"\w",
    r"\S",
    "[a-z]",
    "[A-HJ-PR-Y0-9]",
    "[A-ZÄÖÜ]",
    "[^a-z]",
    "[^k]",
    r"[^\W\d_]",
    r"[!#$%&'*+\-/=?^_`{|}~\w]",
    r"[\s.\-]",
    "[\u0100-\u024f]",
]


def _in(chars: CharSet) -> npt.NDArray[np.bool_]:
    mask = np.zeros(0x110000, bool)
    for low, high in chars.ranges:
        mask[low : high + 1] = True
    return mask[CODES]


def _matched(pattern: str, flags: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(TEXT), bool)
    for match in regex.finditer(f"(?:{pattern})+", TEXT, flags):
        mask[match.start() : match.end()] = True
    return mask


@pytest.mark.parametrize("flags", [0, int(regex.IGNORECASE | regex.DOTALL)])
@pytest.mark.parametrize("pattern", SETS)
def test_a_set_holds_all_that_regex_matches_and_surely_no_other(pattern: str, flags: int) -> None:
    matched, chars = _matched(pattern, flags), parse(pattern, flags)
    assert isinstance(chars, Chars)
    assert not (matched & ~_in(chars.most)).any()
    assert not (_in(chars.least) & ~matched).any()


@pytest.mark.parametrize("pattern", SETS)
def test_re2_matches_all_that_regex_matches(pattern: str) -> None:
    flags = int(regex.IGNORECASE | regex.DOTALL)
    chars = parse(pattern, flags)
    assert isinstance(chars, Chars)
    found = pc.match_substring_regex(CELLS, re2(chars.most)).to_numpy(zero_copy_only=False)
    assert not (_matched(pattern, flags) & ~found).any()


@pytest.mark.parametrize("pattern", ["k", r"\d", "[A-Z]", r"[\s.\-]", r"\w"])
def test_re2_matches_no_more_of_ascii(pattern: str) -> None:
    chars = parse(pattern, 0)
    assert isinstance(chars, Chars)
    found = pc.match_substring_regex(CELLS.slice(0, 128), re2(chars.most)).to_numpy(zero_copy_only=False)
    assert np.array_equal(found, _matched(pattern, 0)[:128])


def test_a_boundary_is_where_words_begin() -> None:
    starts = (match.start() for match in regex.finditer(r"\ba", "".join(f"{char}a " for char in TEXT)))
    begun = {start // 3 for start in starts if start % 3 == 1}
    assert begun == set(np.flatnonzero(~_matched(r"\w", 0)).tolist())


def test_each_code_point_is_of_one_kind() -> None:
    table = kind_of()
    assert sum(len(chars) for chars in kinds().values()) == 0x110000
    assert {Kind(table[ord(c)]) for c in "09\u0661\uff11"} == {Kind.DIGIT}
    assert set(kind_of()[CODES][_matched(r"\d", 0)]) == {Kind.DIGIT}
    assert set(kind_of()[CODES][_matched(r"\w", 0)]) == {Kind.DIGIT, Kind.LETTER, Kind.UNDERSCORE}


def test_the_cheap_pass_reads_every_code_point_as_its_kind() -> None:
    clauses = [Clause((), tuple(int(i == measure) for i in range(SIZE))) for measure in range(len(MEASURES))]
    every = met_rows([Condition((clause,)) for clause in clauses], CELLS)
    for measure, rows in zip(MEASURES, every, strict=True):
        assert np.array_equal(rows, np.flatnonzero(np.isin(kind_of()[CODES], measure.counted)))


def _plain(text: str) -> list[int]:
    """The facts of a text, counted the slow way."""
    found = []
    for measure in (*WHOLE, *STRETCHES):
        best = run = 0
        for char in text:
            kind = Kind(kind_of()[ord(char)])
            run = run + (kind in measure.counted) if kind in measure.within else 0
            best = max(best, run)
        found.append(min(best, CAP))
    return [*found, min(CAP, len(regex.findall(r"\.(?=\w)", text)))]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b. c..d 12-34/5:6@7_8",
        "é漢\U0001d7d8.9\u0661",
        "1" * 70 + "x" * 200,
        ".a" * 500,
        "ab-12-cd-345 6" * 30,
        "@" * 191 + "1" * 2,
    ],
)
def test_the_cheap_pass_counts_as_one_counts_by_hand(text: str) -> None:
    expected = _plain(text)
    for fact, least in enumerate(expected):
        enough = tuple(least if i == fact else 0 for i in range(SIZE))
        more = tuple(least + 1 if i == fact else 0 for i in range(SIZE))
        sieve = Sieve((enough, more)) if least < CAP else Sieve((enough,))
        _, bits = sieve.sift(pa.array([text], pa.large_string()))
        assert int(bits[0, 0]) == 1
