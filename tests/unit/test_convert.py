"""Types are read as declared, cell by cell, and never guessed."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.enforcement.convert import convert
from governance.errors import ContractError


def read(texts, word, *formats, nulls=("",)):
    got = convert(pa.array(texts, pa.string()), word, formats, nulls, trim=True)
    return got.values.to_pylist(), got.failed.tolist()


@pytest.mark.parametrize(
    ("word", "formats", "text", "value"),
    [
        ("int64", (), "17850", 17850),
        ("int64", (), " -3 ", -3),
        ("int64", (), "+2", 2),
        ("int64", ("float_integer",), "17850.0", 17850),
        ("decimal(12,2)", (), "1.500", Decimal("1.50")),
        ("decimal(12,2)", ("money",), "$90,000 ", Decimal("90000.00")),
        ("decimal(12,2)", ("money",), "€1,234.50", Decimal("1234.50")),
        ("decimal(12,2)", ("money_comma",), "1.234,50", Decimal("1234.50")),
        ("double", (), "1e3", 1000.0),
        ("date", ("MM-dd-yyyy",), "02-29-2024", date(2024, 2, 29)),
        ("date", ("M/d/yyyy",), "4/8/1966", date(1966, 4, 8)),
        ("date", ("d MMM yyyy",), "3 Sep 2021", date(2021, 9, 3)),
        ("timestamp", ("M/d/yyyy H:mm",), "12/1/2010 8:26", datetime(2010, 12, 1, 8, 26, tzinfo=UTC)),
        ("timestamp", (), "2024-01-02 03:04:05+02:00", datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("timestamp", (), "2024-01-02T03:04:05.123456Z", datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("timestamp", ("epoch_seconds",), "0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("timestamp", ("dd/MM/yyyy hh:mm a",), "01/02/2024 12:30 AM", datetime(2024, 2, 1, 0, 30, tzinfo=UTC)),
        ("bool", (), "True", True),
        ("bool", ("yes_no",), "No", False),
    ],
)
def test_a_declared_form_is_read(word, formats, text, value):
    assert read([text], word, *formats) == ([value], [False])


@pytest.mark.parametrize(
    ("word", "formats", "text"),
    [
        ("int64", (), "0x1F"),
        ("int64", (), "1.0"),
        ("int64", (), "99999999999999999999"),
        ("int64", (), "seven"),
        ("decimal(12,2)", (), "$5.00"),
        ("decimal(12,2)", (), "1.555"),
        ("decimal(12,2)", (), "NaN"),
        ("decimal(12,2)", (), "12345678901.00"),
        ("decimal(12,2)", ("money",), "1,23.40"),
        ("double", (), "inf"),
        ("double", (), "nan"),
        ("date", ("MM-dd-yyyy",), "02-30-2025"),
        ("date", ("MM-dd-yyyy",), "2025-02-28"),
        ("date", (), "2023-02-29"),
        ("timestamp", (), "2024-01-02T24:00:00Z"),
        ("timestamp", (), "2024-01-02T03:04:05+19:00"),
        ("bool", (), "1"),
        ("time", (), "25:00"),
        ("string", (), "a\0b"),
    ],
)
def test_what_is_not_declared_fails_and_is_null(word, formats, text):
    assert read([text], word, *formats) == ([None], [True])


def test_declared_null_texts_are_null_and_do_not_fail():
    assert read(["NULL", "", " N/A ", "x"], "string", nulls=("", "NULL", "N/A")) == ([None] * 3 + ["x"], [False] * 4)


def test_several_forms_are_tried_in_order():
    values, failed = read(["2024-01-31", "31/01/2024", "01/31/2024"], "date", "iso", "dd/MM/yyyy")
    assert values == [date(2024, 1, 31), date(2024, 1, 31), None]
    assert failed == [False, False, True]


def test_an_unknown_form_is_refused_not_guessed():
    with pytest.raises(ContractError):
        read(["1"], "int64", "whatever")
    with pytest.raises(ContractError):
        read(["1"], "date", "YYYY-QQ")


def test_nested_values_never_become_text():
    got = convert(pa.array([{"a": 1}, None]), "string", (), ("",), trim=True)
    assert got.values.to_pylist() == [None, None]
    assert got.failed.tolist() == [True, False]


_TEXTS = st.text(alphabet="0123456789+-.eExX$, :/TZ", max_size=12)


@given(
    st.lists(_TEXTS, min_size=1, max_size=20),
    st.sampled_from(["int64", "decimal(12,2)", "double", "date", "timestamp", "bool"]),
    st.randoms(use_true_random=False),
)
def test_what_becomes_of_a_cell_never_depends_on_its_neighbours(texts, word, random):
    together = read(texts, word)
    alone = [read([text], word) for text in texts]
    assert together[0] == [values[0] for values, _ in alone]
    assert together[1] == [failed[0] for _, failed in alone]


@given(st.lists(st.one_of(st.none(), st.dates()), max_size=30))
def test_every_day_of_the_calendar_survives_its_text(days):
    texts = [None if d is None else f"{d.month:02}-{d.day:02}-{d.year:04}" for d in days]
    assert read(texts, "date", "MM-dd-yyyy") == (days, [False] * len(days))


@given(st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=2), max_size=30))
def test_amounts_survive_exactly(amounts):
    assert read([str(a) for a in amounts], "decimal(12,2)")[0] == amounts
