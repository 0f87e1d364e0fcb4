"""The product and users APIs as a client meets them: stable pages, ticks, tags, limits, faults, and the whole truth."""

import json
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from samples.faults import Fault, Faults, parse_faults
from samples.feed import START, Feed, moment_at
from samples.feed_truth import final_of, truth
from samples.products import ProductSource
from samples.products.api import ProductApi
from samples.serving import ApiServer
from samples.ticks import Ticks
from samples.users import UserSource
from samples.users.api import UserApi

ROOT = Path(__file__).parents[2]
PRODUCTS, PEOPLE = ProductSource(Feed(keys=230, changed=40)), UserSource(Feed(keys=170, changed=30))


@dataclass
class Client:
    """What a test talks to."""

    server: ApiServer
    ticks: Ticks
    http: httpx.Client

    def get(self, path: str, **query: object) -> Any:
        """The answer's JSON, which must be sound."""
        answer = self.http.get(path, params={name: str(value) for name, value in query.items()})
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("application/json")
        return answer.json()

    def products(self, **query: object) -> list[dict[str, Any]]:
        """Every page's records."""
        page = self.get("/products", **query)
        records = page["data"]
        while page["next"]:
            page = self.get("/products", cursor=page["next"], **query)
            records += page["data"]
        return list(records)

    def people(self, results: int, **query: object) -> list[dict[str, Any]]:
        """Likewise; the last page is the one without records."""
        records: list[dict[str, Any]] = []
        for number in range(1, 10_000):
            page = self.get("/api/", results=results, page=number, **query)
            assert page["info"] | {"seed": ""} == {
                "seed": "", "results": len(page["results"]), "page": number, "version": "1.4"}  # fmt: skip
            if not page["results"]:
                break
            records += page["results"]
        return records


def _served(**options: Any) -> Iterator[Client]:
    ticks = Ticks()
    apis = [ProductApi(PRODUCTS, ticks), UserApi(PEOPLE, ticks)]
    with (
        ApiServer(apis, ticks=ticks, **options) as server,
        httpx.Client(base_url=server.url, timeout=10) as http,
    ):
        yield Client(server, ticks, http)


@pytest.fixture
def client() -> Iterator[Client]:
    yield from _served(rate=0)


@pytest.fixture
def faulty(request: pytest.FixtureRequest) -> Iterator[Client]:
    yield from _served(faults=Faults(at=request.param))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pages_of_any_size_hold_every_row_once_in_order(client: Client, size: int) -> None:
    assert client.products(limit=size) == [row.record for row in PRODUCTS.rows(0, 230)]
    assert client.people(results=size) == [row.record for row in PEOPLE.rows(0, 170)]


def test_a_last_page_that_is_full_has_no_next(client: Client) -> None:
    assert client.get("/products", limit=230)["next"] is None
    assert client.get("/products", limit=229)["next"]


def test_what_was_read_comes_to_what_is_known(client: Client) -> None:
    client.ticks.advance(3)
    counts = truth(PRODUCTS, 3)
    records = client.products(limit=50)
    assert len(records) == counts["rows"]
    held = {line["serial"] for line in counts["held"]}
    assert len(records) - len(held) == counts["admitted"]
    assert {"missing_id", "email_in_title"} <= counts["traits"].keys()
    for serial, record in enumerate(records):
        assert (PRODUCTS.row(serial).outcome.reason is not None) == (serial in held)
        assert serial in held or record["id"] == PRODUCTS.row(serial).key
    people = client.people(results=50)
    assert len(people) == truth(PEOPLE, 3)["rows"]


def test_a_page_stays_the_same_while_the_ticks_go_on(client: Client) -> None:
    pages = [client.get("/products", limit=40)]
    pages.append(client.get("/products", limit=40, cursor=pages[0]["next"]))
    crowd = client.get("/api/", results=50, page=2)
    for _ in range(3):
        client.ticks.advance()
        assert client.get("/products", limit=40) == pages[0]
        assert client.get("/products", limit=40, cursor=pages[0]["next"]) == pages[1]
        assert client.get("/api/", results=50, page=2) == crowd


def test_a_reading_in_which_the_ticks_go_on_misses_nothing(client: Client) -> None:
    records, page = [], client.get("/products", limit=60)
    for _ in range(4):
        records += page["data"]
        client.ticks.advance()
        page = client.get("/products", limit=60, cursor=page["next"])
    while page["next"]:
        records += page["data"]
        page = client.get("/products", limit=60, cursor=page["next"])
    records += page["data"]
    assert records == [row.record for row in PRODUCTS.rows(0, PRODUCTS.feed.rows(4))]


