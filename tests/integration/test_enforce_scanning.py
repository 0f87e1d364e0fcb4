"""What enforcement does with what a scanner answers, cell by cell."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from desk import CONTRACT, GOOD, NOWHERE, PLAN, Desk, Finds, Row, outcomes, raw

from governance.adapters.presidio.scanner import PresidioScanner
from governance.contracts.types import OnCannotTell
from governance.enforcement.plan import compile_plan, context_of
from governance.errors import ContractError
from governance.pii.scanner import CannotTell, FieldScan, ScannedColumn, ScanPlan


def test_a_finding_holds_its_row(desk: Desk) -> None:
    rows = [{**GOOD, "email": "s@example.org", "note": note} for note in ("met ANN", "met nobody")]
    done = desk.take(rows, scanner=Finds("ANN"))
    assert outcomes(done)[0] == ("quarantined", "finding", "note", None)
    assert outcomes(done)[1][0] == "admitted" and done.not_scanned == ()


class Redacts(Finds):
    """Gives the column back with each place replaced, but for cells in which it says it can't."""

    def __init__(self, word: str, stuck: str = NOWHERE, values: pa.Array | None = None) -> None:
        super().__init__(word)
        self.stuck, self.values = stuck, values

    def _one(self, name: str, values: pa.Array) -> ScannedColumn:
        found = super()._one(name, values)
        if not pa.types.is_string(values.type) or not found.undeclared.any():
            return found
        left = found.undeclared & np.array([self.stuck in str(text) for text in values.to_pylist()], bool)
        made = pa.array([t and t.replace(self.word, "<PERSON>") for t in values.to_pylist()], pa.string())
        return replace(found, undeclared=left, redacted=made if self.values is None else self.values)


def test_a_redacted_cell_is_stored_without_what_was_found(desk: Desk) -> None:
    rows = [{**GOOD, "email": "s@example.org", "note": note} for note in ("met ANN, twice", "ANN stuck", "ok", None)]
    done = desk.take(rows, scanner=Redacts("ANN", "stuck"))
    assert {row["kasbah_position"]: row["note"] for row in done.admitted.to_pylist()} == {
        0: "met <PERSON>, twice",
        2: "ok",
        3: None,
    }
    assert outcomes(done)[1] == ("quarantined", "finding", "note", None)
    assert [(f.field, f.entity, f.count) for f in done.findings if f.count] == [("note", "PERSON", 2)]
    assert b"ANN" not in raw(done.admitted)


def test_a_field_that_isnt_to_be_redacted_is_stored_as_it_came(desk: Desk) -> None:
    """Whatever a scanner gives back."""
    assert not PLAN.scan.of("country").redact
    done = desk.take([{**GOOD, "email": "s@example.org"}], scanner=Redacts("SE", "nothing"))
    assert done.admitted.column("country").to_pylist() == ["SE"]


@pytest.mark.parametrize("values", [pa.array(["one"]), pa.array([1, 2]), pa.array([b"a", b"b"])], ids=str)
def test_a_redacted_column_of_another_shape_stores_nothing(desk: Desk, values: pa.Array) -> None:
    rows = [{**GOOD, "email": "s@example.org", "note": note} for note in ("met ANN", "met nobody")]
    with pytest.raises(ContractError, match="another column than field note"):
        desk.take(rows, scanner=Redacts("ANN", values=values))


