"""`kasbah scan`: what is stored is searched whole, once, and nothing of it is told but counts."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from club import DATASET, Club, a_club, visit
from simple_scanner import SimpleScanner

from governance.bootstrap import Services
from governance.errors import ConflictError, StoreUnavailableError, UserError
from governance.flows.scan import ScanReport
from governance.flows.stored import Copy
from governance.pii.counts import ColumnCounts
from governance.pii.scanner import ScannedColumn, ScanPlan
from local.postgres import Postgres

SECRET = "hidden.person@example.org"
ROWS = 1000


@pytest.fixture
def club(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Club]:
    """Visits are published; in a ticket or two there may be what should not be."""
    monkeypatch.setattr(Services, "scanner", SimpleScanner())
    with a_club(postgres, tmp_path) as made:
        made.amend('        logicalTypeOptions: { pattern: "T[0-9]+" }\n', "", version=None)
        made.write(*(visit(n) for n in range(ROWS)))
        made.load()
        yield made


def nothing(_copy: Copy, _rows: int) -> None:
    """No progress bar."""


def scan(club: Club, progress: Callable[[Copy, int], None] = nothing, **options: bool) -> ScanReport:
    dataset = club.services.contracts[DATASET][1]
    return club.services.scan.run([club.services.plan(dataset)], progress, **options)[0]


def first_seen(club: Club, **options: bool) -> int:
    """The rows that a scan says it had done before it read any."""
    seen: list[int] = []
    scan(club, lambda _copy, rows: seen.append(rows), **options)
    return seen[0]


def columns(report: ScanReport, store: str = "warehouse") -> dict[str, ColumnCounts]:
    return {one.field: one for found in report.stores if found.store == store for one in found.columns}


def spoil(club: Club, statement: str, *values: object) -> None:
    """Write into the published table, past all gates."""
    with psycopg.connect(club.database) as connection:
        connection.execute(statement, values)


def spoil_one(club: Club, text: str = SECRET) -> None:
    spoil(club, "UPDATE club.visits SET ticket = %s WHERE visit_id = 'V500'", text)


def test_what_a_load_has_stored_is_clean_and_every_cell_of_it_was_searched(club: Club) -> None:
    report = scan(club)
    assert not report.found and not report.unknown
    for store in ("warehouse", "lake"):
        found = columns(report, store)
        assert set(found) == {
            *("visit_id", "seen_on", "updated_at", "full_name", "email", "sport", "ticket", "member_pseudonym")
        }
        assert {(one.cells, one.undeclared, one.cannot_tell) for one in found.values()} == {(ROWS, 0, 0)}
    assert [(s.store, s.rows, len(s.copies)) for s in report.stores] == [("warehouse", ROWS, 1), ("lake", ROWS, 1)]


def test_one_cell_among_thousands_is_found_with_its_column_entity_and_share(club: Club) -> None:
    spoil_one(club)
    found = columns(scan(club))["ticket"]
    assert (found.undeclared, found.entities, found.share) == (1, {"EMAIL_ADDRESS": 1}, 1 / ROWS)


def test_protected_columns_that_hold_plain_text_are_findings(club: Club) -> None:
    spoil(club, "UPDATE club.visits SET full_name = %s WHERE visit_id = 'V500'", "Name 500")
    spoil(club, "UPDATE club.visits SET email = %s WHERE visit_id = 'V500'", "kb1.joe")
    spoil(club, "UPDATE club.visits SET email = %s WHERE visit_id = 'V501'", "kb1." + "A" * 58)
    spoil(club, "UPDATE club.visits SET email = NULL WHERE visit_id = 'V502'")
    spoil(club, "UPDATE club.visits SET member_pseudonym = %s WHERE visit_id = 'V500'", "joe")
    report = scan(club)
    assert {one.field: one.entities for one in columns(report).values() if one.undeclared} == {
        "full_name": {"NOT_A_TOKEN": 1},
        "email": {"NOT_A_TOKEN": 2},
        "member_pseudonym": {"NOT_A_PSEUDONYM": 1},
    }
    assert report.found and not any(one.undeclared for one in columns(report, "lake").values())


def test_a_column_that_somebody_added_is_searched_whatever_its_type(club: Club) -> None:
    spoil(club, 'ALTER TABLE club.visits ADD COLUMN extra jsonb, ADD COLUMN "sport\'" numeric')
    spoil(club, "UPDATE club.visits SET extra = %s WHERE visit_id = 'V3'", json.dumps({"to": SECRET}))
    found = columns(scan(club))
    assert not found["extra"].declared and found["extra"].entities == {"EMAIL_ADDRESS": 1}
    assert found["extra"].cells == ROWS and found["(a name that may hold data)"].cells == ROWS


def test_every_version_of_a_row_in_the_lake_is_searched(club: Club, tmp_path: Path) -> None:
    club.services.__dict__.pop("ingest", None)
    club.write(visit(1, updated_at="2026-11-05T00:00:00Z"))
    club.load()
    report = scan(club)
    lake = next(store for store in report.stores if store.store == "lake")
    assert (lake.rows, len(lake.copies)) == (ROWS + 1, 2)
    assert columns(report, "lake")["ticket"].cells == ROWS + 1


def test_a_lake_file_that_is_gone_or_damaged_is_said(club: Club) -> None:
    file = next((club.folder / "lake").rglob("*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="can't be read as Parquet"):
        scan(club)
    file.unlink()
    with pytest.raises(UserError, match="counts in the lake's manifest and is gone"):
        scan(club)


# Where it was


class Stops(SimpleScanner):
    """Goes away after some calls, as a store can."""

    def __init__(self, after: int) -> None:
        self.left = after

    def scan(
        self, columns: Mapping[str, pa.Array], plan: ScanPlan, declared: Mapping[str, pa.Array]
    ) -> dict[str, ScannedColumn]:
        if not self.left:
            raise StoreUnavailableError("the store is away")
        self.left -= 1
        return super().scan(columns, plan, declared)


Stops.__name__ = SimpleScanner.__name__  # an unfinished scan goes on with the scanner it began with


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many readings of a small table, many row groups in a small file."""
    monkeypatch.setattr("governance.adapters.warehouse.cells._ROWS_A_READING", 50)
    monkeypatch.setattr("governance.adapters.warehouse.cells._FIRST_BLOCKS", 2)
    monkeypatch.setattr("governance.adapters.lake_cells._BATCH_ROWS", 64)
    monkeypatch.setattr("governance.adapters.lake._GROUP_ROWS", 100)


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize(("after", "within"), [(1, "warehouse"), (9, "warehouse"), (40, "lake")])
def test_a_stopped_scan_goes_on_and_reports_as_one_that_was_not(
    club: Club, monkeypatch: pytest.MonkeyPatch, after: int, within: str
) -> None:
    spoil(club, "UPDATE club.visits SET ticket = %s WHERE visit_id < 'V3'", SECRET)
    spoil(club, "UPDATE club.visits SET ticket = %s WHERE visit_id LIKE 'V9%%'", "???")
    whole = scan(club)
    monkeypatch.setattr(Services, "scanner", Stops(after))
    with pytest.raises(StoreUnavailableError):
        scan(club)
    monkeypatch.setattr(Services, "scanner", SimpleScanner())
    seen: dict[str, int] = {}
    again = scan(club, lambda copy, rows: seen.setdefault(copy.store, rows))
    assert again.stores == whole.stores and again.found and again.unknown
    assert 0 < seen[within] < ROWS, "what was done is not done again"


