"""What contracts may say is what enforcement can do: neither more nor less."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.contracts import formats, words
from governance.contracts.rules import RULES
from governance.contracts.types import LogicalType
from governance.contracts.words import nearest
from governance.enforcement import convert, dates, derive, quality
from governance.errors import ContractError


def test_every_row_rule_of_a_contract_is_one_that_enforcement_has():
    assert {name for name, rule in RULES.items() if rule.kind == "row"} == set(quality._RULES)


def test_every_bound_has_a_comparison():
    assert set(RULES["between"].arguments) <= set(quality._BOUNDS)


def test_number_and_truth_forms_are_those_that_are_read():
    assert set(formats.INTEGERS) == set(convert.NUMBER_FORMS)
    assert set(formats.BOOLEANS) == set(convert.BOOLEAN_FORMS)


def test_derived_kinds_are_those_that_are_computed():
    for kind in words.DERIVE_KINDS:
        assert f'"{kind}":' in _source(derive.derive)


def _source(function):
    import inspect

    return inspect.getsource(function)


@pytest.mark.parametrize(
    "pattern",
    [
        "yyyy-MM-dd",
        "MM-dd-yyyy",
        "M/d/yyyy",
        "d MMM yyyy",
        "yyyy-MM-dd'T'HH:mm:ss",
        "yyyy-MM-dd HH:mm:ss.SSSXXX",
        "MM/dd/yyyy hh:mm a",
    ],
)
def test_date_patterns_that_are_read(pattern):
    assert formats.pattern_fault(pattern) is None
    dates.pattern_to_regex(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "iso8601",
        "YYYY-MM-DD",
        "dd/MM/yy",
        "MM-yyyy",
        "yyyy-MM-dd yyyy",
        "yyyy-MM-M-dd",
        "yyyy-MM-dd hh:mm",
        "yyyy-MM-dd'T",
    ],
)
def test_date_patterns_that_would_guess(pattern):
    assert formats.pattern_fault(pattern) is not None


@settings(deadline=None, max_examples=300)
@given(
    parts=st.lists(
        st.sampled_from(
            [
                "yyyy",
                "MM",
                "M",
                "MMM",
                "dd",
                "d",
                "HH",
                "hh",
                "mm",
                "ss",
                "SSS",
                "a",
                "X",
                "-",
                "/",
                " ",
                "'T'",
                "''",
                "Q",
                "yy",
            ]
        ),
        max_size=9,
    )
)
def test_a_pattern_that_check_accepts_can_be_read(parts):
    """What check accepts, enforcement compiles; what enforcement can't compile, check refuses."""
    pattern = "".join(parts)
    try:
        dates.parse_timestamps(convert.pa.array(["x"]), pattern)
    except (ContractError, convert.pa.ArrowInvalid):
        assert formats.pattern_fault(pattern) is not None


def test_every_logical_type_but_records_has_its_forms():
    for kind in LogicalType:
        expected = kind not in (LogicalType.OBJECT, LogicalType.ARRAY)
        assert bool(formats.words_for(kind)) == expected


@pytest.mark.parametrize(
    ("word", "meant"),
    [("protct", "protect"), ("Email_adress", "EMAIL_ADDRESS"), ("zzz", None), ("", None)],
)
def test_the_nearest_word(word, meant):
    assert nearest(word, ("protect", "EMAIL_ADDRESS")) == meant