class Sees(Finds):
    """Finds nothing, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(NOWHERE)
        self.asked: list[tuple[ScanPlan, dict[str, pa.Array], dict[str, pa.Array]]] = []

    def scan(
        self, columns: Mapping[str, pa.Array], plan: ScanPlan, declared: Mapping[str, pa.Array]
    ) -> dict[str, ScannedColumn]:
        self.asked.append((plan, dict(columns), dict(declared)))
        return super().scan(columns, plan, declared)


def test_the_scanner_gets_all_that_is_stored_in_clear_and_the_rows_own_values(desk: Desk) -> None:
    """Derived values too; and of the own ones those that are dropped or turned into the pseudonym."""
    scanner = Sees()
    row = {**GOOD, "email": "a@Example.org", "card": "C 1", "street": "Elm Road", "full_name": "Ann"}
    desk.take([{**row, "note": "x"}], scanner=scanner)
    ((plan, columns, declared),) = scanner.asked
    assert plan is PLAN.scan
    assert {name: values.to_pylist() for name, values in columns.items()} == {
        "member_id": [0],
        "joined_on": [date(2020, 5, 4)],
        "joined_year": [2020],
        "country": ["SE"],
        "age": [36],
        "email_domain": ["example.org"],
        "level": ["full"],
        "points": [7],
        "note": ["x"],
    }
    assert {name: values.to_pylist() for name, values in declared.items() if values[0].is_valid} == {
        "full_name": ["Ann"],
        "email": ["a@Example.org"],
        "card": ["C 1"],
        "born_on": [date(1990, 1, 2)],
        "street": ["Elm Road"],
        "address": ["Elm Road"],
        "label": ["Elm Road"],
    }
    assert plan.own["card"] == "ID" and plan.own["street"] == "LOCATION"


def test_the_name_of_a_column_that_nobody_declared_speaks_for_what_it_holds(desk: Desk) -> None:
    """Also where it is called as a field is whose cells are text: what is said of that field isn't said of it."""
    scanner = Sees()
    desk.take([{**GOOD, "email": "a@example.org", "creditCard_no": "1", "joined_on": "2"}], scanner=scanner)
    plan, columns, _ = scanner.asked[1]
    assert set(columns) == {"creditCard_no", "joined_on"}
    assert plan.of("creditCard_no") == FieldScan("creditCard_no", text=False, context=context_of("creditCard_no"))
    assert {"credit", "card", "credit card no"} <= set(plan.of("creditCard_no").context)
    assert plan.of("joined_on") == FieldScan("joined_on", text=False, context=context_of("joined_on"))
    assert (plan.entities, plan.own, plan.threshold) == (PLAN.scan.entities, PLAN.scan.own, PLAN.scan.threshold)


def test_undeclared_columns_are_scanned_reported_and_dropped(desk: Desk) -> None:
    scanner = Finds("ANN")
    rows = [{**GOOD, "email": "u@example.org", "extra": text} for text in ("calls ANN", "calls nobody")]
    done = desk.take(rows, scanner=scanner)
    assert done.unknown_columns == ("extra",) and "extra" in scanner.seen
    assert outcomes(done)[0] == ("quarantined", "finding", "unknown column", None)
    assert outcomes(done)[1][0] == "admitted" and "extra" not in done.admitted.schema.names


def test_an_undeclared_column_called_as_a_field_is_hides_neither(desk: Desk) -> None:
    """In this source the field joined_on is called joined."""
    scanner = Finds("ANN", doubts="2020-05-04")
    rows = [{**GOOD, "email": "n@example.org", "joined_on": "ANN"}, {**GOOD, "email": "n@example.org"}]
    done = desk.take(rows, scanner=scanner)
    assert scanner.seen.count("joined_on") == 2
    assert outcomes(done)[1] == ("quarantined", "cannot_tell", "joined_on", None)
    alone = desk.take(rows[:1], scanner=Finds("ANN"))
    assert outcomes(alone)[0] == ("quarantined", "finding", "unknown column", None)


def test_what_cant_be_told_passes_only_where_the_contract_says_so(desk: Desk) -> None:
    rows = [{**GOOD, "email": "c@example.org", "note": "odd"}, {**GOOD, "email": "c@example.org", "note": "even"}]
    scanner = Finds("ANN", doubts="odd")
    assert PLAN.admit_unscanned == ("email_domain",), "the contract admits no doubtful note"
    assert outcomes(desk.take(rows, scanner=scanner))[0] == ("quarantined", "cannot_tell", "note", None)
    (dataset,) = CONTRACT.datasets
    lax = [
        replace(f, on_cannot_tell=OnCannotTell.ADMIT, reason="Tests") if f.id == "note" else f for f in dataset.fields
    ]
    plan = compile_plan(replace(dataset, fields=tuple(lax)), CONTRACT)
    done = desk.take(rows, scanner=scanner, plan=plan)
    assert done.admitted.num_rows == 2 and done.not_scanned == ("note",)
    assert outcomes(desk.take([{**rows[0], "note": "ANN, odd"}], scanner=scanner, plan=plan))[0][1] == "finding"


