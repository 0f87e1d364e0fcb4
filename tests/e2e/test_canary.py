"""Fake personal data is planted wherever a source can have it; then every byte that the load wrote is searched for it.

A search that finds nothing proves something only if it would find: so a control stands in clear fields, and must turn
up in every store. The sources lie in a folder and on a server of their own, outside the search. (Free text and values
in the wrong column are for the scanner, and planted with it.)
"""

import gzip
import json
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from unittest import mock

import psycopg
import pytest
from canaries import CONTROL, PERSONAL, Hit, Planter, controls, files_below, named, personal, writings
from stacks import ROOT, Stack, api, installations, restart

from governance.adapters.sources.retrying import Patience
from local.postgres import Postgres
from samples.faults import Fault, Faults
from samples.files import write_files
from samples.rows import LAYOUTS, Row
from samples.store import Wave, history
from samples.tables import write_tables
from samples.writing import csv_cells, csv_header, json_record, json_text

SCALE = 0.25
SETTINGS = {
    "wal_compression": "off",
    "wal_keep_size": "2GB",
    "default_toast_compression": "pglz",
    "log_statement": "all",
    "log_parameter_max_length_on_error": "-1",
    "log_error_verbosity": "verbose",
}
"""Every page and statement as it is, and whatever the server says of them."""
RUN = "20260301T000000-0000{:02x}"


@dataclass
class Flow:
    """What went through, where it may have left something, and what the commands ended with."""

    stack: Stack
    server: Postgres
    planter: Planter
    ended: dict[str, int] = field(default_factory=dict)
    oids: dict[str, int] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    admitted: int = 0
    staged: dict[str, int] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    found: list[Hit] = field(default_factory=list)
    searched: int = 0

    def run(self, name: str, *arguments: str) -> None:
        """A command as a process; both its outputs go into the folder that is searched, as logs do."""
        done = self.stack.kasbah(*arguments, expect=None)
        self.keep(name, done.returncode, done.stdout, done.stderr)

    def run_here(self, name: str, *arguments: str) -> None:
        """The same within this process, which spares seconds."""
        done = self.stack.here(*arguments)
        self.keep(name, done.returncode, done.stdout, done.stderr)

    def keep(self, name: str, code: int, output: str, errors: str) -> None:
        """Write outputs down."""
        logs = self.stack.folder / "logs"
        logs.mkdir(exist_ok=True)
        (logs / f"{name}.out").write_text(output, encoding="utf-8")
        (logs / f"{name}.err").write_text(errors, encoding="utf-8")
        self.ended[name] = code


@pytest.fixture(scope="module")
def flow(postgres: Postgres) -> Iterator[Flow]:
    """The whole story, failures included, on a server of its own, which is stopped at the end; then the search."""
    folder = Path(tempfile.mkdtemp(prefix="kbc"))
    server = Postgres.start(folder / "pg", SETTINGS)
    try:
        with installations(server, postgres) as make:
            flow = Flow(make(actor=f"{CONTROL}-actor"), server, Planter())
            _sound_loads(flow)
            _reading_back(flow)
            _blocked(flow)
            _cut_midway(flow)
            _answers_cut_midway(flow)
            _killed(flow)
            _database_killed(flow)
            _look(flow)
            _plant_controls(flow)
            Postgres.running(server.folder).stop()  # type: ignore[union-attr]  it runs
            files = files_below(flow.stack.folder, server.folder)
            flow.searched = sum(path.stat().st_size for path in files)
            flow.hits = personal().files(files)
            flow.found = controls().files(files)
            yield flow
    finally:
        running = Postgres.running(server.folder)
        if running:
            running.stop()
        for place in (folder, server.folder):
            shutil.rmtree(place, ignore_errors=True)


def _planted(planter: Planter, seed: int, where: str) -> Wave:
    """A wave of the shop's rows, good and bad, in which every personal cell, and every cell that doesn't fit its type,
    is a token."""
    wave = history(seed=seed, scale=SCALE)[0]
    for dataset, sources in wave.rows.items():
        for source, rows in sources.items():
            for number, row in enumerate(rows):
                _plant_row(row, planter, f"{where} {dataset} {source}", number)
    return wave


