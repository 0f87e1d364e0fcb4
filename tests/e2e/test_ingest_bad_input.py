"""Whatever comes in: a clear sentence and an exit code, or quarantined rows with their reason. Never a stack trace,
never a value of the data in what is printed, never a partly published load."""

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from canaries import PERSONAL, PHONES
from stacks import Ended, Make, Stack, api, deliver

from governance.adapters.sources.retrying import Patience
from samples import bad
from samples.faults import Fault, Faults
from samples.rows import LAYOUTS
from samples.store import Wave, history
from samples.writing import csv_cells, csv_header

USER, TRANSIENT = 1, 75
WAVE = history(seed=11, scale=0.05)
"""The bad files are made from rows of this wave, too."""
CSV, JSON = "orders_csv", "orders_json"


@dataclass
class Standing:
    """An installation with a published table, which no failing load may touch."""

    stack: Stack
    before: list[tuple[Any, ...]] = field(default_factory=list)
    values: frozenset[str] = frozenset()

    def ingest(self, source: str, *more: str) -> Ended:
        """Load one source, in this process; what is printed holds no personal value of the rows."""
        done = self.stack.here("ingest", "store.orders", "--source", source, *more)
        shown = {value for value in self.values if value in done.stdout + done.stderr}
        assert not shown
        assert_no_token(done)
        return done

    def assert_untouched(self) -> None:
        """Every published row is the one that stood there, written by the transaction that wrote it."""
        assert self.stack.versions("orders") == self.before


def assert_no_token(done: Any) -> None:
    """Nothing planted is printed."""
    for mark in (PERSONAL, *PHONES):
        assert mark not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def standing(make_stack: Make) -> Standing:
    stack = make_stack()
    deliver(stack, WAVE[0])
    stack.load("orders", "--source", CSV, "--source", JSON)
    return Standing(stack, stack.versions("orders"), _personal_values(WAVE[0]))


def _personal_values(wave: Wave) -> frozenset[str]:
    names = ("customer_name", "customer_email", "customer_address", "customer_phone")
    rows = (row for rows in wave.rows["orders"].values() for row in rows)
    found = {str(row.values[name]).strip() for row in rows for name in names if row.values[name]}
    return frozenset(value for value in found if len(value) > 5)


# Files

REFUSED: list[tuple[Callable[[Path], Path], str, str]] = [
    (bad.zero_bytes, CSV, "is empty"),
    (bad.zero_bytes_json, JSON, "is empty"),
    (bad.utf16, CSV, "header|encoding|decode|UTF"),
    (bad.missing_column, CSV, r"lacks required columns \(OrderID\)"),
    (bad.repeated_column, CSV, "column 2 of the header has the same name"),
    (bad.zip_called_csv, CSV, "zip archive"),
    (bad.gzip_cut_off, CSV, "cut off|ends|damaged"),
    (partial(bad.gzip_bomb, inflated=512 * bad.MEGABYTE), CSV, "1000|bomb|packed"),
]


@pytest.mark.parametrize(("make", "source", "says"), REFUSED, ids=lambda one: getattr(one, "__name__", None))
def test_a_file_that_is_none_is_refused_in_a_sentence(
    standing: Standing, tmp_path: Path, make: Callable[[Path], Path], source: str, says: str
) -> None:
    file = make(tmp_path)
    standing.stack.at(source, file)
    done = standing.ingest(source)
    assert done.returncode == USER, done.said
    assert done.stderr.startswith("kasbah: ")
    assert re.search(says, done.said), done.said
    assert file.name in done.said
    standing.assert_untouched()


