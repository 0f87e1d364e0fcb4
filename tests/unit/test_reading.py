"""A source's batch is read by its declared names, and no cell's fate hangs on the cells around it."""

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.contracts.load import load_contract
from governance.enforcement.convert import convert
from governance.enforcement.derive import derive, email_domain
from governance.enforcement.plan import POSITION, EnforcementPlan, compile_plan
from governance.enforcement.reading import Reading, origin_of, read, with_origin
from governance.errors import ContractError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CONTRACTS = Path(__file__).parents[1] / "integration" / "contracts"


@pytest.fixture(scope="module")
def plan() -> EnforcementPlan:
    contract = load_contract(CONTRACTS / "members.odcs.yaml")
    return compile_plan(contract.datasets[0], contract)


def reading_of(plan: EnforcementPlan, source: str = "members_json", **columns: list[str | None]) -> Reading:
    rows = len(next(iter(columns.values())))
    records = pa.RecordBatch.from_pydict({name: pa.array(cells, pa.string()) for name, cells in columns.items()})
    return read(with_origin(records, source, "part", pa.array(range(rows))), plan, lambda: NOW)


def test_each_source_has_its_own_names_and_forms(plan: EnforcementPlan) -> None:
    assert reading_of(plan, "members_csv", Joined=["02-29-2024"]).values["joined_on"][0].as_py() == date(2024, 2, 29)
    assert reading_of(plan, "members_json", joined=["2024-02-29"]).values["joined_on"][0].as_py() == date(2024, 2, 29)
    crossed = reading_of(plan, "members_json", joined=["02-29-2024"], Joined=["2024-02-29"])
    assert crossed.failed["joined_on"].tolist() == [True]
    assert list(crossed.unknown) == ["Joined"]


def test_of_several_names_the_first_that_holds_a_value_counts_row_by_row(plan: EnforcementPlan) -> None:
    names: dict[str, list[str | None]] = {
        "street.name": ["Elm Road", None, "", None],
        "street": ["Oak Lane", "Ash Way", "Fir Row", None],
    }
    both = reading_of(plan, **names)
    assert both.values["street"].to_pylist() == ["Elm Road", "Ash Way", "Fir Row", None]
    turned = reading_of(plan, **dict(reversed(names.items())))
    assert turned.values["street"].to_pylist() == both.values["street"].to_pylist(), (
        "the contract's order, not the file's"
    )
    assert both.unknown == {}


def test_a_first_name_that_does_not_fit_is_not_mended_by_the_second(plan: EnforcementPlan) -> None:
    """Which of two contradicting values was meant is nobody's to guess."""
    both = reading_of(plan, born=["yesterday", None], date_of_birth=["2000-01-01", "2000-01-02"])
    assert both.values["born_on"].to_pylist() == [None, date(2000, 1, 2)]
    assert both.failed["born_on"].tolist() == [True, False]


def test_a_field_that_the_batch_lacks_is_null_and_has_not_failed(plan: EnforcementPlan) -> None:
    one = reading_of(plan, joined=["2024-01-31"])
    assert one.values["points"].to_pylist() == [None]
    assert not one.failed["points"].any()


def test_derived_fields_follow_those_they_are_made_of(plan: EnforcementPlan) -> None:
    """`label` is made of `address`, which stands behind it in the contract and is made of street and city."""
    one = reading_of(plan, street=["Elm Road 1", None, None], city=["Lund", "Lund", None], joined=["2024-01-31"] * 3)
    assert one.values["address"].to_pylist() == ["Elm Road 1, Lund", "Lund", None]
    assert one.values["label"].to_pylist() == ["Elm Road 1, Lund", "Lund", None]
    assert one.values["joined_year"].to_pylist() == [2024] * 3
    assert one.values["country"].to_pylist() == ["SE"] * 3