def _plant_row(row: Row, planter: Planter, where: str, number: int) -> None:
    values = row.values
    for name in ("customer_email", "supplier_contact"):
        if values.get(name):
            token = planter.word(f"{where} {name}")
            values[name] = f"  {token.upper()}@EXAMPLE.com" if number % 5 == 0 else f"{token}@example.com"
    if values.get("customer_name"):
        values["customer_name"] = f"{planter.word(f'{where} customer_name')} Löwe"
    if values.get("customer_address"):
        values["customer_address"] = f'{number} {planter.word(f"{where} customer_address")} Street\n"Rear", Anytown'
    if values.get("customer_phone"):
        values["customer_phone"] = planter.phone(f"{where} customer_phone")
    if row.outcome.reason == "type" and row.source != "sql" and row.outcome.field:
        values[row.outcome.field] = planter.word(f"{where} a cell that fails its type")
    if row.outcome.reason is None and number % 7 == 0:
        values["product_name"] = f"{CONTROL} tea {values['product_name']}".strip()


def _write_sources(flow: Flow, wave: Wave) -> None:
    """The wave's files and tables, then lines that only a hand can write. The files' names hold the control."""
    stack, planter = flow.stack, flow.planter
    write_files(wave, stack.origin)
    write_tables(wave, stack.shop)
    for name in LAYOUTS:
        for kind in ("csv", "json"):
            place = stack.origin / f"{CONTROL}-{name}.{kind}"
            shutil.move(stack.origin / f"{name}.{kind}", place)
            stack.at(f"{name}_{kind}", place)
    lines = stack.origin / f"{CONTROL}-orders.csv"
    text = lines.read_bytes().splitlines(keepends=True)
    head = text[0].rstrip().replace(b"LoyaltyNote", f"LoyaltyNote,{CONTROL} column".encode()) + b"\r\n"
    rest = b"".join(text[1:])
    lines.write_bytes(head + rest.replace(b",gold card\r\n", _unknown(planter)).replace(b"\r\n", b",\r\n"))
    with lines.open("ab") as file:
        file.writelines(_bad_lines(planter, wave.rows["orders"]["csv"]))
    records = stack.origin / f"{CONTROL}-orders.json"
    whole = records.read_text(encoding="utf-8").rstrip().removesuffix("]").rstrip()
    records.write_text(whole + ",\n" + ",\n".join(_bad_records(planter, wave.rows["orders"]["json"])), encoding="utf-8")


def _unknown(planter: Planter) -> bytes:
    return f",{planter.word('an unknown column')}\r\n".encode()


def _bad_lines(planter: Planter, rows: list[Row]) -> list[bytes]:
    """CSV lines that are no rows, or that no row rule lets pass, with tokens in them."""
    layout = LAYOUTS["orders"]
    names = [*csv_header(layout), "control"]
    good = next(row for row in rows if row.outcome.reason is None)

    def cells(kind: str, **changes: str) -> list[str]:
        found = dict(zip(names, [*csv_cells(good, layout), ""], strict=True))
        found |= {
            "CustomerName": planter.word(f"{kind}: name"),
            "CustomerEmail": f"{planter.word(f'{kind}: e-mail')}@example.org",
            "CustomerAddress": planter.word(f"{kind}: address"),
            "CustomerPhone": planter.phone(f"{kind}: phone"),
        }
        found |= changes
        return [cell.replace('"', "'").replace("\n", " ").replace(",", " ") for cell in found.values()]

    def word(kind: str) -> str:
        return planter.word(f"{kind}: the bad cell")

    lines = [
        ",".join(cells("ragged")[:-6]).encode(),
        ",".join([*cells("too many"), word("too many"), "x"]).encode(),
        ",".join(cells("nul byte", ProductName="Sage\0Tea")).encode(),
        ",".join(cells("encoding")).encode().replace(PERSONAL.encode(), PERSONAL.encode() + b"\xff", 1),
        ",".join(cells("number", QuantitySold=word("number"))).encode(),
        ",".join(cells("price", ProductPrice="$" + word("price"))).encode(),
        ",".join(cells("date", Date=word("date"))).encode(),
        ",".join(cells("moment", UpdatedAt=word("moment"))).encode(),
        ",".join(cells("enum", CustomerSegment=word("enum"))).encode(),
        ",".join(cells("pattern", OrderID=word("pattern"))).encode(),
        ",".join(cells("no key", CustomerEmail=word("no key"), CustomerPhone="none")).encode(),
        ",".join(cells("net", NetAmount="0.07")).encode(),
        ('"' + ",".join(cells("a quote that is never closed"))).encode(),
    ]
    return [line + b"\r\n" for line in lines]