def test_a_scanner_that_looked_at_nothing_lets_nothing_through(desk: Desk) -> None:
    done = desk.take([{**GOOD, "email": "c@example.org"}], scanner=CannotTell())
    assert outcomes(done)[0][:2] == ("quarantined", "cannot_tell")


def test_what_cant_be_told_of_a_column_that_is_dropped_holds_no_row(desk: Desk) -> None:
    rows = [{**GOOD, "email": "c@example.org", "extra": "odd"}]
    done = desk.take(rows, scanner=Finds("ANN", doubts="odd"))
    assert outcomes(done)[0][0] == "admitted"
    (extra,) = [one for one in done.scanned if not one.declared]
    assert (extra.field, extra.cells, extra.cannot_tell) == ("extra", 1, 1)


@pytest.mark.parametrize("silent", ["note", "extra"])
def test_a_scanner_that_gives_no_answer_stops_the_load(desk: Desk, silent: str) -> None:
    with pytest.raises(ContractError, match="no answer for") as raised:
        desk.take([{**GOOD, "email": "x@example.org", "extra": "y"}], scanner=Finds("ANN", silent=silent))
    assert "extra" not in str(raised.value), "a column that nobody declared may be called by a person's name"


# With the scanner itself


@pytest.fixture(scope="module")
def presidio() -> PresidioScanner:
    return PresidioScanner()


def test_personal_data_in_the_wrong_place_is_found(desk: Desk, presidio: PresidioScanner) -> None:
    """In a number, in a text, in a derived text, in a column that nobody declared, and in what is nested there."""
    plan = replace(PLAN, admit_unscanned=("note", "email_domain"), scan=_without_redaction(PLAN.scan))
    full = {**GOOD, "email": "own.name@example.org", "full_name": "Åsa Lindqvist", "street": "Elm Road 12"}
    wrong: list[tuple[Row, tuple[str, str]]] = [
        ({"points": "4111111111111111"}, ("finding", "points")),
        ({"note": "ask bo@example.net"}, ("finding", "note")),
        ({"note": "a gift for Asa LINDQVIST"}, ("finding", "note")),
        ({"note": "lives at elm road 12"}, ("finding", "note")),
        ({"extra": "IBAN GB33BUKB20201555555555"}, ("finding", "unknown column")),
    ]
    good: list[Row] = [{"note": "a gift for nobody"}, {"note": None}, {"extra": "gold card"}]
    done = outcomes(
        desk.take([{**full, **row} for row in (*(row for row, _ in wrong), *good)], plan=plan, scanner=presidio)
    )
    assert [done[place][:3] for place in range(len(wrong))] == [("quarantined", *why) for _, why in wrong]
    assert {done[place][0] for place in range(len(wrong), len(done))} == {"admitted"}


def test_a_note_is_stored_with_tags_for_what_was_found(desk: Desk, presidio: PresidioScanner) -> None:
    plan = replace(PLAN, admit_unscanned=("note", "email_domain"))
    notes = ["mail bo@example.net, soon", "Åsa Lindqvist: paid"]
    row = {**GOOD, "email": "own.name@example.org", "full_name": "Åsa Lindqvist"}
    done = desk.take([{**row, "note": note} for note in notes], plan=plan, scanner=presidio)
    assert done.admitted.column("note").to_pylist() == ["mail <EMAIL_ADDRESS>, soon", "<PERSON>: paid"]
    assert {f.entity for f in done.findings} >= {"EMAIL_ADDRESS", "PERSON"}


def _without_redaction(plan: ScanPlan) -> ScanPlan:
    return replace(plan, fields=tuple(replace(f, redact=False) for f in plan.fields))