def test_polls_by_updated_since_bring_what_changed_and_end_at_the_newest(client: Client) -> None:
    taken = []
    since = None
    for _ in range(6):
        query = {"updated_since": since} if since else {}
        fresh = client.products(limit=30, **query)
        taken += fresh
        since = moment_at(PRODUCTS.feed.place(PRODUCTS.feed.rows(client.ticks.now()) - 1).moment).isoformat()
        client.ticks.advance()
    rows = PRODUCTS.feed.rows(5)
    assert {json.dumps(r) for r in taken} == {json.dumps(row.record) for row in PRODUCTS.rows(0, rows)}
    assert len(taken) == rows + 5
    later = client.get("/products", updated_since=(START + timedelta(minutes=1)).isoformat())["data"]
    known = {row.key for row in PRODUCTS.rows(0, 230)}
    assert any(record.get("id") in known for record in later)
    assert any(record.get("id") not in known for record in later)


def test_people_who_changed_can_be_asked_for_alone(client: Client) -> None:
    client.ticks.advance(2)
    start = PEOPLE.feed.rows(1)
    since = moment_at(PEOPLE.feed.place(start).moment).isoformat()
    assert client.people(results=9, updated_since=since) == [
        row.record for row in PEOPLE.rows(start, PEOPLE.feed.rows(2))
    ]
    newest = final_of(PEOPLE.rows(0, PEOPLE.feed.rows(2)))
    assert any(row.serial >= start and row.facts.number < 170 for row in newest.values())


def test_a_tick_is_told_and_advanced_by_request(client: Client) -> None:
    assert client.get("/tick") == {"tick": 0}
    assert client.http.post("/tick").json() == {"tick": 1}
    assert client.http.post("/tick", params={"by": 4}).json() == {"tick": 5}
    assert client.http.post("/tick", params={"by": "-1"}).status_code == 400
    assert client.http.post("/products").status_code == 404
    assert len(client.products(limit=500)) == PRODUCTS.feed.rows(5)


