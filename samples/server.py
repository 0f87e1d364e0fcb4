"""The API source: a small HTTP server on the loopback interface.

GET /orders and /stock, each with `limit`, `cursor` and `updated_since` (ISO 8601, included), answer
{"data": [records], "next": cursor or null}. A wave's API holds the rows of the waves before it, too.
"""

import base64
import binascii
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from samples.faults import Fault, Faults
from samples.rows import LAYOUTS, Row
from samples.store import Wave
from samples.writing import api_record, json_text

LIMIT, LARGEST_LIMIT = 100, 1000
"""Rows a page, unless asked for otherwise, and at most."""


class BadRequestError(ValueError):
    """The request asks for something that can't be; answered with 400."""


@dataclass(frozen=True)
class Page:
    """A request for a page: from which row on, how many, changed since when."""

    dataset: str
    start: int
    limit: int
    since: datetime | None

    def cursor(self, start: int) -> str:
        """The opaque name of the page of this reading that begins at `start`."""
        since = self.since.isoformat() if self.since else ""
        return base64.urlsafe_b64encode(f"{self.dataset} {start} {since}".encode()).decode().rstrip("=")


class StoreServer:
    """A context manager: listens while it is entered. `port` 0 takes a free one; `url` says where.

    `rate` is the number of requests in any one second above which 429 is answered (0: no limit). `served` counts the
    requests so far. `hang_seconds` is how long a hanging request is held.
    """

    def __init__(
        self,
        waves: list[Wave],
        *,
        port: int = 0,
        faults: Faults | None = None,
        rate: int = 100,
        hang_seconds: float = 60,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rows = {name: [row for wave in waves for row in wave.rows[name]["api"]] for name in LAYOUTS}
        self.faults = faults or Faults()
        self.rate = rate
        self.hang_seconds = hang_seconds
        self.served = 0
        self.stopping = threading.Event()
        self._clock = clock
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()
        shop = self

        class Handler(_Handler):
            server_of = shop

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def admit(self) -> tuple[Fault | None, bool]:
        """Count a request: the fault that it meets, and whether it comes too fast."""
        with self._lock:
            self.served += 1
            now = self._clock()
            while self._recent and self._recent[0] <= now - 1:
                self._recent.popleft()
            fast = bool(self.rate) and len(self._recent) >= self.rate
            if not fast:
                self._recent.append(now)
            return self.faults.of(self.served), fast

    def page(self, page: Page) -> tuple[list[Row], str | None]:
        """The rows of a page and the next page's cursor."""
        rows = self.rows[page.dataset]
        if page.since:
            since = page.since
            rows = [row for row in rows if row.version.replace(tzinfo=UTC) >= since]
        end = page.start + page.limit
        return rows[page.start : end], page.cursor(end) if end < len(rows) else None


def read_page(path: str) -> Page:
    """A request's page. Raises KeyError for a path that isn't served and BadRequestError for wrong parameters."""
    parts = urlsplit(path)
    dataset = parts.path.strip("/")
    if dataset not in LAYOUTS:
        raise KeyError(dataset)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    text = query.get("limit", str(LIMIT))
    if not (text.isdecimal() and 1 <= int(text) <= LARGEST_LIMIT):
        raise BadRequestError(f"limit must be a whole number from 1 to {LARGEST_LIMIT}")
    since = _moment(query.get("updated_since"))
    if "cursor" not in query:
        return Page(dataset, 0, int(text), since)
    start, bound = _read_cursor(query["cursor"], dataset)
    if since is not None and since != bound:
        raise BadRequestError("the cursor belongs to a reading with another updated_since")
    return Page(dataset, start, int(text), bound)


def _read_cursor(cursor: str, dataset: str) -> tuple[int, datetime | None]:
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        name, start, since = decoded.split(" ")
        if name == dataset:
            return int(start), _moment(since)
    except (binascii.Error, ValueError):
        pass
    raise BadRequestError("the cursor is none of this server's")


def _moment(text: str | None) -> datetime | None:
    """A time in UTC; one without a zone is meant so."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise BadRequestError("updated_since must be a time in ISO 8601") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    server_version = "store"
    sys_version = ""
    server_of: StoreServer

    def do_GET(self) -> None:
        try:
            page = read_page(self.path)
        except KeyError:
            self._json(404, {"error": "there are /orders and /stock"})
            return
        except BadRequestError as error:
            self._json(400, {"error": str(error)})
            return
        fault, fast = self.server_of.admit()
        if fault:
            _ANSWERS[fault](self, page)
        elif fast:
            self._too_many("1")
        else:
            self._send(200, self._body(page))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the name is the base class's
        """Keep quiet: the address is all that is printed."""

    def _body(self, page: Page) -> str:
        rows, following = self.server_of.page(page)
        records = [json_text(api_record(row, LAYOUTS[page.dataset])) for row in rows]
        return _document(records, following)

    def _json(self, status: int, content: dict[str, str], headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(content), headers=headers)

    def _send(
        self,
        status: int,
        body: str,
        *,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        share: float = 1,
    ) -> None:
        """The answer; of its body only a share, after which the connection closes."""
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: round(len(content) * share)])
        if share < 1:
            self.close_connection = True

    def _too_many(self, wait: str) -> None:
        self._json(429, {"error": "too many requests"}, {"Retry-After": wait})

    def _hang(self) -> None:
        self.server_of.stopping.wait(self.server_of.hang_seconds)
        self.close_connection = True

    def _twice(self, page: Page) -> None:
        """The first name of the first record comes twice: `{"orderId": "twice", "orderId": …`."""
        rows, following = self.server_of.page(page)
        layout = LAYOUTS[page.dataset]
        records = [json_text(api_record(row, layout)) for row in rows]
        if records:
            records[0] = f'{{"{layout.columns[0].api}": "twice", {records[0][1:]}'
        self._send(200, _document(records, following))

    def _loop(self, page: Page) -> None:
        rows, _ = self.server_of.page(page)
        records = [json_text(api_record(row, LAYOUTS[page.dataset])) for row in rows]
        self._send(200, _document(records, page.cursor(page.start)))


def _document(records: list[str], following: str | None) -> str:
    return f'{{"data": [{", ".join(records)}], "next": {json.dumps(following)}}}'


def _in_a_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


_HTML = "<!doctype html><title>One moment</title><p>We are looking after the shop. Please come back.</p>"
_ANSWERS: dict[Fault, Callable[[_Handler, Page], None]] = {
    Fault.ERROR: lambda handler, _: handler._json(500, {"error": "something broke"}),
    Fault.UNAVAILABLE: lambda handler, _: handler._json(503, {"error": "closed for a moment"}),
    Fault.RATE_LIMIT: lambda handler, _: handler._too_many("1"),
    Fault.RATE_LIMIT_DATE: lambda handler, _: handler._too_many(_in_a_second()),
    Fault.HTML: lambda handler, _: handler._send(200, _HTML, kind="text/html"),
    Fault.CUT_BODY: lambda handler, page: handler._send(200, handler._body(page), share=0.5),
    Fault.CUT_JSON: lambda handler, page: handler._send(200, _half(handler._body(page))),
    Fault.HANG: lambda handler, _: handler._hang(),
    Fault.DUPLICATE_KEYS: lambda handler, page: handler._twice(page),
    Fault.LOOP: lambda handler, page: handler._loop(page),
    Fault.REDIRECT: lambda handler, _: handler._json(302, {}, {"Location": "http://elsewhere.example/orders"}),
}


def _half(text: str) -> str:
    return text[: len(text) // 2]
