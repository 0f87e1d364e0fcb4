"""The scanner's promise: an answer for every cell of every column, of any type, and never a cell's text."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from governance.adapters.presidio import PresidioScanner
from governance.adapters.presidio.recognisers import recognisers_of, shipped
from governance.errors import ContractError
from governance.pii.scanner import FieldScan, ScannedColumn, ScanPlan
from governance.pii.search import Found, Memory
from governance.pii.spans import Spans

EMAIL, CARD = "jane.doe@example.com", 4111111111111111
PATTERNS = FieldScan("value", text=False)


class Janes:
    """A model that knows one name."""

    def find(self, texts: pa.Array) -> Spans:
        rows = [(i, t.index("Jane"), t.index("Jane") + 4) for i, t in enumerate(texts.to_pylist()) if "Jane" in t]
        return Spans.of((*row, "PERSON", 0.9) for row in rows)


@pytest.fixture(scope="module")
def scanner() -> PresidioScanner:
    return PresidioScanner(limit_seconds=30)


def scan(scanner: PresidioScanner, values: pa.Array, field: FieldScan = PATTERNS, **plan: object) -> ScannedColumn:
    return scanner.scan({"value": values}, ScanPlan(fields=(field,), **plan), {})["value"]  # type: ignore[arg-type]


def told(answer: ScannedColumn) -> list[tuple[str, str, str, int]]:
    return [(str(one.outcome), one.entity, one.band, one.count) for one in answer.findings]


HOLDING = {
    "string": pa.array(["a", f"to {EMAIL}", None]),
    "large string": pa.array(["a", EMAIL, None], pa.large_string()),
    "string view": pa.array(["a", EMAIL, None], pa.string_view()),
    "dictionary": pa.array(["a", EMAIL, None]).dictionary_encode(),
    "binary": pa.array([b"a", EMAIL.encode(), None]),
    "integer": pa.array([7, CARD, None]),
    "unsigned": pa.array([7, CARD, None], pa.uint64()),
    "double": pa.array([7.5, float(CARD), None]),
    "double, not finite": pa.array([float("nan"), float(CARD), float("-inf")]),
    "decimal": pa.array([Decimal("7.25"), Decimal(CARD), None], pa.decimal128(20, 2)),
    "list": pa.array([["a"], ["b", EMAIL], None]),
    "list of lists": pa.array([[["a"]], [[], ["b", EMAIL]], None]),
    "map key": pa.array([[("a", 1)], [(EMAIL, 2)], None], pa.map_(pa.string(), pa.int64())),
    "map value": pa.array([[("a", 1)], [("b", CARD)], None], pa.map_(pa.string(), pa.int64())),
    "struct": pa.array([{"a": {"b": "c"}}, {"a": {"b": EMAIL}}, None]),
    "slice": pa.array(["x", "a", EMAIL, None]).slice(1),
    "sliced list": pa.array([["x"], ["a"], ["b", EMAIL], None]).slice(1),
}


@pytest.mark.parametrize("kind", HOLDING)
def test_finds_a_value_in_a_column_of_any_type(scanner: PresidioScanner, kind: str) -> None:
    answer = scan(scanner, HOLDING[kind])
    assert answer.undeclared.tolist() == [False, True, False]
    assert not answer.cannot_tell.any()


@pytest.mark.parametrize(
    "values",
    [
        pa.array([date(2024, 1, 31), None]),
        pa.array([datetime(2024, 1, 31, 10, 20), None]),  # noqa: DTZ001
        pa.array([True, None]),
        pa.nulls(3),
        pa.array([1.5, 19.99, 40.712776]),
        pa.array([1, 2, 3]),
        pa.array([], pa.string()),
        pa.array([], pa.list_(pa.string())),
    ],
    ids=str,
)
def test_clean_is_clean(scanner: PresidioScanner, values: pa.Array) -> None:
    answer = scan(scanner, values)
    assert not answer.undeclared.any() and not answer.cannot_tell.any() and answer.findings == ()
    assert len(answer.undeclared) == len(answer.cannot_tell) == len(values)


def test_dates_are_a_find_where_the_plan_asks_for_them_by_name(scanner: PresidioScanner) -> None:
    answer = scan(scanner, pa.array([date(2024, 1, 31), None]), entities=("DATE_TIME",))
    assert answer.undeclared.tolist() == [True, False]


def test_counts_cells_by_entity_and_band(scanner: PresidioScanner) -> None:
    values = pa.array([EMAIL, EMAIL, f"{EMAIL} and x@example.org", "(202) 555-0123", "a", None])
    found = told(scan(scanner, values, entities=("EMAIL_ADDRESS", "PHONE_NUMBER")))
    assert found == [("undeclared", "EMAIL_ADDRESS", "high", 3), ("undeclared", "PHONE_NUMBER", "low", 1)]


def test_the_fields_words_speak_for_an_entity(scanner: PresidioScanner) -> None:
    values = pa.array(["(202) 555-0123"])
    silent = told(scan(scanner, values, entities=("PHONE_NUMBER",)))
    named = FieldScan("value", text=False, context=("customer_phone", "where we call"))
    assert [band for _, _, band, _ in silent] == ["low"]
    assert told(scan(scanner, values, named, entities=("PHONE_NUMBER",))) == [("undeclared", "PHONE_NUMBER", "high", 1)]


def test_thresholds_hold_for_their_entity(scanner: PresidioScanner) -> None:
    values = pa.array([f"{EMAIL} (202) 555-0123"])
    both = ("EMAIL_ADDRESS", "PHONE_NUMBER")
    assert len(told(scan(scanner, values, entities=both))) == 2
    strict = told(scan(scanner, values, entities=both, thresholds={"PHONE_NUMBER": 0.5}))
    assert [entity for _, entity, _, _ in strict] == ["EMAIL_ADDRESS"]
    assert told(scan(scanner, values, entities=both, threshold=1.0, thresholds={"PHONE_NUMBER": 0.1})) == [
        ("undeclared", "EMAIL_ADDRESS", "high", 1),
        ("undeclared", "PHONE_NUMBER", "low", 1),
    ]


def test_free_text_without_a_model_is_cannot_tell_unless_something_is_found(scanner: PresidioScanner) -> None:
    answer = scan(scanner, pa.array(["Jane", EMAIL, "12-3", "", None, "é"]), FieldScan("value"))
    assert answer.undeclared.tolist() == [False, True, False, False, False, False]
    assert answer.cannot_tell.tolist() == [True, False, False, False, False, True]


def test_free_text_with_a_model_is_told() -> None:
    scanner = PresidioScanner(limit_seconds=30, names=Janes())
    answer = scan(scanner, pa.array(["for Jane", "a chair", None, "for Jane"]), FieldScan("value"))
    assert answer.undeclared.tolist() == [True, False, False, True] and not answer.cannot_tell.any()
    assert told(answer) == [("undeclared", "PERSON", "high", 2)]


def test_a_rows_own_values_are_found_in_its_text() -> None:
    scanner = PresidioScanner(limit_seconds=30, names=Janes())
    plan = ScanPlan(("EMAIL_ADDRESS",), fields=(FieldScan("note"),), own={"mail": "EMAIL_ADDRESS"})
    notes = pa.array(["write to jane_doering at home"] * 2)
    declared = {"mail": pa.array(["jane_doering@example.com", "joe@example.org"])}
    assert scanner.scan({"note": notes}, plan, declared)["note"].undeclared.tolist() == [True, False]


def test_what_the_field_declares_is_declared(scanner: PresidioScanner) -> None:
    field = FieldScan("value", text=False, declared=("EMAIL_ADDRESS",))
    answer = scan(scanner, pa.array([EMAIL, f"{EMAIL} {CARD}"]), field)
    assert answer.undeclared.tolist() == [False, True]
    assert told(answer) == [("undeclared", "CREDIT_CARD", "high", 1), ("declared", "EMAIL_ADDRESS", "high", 2)]


def test_redacts_what_it_found_and_keeps_the_rest(scanner: PresidioScanner) -> None:
    field = FieldScan("value", text=False, redact=True)
    texts = [f"to {EMAIL}!", "a chair", None, "card 4111 1111 1111 1111.", "jane\u200d@example.com, yes"]
    answer = scan(scanner, pa.array(texts), field)
    assert answer.redacted is not None and not answer.undeclared.any()
    assert answer.redacted.to_pylist() == [
        "to <EMAIL_ADDRESS>!",
        "a chair",
        None,
        "card <CREDIT_CARD>.",
        "<EMAIL_ADDRESS>, yes",
    ]
    assert sum(count for outcome, _, _, count in told(answer) if outcome == "undeclared") >= 3
    numbers = scan(scanner, pa.array([CARD, 1]), field)
    assert numbers.undeclared.tolist() == [True, False] and numbers.redacted is None


def test_a_column_that_no_field_names_is_searched_for_patterns(scanner: PresidioScanner) -> None:
    answer = scanner.scan({"nobody's": pa.array([EMAIL, "Jane"])}, ScanPlan(), {})["nobody's"]
    assert answer.undeclared.tolist() == [True, False] and not answer.cannot_tell.any()


def test_repeated_cells_answer_as_single_ones(scanner: PresidioScanner) -> None:
    random = np.random.default_rng(3)
    single = [EMAIL, "a chair", "(202) 555-0123", None, "", str(CARD), "O0000017"]
    rows = random.integers(0, len(single), 3_000)
    whole = scan(scanner, pa.array([single[i] for i in rows]))
    one = scan(scanner, pa.array(single))
    assert (whole.undeclared == one.undeclared[rows]).all()


def test_threads_answer_alike(scanner: PresidioScanner) -> None:
    fresh = PresidioScanner(limit_seconds=30)
    columns = [pa.array([f"user{i}@example.com", "a chair", f"lot {i}"]) for i in range(40)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda column: scan(fresh, column).undeclared.tolist(), columns))
    assert answers == [[True, False, False]] * 40


def test_the_memory_is_bounded_holds_no_text_and_nothing_undecided() -> None:
    memory = Memory(most=3)
    for text in ("a", "b", "c", "d"):
        memory.put(memory.key(text), Found(()))
    memory.put(memory.key("slow"), Found((), decided=False))
    assert len(memory) == 3 and memory.get(memory.key("a")) is None and memory.get(memory.key("d")) == Found(())
    assert memory.get(memory.key("slow")) is None
    assert EMAIL.encode() not in memory.key(EMAIL) and len(memory.key(EMAIL)) == 16


def test_chooses_recognisers_by_entity_and_country() -> None:
    def names(**plan: tuple[str, ...]) -> set[str]:
        return {type(r).__name__ for r in recognisers_of(ScanPlan(**plan))}  # type: ignore[arg-type]

    usual, german = names(), names(countries=("de",))
    assert {"EmailRecognizer", "PhoneRecognizer", "UsSsnRecognizer", "NhsRecognizer"} <= usual
    assert "DeTaxIdRecognizer" not in usual and "DeTaxIdRecognizer" in german
    assert "UsSsnRecognizer" not in german and "EmailRecognizer" in german
    assert "UkNinoRecognizer" in names(countries=("gb",))
    assert names(entities=("PL_PESEL",)) == {"PlPeselRecognizer"}
    everyone = tuple(sorted({c.COUNTRY_CODE for c in shipped() if c.COUNTRY_CODE}))
    assert len(names(countries=everyone)) == len(shipped()) > 80
    phone = next(r for r in recognisers_of(ScanPlan(countries=("se",))) if type(r).__name__ == "PhoneRecognizer")
    assert "SE" in phone.supported_regions and "US" in phone.supported_regions


def test_an_entity_that_nothing_finds_is_refused(scanner: PresidioScanner) -> None:
    with pytest.raises(ContractError, match="SHOE_SIZE"):
        scan(scanner, pa.array(["a"]), entities=("SHOE_SIZE",))
    with pytest.raises(ContractError, match="PL_PESEL"):
        scan(scanner, pa.array(["a"]), entities=("PL_PESEL",), countries=("de",))
