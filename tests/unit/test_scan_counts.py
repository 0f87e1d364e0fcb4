"""Counts of a scan add up whatever the cut; protected cells are told from plain ones by their form."""

import secrets
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.flows.findings import percent
from governance.flows.scan import ScanReport, StoreReport
from governance.pii.counts import ColumnCounts, together
from governance.pii.scanner import Finding, ScannedColumn, ScanOutcome
from governance.protection.stored_form import not_masked, not_pseudonyms, not_tokens
from governance.protection.tokenform import token_size

CELLS = st.lists(st.sampled_from(["clean", "mail", "phone", "unknown"]), max_size=30)


def counted(field: str, cells: list[str], *, declared: bool = True) -> ColumnCounts:
    held = np.array([cell in ("mail", "phone") for cell in cells], dtype=bool)
    unknown = np.array([cell == "unknown" for cell in cells], dtype=bool)
    found = [
        Finding(field, ScanOutcome.UNDECLARED, cells.count(cell), entity, "high")
        for cell, entity in (("mail", "EMAIL_ADDRESS"), ("phone", "PHONE_NUMBER"))
        if cell in cells
    ]
    return ColumnCounts.of(field, ScannedColumn(held, unknown, tuple(found)), declared=declared)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), CELLS), max_size=6))
@settings(deadline=None, max_examples=100)
def test_batches_come_to_what_all_of_their_rows_at_once_would(batches: list[tuple[str, bool, list[str]]]) -> None:
    whole: dict[tuple[bool, str], list[str]] = {}
    for field, declared, cells in batches:
        whole.setdefault((declared, field), []).extend(cells)
    expected = {key: counted(key[1], cells, declared=key[0]) for key, cells in whole.items()}
    parts = together(counted(field, cells, declared=declared) for field, declared, cells in batches)
    assert {(one.declared, one.field): one for one in parts} == expected
    assert [one.declared for one in parts] == sorted((one.declared for one in parts), reverse=True)


def test_a_cell_with_two_entities_is_one_cell() -> None:
    both = tuple(Finding("note", ScanOutcome.UNDECLARED, 1, entity, "high") for entity in ("IBAN_CODE", "PERSON"))
    one = ColumnCounts.of("note", ScannedColumn(np.array([True, False]), np.zeros(2, dtype=bool), both))
    assert (one.share, one.entities) == (0.5, {"IBAN_CODE": 1, "PERSON": 1})


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0 %"), (1e-9, "under 0.01 %"), (0.0001, "0.01 %"), (0.015, "1.5 %"), (1, "100 %")]
)
def test_what_is_not_nothing_never_reads_as_nothing(share: float, said: str) -> None:
    assert percent(share) == said


def token(plain: int) -> str:
    sign = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return "kb1." + "".join(secrets.choice(sign) for _ in range(token_size(plain) - 4))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_tokens_of_every_length_pass_and_what_only_begins_like_one_does_not(kind: pa.DataType) -> None:
    good = [token(plain) for plain in range(100)] + [None]
    assert not not_tokens(pa.array(good, kind)).any()
    one = token(20)
    bad = ["", "kb1.", "kb2." + one[4:], one[:-1], one + "A", one[:-1] + "=", one[:-1] + "+", " " + one[1:], one + "\n"]
    bad += ["ann@example.org", "kb1.ann@example.org", one + "ann@example.org", "kb1" + "x" + one[4:]]
    assert not_tokens(pa.array(bad, kind)).all()


def test_pseudonyms_and_masks() -> None:
    good, bad = ["0123456789abcdef" * 2, None], ["0123456789ABCDEF" * 2, "0" * 31, "0" * 33, "ann", "", "0" * 32 + "\n"]
    assert not_pseudonyms(pa.array(good + bad)).tolist() == [False] * 2 + [True] * 6
    assert not_masked(pa.array(["***", None, "****", "ann", ""])).tolist() == [False, False, True, True, True]


def test_a_protected_column_of_another_type_than_text_is_no_protected_column() -> None:
    numbers = pa.array([4111111111111111, None])
    assert not_tokens(numbers).tolist() == not_pseudonyms(numbers).tolist() == [True, False]


@pytest.mark.parametrize(
    ("column", "unknown"),
    [
        (counted("note", ["clean", "unknown"]), False),
        (counted("ticket", ["clean", "unknown"]), True),
        (counted("note", ["unknown"], declared=False), True),
        (counted("ticket", ["clean"]), False),
    ],
)
def test_a_gap_that_the_contract_states_is_no_news(column: ColumnCounts, unknown: bool) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = StoreReport("warehouse", ("club.visits",), 2, (column,))
    report = ScanReport("1", "club.visits", "1.0.0", now, now, (store,), {}, admitted=("note",))
    assert report.unknown is unknown and not report.found
