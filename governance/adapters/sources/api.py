"""An HTTP API that gives records page by page, read from one page to the last.

`GET location?limit=…&<cursor parameter>=…&<updated parameter>=…` answers a JSON document with the records at the
contract's `records` and the next page's cursor at `next`; pages in a circle are an error.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx

from governance.adapters.sources.pages import LARGEST_PAGE, Pages, open_client
from governance.adapters.sources.retrying import Patience
from governance.contracts.types import Source
from governance.errors import SourceError
from governance.flows.source import SourceBatch

FIRST_PAGE = "first page"


class ApiReader:
    """Reads an api source. Each page is a batch: its part is the cursor that it was asked for with.

    `client` makes the requests (it is not closed); without one, each run opens its own. Raises SourceError or
    SourceUnavailableError as `Pages.get` does.
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
        self._all = Pages(source, location, patience, largest_page)

    def size(self) -> int | None:
        """Unknown."""
        return None

    def batches(self, *, since: datetime | None = None, cursor: str | None = None) -> Iterator[SourceBatch]:
        """Every page from the one at `cursor` on, of the records changed after `since` if the API can be asked so."""
        client = self._client or open_client()
        try:
            yield from self._pages(client, since, cursor)
        finally:
            if client is not self._client:
                client.close()

    def _pages(self, client: httpx.Client, since: datetime | None, cursor: str | None) -> Iterator[SourceBatch]:
        seen = {cursor}
        number = 1
        while True:
            page = self._all.get(client, address(self._all.url, self._source, since, cursor), number)
            if page is None:
                raise SourceError(f"{self._all.named(number)} isn't there though nothing was asked that it could be so")
            following = self._all.cursor_in(page, number)
            if following is not None and following in seen:
                raise SourceError(
                    f"{self._all.named(number)} leads back to a page that was read already; nothing ends there"
                )
            yield page.gathering.batch(cursor or FIRST_PAGE, cursor=following)
            if following is None:
                return
            seen.add(following)
            cursor, number = following, number + 1


def address(location: httpx.URL, source: Source, since: datetime | None, cursor: str | None) -> httpx.URL:
    """Where a page of an API with cursors is asked for."""
    asked = {source.size_parameter: str(source.page_size)}
    if since is not None and source.updated_parameter:
        moment = since if since.tzinfo else since.replace(tzinfo=UTC)
        asked[source.updated_parameter] = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if cursor is not None:
        asked[source.cursor_parameter] = cursor
    return location.copy_merge_params(asked)
