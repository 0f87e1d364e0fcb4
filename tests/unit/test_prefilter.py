"""What the prefilter drops, no recogniser can match: every one that Presidio ships, by texts made to break it."""

import inspect
import random
from typing import Any

import numpy as np
import phonenumbers
import presidio_analyzer.predefined_recognizers as shipped
import pyarrow as pa
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from known_hits import KNOWN_HITS
from matching_texts import around, changed, text_of, texts_of
from presidio_analyzer import Pattern, PatternRecognizer
from presidio_analyzer.predefined_recognizers import IbanRecognizer, PhoneRecognizer

from governance.adapters.presidio.conditions import condition_of
from governance.pii.prefilter import Condition, least_digits, least_length, met, met_rows

# What asks a model or a service has no condition, and can't be made here without it.
_BY_MODEL = {"SpacyRecognizer", "StanzaRecognizer", "TransformersRecognizer"}


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311


_TYPES = ("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager", "uan")


def _shipped() -> dict[str, Any]:
    made = {}
    for name in sorted(dir(shipped)):
        known = getattr(shipped, name)
        if inspect.isclass(known) and name not in _BY_MODEL:
            try:
                made[name] = known()
            except (ImportError, TypeError, ValueError):  # a model's, or a service's
                continue
    return made


RECOGNIZERS = _shipped()
CONDITIONS = {name: condition_of(recognizer) for name, recognizer in RECOGNIZERS.items()}
BY_PATTERN = {name: r for name, r in RECOGNIZERS.items() if isinstance(r, PatternRecognizer)}


def _met(condition: Condition | None, texts: list[str]) -> list[bool]:
    return [bool(yes) for yes in met([condition], pa.array(texts, pa.large_string()))[0]]


def _dropped(condition: Condition | None, texts: list[str]) -> list[str]:
    return [text for text, yes in zip(texts, _met(condition, texts), strict=True) if not yes]


def _found(pattern: Any, flags: int, texts: list[str]) -> list[str]:
    search = regex.compile(pattern.regex, flags)
    return [text for text in texts if any(match.group() for match in search.finditer(text))]


def test_every_shipped_recognizer_that_needs_no_model_has_a_condition() -> None:
    assert len(RECOGNIZERS) > 90
    assert [name for name, condition in CONDITIONS.items() if condition is None] == []


@pytest.mark.parametrize("name", BY_PATTERN)
@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 2**32))
def test_a_text_that_a_pattern_is_found_in_is_never_dropped(name: str, seed: int) -> None:
    recognizer, chance = BY_PATTERN[name], _chance(seed)
    for pattern in recognizer.patterns:
        texts = _found(pattern, recognizer.global_regex_flags, texts_of(pattern.regex, chance, 25))
        assert _dropped(CONDITIONS[name], texts) == []


@pytest.mark.parametrize("name", BY_PATTERN)
def test_the_texts_made_to_break_it_are_found_by_each_pattern(name: str) -> None:
    recognizer, chance = BY_PATTERN[name], _chance(5)
    for pattern in recognizer.patterns:
        texts = texts_of(pattern.regex, chance, 300)
        assert len(_found(pattern, recognizer.global_regex_flags, texts)) >= 10


def _phone_number(region: str, chance: random.Random) -> str:
    of = phonenumbers.PhoneMetadata.metadata_for_region(region, None)
    kinds = [kind for kind in (getattr(of, name) for name in _TYPES) if kind and kind.national_number_pattern]
    digits = text_of(chance.choice(kinds).national_number_pattern, chance)
    sign = chance.choice(["", "", " ", "-", ".", "/", "x", "(", "\u00a0", "\u2010", "  "])
    at = set(chance.sample(range(len(digits)), min(len(digits), chance.randint(0, 4))))
    body = "".join((sign if i in at else "") + digit for i, digit in enumerate(digits))
    code = str(of.country_code)
    before = [
        "",
        "",
        "0",
        "1",
        "(0)",
        "8",
        "90",
        code,
        code + " ",
        "+" + code,
        f"+{code} (0)",
        "00" + code,
        "011" + code,
    ]
    after = [""] * 8 + [
        " ext. 12",
        " ext",
        " x123",
        "#123456789",
        "-12#",
        " int 5",
        ";ext=3",
        " anexo 1",
        ",,#999999999",
    ]
    return chance.choice(before) + body + chance.choice(after)


