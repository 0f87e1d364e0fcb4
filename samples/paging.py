"""What a request for a page may ask, and the opaque names of pages."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime

Query = dict[str, str]


class BadRequestError(ValueError):
    """The request asks for something that can't be; answered with 400."""


@dataclass(frozen=True)
class Page:
    """An answer: its records as JSON texts and what stands around them.

    `loop` is what stands behind them where the page claims to be its own next one.
    """

    records: list[str]
    head: str
    tail: str
    loop: str

    def document(self) -> str:
        """The whole answer."""
        return f"{self.head}{', '.join(self.records)}{self.tail}"


@dataclass(frozen=True)
class Reading:
    """A request of an API with cursors: from which row on, how many, changed since when."""

    name: str
    start: int
    limit: int
    since: datetime | None

    def cursor(self, start: int) -> str:
        """The opaque name of the page of this reading that begins at `start`."""
        since = self.since.isoformat() if self.since else ""
        return base64.urlsafe_b64encode(f"{self.name} {start} {since}".encode()).decode().rstrip("=")

    def page(self, records: list[str], following: int | None) -> Page:
        """{"data": [records], "next": the cursor of the page that begins at `following`, or null}."""
        further = "null" if following is None else f'"{self.cursor(following)}"'
        return Page(records, '{"data": [', f'], "next": {further}}}', f'], "next": "{self.cursor(self.start)}"}}')


def reading(name: str, query: Query, limit: int, largest: int) -> Reading:
    """What `limit`, `cursor` and `updated_since` ask for. `name` tells this API's cursors from others'.

    Raises BadRequestError.
    """
    count = whole(query, "limit", limit, largest)
    since = moment(query.get("updated_since"))
    if "cursor" not in query:
        return Reading(name, 0, count, since)
    start, bound = _read_cursor(query["cursor"], name)
    if since is not None and since != bound:
        raise BadRequestError("the cursor belongs to a reading with another updated_since")
    return Reading(name, start, count, bound)


def whole(query: Query, name: str, usual: int, largest: int) -> int:
    """A whole number from 1 on. Raises BadRequestError."""
    text = query.get(name, str(usual))
    if not (text.isdecimal() and len(text) < 10 and 1 <= int(text) <= largest):
        raise BadRequestError(f"{name} must be a whole number from 1 to {largest}")
    return int(text)


def moment(text: str | None) -> datetime | None:
    """A time in UTC; one without a zone is meant so. Raises BadRequestError."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadRequestError("updated_since must be a time in ISO 8601") from None


def _read_cursor(cursor: str, name: str) -> tuple[int, datetime | None]:
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        owner, start, since = decoded.split(" ")
        if owner == name:
            return int(start), moment(since)
    except (binascii.Error, ValueError):
        pass
    raise BadRequestError("the cursor is none of this server's")
