"""An HTTP API that gives records page by page.

`GET location?limit=…&<cursor parameter>=…&<updated parameter>=…` answers a JSON document with the records at the
contract's `records` and the next page's cursor at `next`. What may pass (429, 5xx, silence, half a page, a page of
HTML) is asked for again; what won't (another status, another host, pages in a circle) is an error.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from governance.adapters.sources.json_batch import Gathering
from governance.adapters.sources.json_records import Fault, Feed, NoListError, documents
from governance.adapters.sources.retrying import Patience
from governance.contracts.types import Source
from governance.errors import SourceError, SourceUnavailableError
from governance.flows.source import MalformedReason, SourceBatch

LARGEST_PAGE = 64 << 20
"""Bytes of a page, unpacked."""
_FIRST_PAGE = "first page"
_LIMIT = "limit"
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = 5
_BROKEN = frozenset({MalformedReason.NOT_JSON, MalformedReason.TRUNCATED})
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)


@dataclass(frozen=True)
class _Failure:
    """A try that may go better next time: what was wrong with it, and the wait that the server asks for."""

    what: str
    retry_after: str | None = None


class ApiReader:
    """Reads an api source. Each page is a batch: its part is the cursor that it was asked for with.

    `client` makes the requests (it is not closed); without one, each run opens its own. Raises SourceError or, where
    the server doesn't answer rightly in `patience.tries` tries, SourceUnavailableError; both name the page by its
    number, never its content.
    """

    def __init__(
        self,
        source: Source,
        location: str,
        *,
        client: httpx.Client | None = None,
        patience: Patience | None = None,
        largest_page: int = LARGEST_PAGE,
    ) -> None:
        self.name = source.name
        self._source, self._client = source, client
        self._patience, self._largest_page = patience or Patience(), largest_page
        try:
            self._url = httpx.URL(location)
        except httpx.InvalidURL:
            self._url = httpx.URL("")
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise SourceError(f"{source.where}: source {source.name}: the location must be an http or https address")
        self._path = tuple(source.records.split(".")) if source.records else ()

    def size(self) -> int | None:
        """Unknown."""
        return None

    def batches(self, *, since: datetime | None = None, cursor: str | None = None) -> Iterator[SourceBatch]:
        """Every page from the one at `cursor` on, of the records changed after `since` if the API can be asked so."""
        client = self._client or httpx.Client(timeout=_TIMEOUT, trust_env=False)
        try:
            yield from self._pages(client, since, cursor)
        finally:
            if client is not self._client:
                client.close()

    def _pages(self, client: httpx.Client, since: datetime | None, cursor: str | None) -> Iterator[SourceBatch]:
        seen = {cursor}
        number = 1
        while True:
            gathering, following = self._page(client, self._address(since, cursor), number)
            if following is not None and following in seen:
                raise SourceError(
                    f"{self._page_name(number)} leads back to a page that was read already; nothing ends there"
                )
            yield gathering.batch(cursor or _FIRST_PAGE, cursor=following)
            if following is None:
                return
            seen.add(following)
            cursor, number = following, number + 1

    def _address(self, since: datetime | None, cursor: str | None) -> httpx.URL:
        asked = {_LIMIT: str(self._source.page_size)}
        if since is not None and self._source.updated_parameter:
            moment = since if since.tzinfo else since.replace(tzinfo=UTC)
            asked[self._source.updated_parameter] = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if cursor is not None:
            asked[self._source.cursor_parameter] = cursor
        return self._url.copy_merge_params(asked)

    def _page(self, client: httpx.Client, address: httpx.URL, number: int) -> tuple[Gathering, str | None]:
        """One page's records and the next one's cursor, after as many tries as it takes."""
        what = ""
        for failed in range(1, self._patience.tries + 1):
            body = self._ask(client, address, number)
            got = body if isinstance(body, _Failure) else self._read(body, number)
            if not isinstance(got, _Failure):
                return got
            what = got.what
            if failed < self._patience.tries:
                self._patience.wait(failed, got.retry_after)
        raise SourceUnavailableError(
            f"{self._page_name(number)} can't be had: {what}, after {self._patience.tries} tries; run again later"
        )

    def _ask(self, client: httpx.Client, address: httpx.URL, number: int) -> bytes | _Failure:
        try:
            for _ in range(_REDIRECTS):
                with client.stream("GET", address, follow_redirects=False) as response:
                    if response.has_redirect_location:
                        address = self._redirected(response, number)
                        continue
                    return self._answer(response, number)
        except httpx.TimeoutException:
            return _Failure("no answer in time")
        except (httpx.TransportError, httpx.DecodingError) as error:
            return _Failure(f"the connection failed ({type(error).__name__})")
        raise SourceError(f"{self._page_name(number)} is redirected more than {_REDIRECTS} times")

    def _answer(self, response: httpx.Response, number: int) -> bytes | _Failure:
        status = response.status_code
        if status in _TRANSIENT:
            return _Failure(f"status {status}", response.headers.get("retry-after"))
        if status != httpx.codes.OK:
            raise SourceError(
                f"{self._page_name(number)} is refused with status {status}; check the address and access"
            )
        deadline = self._patience.monotonic() + self._patience.request_seconds
        body = bytearray()
        for piece in response.iter_bytes(1 << 16):
            body += piece
            if len(body) > self._largest_page:
                raise SourceError(
                    f"{self._page_name(number)} is over {self._largest_page} bytes; ask for smaller pages"
                )
            if self._patience.monotonic() > deadline:
                return _Failure("the answer doesn't end in time")
        return bytes(body)

    def _redirected(self, response: httpx.Response, number: int) -> httpx.URL:
        try:
            address = response.url.join(response.headers["location"])
        except httpx.InvalidURL:
            address = httpx.URL("")
        if (address.scheme, address.host, address.port) != (self._url.scheme, self._url.host, self._url.port):
            raise SourceError(
                f"{self._page_name(number)} is redirected to another host; correct the location if that is right"
            )
        return address

    def _read(self, body: bytes, number: int) -> tuple[Gathering, str | None] | _Failure:
        """Take a page apart. One that isn't JSON as a whole may be so by accident (a proxy's error, a lost half)."""
        gathering = Gathering()
        envelope: dict[str, Any] = {}
        feed = Feed(_once(body.removeprefix(b"\xef\xbb\xbf")), self._page_name(number))
        if not body.strip().startswith((b"{", b"[")):
            return _Failure("the answer isn't JSON")
        try:
            for record in documents(feed, self._path, envelope):
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
        return gathering, self._next(envelope, number)

    def _next(self, envelope: dict[str, Any], number: int) -> str | None:
        """The next page's cursor; None at the end: null, empty, false or not there."""
        held: Any = envelope
        for name in self._source.next_path.split("."):
            held = held.get(name) if isinstance(held, dict) else None
        if held in (None, "", False):
            return None
        if not isinstance(held, str):
            raise SourceError(f"{self._page_name(number)}: '{self._source.next_path}' is no cursor; correct `nextPath`")
        return str(held)

    def _page_name(self, number: int) -> str:
        return f"{self.name}: page {number}"


def _once(body: bytes) -> Callable[[], str]:
    """A page as a feed of one piece."""
    pieces = [body.decode("utf-8", "surrogateescape")]
    return lambda: pieces.pop() if pieces else ""