def _bad_records(planter: Planter, rows: list[Row]) -> list[str]:
    """JSON records, the last one cut off, with tokens in them."""
    layout = LAYOUTS["orders"]
    good = next(row for row in rows if row.outcome.reason is None)

    def record(kind: str, **changes: object) -> str:
        found = json_record(good, layout) | {
            "customer_name": planter.word(f"{kind}: name"),
            "customer_email": f"{planter.word(f'{kind}: e-mail')}@example.net",
            "customer_address": planter.word(f"{kind}: address"),
            "customer_phone": planter.phone(f"{kind}: phone"),
        }
        return json_text(found | changes)

    return [
        record("nul escape", product_name="Sage\0Tea"),
        record("surrogate", product_name="Sage \ud800Tea"),
        '{"order_id": "' + planter.word("duplicate key") + '", ' + record("duplicate key")[1:],
        record("an unknown key", loyalty=planter.word("an unknown key")),
        record("a nested record", customer_name={"first": planter.word("nested"), "last": planter.word("nested")}),
        record("number", quantity_sold=planter.word("number: the bad cell")),
        json.dumps(planter.word("a text for a record")),
        record("deep", loyalty=json.loads("[" * 60 + json.dumps(planter.word("deep")) + "]" * 60)),
        record("cut off")[:-40],
    ]


def _sound_loads(flow: Flow) -> None:
    wave = _planted(flow.planter, 21, "first")
    _write_sources(flow, wave)
    with api(flow.stack, [wave]):
        flow.run("orders", "ingest", "store.orders")
        flow.run("stock", "ingest", "store.stock")
        flow.run_here("orders again", "ingest", "store.orders", "--json")


def _reading_back(flow: Flow) -> None:
    for name, words in {
        "held": ("quarantine", "list", "--rows", "--limit", "100000", "--json"),
        "counts": ("quarantine", "list"),
        "show": ("quarantine", "show", "store.orders", "orders_csv", f"{CONTROL}-orders.csv", "1"),
        "replay": ("quarantine", "replay", "store.orders"),
        "head": ("audit", "head"),
        "verify": ("audit", "verify"),
        "records": ("audit", "show", "--last", "1000"),
        "rotate": ("keys", "rotate"),
        "status": ("keys", "status"),
    }.items():
        flow.run_here(name, *words)
    held = json.loads((flow.stack.folder / "logs" / "held.out").read_text(encoding="utf-8"))
    flow.outcomes = Counter(f"{row['reason']}:{row['detail'] or row['field']}" for row in held)
    flow.admitted = len(flow.stack.published("orders", "order_id"))


