"""One page of an HTTP API: asked for as often as it takes, and taken apart.

What may pass (429, 5xx, silence, half a page, a page of HTML) is asked for again; what won't (another status, another
host, a page without a list) is an error. Both name the page by its number, never its content.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from governance.adapters.sources.json_batch import Gathering
from governance.adapters.sources.json_records import Fault, Feed, NoListError, documents
from governance.adapters.sources.retrying import Patience
from governance.contracts.types import Source
from governance.errors import SourceError, SourceUnavailableError
from governance.flows.source import MalformedReason

LARGEST_PAGE = 64 << 20
"""Bytes of a page, unpacked."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = 5
_BROKEN = frozenset({MalformedReason.NOT_JSON, MalformedReason.TRUNCATED})
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_LONGEST_TAG = 1024


@dataclass(frozen=True)
class _Failure:
    """A try that may go better next time: what was wrong with it, and the wait that the server asks for."""

    what: str
    retry_after: str | None = None


@dataclass(frozen=True)
class _Answer:
    """An answer to take apart; None is one that hasn't changed."""

    body: bytes | None = field(repr=False)
    tag: str | None = None


@dataclass(frozen=True)
class Page:
    """A page's records, what stands beside them, and its ETag."""

    gathering: Gathering
    beside: dict[str, Any] = field(repr=False)
    tag: str | None = None


def open_client() -> httpx.Client:
    """A client of our own: nothing of the environment's proxies, and no request without an end."""
    return httpx.Client(timeout=_TIMEOUT, trust_env=False)


class Pages:
    """Gets the pages of an api source at `location`."""

    def __init__(
        self, source: Source, location: str, patience: Patience | None = None, largest_page: int = LARGEST_PAGE
    ) -> None:
        self.name = source.name
        self._source = source
        self._patience, self._largest_page = patience or Patience(), largest_page
        try:
            self.url = httpx.URL(location)
        except httpx.InvalidURL:
            self.url = httpx.URL("")
        if self.url.scheme not in ("http", "https") or not self.url.host:
            raise SourceError(f"{source.where}: source {source.name}: the location must be an http or https address")
        self._path = tuple(source.records.split(".")) if source.records else ()

    def get(self, client: httpx.Client, address: httpx.URL, number: int, tag: str | None = None) -> Page | None:
        """The page at an address, after as many tries as it takes; None if it still has the ETag `tag`.

        Raises SourceUnavailableError where the server doesn't answer rightly in `patience.tries` tries, SourceError
        where asking again won't help.
        """
        what = ""
        for failed in range(1, self._patience.tries + 1):
            got = self._try(client, address, number, tag)
            if not isinstance(got, _Failure):
                return got
            what = got.what
            if failed < self._patience.tries:
                self._patience.wait(failed, got.retry_after)
        raise SourceUnavailableError(
            f"{self.named(number)} can't be had: {what}, after {self._patience.tries} tries; run again later"
        )

    def cursor_in(self, page: Page, number: int) -> str | None:
        """The next page's cursor; None at the end: null, empty, false or not there."""
        held: Any = page.beside
        for name in self._source.next_path.split("."):
            held = held.get(name) if isinstance(held, dict) else None
        if held in (None, "", False):
            return None
        if not isinstance(held, str):
            raise SourceError(f"{self.named(number)}: '{self._source.next_path}' is no cursor; correct `nextPath`")
        return str(held)

    def named(self, number: int) -> str:
        """What a page is called in messages."""
        return f"{self.name}: page {number}"

    def _try(self, client: httpx.Client, address: httpx.URL, number: int, tag: str | None) -> Page | _Failure | None:
        answer = self._ask(client, address, number, tag)
        if isinstance(answer, _Failure):
            return answer
        return None if answer.body is None else self._read(answer.body, answer.tag, number)

    def _ask(self, client: httpx.Client, address: httpx.URL, number: int, tag: str | None) -> _Answer | _Failure:
        headers = {"If-None-Match": tag} if tag else {}
        try:
            for _ in range(_REDIRECTS):
                with client.stream("GET", address, headers=headers, follow_redirects=False) as response:
                    if response.has_redirect_location:
                        address = self._redirected(response, number)
                        continue
                    if tag and response.status_code == httpx.codes.NOT_MODIFIED:
                        return _Answer(None)
                    return self._answer(response, number)
        except httpx.TimeoutException:
            return _Failure("no answer in time")
        except (httpx.TransportError, httpx.DecodingError) as error:
            return _Failure(f"the connection failed ({type(error).__name__})")
        raise SourceError(f"{self.named(number)} is redirected more than {_REDIRECTS} times")

    def _answer(self, response: httpx.Response, number: int) -> _Answer | _Failure:
        status = response.status_code
        if status in _TRANSIENT:
            return _Failure(f"status {status}", response.headers.get("retry-after"))
        if status != httpx.codes.OK:
            raise SourceError(f"{self.named(number)} is refused with status {status}; check the address and access")
        deadline = self._patience.monotonic() + self._patience.request_seconds
        body = bytearray()
        for piece in response.iter_bytes(1 << 16):
            body += piece
            if len(body) > self._largest_page:
                raise SourceError(f"{self.named(number)} is over {self._largest_page} bytes; ask for smaller pages")
            if self._patience.monotonic() > deadline:
                return _Failure("the answer doesn't end in time")
        tag = response.headers.get("etag")
        return _Answer(bytes(body), tag if tag and len(tag) <= _LONGEST_TAG else None)

    def _redirected(self, response: httpx.Response, number: int) -> httpx.URL:
        try:
            address = response.url.join(response.headers["location"])
        except httpx.InvalidURL:
            address = httpx.URL("")
        if (address.scheme, address.host, address.port) != (self.url.scheme, self.url.host, self.url.port):
            raise SourceError(
                f"{self.named(number)} is redirected to another host; correct the location if that is right"
            )
        return address

    def _read(self, body: bytes, tag: str | None, number: int) -> Page | _Failure:
        """Take a page apart. One that isn't JSON as a whole may be so by accident (a proxy's error, a lost half)."""
        gathering = Gathering()
        beside: dict[str, Any] = {}
        feed = Feed(_once(body.removeprefix(b"\xef\xbb\xbf")), self.named(number))
        if not body.strip().startswith((b"{", b"[")):
            return _Failure("the answer isn't JSON")
        try:
            for record in documents(feed, self._path, beside):
                if isinstance(record, Fault) and record.reason in _BROKEN:
                    return _Failure("the answer is cut off or isn't JSON")
                if isinstance(record, Fault):
                    gathering.fault(record)
                else:
                    gathering.row(record)
        except NoListError:
            raise
        except SourceError:
            return _Failure("the answer isn't JSON")
        return Page(gathering, beside, tag)


def _once(body: bytes) -> Callable[[], str]:
    """A page as a feed of one piece."""
    pieces = [body.decode("utf-8", "surrogateescape")]
    return lambda: pieces.pop() if pieces else ""