TAKEN: list[tuple[Callable[[Path], Path], str, int, dict[str, int]]] = [
    (bad.header_only, CSV, 0, {}),
    (bad.empty_array, JSON, 0, {}),
    (bad.wrong_encoding, CSV, 5, {"encoding": 1}),
    (bad.ragged, CSV, 4, {"ragged": 2}),
    (bad.open_quote, CSV, 6, {"truncated": 1}),
    (bad.nul_bytes, CSV, 5, {"nul_byte": 1}),
    (bad.unknown_column, CSV, 6, {}),
    (bad.huge_line, CSV, 2, {"too_large": 1}),
    (bad.huge_cell, CSV, 3, {}),
    (bad.gzip_called_csv, CSV, 6, {}),
    (bad.concatenated_arrays, JSON, 6, {}),
    (bad.cut_off, JSON, 5, {"truncated": 1}),
    (bad.duplicate_keys, JSON, 5, {"duplicate_key": 1}),
    (bad.surrogates, JSON, 5, {"encoding": 1}),
    (bad.nul_escape, JSON, 5, {"nul_byte": 1}),
    (bad.not_finite, JSON, 0, {"product_price": 3}),
    (bad.not_objects, JSON, 2, {"not_an_object": 4}),
    (bad.deep_nesting, JSON, 2, {"too_deep": 1}),
]


@pytest.mark.parametrize(("make", "source", "admitted", "held"), TAKEN, ids=lambda one: getattr(one, "__name__", None))
def test_bad_rows_are_held_with_their_reason_and_the_rest_goes_on(
    standing: Standing,
    tmp_path: Path,
    make: Callable[[Path], Path],
    source: str,
    admitted: int,
    held: dict[str, int],
) -> None:
    file = make(tmp_path)
    standing.stack.at(source, file)
    done = standing.ingest(source, "--json")
    assert done.returncode == 0, done.said
    report = json.loads(done.stdout)
    counts = report["totals"].get(source, {"rows": 0, "admitted": 0, "quarantined": 0})
    rows = admitted + sum(held.values())
    assert (counts["rows"], counts["admitted"], counts["quarantined"]) == (rows, admitted, rows - admitted)
    assert Counter(_reasons(standing.stack, file.name)) == held


def _reasons(stack: Stack, part: str) -> list[str]:
    listed = stack.here("quarantine", "list", "store.orders", "--rows", "--limit", "100000", "--json")
    return [row["detail"] or row["field"] for row in json.loads(listed.stdout) if _file(row) == part]


def _file(row: dict[str, Any]) -> str:
    """A part is a file's name and when it was written."""
    return str(row["part"]).partition("@")[0]


def test_a_page_that_is_no_json_is_refused_or_held_whole(standing: Standing, tmp_path: Path) -> None:
    standing.stack.at(JSON, bad.html_for_json(tmp_path))
    done = standing.ingest(JSON, "--json")
    if done.returncode == 0:
        assert json.loads(done.stdout)["totals"][JSON]["admitted"] == 0
        assert set(_reasons(standing.stack, "page.json")) == {"not_json"}
    else:
        assert (done.returncode, "page.json" in done.said) == (USER, True)


CELLS: list[tuple[str, str, str]] = [
    ("Date", "02-30-2025", "order_date"),
    ("Date", "2025-02-03", "order_date"),
    ("Date", f"{PERSONAL}bbbbb", "order_date"),
    ("UpdatedAt", "yesterday", "updated_at"),
    ("UpdatedAt", "2025-13-01T00:00:00Z", "updated_at"),
    ("ProductPrice", "NaN", "product_price"),
    ("ProductPrice", "Infinity", "product_price"),
    ("ProductPrice", "-inf", "product_price"),
    ("ProductPrice", "1e400", "product_price"),
    ("ProductPrice", "7.10 or so", "product_price"),
    ("ProductPrice", "7.105", "product_price"),
    ("ProductPrice", "99999999999999.99", "product_price"),
    ("TotalAmount", f"{PERSONAL}bbbbc", "total_amount"),
    ("QuantitySold", "1.5", "quantity"),
    ("QuantitySold", "$3", "quantity"),
    ("QuantitySold", "99999999999999999999", "quantity"),
    ("QuantitySold", "three", "quantity"),
    ("QuantitySold", "0x10", "quantity"),
    ("QuantitySold", "", "quantity"),
    ("OrderID", "", "order_id"),
    ("OrderID", f"{PERSONAL}bbbbd", "order_id"),
    ("CustomerSegment", f"{PERSONAL}bbbbf", "customer_segment"),
    ("CustomerEmail", f"{PERSONAL}bbbbg", "customer_email"),
    ("NetAmount", "0.01", "net"),
    ("TotalAmount", "-5.00", "net"),
]