@pytest.mark.usefixtures("small_steps")
def test_a_restart_and_an_amended_contract_begin_from_the_start(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    for begin in ("restart", "amend"):
        monkeypatch.setattr(Services, "scanner", Stops(5))
        with pytest.raises(StoreUnavailableError):
            scan(club)
        monkeypatch.setattr(Services, "scanner", SimpleScanner())
        if begin == "amend":
            club.amend("description: What for", "description: What it is for")
        assert first_seen(club, restart=begin == "restart") == 0


def test_two_do_not_scan_one_dataset_at_once(club: Club) -> None:
    scans = club.services.scan.scans
    with scans.hold(DATASET, "1.0.0", "x", "tester"), pytest.raises(ConflictError, match="another process scans"):
        scan(club)


WORKER = """
import sys
from governance.adapters.warehouse import cells
from governance.bootstrap import Services
sys.path.insert(0, sys.argv.pop(1))
from simple_scanner import SimpleScanner
import time
class Slow(SimpleScanner):
    def scan(self, *a):
        time.sleep(0.05)
        return super().scan(*a)
Slow.__name__ = "SimpleScanner"
cells._ROWS_A_READING, cells._FIRST_BLOCKS = 50, 2
Services.scanner = Slow()
from governance.cli.main import main
main()
"""


def test_a_killed_process_is_taken_over_where_it_was(club: Club) -> None:
    spoil(club, "UPDATE club.visits SET ticket = %s WHERE visit_id < 'V3'", SECRET)
    whole = scan(club)
    club.kasbah("contract", "check")  # writes the settings
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), "scan", "club.visits"]
    environment = {"KASBAH_SETTINGS": str(club.folder / "kasbah.toml"), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while _position(club) < 4:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    seen: list[int] = []
    again = scan(club, lambda _copy, rows: seen.append(rows))
    assert seen[0] > 0 and again.stores == whole.stores


def _position(club: Club) -> int:
    with psycopg.connect(club.database) as connection:
        query = """SELECT max(position) FROM kasbah_control.scan_copy c JOIN kasbah_control.scan s ON s.id = c.scan
                   WHERE s.finished_at IS NULL"""
        row = connection.execute(query).fetchone()
    return int(row[0] or 0) if row else 0


def test_ctrl_c_says_that_the_same_command_goes_on(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(SimpleScanner):
        def scan(self, *_arguments: object) -> dict[str, object]:  # type: ignore[override]
            raise KeyboardInterrupt

    monkeypatch.setattr(Services, "scanner", Interrupted())
    code, said = club.kasbah("scan", "club.visits")
    assert code == 130 and "the same command goes on where it was" in said


# What it says


def test_exit_codes_tell_found_from_unknown_from_clean(club: Club) -> None:
    assert club.kasbah("scan", "club.visits")[0] == 0
    spoil_one(club, "???")
    code, said = club.kasbah("scan", "club.visits")
    assert code == 3 and "nobody can tell" in said
    spoil(club, "UPDATE club.visits SET ticket = %s WHERE visit_id = 'V400'", SECRET)
    code, said = club.kasbah("scan", "--all")
    assert code == 1 and "undeclared personal data is stored in club.visits/visit" in said
    assert "EMAIL_ADDRESS" in said and "0.1 %" in said and SECRET not in said
    assert "own declared values are tokens in the stores" in said
    code, said = club.kasbah("scan", "club.visits", "--json")
    report = json.loads(said)[0]
    assert code == 1 and SECRET not in said and report["found"] and report["unknown"]
    ticket = next(c for c in report["stores"][0]["columns"] if c["field"] == "ticket")
    counts = {"cells": ROWS, "undeclared": 1, "cannot_tell": 1, "share": 1 / ROWS}
    assert ticket == {
        "field": "ticket",
        "declared": True,
        **counts,
        "findings": [
            {"outcome": "undeclared", "entity": "EMAIL_ADDRESS", "band": "high", "count": 1},
            {"outcome": "cannot-tell", "entity": "", "band": "", "count": 1},
        ],
    }


class Page(HTMLParser):
    """What a page loads, and its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_stands_alone_and_obeys_no_name(club: Club) -> None:
    spoil(club, "ALTER TABLE club.visits ADD COLUMN \"<b>x\" text DEFAULT 'a@example.org'")
    file = club.folder / "report.html"
    code, _ = club.kasbah("scan", "club.visits", "--html", str(file))
    text = file.read_text()
    page = Page()
    page.feed(text)
    assert code == 1 and page.addresses == [] and "b" not in page.tags and "script" not in page.tags
    assert "a@example.org" not in text and "(a name that may hold data)" in text
    assert page.tags.count("caption") == page.tags.count("table") == 2
    assert re.search(r'<html lang="en">', text) and "@media print" in text
    assert "EMAIL_ADDRESS" in page.texts and "100 %" in page.texts


def test_what_can_be_mended_is_said_before_anything_is_scanned(club: Club) -> None:
    before = len(club.audited())
    for arguments in ((), ("club.visits", "--all")):
        code, said = club.kasbah("scan", *arguments)
        assert code == 1 and "name one dataset, or scan --all" in said
    code, said = club.kasbah("scan", "club.visits", "--html", str(club.folder / "no" / "report.html"))
    assert code == 1 and "can't be written" in said and len(club.audited()) == before


def test_a_dataset_that_is_nowhere_stored_is_clean_and_said_so(club: Club) -> None:
    spoil(club, "DROP TABLE club.visits; DELETE FROM kasbah.lake_file")
    code, said = club.kasbah("scan", "club.visits")
    assert code == 0 and "nothing of it is stored" in said


def test_of_a_scan_its_counts_are_on_record_and_no_value_of_a_row_is_kept(club: Club) -> None:
    spoil_one(club)
    report = scan(club)
    record = club.audited()[-1]
    assert (record.action, record.dataset, record.item, record.ok) == ("scan.done", DATASET, report.scan, False)
    assert record.counts["undeclared"] == 1 and record.reasons == {"EMAIL_ADDRESS": 1}
    assert record.counts["rows"] == 2 * ROWS
    with psycopg.connect(club.database) as connection:
        kept = connection.execute(
            """SELECT string_agg(t::text, ' ') FROM (
                   SELECT to_jsonb(c) AS t FROM kasbah_control.scan_copy c
                   UNION ALL SELECT to_jsonb(s) FROM kasbah_control.scan s
                   UNION ALL SELECT to_jsonb(k) FROM kasbah_control.scan_column k) AS all_of_it"""
        ).fetchone()
    assert kept and SECRET not in kept[0] and "V500" not in kept[0] and "EMAIL_ADDRESS" in kept[0]


def test_the_scanner_of_the_installation_finds_what_was_put_past_the_gates(postgres: Postgres, tmp_path: Path) -> None:
    with a_club(postgres, tmp_path) as club:
        club.write(*(visit(n) for n in range(50)))
        club.load()
        assert club.kasbah("scan", "club.visits")[0] == 0
        spoil(club, "UPDATE club.visits SET ticket = %s WHERE visit_id = 'V5'", f"ask {SECRET}")
        spoil(club, "UPDATE club.visits SET sport = %s WHERE visit_id = 'V6'", "card 4111 1111 1111 1111")
        spoil(club, "ALTER TABLE club.visits ADD COLUMN pieces bigint")
        spoil(club, "UPDATE club.visits SET pieces = 4111111111111111 WHERE visit_id = 'V7'")
        report = scan(club)
        found = {one.field: set(one.entities) for one in columns(report).values() if one.undeclared}
        assert "EMAIL_ADDRESS" in found.pop("ticket") and not report.unknown
        assert found == {"sport": {"CREDIT_CARD"}, "pieces": {"CREDIT_CARD"}}
        assert not any(one.undeclared for one in columns(report, "lake").values())