def test_only_a_domain_is_taken_from_an_address() -> None:
    """People write other things into the field; what identifies them must not come out in clear."""
    given_ = ["a@Example.COM", "@ann_example", "ann@home", "a@b@c.test", "call me @ noon", "@x.test", "a@.test", None]
    given_ += ["آدا خان@Example.com", "I am @ann.smith", "@ann.smith", "ann @x.test"]
    domains = ["example.com", None, None, "c.test", None, None, None, None]
    domains += ["example.com", None, None, None]
    assert email_domain(pa.array(given_)).to_pylist() == domains


def test_an_unknown_computation_is_refused() -> None:
    with pytest.raises(ContractError):
        derive({"kind": "guess"}, [], "string", 1, NOW.date())


def test_a_column_called_as_ours_is_does_not_move_a_row(plan: EnforcementPlan) -> None:
    records = pa.RecordBatch.from_pydict({POSITION: ["900", "901"], "joined": ["2024-01-31"] * 2})
    batch = with_origin(records, "members_json", "part", pa.array([4, 7]))
    assert origin_of(batch).positions.tolist() == [4, 7]
    assert list(read(batch, plan, lambda: NOW).unknown) == [f"{POSITION}_"]


WORDS = ("int64", "decimal(12,2)", "decimal(38,10)", "double", "date", "timestamp", "time", "bool")
HARD = (
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "0000000000000000000000001", "+-5", "++5",
    "--5", "+5", "1e0001", "1e5000", "1e-5000", "9" * 39, "9" * 130, "1." + "0" * 300, "0" * 200 + "7",
    "1.", ".5", "0x1F", "-22021910209091120901022209200200090011", ".001E-319", "022.9590009009005900005959555055e-1",
    "0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00",
    "2024-01-01T24:00:00Z", "2024-02-30T00:00:00Z", "0000-01-01", "2024-1-1", "TRUE", "nan", "-inf", "1_000", "٣",
)  # fmt: skip


def cell(text: str, *others: str, word: str) -> tuple[Any, bool]:
    """What becomes of the first cell of a column; a moment as its number, since some had no calendar date."""
    got = convert(pa.array([text, *others]), word, (), ("",), trim=True)
    value = got.values[0]
    plain = value.value if value.is_valid and pa.types.is_temporal(value.type) else value.as_py()
    return plain, bool(got.failed[0])


@pytest.mark.parametrize("word", WORDS)
def test_a_cell_beside_one_that_does_not_fit_is_read_as_alone(word: str) -> None:
    for text in HARD:
        assert cell(text, word=word) == cell(text, "no such thing", word=word), text


@given(
    st.from_regex(r"[+-]?[0-9]{0,22}\.?[0-9]{0,4}([eE][+-]?[0-9]{1,3})?", fullmatch=True), st.sampled_from(WORDS[:4])
)
@settings(deadline=None, max_examples=150)
def test_a_number_is_what_its_text_says_or_nothing(text: str, word: str) -> None:
    value, failed = cell(text, word=word)
    assert (value, failed) == cell(text, "no such thing", word=word)
    if value is None:
        return
    try:
        said = Decimal(text)
    except InvalidOperation:
        pytest.fail(f"{text} is no number and was read as one")
    assert value == (float(said) if word == "double" else said)


@pytest.mark.parametrize("text", ["9" * 128, "9" * 400, "1." + "0" * 600, "0." + "9" * 200])
def test_a_number_of_hundreds_of_digits_never_becomes_another(text: str) -> None:
    for word in WORDS[:4]:
        assert cell(text, word=word) == (None, True)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("iso", "9999-12-31T23:59:59-10:00"),
        ("iso", "0001-01-01T00:00:00+10:00"),
        ("epoch_seconds", "99999999999999"),
        ("epoch_seconds", "-99999999999999"),
    ],
)
def test_a_moment_beyond_the_calendar_is_none(form: str, text: str) -> None:
    got = convert(pa.array([text]), "timestamp", (form,), ("",), trim=True)
    assert got.values.to_pylist() == [None] and got.failed.tolist() == [True]