def _csv_of(flow: Flow, seed: int, name: str, *, packed: bool = False) -> Path:
    """A file of new tokens, larger than a batch."""
    wave = _planted(flow.planter, seed, name)
    write_files(wave, flow.stack.origin / name)
    path = flow.stack.origin / name / "orders.csv"
    head, *lines = path.read_bytes().splitlines(keepends=True)
    text = head + b"".join(lines) * 8
    if packed:
        path = path.with_suffix(".csv.gz")
        text = gzip.compress(text, mtime=0)
        text = text[: len(text) * 2 // 3]
    path.write_bytes(text)
    return path


def _blocked(flow: Flow) -> None:
    """A load that its gate blocks: its rows are staged, and not published."""
    stack = flow.stack
    shutil.copytree(ROOT / "contracts", stack.folder / "strict")
    contract = stack.folder / "strict" / "store" / "orders.odcs.yaml"
    text = contract.read_text(encoding="utf-8")
    assert "mustBeGreaterOrEqualTo: 1\n" in text
    contract.write_text(text.replace("mustBeGreaterOrEqualTo: 1\n", "mustBeGreaterOrEqualTo: 1000000\n"))
    stack.at("orders_csv", _csv_of(flow, 22, "blocked"))
    stack.settings(contracts=json.dumps(str(stack.folder / "strict")))
    flow.run_here("blocked", "ingest", "store.orders", "--source", "orders_csv")
    stack.settings()


def _cut_midway(flow: Flow) -> None:
    """A packed file that ends in the middle, after rows have been staged."""
    flow.stack.at("orders_csv", _csv_of(flow, 23, "cut", packed=True))
    flow.run("cut", "ingest", "store.orders", "--source", "orders_csv", "--run", RUN.format(1))


def _answers_cut_midway(flow: Flow) -> None:
    """An API that breaks off in the second page, each time."""
    wave = _planted(flow.planter, 24, "api cut")
    wave.rows["orders"]["api"] *= 4
    for row in wave.rows["orders"]["api"]:  # else the watermark would leave a page of them
        row.version = datetime(2026, 6, 1)  # noqa: DTZ001, the shop's moments are in UTC
    faults = Faults(at=dict.fromkeys(range(2, 40), Fault.CUT_BODY))
    with api(flow.stack, [wave], faults=faults), mock.patch.object(Patience, "wait"):
        flow.run_here("api cut", "ingest", "store.orders", "--source", "orders_api")


def _await_batch(flow: Flow, process: subprocess.Popen[str], name: str, run: str) -> None:
    """Until the first batch of the run is on record."""
    with psycopg.connect(flow.stack.control, autocommit=True) as control:
        while process.poll() is None and not flow.staged.get(name):
            query = "SELECT count(*) FROM kasbah_control.run_batch WHERE run = %s"
            row = control.execute(query, (run,)).fetchone()
            flow.staged[name] = int(row[0]) if row else 0
            time.sleep(0.01)


def _killed(flow: Flow) -> None:
    """A load that is killed after its first batch."""
    flow.stack.at("orders_csv", _csv_of(flow, 25, "killed"))
    process = flow.stack.start("ingest", "store.orders", "--source", "orders_csv", "--run", RUN.format(2))
    _await_batch(flow, process, "killed", RUN.format(2))
    process.kill()
    output, errors = process.communicate()
    flow.keep("killed", process.returncode, output, errors)


def _database_killed(flow: Flow) -> None:
    """A load under which the database server is killed after the first batch, and recovers."""
    flow.stack.at("orders_csv", _csv_of(flow, 26, "database"))
    process = flow.stack.start("ingest", "store.orders", "--source", "orders_csv", "--run", RUN.format(3))
    _await_batch(flow, process, "database", RUN.format(3))
    running = Postgres.running(flow.server.folder)
    assert running is not None
    running.kill()
    output, errors = process.communicate(timeout=120)
    flow.keep("database", process.returncode, output, errors)
    restart(flow.server.folder, SETTINGS)


def _look(flow: Flow) -> None:
    """Which folder is which database's."""
    for name in ("control", "warehouse"):
        with psycopg.connect(getattr(flow.stack, name)) as connection:
            row = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
            assert row is not None
            flow.oids[name] = int(row[0])


def _plant_controls(flow: Flow) -> None:
    """Where no clear field of the flow comes to, the test itself writes the control."""
    (flow.stack.folder / "keys" / "beside.txt").write_text(CONTROL)
    (flow.stack.folder / "home" / "beside.txt").write_text(CONTROL)
    with psycopg.connect(flow.stack.control) as connection:
        connection.execute("SELECT %s::text", (CONTROL,))


# The promises


def test_the_flow_met_all_that_it_was_to_meet(flow: Flow) -> None:
    """Else the search would prove little."""
    ended = {name: flow.ended[name] for name in ("orders", "stock", "orders again", "replay", "rotate", "verify")}
    assert ended == dict.fromkeys(ended, 0), flow.ended
    assert {name: flow.ended[name] for name in ("blocked", "cut", "api cut", "database", "show")} == {
        "blocked": 1,
        "cut": 1,
        "api cut": 75,
        "database": 75,
        "show": 1,
    }
    assert "page 2 can't be had" in (flow.stack.folder / "logs" / "api cut.err").read_text(encoding="utf-8")
    assert flow.ended["killed"] != 0
    assert min(flow.staged["killed"], flow.staged["database"]) > 0
    assert flow.admitted > 500
    met = {
        "malformed:ragged", "malformed:nul_byte", "malformed:encoding", "malformed:duplicate_key",
        "malformed:not_an_object", "malformed:truncated", "type:quantity", "type:product_price", "type:order_date",
        "type:updated_at", "no_subject_key:customer_email", "rule:net", "required:order_id",
    }  # fmt: skip
    assert met <= set(flow.outcomes), met - set(flow.outcomes)
    assert len(flow.planter.planted) > 5000


def test_no_byte_that_was_written_holds_personal_data(flow: Flow) -> None:
    assert flow.searched > 50_000_000
    assert not flow.hits, named(flow.hits[:20])


@pytest.mark.parametrize(
    ("store", "place"),
    [
        ("the warehouse's tables", "/data/base/{warehouse}/"),
        ("the control database's tables", "/data/base/{control}/"),
        ("the write-ahead log", "/data/pg_wal/"),
        ("the server's log", "{server}/log"),
        ("the lake", "/lake/store.orders/"),
        ("the lake", "/lake/store.stock/"),
        ("what the command line printed", "/logs/orders.out"),
        ("the report as JSON", "/logs/orders again.out"),
        ("the audit records", "/logs/records.out"),
        ("the folder of keys", "/keys/"),
        ("the home folder", "/home/"),
        ("the settings", "/kasbah.toml"),
    ],
)
def test_the_control_is_found_in(flow: Flow, store: str, place: str) -> None:
    wanted = place.format(**flow.oids, server=flow.server.folder)
    assert [hit for hit in flow.found if wanted in hit.file], f"no control in {store}: the search proves nothing there"


@pytest.mark.parametrize("way", sorted(writings(PERSONAL)))
def test_the_search_finds_each_way_of_writing(way: str, tmp_path: Path) -> None:
    import base64

    secret = f"before {PERSONAL}bcdfg after"
    wide = secret.encode("utf-16-be")
    shown = {
        "utf-8": secret.encode(),
        "utf-8 in capitals": secret.upper().encode(),
        "utf-16": wide,
        "hex": secret.encode().hex().encode(),
        "HEX": secret.encode().hex().upper().encode(),
        "percent": b"".join(b"%%%02x" % byte for byte in secret.encode()),
        "PERCENT": b"".join(b"%%%02X" % byte for byte in secret.encode()),
        "json": b"".join(b"\\u%04x" % byte for byte in secret.encode()),
    }
    if way.startswith("base64"):
        raw = secret.encode("utf-16-le") if "utf-16" in way else secret.encode()
        at = raw.index(PERSONAL.encode("utf-16-le") if "utf-16" in way else PERSONAL.encode())
        shift = (int(way[7]) - at) % 3
        shown[way] = base64.b64encode(b"x" * shift + raw)
    file = tmp_path / "file"
    file.write_bytes(b"\x00\xff" * 500 + shown[way])
    assert [hit.way for hit in personal().files([file])] == [f"{PERSONAL!r} as {way}"]
