"""Row rules: the store's arithmetic, bounds and sets; what can't be evaluated fails."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from governance.enforcement.derive import age_in_years, concat, email_domain
from governance.enforcement.plan import RulePlan
from governance.enforcement.quality import broken
from governance.errors import ContractError


def money(*amounts):
    return pa.array([None if a is None else Decimal(a) for a in amounts], pa.decimal128(12, 2))


def check(rule, arguments=None, **columns):
    return broken(RulePlan("r", rule, tuple(columns), arguments or {}), columns).tolist()


def test_net_is_total_less_discount_to_the_cent():
    assert check(
        "net_of",
        net=money("9.50", "9.51", None, None),
        total=money("10.00", "10.00", "1.00", None),
        discount=money("0.50", "0.50", "0.00", None),
    ) == [False, True, True, False]


def test_unit_price_is_total_by_quantity_rounded_to_cents():
    got = check(
        "unit_price",
        total=money("10.00", "10.00", "10.00", "0.00", "0.05"),
        quantity=pa.array([3, 3, 0, 5, 2]),
        price=money("3.33", "3.34", "1.00", "0.00", "0.03"),
    )
    assert got == [False, True, True, False, False]


def test_on_hand_is_received_less_sold():
    on_hand, received, sold = pa.array([5, 4]), pa.array([10, 10]), pa.array([5, 5])
    assert check("difference", on_hand=on_hand, received=received, sold=sold) == [False, True]


@pytest.mark.parametrize(
    ("rule", "arguments", "column", "expected"),
    [
        ("not_negative", {}, money("0.00", "-0.01", None), [False, True, False]),
        ("between", {"minimum": 1, "maximum": 3}, pa.array([0, 1, 3, 4]), [True, False, False, True]),
        ("between", {"exclusiveMinimum": 0.5}, money("0.50", "0.51"), [True, False]),
        ("between", {"minimum": "2024-01-01"}, pa.array([date(2023, 12, 31), date(2024, 1, 1)]), [True, False]),
        ("in_set", {"values": ["a", "b"]}, pa.array(["a", "c"]), [False, True]),
        ("in_set", {"values": ["1", "2"]}, pa.array([1, 3]), [False, True]),
        ("matches", {"pattern": "O-[0-9]+"}, pa.array(["O-12", "xO-12", "O-12x"]), [False, True, True]),
        ("length", {"maxLength": 3}, pa.array(["äöü", "four"]), [False, True]),
    ],
)
def test_limits(rule, arguments, column, expected):
    assert check(rule, arguments, c=column) == expected


def test_an_unknown_rule_is_never_a_pass():
    with pytest.raises(ContractError):
        check("no_such_rule", c=pa.array([1]))


def test_age_counts_calendar_birthdays():
    born = pa.array([date(2008, 11, 21), date(2008, 11, 22), date(2008, 2, 29), None])
    assert age_in_years(born, date(2026, 11, 21)).to_pylist() == [18, 17, 18, None]
    assert age_in_years(pa.array([date(2008, 2, 29)]), date(2026, 2, 28)).to_pylist() == [17]
    assert age_in_years(pa.array([date(2008, 2, 29)]), date(2026, 3, 1)).to_pylist() == [18]


def test_derived_texts():
    assert email_domain(pa.array(["a@Example.COM", "x", None, "a@b@c.test"])).to_pylist() == [
        "example.com",
        None,
        None,
        "c.test",
    ]
    assert concat([pa.array(["a", None, None]), pa.array(["b", "c", None])], " ").to_pylist() == ["a b", "c", None]