def test_each_cell_that_does_not_fit_is_held_for_its_field(standing: Standing, tmp_path: Path) -> None:
    file = tmp_path / "cells.csv"
    layout = LAYOUTS["orders"]
    names = csv_header(layout)
    row = next(r for r in WAVE[0].rows["orders"]["csv"] if r.outcome.reason is None and r.values["customer_email"])
    with file.open("w", encoding="utf-8", newline="") as handle:
        lines = csv.writer(handle)
        lines.writerow(names)
        for name, value, _ in CELLS:
            cells = dict(zip(names, csv_cells(row, layout), strict=True)) | {name: value}
            if name == "CustomerEmail":
                cells["CustomerPhone"] = ""
            lines.writerow(cells.values())
    standing.stack.at(CSV, file)
    done = standing.ingest(CSV)
    assert done.returncode == 0, done.said
    listed = standing.stack.here("quarantine", "list", "store.orders", "--rows", "--limit", "100000", "--json")
    assert_no_token(listed)
    held = {
        r["position"]: r["detail"] or r["field"]
        for r in json.loads(listed.stdout)
        if r["part"].startswith("cells.csv@")
    }
    wrong = {CELLS[n]: held.get(n) for n in range(len(CELLS)) if not _same(held.get(n), CELLS[n][2])}
    assert not wrong
    standing.assert_untouched()


def _same(told: str | None, field_or_rule: str) -> bool:
    """A field's own limits are rules named after it."""
    return told is not None and (told == field_or_rule or told.startswith(f"{field_or_rule}_"))