def test_an_unchanged_page_is_not_sent_again(client: Client) -> None:
    last = client.http.get("/products", params={"limit": 1000})
    full = client.http.get("/api/", params={"results": 20})
    for before, path in ((last, "/products?limit=1000"), (full, "/api/?results=20")):
        again = client.http.get(path, headers={"If-None-Match": before.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
    client.ticks.advance()
    changed = client.http.get("/products?limit=1000", headers={"If-None-Match": last.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != last.headers["ETag"]
    same = client.http.get("/api/?results=20", headers={"If-None-Match": full.headers["ETag"]})
    assert same.status_code == 304


def test_another_seed_has_other_people_and_the_same_one_the_same(client: Client) -> None:
    def uuids(**query: object) -> list[str]:
        return [person["login"].get("uuid") for person in client.get("/api/", results=30, **query)["results"]]

    assert uuids() == uuids(seed=7)
    assert uuids(seed="kasbah") == uuids(seed="kasbah")
    assert not {*uuids(seed="kasbah")} & {*uuids(), None}
    assert client.get("/api/", seed="kasbah")["info"]["seed"] == "kasbah"
    assert len(client.get("/api/")["results"]) == 1


@pytest.mark.parametrize(
    "path",
    ["/products?limit=0", "/products?limit=1001", "/products?cursor=nonsense", "/products?updated_since=yesterday",
     "/products?cursor=b3JkZXJzIDUg", "/api/?results=0", "/api/?results=5001", "/api/?page=0", "/api/?page=x",
     "/api/?updated_since=0000", f"/api/?seed={'s' * 65}"],
)  # fmt: skip
def test_what_cannot_be_is_answered_with_400(client: Client, path: str) -> None:
    assert client.http.get(path).status_code == 400
    assert client.http.get("/people").status_code == 404


def test_too_many_requests_are_told_when_to_come_again() -> None:
    for client in _served(rate=2, clock=lambda: 5.0):
        answers = [client.http.get(path) for path in ("/products", "/api/", "/api/")]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].headers["Retry-After"] == "1"


@pytest.mark.parametrize("faulty", [dict(enumerate(Fault, 1))], indirect=True)
def test_every_fault_of_the_users_api_is_met_and_passes(faulty: Client) -> None:
    faulty.server.hang_seconds = 0.2
    met = {}
    for fault in Fault:
        try:
            answer = faulty.http.get("/api/?results=6", timeout=5)
        except httpx.RemoteProtocolError:
            met[fault] = "broken off"
            continue
        kind = answer.headers["Content-Type"].partition(";")[0]
        try:
            json.loads(answer.text)
            met[fault] = f"{answer.status_code} {kind}"
        except ValueError:
            met[fault] = f"{answer.status_code} {kind}, no JSON"
    sound = "200 application/json"
    assert met == {
        Fault.ERROR: "500 application/json",
        Fault.UNAVAILABLE: "503 application/json",
        Fault.RATE_LIMIT: "429 application/json",
        Fault.RATE_LIMIT_DATE: "429 application/json",
        Fault.HTML: "200 text/html, no JSON",
        Fault.CUT_BODY: "broken off",
        Fault.CUT_JSON: f"{sound}, no JSON",
        Fault.HANG: "broken off",
        Fault.DUPLICATE_KEYS: sound,
        Fault.LOOP: sound,
        Fault.REDIRECT: "302 application/json",
        Fault.ARRAYS: f"{sound}, no JSON",
        Fault.WRONG_TYPE: "200 text/plain",
    }
    assert len(faulty.get("/api/", results=6)["results"]) == 6


@pytest.mark.parametrize("faulty", [{1: Fault.ARRAYS, 2: Fault.DUPLICATE_KEYS, 3: Fault.LOOP}], indirect=True)
def test_a_malformed_page_holds_the_records_of_the_sound_one(faulty: Client) -> None:
    first, second = (json.loads(line) for line in faulty.http.get("/products?limit=4").text.splitlines())
    twice = json.loads(faulty.http.get("/products?limit=4").text, object_pairs_hook=list)
    looped = faulty.get("/products", limit=4)
    sound = faulty.get("/products", limit=4)
    assert first + second == sound["data"] == looped["data"]
    assert [name for name, _ in dict(twice)["data"][0]].count("id") == 2
    assert faulty.get("/products", limit=4, cursor=looped["next"])["data"] == sound["data"]
    assert looped["next"] != sound["next"]


def test_many_clients_at_once_get_the_same_pages(client: Client) -> None:
    with ThreadPoolExecutor(6) as pool:
        pages = list(pool.map(lambda n: client.people(results=40, page_size=n), range(12)))
    assert all(page == pages[0] for page in pages)


def test_a_client_that_hangs_up_is_not_spoken_of(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    place = urlsplit(client.server.url)
    for _ in range(5):
        with socket.create_connection((place.hostname or "", place.port or 0), 5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET /api/?results=2000 HTTP/1.1\r\n\r\n")
    assert len(client.people(results=100)) == 170
    assert capfd.readouterr().err == ""


def test_serve_has_every_api_and_ticks_by_itself() -> None:
    command = ["-m", "samples", "serve", "--scale", "0.05", "--products", "40", "--people", "30", "--start", "now",
               "--tick-seconds", "0.05", "--rate", "0"]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        with httpx.Client(base_url=process.stdout.readline().strip(), timeout=10) as http:
            for path in ("/orders", "/stock", "/products"):
                assert http.get(path, params={"limit": 1}).json()["data"]
            assert len(http.get("/api/?results=30").json()["results"]) == 30
            while http.get("/tick").json()["tick"] < 3:
                pass
            assert len(http.get("/products?limit=1000").json()["data"]) > 40
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize("feed", ["products", "users"])
def test_the_truth_can_be_asked_for_in_words(feed: str) -> None:
    command = [sys.executable, "-m", "samples", "truth", feed, "--products", "230", "--people", "170", "--tick", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    source = ProductSource(Feed(keys=230)) if feed == "products" else UserSource(Feed(keys=170))
    assert json.loads(done.stdout) == truth(source, 2)


@pytest.mark.parametrize(
    "words", [["--products", "0"], ["--people", "-1"], ["--tick-seconds", "-1"], ["--start", "soon"]]
)
def test_a_users_mistake_is_told_without_a_traceback(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "samples", "serve", "--scale", "0.05", *words],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_every_fault_can_be_asked_for_in_words() -> None:
    assert parse_faults([f"{number}={fault}" for number, fault in enumerate(Fault, 1)]).at == dict(enumerate(Fault, 1))
