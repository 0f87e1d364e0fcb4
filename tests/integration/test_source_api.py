"""An API as a source, on a real server that misbehaves: what passes is asked again, what won't is an error."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from governance.adapters.sources import open_source
from governance.adapters.sources.api import ApiReader
from governance.adapters.sources.retrying import Patience
from governance.contracts.types import Line, Source
from governance.errors import SourceError, SourceUnavailableError
from governance.flows.source import MalformedReason, SourceBatch

Asked = dict[str, str]
Answer = Callable[[BaseHTTPRequestHandler, Asked], None]
NOW = datetime(2025, 3, 1, tzinfo=UTC)


class Server:
    """Answers request number n with `answers[n]`, and with `usual` once they have run out."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Answer] = []
        self.usual: Answer = page([{"id": "1"}])
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                outer.asked.append(asked)
                number = len(outer.asked) - 1
                (outer.answers[number] if number < len(outer.answers) else outer.usual)(self, asked)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}/orders"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.released.set()
        self.http.shutdown()
        self.http.server_close()


def answer(body: bytes, status: int = 200, claimed: int | None = None, **headers: str) -> Answer:
    def write(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        del asked
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if claimed is None else claimed))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return write


def page(records: list[object], following: object = None) -> Answer:
    return answer(json.dumps({"data": records, "next": following}).encode())


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.stop()


@pytest.fixture
def slept() -> list[float]:
    return []


def reader(server: Server, slept: list[float], *, tries: int = 4, read: float = 5.0, **declared: object) -> ApiReader:
    wanted: dict[str, object] = {"records": "data", "updated_parameter": "updated_since", "page_size": 2, **declared}
    source = Source("orders_api", "api", server.address, Line("f", 1), **wanted)  # type: ignore[arg-type]
    patience = Patience(tries=tries, sleep=slept.append, chance=lambda: 0.5, now=lambda: NOW, request_seconds=2.0)
    client = httpx.Client(timeout=read, trust_env=False)
    return ApiReader(source, server.address, client=client, patience=patience, largest_page=1 << 20)


def rows(batches: list[SourceBatch]) -> list[tuple[str, int, dict[str, str | None]]]:
    return [
        (batch.part, position, row)
        for batch in batches
        for position, row in zip(batch.positions.to_pylist(), batch.records.to_pylist(), strict=True)
    ]


def test_pages_follow_one_another_and_each_says_where_the_next_one_starts(server: Server, slept: list[float]) -> None:
    server.answers = [page([{"id": 1, "n": {"x": 1.50}}, {"id": 2}], "c/2 &"), page([{"id": "3"}], 7), page([])]
    stream = reader(server, slept).batches(since=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC))
    first = next(stream)
    assert first.cursor == "c/2 &" and len(server.asked) == 1
    rest = list(stream)
    assert [b.cursor for b in rest] == ["7", None]
    assert rows([first, *rest]) == [
        ("first page", 0, {"id": "1", "n.x": "1.5"}),
        ("first page", 1, {"id": "2", "n.x": None}),
        ("c/2 &", 0, {"id": "3"}),
    ]
    since = "2025-01-02T03:04:05Z"
    assert server.asked == [
        {"limit": "2", "updated_since": since},
        {"limit": "2", "updated_since": since, "cursor": "c/2 &"},
        {"limit": "2", "updated_since": since, "cursor": "7"},
    ]


def test_a_resumed_run_begins_at_its_cursor(server: Server, slept: list[float]) -> None:
    (batch,) = reader(server, slept).batches(cursor="c9")
    assert server.asked == [{"limit": "2", "cursor": "c9"}] and batch.part == "c9"


@pytest.mark.parametrize(
    "fault",
    [
        answer(b"", 500),
        answer(b"{}", 503),
        answer(b"<html>canary</html>", 502),
        answer(b"<html>canary</html>"),
        answer(b""),
        answer(b'{"data":[{"id":"1"},{"id":"canary'),
        answer(b'{"data":[{"id":"1"}', claimed=500),
        answer(b'{"data":[{"id":"1"}],"next":"a","next":null}'),
        answer(b'{"data":[{"id":01}],"next":null}'),
        answer(b"not gzip", Content_Encoding="gzip"),
        answer(b"", 408),
    ],
)
def test_what_passes_is_asked_again(server: Server, slept: list[float], fault: Answer) -> None:
    server.answers = [fault, fault]
    assert rows(list(reader(server, slept).batches())) == [("first page", 0, {"id": "1"})]
    assert slept == [0.25, 0.5]
    server.asked.clear()
    server.answers = [page([{"id": "1"}], "canary-cursor"), fault, fault, fault, fault]
    with pytest.raises(SourceUnavailableError, match=r"page 2 .* after 4 tries") as caught:
        list(reader(server, slept).batches())
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("asks", "waits"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("86400", 60.0),
        (format_datetime(NOW + timedelta(seconds=9), usegmt=True), 9.0),
        (format_datetime(NOW - timedelta(days=9), usegmt=True), 0.0),
        ("soon", 0.25),
        ("-5", 0.25),
    ],
)
def test_a_busy_server_is_given_the_time_it_asks_for(
    server: Server, slept: list[float], asks: str, waits: float
) -> None:
    server.answers = [answer(b"slow down", 429, Retry_After=asks)]
    assert len(rows(list(reader(server, slept).batches()))) == 1
    assert slept == [waits]


def test_back_off_grows_to_a_bound_and_is_jittered() -> None:
    waits: list[float] = []
    for chance in (0.0, 1.0):
        patience = Patience(sleep=waits.append, chance=lambda chance=chance: chance)
        for failed in (1, 2, 3, 20):
            patience.wait(failed)
    assert waits == [0.0] * 4 + [0.5, 1.0, 2.0, 60.0]