def _phone_texts(regions: tuple[str, ...], chance: random.Random, count: int) -> list[str]:
    texts = []
    for _ in range(count):
        text = _phone_number(chance.choice(regions), chance)
        for change in (changed, around, lambda t, c: t + c.choice(" ,/;") + _phone_number(c.choice(regions), c)):
            text = change(text, chance) if chance.random() < 0.25 else text
        texts.append(text)
    return texts


_REGIONS = [
    tuple(PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS),
    ("US",),
    ("DE", "AT", "IT"),
    ("AR", "MX", "BR"),  # rules that write a number anew
    ("GG", "BM", "CC"),  # regions that share a country code
    tuple(sorted(phonenumbers.SUPPORTED_REGIONS)),
]


@pytest.mark.parametrize("regions", _REGIONS, ids=lambda regions: "-".join(regions[:8]))
@pytest.mark.parametrize("leniency", [0, 1, 2])
@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 2**32))
def test_a_text_with_a_phone_number_is_never_dropped(regions: tuple[str, ...], leniency: int, seed: int) -> None:
    recognizer = PhoneRecognizer(supported_regions=regions, leniency=leniency)
    texts = _phone_texts(regions, _chance(seed), 30 if len(regions) < 10 else 4)
    assert _dropped(condition_of(recognizer), [text for text in texts if recognizer.analyze(text, [])]) == []


@pytest.mark.parametrize("name", ["ZaMobileNumberRecognizer", "ZaTelephoneNumberRecognizer"])
@settings(deadline=None, max_examples=2)
@given(seed=st.integers(0, 2**32))
def test_a_text_with_a_south_african_number_is_never_dropped(name: str, seed: int) -> None:
    texts = _phone_texts(("ZA",), _chance(seed), 60)
    found = [text for text in texts if RECOGNIZERS[name].analyze(text, [])]
    assert _dropped(CONDITIONS[name], found) == []


def test_the_phone_numbers_made_to_break_it_are_found() -> None:
    texts = _phone_texts(_REGIONS[0], _chance(3), 100)
    assert sum(bool(RECOGNIZERS["PhoneRecognizer"].analyze(text, [])) for text in texts) > 20


@pytest.mark.parametrize(
    "text",
    [
        "+1 650 253 0000",
        "(650) 253-0000",
        "tel:030/12345678",
        "16-41",  # a German pager, the shortest of the default regions
        "\u0660\u0663\u0660 \u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",  # Arabic-Indic digits
        "\uff10\uff13\uff10\uff0d\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",  # full-width ones
        "030\u20131234\u20115678",
        "6502530 int. 5",  # the letters are taken for digits: 468
        "1,#1234567896502530000",  # an extension ends amid the digits
        "1" * 420 + "6502530000",  # so does the longest candidate
    ],
)
def test_a_phone_number_in_an_odd_form_is_found_and_passes(text: str) -> None:
    assert RECOGNIZERS["PhoneRecognizer"].analyze(text, [])
    assert _met(CONDITIONS["PhoneRecognizer"], [text]) == [True]


def test_the_table_of_known_hits_names_every_recognizer() -> None:
    assert set(KNOWN_HITS) == set(RECOGNIZERS)


@pytest.mark.parametrize("name", KNOWN_HITS)
def test_a_known_hit_is_found_and_passes_in_any_place(name: str) -> None:
    text = KNOWN_HITS[name]
    assert RECOGNIZERS[name].analyze(text, [])
    assert _dropped(CONDITIONS[name], [text, f"\u6f22 {text}", f"{text}\n", f"({text})", f"{'é ' * 400}{text} ñ"]) == []


def test_ordinary_cells_are_dropped() -> None:
    ordinary = ["blue", "Blue Mountain", "A fine day. No more to say.", "AB-12", "x", "", "12", "0.99", "true", "S/M"]
    assert [len(rows) for rows in met_rows(list(CONDITIONS.values()), pa.array(ordinary))] == [0] * len(CONDITIONS)


