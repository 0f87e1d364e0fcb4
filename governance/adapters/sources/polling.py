"""An API that is polled page by page (`flows.polling.PagedSource`), with cursors or with counted pages.

A page that is shorter than asked for is the last one there is now. Some servers give fewer records than they are asked
for, and the rest would never be read: so the page behind the first short one is looked at, once.
"""

from datetime import datetime
from types import MappingProxyType

import httpx

from governance.adapters.sources.api import FIRST_PAGE, address
from governance.adapters.sources.pages import LARGEST_PAGE, Page, Pages, open_client
from governance.adapters.sources.retrying import Patience
from governance.contracts.types import Source
from governance.errors import SourceError
from governance.flows.polling import PagedSource, PolledPage


def open_polling(
    source: Source,
    location: str,
    *,
    client: httpx.Client | None = None,
    patience: Patience | None = None,
    largest_page: int = LARGEST_PAGE,
) -> PagedSource:
    """The API of a source at `location`. `client` makes the requests and isn't closed; without one, it opens its own.

    Raises SourceError unless the source is an API at an http address.
    """
    if source.format != "api":
        raise SourceError(f"{source.where}: source {source.name} is no API, so it can't be polled")
    pages = Pages(source, location, patience, largest_page)
    return (CountedPages if source.page_parameter else CursorPages)(source, pages, client)


class _Polled:
    """What both kinds share: the connection."""

    def __init__(self, source: Source, pages: Pages, client: httpx.Client | None) -> None:
        self.name = source.name
        self.asks_since = source.updated_parameter is not None
        self._source, self._pages, self._given = source, pages, client
        self._client = client

    def close(self) -> None:
        """See `PagedSource.close`."""
        if self._client is not None and self._client is not self._given:
            self._client.close()
            self._client = None

    def _get(self, asked: httpx.URL, number: int, tag: str | None = None) -> Page | None:
        if self._client is None:
            self._client = open_client()
        return self._pages.get(self._client, asked, number, tag)


class CursorPages(_Polled):
    """An API whose pages name the next one."""

    grows = False

    def page(self, number: int, cursor: str | None, since: datetime | None, tag: str | None) -> PolledPage | None:
        """See `PagedSource.page`."""
        got = self._get(address(self._pages.url, self._source, since, cursor), number, tag)
        if got is None:
            return None
        following = self._pages.cursor_in(got, number)
        if following is not None and following == cursor:
            raise SourceError(f"{self._pages.named(number)} leads back to itself; nothing ends there")
        return PolledPage(got.gathering.batch(cursor or FIRST_PAGE), following, got.tag)


class CountedPages(_Polled):
    """An API whose pages are counted. A cursor is a page's number."""

    grows = True

    def __init__(self, source: Source, pages: Pages, client: httpx.Client | None) -> None:
        super().__init__(source, pages, client)
        self._looked = False

    def page(self, number: int, cursor: str | None, since: datetime | None, tag: str | None) -> PolledPage | None:
        """See `PagedSource.page`. `since` is asked for if the API can be; a page's number then counts from there."""
        place = int(cursor) if cursor is not None else self._source.first_page
        got = self._get(self._address(place, since), number, tag)
        if got is None:
            return None
        records = got.gathering.records
        if records > self._source.page_size:
            raise SourceError(
                f"{self._pages.named(number)} has {records} records, though {self._source.page_size} were asked for; "
                "correct `sizeParameter` or `pageSize`"
            )
        full = records == self._source.page_size
        if not full and records and not self._looked:
            self._look_behind(place, since, number, records)
        return PolledPage(got.gathering.batch(str(place)), str(place + 1) if full else None, got.tag)

    def _look_behind(self, place: int, since: datetime | None, number: int, records: int) -> None:
        """See that nothing is behind a short page; unless that has filled up meanwhile."""
        behind = self._get(self._address(place + 1, since), number + 1)
        if behind is not None and behind.gathering.records:
            again = self._get(self._address(place, since), number)
            if again is not None and again.gathering.records < self._source.page_size:
                raise SourceError(
                    f"{self._pages.named(number)} has {records} records, though {self._source.page_size} were asked "
                    "for and more pages follow; correct `pageSize`"
                )
        self._looked = True

    def _address(self, place: int, since: datetime | None) -> httpx.URL:
        counted = MappingProxyType({self._source.page_parameter or "page": str(place)})
        return address(self._pages.url, self._source, since, None).copy_merge_params(counted)
