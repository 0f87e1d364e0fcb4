"""Places in which personal data could hide from the scan: beside and inside what is declared, and in rare types."""

from decimal import Decimal

import pyarrow as pa
import pytest

from governance.adapters.presidio.scanner import PresidioScanner
from governance.errors import KasbahError
from governance.pii.scanner import FieldScan, ScannedColumn, ScanOutcome, ScanPlan
from governance.pii.spans import Spans

CARD, EMAIL = "4111111111111111", "a.very.long.address.of.somebody@example.com"


def scan(values: pa.Array, *declared: str, entities: tuple[str, ...] = ()) -> ScannedColumn:
    field = FieldScan("notes", text=False, declared=declared)
    plan = ScanPlan(entities, fields=(field,))
    return PresidioScanner(limit_seconds=30).scan({"notes": values}, plan, {})["notes"]


def test_a_declared_value_covers_nothing_in_another_element_of_its_cell() -> None:
    assert scan(pa.array([[EMAIL, CARD], [EMAIL]]), "EMAIL_ADDRESS").undeclared.tolist() == [True, False]
    assert scan(pa.array([{"a": EMAIL, "b": CARD}]), "EMAIL_ADDRESS").undeclared.tolist() == [True]
    entries = pa.array([[(EMAIL, CARD)]], pa.map_(pa.string(), pa.string()))
    assert scan(entries, "EMAIL_ADDRESS").undeclared.tolist() == [True]


def test_a_declared_web_address_covers_no_address_or_card_inside_it() -> None:
    pages = pa.array([f"https://example.com/u?m={EMAIL}", f"https://example.com/{CARD}", "https://example.com/a"])
    assert scan(pages, "URL").undeclared.tolist() == [True, True, False]


def test_what_a_declared_value_is_made_of_is_declared_too() -> None:
    answer = scan(pa.array([EMAIL]), "EMAIL_ADDRESS")
    assert not answer.undeclared.any()
    assert [(one.outcome, one.entity) for one in answer.findings] == [(ScanOutcome.DECLARED, "EMAIL_ADDRESS")]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([int(CARD)]),
        pa.array([int(CARD)], pa.uint64()),
        pa.array([-int(CARD)]),
        pa.array([float(CARD)]),
        pa.array([Decimal(CARD)], pa.decimal64(18, 1)),
        pa.array([Decimal(CARD)], pa.decimal128(20, 2)),
        pa.array([Decimal(CARD)], pa.decimal256(40, 0)),
        pa.array([Decimal(f"{CARD}.50")], pa.decimal128(20, 2)),
        pa.array([float(f"{CARD}.5")]),
        pa.array([CARD.encode()], pa.binary(16)),
        pa.array([CARD], pa.large_string()),
        pa.array([CARD], pa.string_view()),
        pa.array([CARD]).dictionary_encode(),
        pa.RunEndEncodedArray.from_arrays([1], [CARD]),
        pa.array([["a"], [CARD]]).slice(1),
        pa.array([{"a": "b"}, {"a": CARD}]).slice(1),
        pa.array([[CARD, "b"]], pa.list_(pa.string(), 2)),
        pa.array([[(int(CARD), 1)]], pa.map_(pa.int64(), pa.int8())),
    ],
    ids=lambda values: str(values.type),
)
def test_a_card_number_is_found_in_every_type_that_can_hold_it(values: pa.Array) -> None:
    answer = scan(values, entities=("CREDIT_CARD",))
    assert answer.undeclared.tolist() == [True]
    assert [(one.entity, one.count) for one in answer.findings] == [("CREDIT_CARD", 1)]


class Register:
    """Finds the names of a short list. Implements `Names`."""

    def find(self, texts: pa.Array) -> Spans:
        found = [
            (row, text.index(name), text.index(name) + len(name), "PERSON", 0.85)
            for row, text in enumerate(texts.to_pylist())
            for name in ("Amara Iyer",)
            if text and name in text
        ]
        return Spans.of(found)


def test_a_name_is_found_and_redacted_where_only_the_plain_form_shows_it() -> None:
    cells = pa.array(["for Amara Iyer", "for \uff21mara\u3000\uff29yer, soon", "for Am\u200dara Iyer", "for Rosa"])
    field = FieldScan("notes", redact=True)
    scanner = PresidioScanner(limit_seconds=30, names=Register())
    answer = scanner.scan({"notes": cells}, ScanPlan(fields=(field,)), {})["notes"]
    assert [(one.entity, one.count) for one in answer.findings] == [("PERSON", 3)]
    assert not answer.undeclared.any()
    assert answer.redacted is not None
    assert answer.redacted.to_pylist() == ["for <PERSON>", "for <PERSON>, soon", "for <PERSON>", "for Rosa"]


def test_a_type_without_a_reading_is_refused_and_not_called_clean() -> None:
    mixed = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([CARD])])
    with pytest.raises(KasbahError, match="union"):
        scan(mixed)
