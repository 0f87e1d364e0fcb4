"""The store's API and database as a client meets them: pages, increments, limits, and faults where asked for."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest

from samples.faults import Fault, Faults, parse_faults
from samples.rows import LAYOUTS
from samples.server import StoreServer
from samples.store import Wave, history
from samples.tables import write_tables

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def waves() -> list[Wave]:
    return history(seed=5, scale=0.2, wave=2)


@pytest.fixture(scope="module")
def server(waves: list[Wave]) -> Iterator[StoreServer]:
    with StoreServer(waves, rate=0) as running:
        yield running


def _get(url: str, path: str, timeout: float = 10, **query: object) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}{path}?{urlencode(query)}", timeout=timeout) as answer:  # noqa: S310, loopback
        assert answer.headers["Content-Type"].startswith("application/json")
        return dict(json.load(answer))


def _all(url: str, path: str, **query: object) -> list[dict[str, Any]]:
    page = _get(url, path, **query)
    records = page["data"]
    while page["next"]:
        page = _get(url, path, cursor=page["next"], **query)
        records += page["data"]
    return list(records)


def _status(url: str, path: str, **query: object) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _get(url, path, **query)
    with caught.value as error:
        return int(error.code)


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("dataset", ["orders", "stock"])
def test_pages_of_any_size_hold_every_row_once_in_order(
    server: StoreServer, waves: list[Wave], dataset: str, limit: int
) -> None:
    records = _all(server.url, f"/{dataset}", limit=limit)
    rows = [row for wave in waves for row in wave.rows[dataset]["api"]]
    assert [r["updatedAt"] for r in records] == [f"{row.version:%Y-%m-%dT%H:%M:%S}Z" for row in rows]
    assert len(rows) == sum(w.truth["datasets"][dataset]["sources"][f"{dataset}_api"]["rows"] for w in waves)
    assert set(records[0]) == {column.api for column in LAYOUTS[dataset].columns}


def test_a_last_page_that_is_full_has_no_next(server: StoreServer, waves: list[Wave]) -> None:
    count = len(server.rows["stock"])
    assert _get(server.url, "/stock", limit=count)["next"] is None
    assert _get(server.url, "/stock", limit=count - 1)["next"]


def test_an_increment_is_what_changed_since(server: StoreServer) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=24)
    expected = [r for r in server.rows["orders"] if r.version.replace(tzinfo=UTC) >= since]
    assert 0 < len(expected) < len(server.rows["orders"])
    for form in (since.isoformat(), f"{since:%Y-%m-%dT%H:%M:%S}Z", "2025-12-31T02:00:00+02:00", "2025-12-31"):
        assert len(_all(server.url, "/orders", limit=50, updated_since=form)) == len(expected)


def test_the_cursor_remembers_the_increment(server: StoreServer) -> None:
    first = _get(server.url, "/orders", limit=5, updated_since="2026-01-10")
    second = _get(server.url, "/orders", limit=5, cursor=first["next"])
    again = _get(server.url, "/orders", limit=5, cursor=first["next"], updated_since="2026-01-10T00:00:00Z")
    assert second == again
    assert all(record["updatedAt"] >= "2026-01-10" for record in second["data"])


def test_an_increment_may_be_empty(server: StoreServer) -> None:
    assert _get(server.url, "/orders", updated_since="2099-01-01") == {"data": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "many"}, {"limit": "1001"}, {"cursor": "nonsense"}, {"cursor": "é"},
     {"updated_since": "yesterday"}],
)  # fmt: skip
def test_what_cannot_be_is_answered_with_400(server: StoreServer, query: dict[str, str]) -> None:
    assert _status(server.url, "/orders", **query) == 400


def test_a_cursor_of_another_reading_is_answered_with_400(server: StoreServer) -> None:
    cursor = _get(server.url, "/orders", limit=5)["next"]
    assert _status(server.url, "/stock", cursor=cursor) == 400
    assert _status(server.url, "/orders", cursor=cursor, updated_since="2026-01-01") == 400
    assert _status(server.url, "/people") == 404


def test_too_many_requests_are_told_when_to_come_again(waves: list[Wave]) -> None:
    now = [0.0]
    with StoreServer(waves, rate=3, clock=lambda: now[0]) as slow:
        for _ in range(3):
            _get(slow.url, "/stock")
        with pytest.raises(urllib.error.HTTPError) as caught:
            _get(slow.url, "/stock")
        with caught.value as error:
            assert (error.code, error.headers["Retry-After"]) == (429, "1")
        now[0] += 1
        assert _get(slow.url, "/stock")["data"]


def test_faults_come_at_the_request_they_were_asked_for(waves: list[Wave]) -> None:
    plan = Faults(at={2: Fault.ERROR, 4: Fault.UNAVAILABLE}, every={3: Fault.HTML})
    with StoreServer(waves, faults=plan) as faulty:
        met = []
        for _ in range(6):
            try:
                with urllib.request.urlopen(f"{faulty.url}/stock", timeout=10) as answer:  # noqa: S310, loopback
                    met.append((answer.status, answer.headers.get_content_type()))
            except urllib.error.HTTPError as error:
                met.append((error.code, error.headers.get_content_type()))
                error.close()
    sound, page = (200, "application/json"), (200, "text/html")
    assert met == [sound, (500, sound[1]), page, (503, sound[1]), sound, page]
    assert faulty.served == 6


def test_half_a_page_comes_in_two_ways(waves: list[Wave]) -> None:
    with StoreServer(waves, faults=Faults(at={1: Fault.CUT_BODY, 2: Fault.CUT_JSON})) as faulty:
        with pytest.raises(http.client.IncompleteRead) as caught:
            _get(faulty.url, "/orders")
        assert abs((caught.value.expected or 0) - len(caught.value.partial)) <= 1
        with pytest.raises(json.JSONDecodeError):
            _get(faulty.url, "/orders")
        assert _get(faulty.url, "/orders")["data"]


def test_a_hang_never_answers_and_never_blocks_the_others(waves: list[Wave]) -> None:
    with StoreServer(waves, faults=Faults(at={1: Fault.HANG})) as faulty:
        with pytest.raises(TimeoutError):
            _get(faulty.url, "/orders", timeout=0.3)
        assert _get(faulty.url, "/orders")["data"]
        began = time.monotonic()
    assert time.monotonic() - began < 5


def test_the_other_faults(waves: list[Wave]) -> None:
    plan = parse_faults(["1=duplicate_keys", "3=loop", "4=rate_limit_date", "5=redirect"])
    with StoreServer(waves, faults=plan) as faulty:
        with urllib.request.urlopen(f"{faulty.url}/orders?limit=3", timeout=10) as answer:  # noqa: S310
            pairs = json.loads(answer.read(), object_pairs_hook=list)
        first, second, _ = dict(pairs)["data"]
        assert [name for name, _ in first].count("orderId") == 2
        assert [name for name, _ in second].count("orderId") == 1
        cursor = _get(faulty.url, "/orders", limit=3)["next"]
        assert _get(faulty.url, "/orders", limit=3, cursor=cursor)["next"] == cursor
        with pytest.raises(urllib.error.HTTPError) as caught:
            _get(faulty.url, "/orders")
        with caught.value as error:
            assert parsedate_to_datetime(error.headers["Retry-After"]) > datetime.now(UTC) - timedelta(seconds=5)
        connection = http.client.HTTPConnection(urlsplit(faulty.url).netloc, timeout=10)
        connection.request("GET", "/orders")
        answer_ = connection.getresponse()
        assert (answer_.status, answer_.headers["Location"]) == (302, "http://elsewhere.example/orders")
        connection.close()


@pytest.mark.parametrize("word", ["3", "=error", "0=error", "3=fire", "every=html", "-1=error"])
def test_an_unknown_fault_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="is no fault"):
        parse_faults([word])


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_serve_prints_its_address_and_stops_cleanly(kind: signal.Signals) -> None:
    command = [sys.executable, "-m", "samples", "serve", "--scale", "0.05", "--fault", "2=error"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        url = process.stdout.readline().strip()
        assert _get(url, "/orders", limit=1)["data"]
        assert _status(url, "/orders") == 500
        process.send_signal(kind)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    place = urlsplit(url)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((place.hostname or "", place.port or 0), 2).close()


def test_a_users_mistake_is_one_sentence(tmp_path: Path) -> None:
    for words in (
        ["serve", "--fault", "nonsense"],
        ["store", "--out", str(tmp_path), "--wave", "0"],
        ["store", "--out", str(tmp_path), "--scale", "0.05", "--sql", f"host={tmp_path} dbname=absent"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "samples", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode in (1, 2)
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr


def test_the_tables_hold_every_wave(waves: list[Wave], database: str) -> None:
    for wave in (waves[0], waves[0], waves[1]):
        added = write_tables(wave, database)
        assert added["shop.order_lines"] == len(wave.rows["orders"]["sql"])
    with psycopg.connect(database) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM shop.order_lines), (SELECT count(*) FROM shop.stock_levels)"
        ).fetchone()
        assert counts == tuple(sum(len(w.rows[d]["sql"]) for w in waves) for d in ("orders", "stock"))
        types = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'order_lines'"
        ).fetchall()
        assert {("ord_dt", "date"), ("changed_at", "timestamp with time zone"), ("net", "numeric")} <= set(types)
        net = connection.execute("SELECT count(*) FROM shop.order_lines WHERE net <> total - discount").fetchone()
        truths = [w.truth["datasets"]["orders"]["sources"]["orders_sql"] for w in waves]
        assert net == (sum(t["quarantined_by_reason"]["rule:net"] for t in truths),)
        last = connection.execute("SELECT max(changed_at) FROM shop.order_lines").fetchone()
        assert last == (max(datetime.fromisoformat(t["last_updated_at"]) for t in truths),)


def test_store_writes_files_and_tables_at_once(tmp_path: Path, database: str) -> None:
    command = ["-m", "samples", "store", "--out", str(tmp_path), "--scale", "0.05", "--sql", database]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    rows = truth["datasets"]["stock"]["sources"]["stock_sql"]["rows"]
    assert f"shop.stock_levels: {rows} rows added" in done.stdout
    assert done.stderr == ""