def test_dates_and_prices_never_reach_the_search_for_phone_numbers() -> None:
    cells = ["2024-05-01", "2011-12-31", "1234.50", "19.99", "4006381333931", "2024-05-01T10:11:12"]
    assert _dropped(CONDITIONS["PhoneRecognizer"], cells) == cells


def test_words_and_a_number_are_no_member_id() -> None:
    assert _dropped(CONDITIONS["UsHealthInsuranceMemberIdRecognizer"], ["wonderful 12 things"]) == [
        "wonderful 12 things"
    ]


def _recognizer(pattern: str, flags: int = regex.IGNORECASE) -> PatternRecognizer:
    return PatternRecognizer("X", patterns=[Pattern("x", pattern, 0.5)], global_regex_flags=flags)


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [
        (r"(?:foo){e<=1}", 0),
        (r"a b", int(regex.VERBOSE)),
        (r"(?x)a b", 0),
        (r"\w+", int(regex.ASCII)),
        (r"[a-z]", int(regex.VERSION1)),
        (r"(?V1)[a-z--b]", 0),
        (r"[[a-z]&&[b]]", 0),
        (r"[[:alpha:]]", 0),
        (r"\p{L}+", 0),
        (r"(?|(a)|(b))", 0),
        (r"(a)?(?(1)b|c)", 0),
        (r"(?R)?a", 0),
        (r"\X", 0),
        (r"\N{BULLET}", 0),
        (r"\R", 0),
        (r"\Ka", 0),
        (r"a\mb", 0),
        (r"a{,}", 0),
    ],
)
def test_a_pattern_that_is_not_understood_has_no_condition(pattern: str, flags: int) -> None:
    assert condition_of(_recognizer(pattern, flags)) is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?i)straße\d", "STRASSE1 straße7"),
        (r"(?P<a>x)-(?P=a)", "x-X"),
        (r"([ab]\b)-\1c", "a-ac"),
        (r"(\d(?!\d)),\1", "12,23"),
        (r"(?<=id )\d+", "id 7"),
        (r"(?<!\d)\d{3}(?!\d|\.\d)", "x123."),
        (r"\bé\b", "(é)"),
        (r"\B-\B", " - "),
        (r"^a$", "b\na\nb"),
        (r"x{2000}", "x" * 2000),
        (r"(?:ab?){3,}+c", "aababc"),
        (r"(?>a+)b", "aab"),
        (r"[^a]b", "Cb"),
        (r"[^\W\d_]{3}", "éßж"),
        (r"[]x]y", "]y"),
        (r"[a-]z", "-z"),
        (r"\x41\u0042", "ab"),
        (r"a.c", "a\nc"),
        (r"(?=.*\d)[a-z]{4}", "abcd 7"),
        (r"(?!b)[ab]c", "ac"),
        (r"i", "\u0130"),
        (r"I", "\u0131"),
        (r"[A-Z]\d", "\u017f1"),
        (r"k", "\u212a"),
        (r"\d{3}", "\u0661\u0662\u0663"),
        (r"a|", "a"),
        (r"(?:a|b|)c", "c"),
        (r"(x)?\1y", "xxy"),
        (r"\s\S", "\x85a"),
    ],
)
def test_what_a_pattern_finds_passes(pattern: str, text: str) -> None:
    flags = int(regex.IGNORECASE | regex.DOTALL | regex.MULTILINE)
    assert regex.search(pattern, text, flags)
    assert _met(condition_of(_recognizer(pattern, flags)), [text]) == [True]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"\b\d{3}\b", "1234"),
        (r"(?<!\d)\d{3}(?!\d)", "1234"),
        (r"(?=.*@)a{3}", "aaa"),
        (r"(?<=id )\d", "7"),
        (r"([ab])-\1", "c-c"),
        (r"[a-c]{2,3}x", "ax"),
    ],
)
def test_what_a_pattern_cannot_find_is_mostly_dropped(pattern: str, text: str) -> None:
    assert _met(condition_of(_recognizer(pattern)), [text]) == [False]


def test_words_of_a_deny_list_are_searched_for() -> None:
    condition = condition_of(PatternRecognizer("X", deny_list=["Mr.", "Dr. K"]))
    assert _met(condition, ["dear mr. X", "DR. \u212a!", "doctor"]) == [True, True, False]