# The API


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other without the pauses between them, which are tested with the reader."""
    monkeypatch.setattr(Patience, "wait", lambda *_: None)


FAULTS = [Fault.ERROR, Fault.UNAVAILABLE, Fault.RATE_LIMIT, Fault.HTML, Fault.CUT_BODY, Fault.CUT_JSON, Fault.HANG]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("fault", FAULTS)
def test_an_api_that_keeps_answering_wrongly_is_to_be_tried_later(standing: Standing, fault: Fault) -> None:
    with api(standing.stack, WAVE, faults=Faults(every={1: fault}), hang_seconds=0.1):
        done = standing.ingest("orders_api")
    assert done.returncode == TRANSIENT, done.said
    assert "orders_api" in done.said
    assert "<" not in done.stderr
    standing.assert_untouched()


@pytest.mark.parametrize("fault", [Fault.LOOP, Fault.REDIRECT])
def test_an_api_that_leads_astray_is_refused(standing: Standing, fault: Fault) -> None:
    with api(standing.stack, WAVE, faults=Faults(every={1: fault})):
        done = standing.ingest("orders_api")
    assert done.returncode == USER, done.said
    assert "orders_api" in done.said
    assert "elsewhere.example/" not in done.said
    standing.assert_untouched()


@pytest.mark.usefixtures("at_once")
def test_an_api_that_recovers_is_read_to_its_end(make_stack: Make) -> None:
    stack = make_stack()
    faults = Faults(at={1: Fault.RATE_LIMIT, 2: Fault.ERROR, 3: Fault.HTML, 5: Fault.CUT_BODY, 6: Fault.DUPLICATE_KEYS})
    with api(stack, history(seed=11, scale=0.5), faults=faults):
        done = stack.here("ingest", "store.orders", "--source", "orders_api", "--json")
    assert done.returncode == 0, done.said
    truth = history(seed=11, scale=0.5)[0].truth["datasets"]["orders"]["sources"]["orders_api"]
    counts = json.loads(done.stdout)["totals"]["orders_api"]
    assert counts["rows"] == truth["rows"]
    assert 0 <= truth["admitted"] - counts["admitted"] <= 1


@pytest.mark.usefixtures("at_once")
def test_an_api_that_is_not_there_is_to_be_tried_later(standing: Standing) -> None:
    standing.stack.api = "http://127.0.0.1:9"
    standing.stack.settings()
    done = standing.ingest("orders_api")
    assert (done.returncode, "orders_api" in done.said) == (TRANSIENT, True), done.said
    standing.assert_untouched()


# Words and settings


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ingest", "store.ordres"), "Did you mean 'store.orders'"),
        (("ingest", "store.orders", "--source", "orders_cvs"), "orders_csv"),
        (("ingest", "store.orders", "--step", "publsh"), "enforce, scan_gate, quality_gate, publish, purge"),
        (("ingest", "store.orders", "--step", "publish"), "needs enforce first"),
        (("ingest", "store.orders", "--run", "../../etc"), "has the form"),
        (("quarantine", "show", "store.orders", "orders_csv", "orders.csv", "1"), "terminal only"),
        (("quarantine", "purge", "--all"), "takes a dataset"),
    ],
)
def test_a_slip_of_the_command_is_answered_by_what_to_do(standing: Standing, words: tuple[str, ...], says: str) -> None:
    done = standing.stack.here(*words)
    assert done.returncode in (1, 2)
    assert says in done.said, done.said
    standing.assert_untouched()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"batch_rows": f'"{PERSONAL}bbbbh"'}, "batch_rows"),
        ({"batch_row": "5000"}, "batch_row"),
        ({"control": '""'}, "KASBAH_CONTROL"),
        ({"control": f'"{PERSONAL}bbbbj"'}, "control"),
        ({"control": f'"postgresql://u:{PERSONAL}bbbbk@127.0.0.1:9/x"'}, "control"),
        ({"warehouse": f'"postgresql://u:{PERSONAL}bbbbm@127.0.0.1:9/x"'}, "warehouse"),
        ({"warehouse": f'"{PERSONAL}bbbbp"'}, "warehouse"),
        ({"contracts": '"nowhere"'}, "nowhere"),
        ({"signing_key": '"nowhere.key"'}, "nowhere.key"),
        ({"lake": f'"ftp://u:{PERSONAL}bbbbn@x.example/lake"'}, "lake"),
        ({"actor": "unquoted"}, "TOML"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else None,
)
def test_a_wrong_setting_is_named_and_its_value_is_not(standing: Standing, changes: dict[str, str], says: str) -> None:
    standing.stack.settings(**changes)
    try:
        done = standing.ingest(CSV)
    finally:
        standing.stack.settings()
    assert done.returncode in (USER, TRANSIENT), done.said
    assert says in done.said, done.said
    standing.assert_untouched()


def test_settings_that_others_can_read_are_refused(standing: Standing) -> None:
    file = standing.stack.settings_file
    file.chmod(0o644)
    try:
        done = standing.ingest(CSV)
    finally:
        file.chmod(0o600)
    assert (done.returncode, f"chmod 600 {file}" in done.said) == (USER, True), done.said


def test_a_database_that_was_never_set_up_says_how(standing: Standing, make_stack: Make, database: str) -> None:
    del make_stack
    standing.stack.settings(control=json.dumps(database))
    try:
        done = standing.ingest(CSV)
    finally:
        standing.stack.settings()
    assert (done.returncode, "kasbah keys init" in done.said) == (USER, True), done.said


def test_a_contract_with_a_fault_stops_the_load_with_file_and_line(standing: Standing, tmp_path: Path) -> None:
    shutil.copytree(standing.stack.contracts, tmp_path / "contracts")
    contract = tmp_path / "contracts" / "store" / "orders.odcs.yaml"
    contract.write_text(contract.read_text(encoding="utf-8").replace("value: encrypt", "value: encrpyt", 1))
    standing.stack.settings(contracts=json.dumps(str(tmp_path / "contracts")))
    try:
        done = standing.ingest(CSV)
    finally:
        standing.stack.settings()
    line = contract.read_text(encoding="utf-8").splitlines().index("          - { property: protect, value: encrpyt }")
    assert done.returncode == USER
    assert f"orders.odcs.yaml:{line + 1}" in "".join(done.stderr.split()), done.said
    assert "encrypt" in done.said
    standing.assert_untouched()