def test_a_server_that_never_answers_is_given_up(server: Server, slept: list[float]) -> None:
    def hang(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        del handler, asked
        server.released.wait(20)

    server.usual = hang
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError, match="no answer in time, after 2 tries"):
        list(reader(server, slept, tries=2, read=0.3).batches())
    assert time.monotonic() - began < 10


def test_a_server_that_only_drips_is_given_up(server: Server, slept: list[float]) -> None:
    def drip(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        del asked
        handler.send_response(200)
        handler.end_headers()
        while not server.released.wait(0.1):
            try:
                handler.wfile.write(b" " * 70_000)
            except OSError:
                return

    server.usual = drip
    source = Source("orders_api", "api", server.address, Line("f", 1), records="data")
    patience = Patience(tries=1, sleep=slept.append, request_seconds=0.5)
    with pytest.raises(SourceUnavailableError, match="doesn't end in time"):
        list(ApiReader(source, server.address, patience=patience).batches())


def test_nobody_there(slept: list[float]) -> None:
    gone = Server()
    gone.stop()
    with pytest.raises(SourceUnavailableError, match="ConnectError"):
        list(reader(gone, slept).batches())
    assert len(slept) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204, 501])
def test_a_refusal_is_an_error_at_once(server: Server, slept: list[float], status: int) -> None:
    server.usual = answer(b"" if status == 204 else b"canary", status)
    with pytest.raises(SourceError, match=f"status {status}") as caught:
        list(reader(server, slept).batches())
    assert slept == [] and "canary" not in str(caught.value)


def test_pages_in_a_circle_are_an_error(server: Server, slept: list[float]) -> None:
    server.answers = [page([{"id": "1"}], "a"), page([{"id": "2"}], "b"), page([{"id": "3"}], "a")]
    with pytest.raises(SourceError, match="page 3 leads back"):
        list(reader(server, slept).batches())
    server.asked.clear()
    server.answers = [page([{"id": "1"}], "a")]
    with pytest.raises(SourceError, match="page 1 leads back"):
        list(reader(server, slept).batches(cursor="a"))


def test_redirects_stay_on_the_host(server: Server, slept: list[float]) -> None:
    server.answers = [answer(b"", 307, Location="/elsewhere?limit=2")]
    assert len(rows(list(reader(server, slept).batches()))) == 1
    for target in (
        "http://127.0.0.2:1/x",
        "https://127.0.0.1/x",
        "http://shop.example/x",
        "//shop.example",
        "http://[",
    ):
        server.asked.clear()
        server.answers = [answer(b"", 302, Location=target)]
        with pytest.raises(SourceError, match="another host"):
            list(reader(server, slept).batches())
        assert len(server.asked) == 1
    server.usual = answer(b"", 302, Location="/orders")
    with pytest.raises(SourceError, match="more than 5 times"):
        list(reader(server, slept).batches())


def test_a_page_without_end_is_refused_even_if_it_is_packed(server: Server, slept: list[float]) -> None:
    big = b'{"data":[],"next":"' + b"x" * (2 << 20) + b'"}'
    for body in (answer(big), answer(gzip.compress(big), Content_Encoding="gzip")):
        server.usual = body
        with pytest.raises(SourceError, match="over 1048576 bytes"):
            list(reader(server, slept).batches())


def test_a_malformed_record_is_one_of_its_page(server: Server, slept: list[float]) -> None:
    body = (
        b'{"data":[{"id":"1"},{"id":"2","id":"3"},7,{"id":"\\ud800"},{"id":"\\u0000"},{"a":' + b"[" * 900 + b"]" * 900
    )
    server.answers = [answer(body + b'},{"id":"4"}]}')]
    (batch,) = reader(server, slept).batches()
    assert rows([batch]) == [("first page", 0, {"id": "1"}), ("first page", 6, {"id": "4"})]
    assert [(m.position, m.reason) for m in batch.malformed] == [
        (1, MalformedReason.DUPLICATE_KEY),
        (2, MalformedReason.NOT_AN_OBJECT),
        (3, MalformedReason.ENCODING),
        (4, MalformedReason.NUL_BYTE),
        (5, MalformedReason.TOO_DEEP),
    ]
    assert batch.malformed[0].body == b'{"id":"2","id":"3"}'
    assert batch.records_read == 7


def test_json_without_the_declared_list_or_cursor_is_an_error(server: Server, slept: list[float]) -> None:
    for body, says in (
        (b'{"error":"canary"}', "no list at 'data'"),
        (b'{"data":[],"next":{"canary":1}}', "is no cursor"),
    ):
        server.usual = answer(body)
        with pytest.raises(SourceError, match=says) as caught:
            list(reader(server, slept).batches())
        assert "canary" not in str(caught.value)
    assert slept == []


def test_names_of_an_api_are_declared(server: Server, slept: list[float]) -> None:
    server.answers = [answer(b'{"r":{"items":[{"a":1}]},"p":{"n":"2"}}'), answer(b'{"p":{"n":""},"r":{"items":[]}}')]
    batches = list(reader(server, slept, records="r.items", next_path="p.n", cursor_parameter="after").batches())
    assert server.asked[1] == {"limit": "2", "after": "2"} and rows(batches) == [("first page", 0, {"a": "1"})]


def test_a_location_is_an_http_address(server: Server) -> None:
    for wrong in ("orders.json", "ftp://shop.example/orders", "http://"):
        with pytest.raises(SourceError, match="http or https address"):
            open_source(Source("orders_api", "api", wrong, Line("f", 1)), wrong)
    assert open_source(Source("orders_api", "api", "", Line("f", 1)), server.address).size() is None