def test_a_recognizer_that_searches_in_its_own_way_has_no_condition() -> None:
    class Own(PatternRecognizer):
        def analyze(self, *_: Any, **__: Any) -> list[Any]:
            return []

    class Wider(IbanRecognizer):
        pass

    class Everywhere(PhoneRecognizer):
        def analyze(self, *_: Any, **__: Any) -> list[Any]:
            return []

    own = Own("X", patterns=[Pattern("x", "x", 0.5)])
    changed_one = _recognizer("x")
    changed_one.analyze = lambda *_, **__: []
    changed_two = IbanRecognizer()
    changed_two.analyze = lambda *_, **__: []
    every = (own, Wider(), Everywhere(), changed_one, changed_two, object())
    assert [condition_of(one) for one in every] == [None] * len(every)
    assert condition_of(PhoneRecognizer(leniency=9)) is None
    assert condition_of(PhoneRecognizer(supported_regions=("XX",))) is None
    assert condition_of(PhoneRecognizer(supported_regions=(None,))) is None


def test_without_a_condition_all_but_null_pass() -> None:
    values = pa.array(["a", None, ""])
    assert [mask.tolist() for mask in met([None, Condition(())], values)] == [[True, False, True], [False] * 3]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_any_kind_of_string_array_is_searched_in_its_own_rows(kind: pa.DataType) -> None:
    whole = pa.array(["x@example.com", None, "no", "é@example.org", "", "y@example.net"], pa.string()).cast(kind)
    condition = CONDITIONS["EmailRecognizer"]
    assert met([condition], whole)[0].tolist() == [True, False, False, True, False, True]
    assert met([condition], whole.slice(2, 3))[0].tolist() == [False, True, False]
    assert met_rows([condition], whole.slice(3))[0].tolist() == [0, 2]


def test_a_large_column_is_searched_to_its_end() -> None:
    values = ["nothing here"] * 150_000
    for row in (0, 65_535, 65_536, 149_999):
        values[row] = "x@example.com"
    assert met_rows([CONDITIONS["EmailRecognizer"]], pa.array(values))[0].tolist() == [0, 65_535, 65_536, 149_999]


@pytest.mark.parametrize("filler", ["@", ".", "1", "a", ":", "-", "/", "é", "\U0001d7d8", "漢"])
def test_a_long_cell_loses_no_count(filler: str) -> None:
    for size in (191, 192, 193, 255, 256, 257, 5000):
        text = f"{filler * size} x@example.com 10.0.0.1"
        assert _met(CONDITIONS["EmailRecognizer"], [text]) == [True]
        assert _met(CONDITIONS["IpRecognizer"], [text]) == [True]


def test_conditions_say_how_short_a_number_may_be() -> None:
    cards = [CONDITIONS["CreditCardRecognizer"], CONDITIONS["UsSsnRecognizer"]]
    assert (least_digits(cards), least_length(cards)) == (9, 9)
    assert (least_digits([*cards, None]), least_length([*cards, None])) == (0, 0)


def test_conditions_asked_together_of_many_cells_answer_as_each_alone() -> None:
    chance = _chance(8)
    texts = [t for r in BY_PATTERN.values() for p in r.patterns for t in texts_of(p.regex, chance, 18)]
    values = pa.array(texts)
    assert len(texts) > 3000
    together = met(list(CONDITIONS.values()), values)
    for mask, condition in zip(together, CONDITIONS.values(), strict=True):
        assert np.array_equal(mask, met([condition], values)[0])


@pytest.mark.parametrize("name", ["UsSsnRecognizer", "DateRecognizer", "UsLicenseRecognizer", "InPanRecognizer"])
def test_many_cells_lose_nothing_that_a_pattern_is_found_in(name: str) -> None:
    chance, recognizer = _chance(9), BY_PATTERN[name]
    texts = [t for r in BY_PATTERN.values() for p in r.patterns for t in texts_of(p.regex, chance, 18)]
    masks = dict(zip(CONDITIONS, met(list(CONDITIONS.values()), pa.array(texts)), strict=True))
    found = {t for p in recognizer.patterns for t in _found(p, recognizer.global_regex_flags, texts)}
    assert found
    assert found <= {text for text, yes in zip(texts, masks[name], strict=True) if yes}
