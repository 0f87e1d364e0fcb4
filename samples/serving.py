"""A small HTTP server on the loopback interface for any number of APIs, with the faults of real ones.

Each API has a path. Every page has an ETag; a request with the same one in If-None-Match is answered with 304.
GET /tick says what tick it is, POST /tick?by=3 goes on by three.
"""

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qs, urlsplit

from samples.faults import Fault, Faults
from samples.paging import BadRequestError, Page, Query
from samples.ticks import Ticks


class Api(Protocol):
    """One path of a server."""

    @property
    def path(self) -> str:
        """Where it is, without slashes around it."""

    def check(self, query: Query) -> None:
        """Raise BadRequestError for a request that can't be answered."""

    def page(self, query: Query) -> Page:
        """The page that is asked for."""


class ApiServer:
    """A context manager: listens while it is entered. `port` 0 takes a free one; `url` says where.

    `rate` is the number of requests in any one second above which 429 is answered (0: no limit). `served` counts the
    requests so far. `hang_seconds` is how long a hanging request is held. `ticks` is what /tick speaks of.
    """

    def __init__(
        self,
        apis: Sequence[Api],
        *,
        port: int = 0,
        faults: Faults | None = None,
        rate: int = 100,
        hang_seconds: float = 60,
        clock: Callable[[], float] = time.monotonic,
        ticks: Ticks | None = None,
    ) -> None:
        self.apis = {api.path: api for api in apis}
        self.ticks = ticks or Ticks()
        self.faults = faults or Faults()
        self.rate = rate
        self.hang_seconds = hang_seconds
        self.served = 0
        self.stopping = threading.Event()
        self._clock = clock
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()
        owner = self

        class Handler(_Handler):
            server_of = owner

        self._http = _Http(("127.0.0.1", port), Handler)
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


class _Http(ThreadingHTTPServer):
    """Says nothing of clients that hang up: those that are killed in tests do so all the time."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    server_version = "samples"
    sys_version = ""
    disable_nagle_algorithm = True  # else a body waits 40 ms for its headers to be acknowledged
    server_of: ApiServer

    def do_GET(self) -> None:
        path, query = self._asked()
        if path == "tick":
            self._json(200, {"tick": self.server_of.ticks.now()})
            return
        api = self.server_of.apis.get(path)
        if api is None:
            self._json(404, {"error": f"there are /{', /'.join(self.server_of.apis)}"})
            return
        try:
            api.check(query)
        except BadRequestError as error:
            self._json(400, {"error": str(error)})
            return
        fault, fast = self.server_of.admit()
        if fault:
            _ANSWERS[fault](self, lambda: api.page(query))
        elif fast:
            self._too_many("1")
        else:
            self._page(api.page(query).document())

    def do_POST(self) -> None:
        path, query = self._asked()
        by = query.get("by", "1")
        if path != "tick":
            self._json(404, {"error": "only /tick takes a POST"})
        elif not (by.isdecimal() and len(by) < 7):
            self._json(400, {"error": "by must be a whole number"})
        else:
            self._json(200, {"tick": self.server_of.ticks.advance(int(by))})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, the name is the base class's
        """Keep quiet: the address is all that is printed."""

    def _asked(self) -> tuple[str, Query]:
        parts = urlsplit(self.path)
        return parts.path.strip("/"), {name: values[-1] for name, values in parse_qs(parts.query).items()}

    def _page(self, body: str) -> None:
        """The page, or 304 to who has it already."""
        tag = f'"{blake2b(body.encode(), digest_size=16).hexdigest()}"'
        if self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            self.send_header("ETag", tag)
            self.end_headers()
        else:
            self._send(200, body, headers={"ETag": tag})

    def _json(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
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


def _in_a_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


def _half(text: str) -> str:
    return text[: len(text) // 2]


def _twice(page: Page) -> str:
    """The first name of the first record comes twice: `{"orderId": "twice", "orderId": …`."""
    records = list(page.records)
    if records:
        records[0] = f'{records[0].partition(":")[0]}: "twice", {records[0][1:]}'
    return Page(records, page.head, page.tail, page.loop).document()


def _looped(page: Page) -> str:
    return Page(page.records, page.head, page.loop, page.loop).document()


def _arrays(page: Page) -> str:
    """The records as two arrays, one after the other: no JSON text."""
    middle = len(page.records) // 2
    return "\n".join(f"[{', '.join(part)}]" for part in (page.records[:middle], page.records[middle:]))


_HTML = "<!doctype html><title>One moment</title><p>We are looking after the shop. Please come back.</p>"
_ANSWERS: dict[Fault, Callable[[_Handler, Callable[[], Page]], None]] = {
    Fault.ERROR: lambda handler, _: handler._json(500, {"error": "something broke"}),
    Fault.UNAVAILABLE: lambda handler, _: handler._json(503, {"error": "closed for a moment"}),
    Fault.RATE_LIMIT: lambda handler, _: handler._too_many("1"),
    Fault.RATE_LIMIT_DATE: lambda handler, _: handler._too_many(_in_a_second()),
    Fault.HTML: lambda handler, _: handler._send(200, _HTML, kind="text/html"),
    Fault.CUT_BODY: lambda handler, page: handler._send(200, page().document(), share=0.5),
    Fault.CUT_JSON: lambda handler, page: handler._send(200, _half(page().document())),
    Fault.HANG: lambda handler, _: handler._hang(),
    Fault.DUPLICATE_KEYS: lambda handler, page: handler._send(200, _twice(page())),
    Fault.LOOP: lambda handler, page: handler._send(200, _looped(page())),
    Fault.REDIRECT: lambda handler, _: handler._json(302, {}, {"Location": "http://elsewhere.example/orders"}),
    Fault.ARRAYS: lambda handler, page: handler._send(200, _arrays(page())),
    Fault.WRONG_TYPE: lambda handler, page: handler._send(200, page().document(), kind="text/plain"),
}
