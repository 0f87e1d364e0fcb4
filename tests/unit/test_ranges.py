"""A price that is written as a range becomes its two bounds, or nothing; a number falls into one band."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.enforcement.derive import derive
from governance.enforcement.plan import arrow_type
from governance.enforcement.ranges import band, range_bounds

PRICE = "decimal(12,2)"
SIGNS = ("", "$", "$ ", "€", "£ ", "US $", "USD ", "EUR ")
GAPS = ("-", " - ", " – ", "—", "  -\t")  # noqa: RUF001
NO_RANGES = (
    "", " ", "on request", "7,92 to 16,23", "7,92", "1.99 - ", " - 1.99", "12.00 - 14.00 - 16.00", "-5", "5 - -3",
    "1.2.3", "1e3", "0x1F", "\uff11\uff12", "٣", "$", "12 3", "1,23,456", "5 - x", "a 5", "5 a", "5--6", "NaN",
    "inf - 1", "7.925", "1 - 7.925", "9" * 11, "5\x006",
)  # fmt: skip


def written(cents: int, sign: str, commas: bool) -> str:
    return f"{sign}{cents // 100:{',' if commas else ''}}.{cents % 100:02d}"


AMOUNTS = st.tuples(st.integers(0, 10**12 - 1), st.sampled_from(SIGNS), st.booleans())
TEXTS = st.one_of(
    st.tuples(AMOUNTS, st.none(), st.none(), st.sampled_from(["", " ", "\t", "  "])),
    st.tuples(AMOUNTS, AMOUNTS, st.sampled_from(GAPS), st.sampled_from(["", " "])),
    st.sampled_from([None, *NO_RANGES]),
)


def expected(drawn: object) -> tuple[str | None, Decimal | None, Decimal | None]:
    """The text and its bounds, by arithmetic alone."""
    if not isinstance(drawn, tuple):
        return drawn, None, None  # type: ignore[return-value]
    first, second, gap, pad = drawn
    text = written(*first) if second is None else f"{written(*first)}{gap}{written(*second)}"
    cents = sorted(one[0] for one in (first, second) if one is not None)
    return f"{pad}{text}{pad}", Decimal(cents[0]).scaleb(-2), Decimal(cents[-1]).scaleb(-2)


@settings(deadline=None, max_examples=60)
@given(st.lists(TEXTS, max_size=12))
def test_a_range_is_its_two_bounds_whatever_stands_around_it(drawn: list[object]) -> None:
    """Of any column of texts, good ones and others."""
    cells = [expected(one) for one in drawn]
    lowest, highest = range_bounds(pa.array([text for text, _, _ in cells], pa.string()), PRICE)
    assert lowest.type == highest.type == arrow_type(PRICE)
    assert lowest.to_pylist() == [low for _, low, _ in cells]
    assert highest.to_pylist() == [high for _, _, high in cells]


@pytest.mark.parametrize("text", NO_RANGES)
def test_what_is_no_range_has_no_bounds(text: str) -> None:
    assert [bound.to_pylist() for bound in range_bounds(pa.array([text]), PRICE)] == [[None], [None]]


def test_a_bound_that_the_type_cannot_hold_takes_the_other_with_it() -> None:
    """Half a range would be another one."""
    texts = pa.array(["1.5 - 2", "1 - 2.5", "1 - 2"])
    assert [bound.to_pylist() for bound in range_bounds(texts, "int64")] == [[None, None, 1], [None, None, 2]]
    assert [bound.to_pylist() for bound in range_bounds(texts, "double")] == [[1.5, 1.0, 1.0], [2.0, 2.5, 2.0]]


KINDS = st.sampled_from(["int64", "double", "decimal(4,0)", "decimal(12,2)", "decimal(38,6)", "decimal(38,38)"])


@settings(deadline=None, max_examples=60)
@given(
    kind=KINDS,
    limits=st.lists(st.one_of(st.integers(-300, 300), st.sampled_from([0.005, 50.1, -0.5, 1e30, -1e30, 1e-30])),
                    min_size=1, max_size=4, unique=True),
    numbers=st.lists(st.one_of(st.none(), st.integers(-400, 400), st.sampled_from(["0.005", "50.1", "50.11", "-0.5"])),
                     max_size=10),
)  # fmt: skip
def test_a_number_is_in_the_first_band_whose_limit_it_does_not_exceed(
    kind: str, limits: list[float], numbers: list[int | str | None]
) -> None:
    limits = sorted(limits)
    labels = [f"band {place}" for place in range(len(limits) + 1)]
    held = arrow_type(kind)
    values = [None if number is None else Decimal(number) for number in numbers]
    fits = [value for value in values if value is None or _fits(value, held)]
    column = pa.array(
        [value if value is None or pa.types.is_decimal(held) else _as(value, held) for value in fits], held
    )
    places = [None if v is None else sum(v > Decimal(str(limit)) for limit in limits) for v in fits]
    assert band(column, limits, labels).to_pylist() == [None if p is None else labels[p] for p in places]


def _fits(value: Decimal, kind: pa.DataType) -> bool:
    if pa.types.is_decimal(kind):
        room = Decimal(10) ** (kind.precision - kind.scale)
        return abs(value) < room and -value.as_tuple().exponent <= kind.scale  # type: ignore[operator]
    return pa.types.is_floating(kind) or value == value.to_integral_value()


def _as(value: Decimal, kind: pa.DataType) -> int | float:
    return float(value) if pa.types.is_floating(kind) else int(value)


def test_the_limits_of_a_price_band_are_in_the_lower_band() -> None:
    """low <= 50 < medium <= 200 < high."""
    prices = pa.array([Decimal(p) for p in ("0.00", "50.00", "50.01", "200.00", "200.01")], arrow_type(PRICE))
    rule = {"kind": "band", "inputs": ["price"], "limits": [50, 200], "labels": ["low", "medium", "high"]}
    bands = derive(rule, [prices], "string", 5, None)  # type: ignore[arg-type]
    assert bands.to_pylist() == ["low", "low", "medium", "medium", "high"]
