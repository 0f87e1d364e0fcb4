"""The streams' sources with recognisable personal data in every field that may hold some; controls in clear ones."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import date
from typing import Any

from canaries import CONTROL, PERSONAL, Planter

from samples.feed import Feed
from samples.products import ProductSource
from samples.traits import Row
from samples.users import UserSource

Record = dict[str, Any]
DOMAIN = f"{CONTROL}.example"
"""Many people have their e-mail there, so that it is shown; it stands in clear."""


class PlantedPeople:
    """A users API's source in which every personal text is a token. A row is planted once, however often it is asked
    for."""

    def __init__(self, feed: Feed, planter: Planter, where: str, share: float | None = 0.4) -> None:
        self.feed = feed
        self._plain = UserSource(feed, share, today=date.today())  # noqa: DTZ011  judged by birthdays, in UTC
        self._planter, self._where = planter, where
        self._planted: dict[int, Row[Any]] = {}
        self._accounts: dict[str, str] = {}

    def row(self, serial: int) -> Row[Any]:
        """The row at this place."""
        if serial not in self._planted:
            row = self._plain.row(serial)
            record = deepcopy(row.record)
            plant_person(record, self._planter, f"{self._where}, {row.outcome}", serial)
            if record["login"].get("uuid"):
                known = self._accounts.get(row.key) or self._planter.word(f"{self._where}: account")
                self._accounts[row.key] = record["login"]["uuid"] = known
            self._planted[serial] = replace(row, record=record)
        return self._planted[serial]

    def rows(self, start: int, end: int) -> Iterator[Row[Any]]:
        """The rows from place `start` up to, not including, `end`."""
        return map(self.row, range(start, end))

    def sown(self, feed: Feed) -> "PlantedPeople":
        """Other people; nobody asks for them here."""
        return PlantedPeople(feed, self._planter, self._where)


def plant_person(record: Record, planter: Planter, where: str, serial: int) -> None:
    """Put a token wherever the record has something of a person, known to the contract or not."""

    def word(what: str) -> str:
        return planter.word(f"{where}: {what}")

    name, place, login = record["name"], record["location"], record["login"]
    name |= {"first": word("first").title(), "last": f"{word('last')} Löwe"}
    if record["email"] not in (None, "", "N/A"):
        record["email"] = f"{word('email')}@{DOMAIN if serial % 2 else 'example.com'}"
    for line in ("phone", "cell"):
        if record[line] not in (None, "", "N/A"):
            record[line] = planter.phone(f"{where}: {line}")
    if isinstance(place["street"], dict):
        place["street"]["name"] = word("street")
    elif place["street"] is not None:
        place["street"] = f"{serial} {word('street')} Lane"
    place |= {part: word(part) for part in ("city", "state", "postcode", "country")}
    place["coordinates"] = {"latitude": word("latitude"), "longitude": word("longitude")}
    login |= {part: word(part) for part in ("username", "password", "salt", "md5", "sha1", "sha256")}
    record["id"] = {"name": "SSN", "value": word("document")}
    record["picture"] = {size: f"https://faces.example/{word('picture')}.jpg" for size in ("large", "thumbnail")}
    if serial % 5 == 0:
        record["nickname"] = word("a column that nobody declared")
    if "remark" in record:
        record["remark"] = f"call {planter.phone(f'{where}: a remark')} before six"
    if serial % 11 == 0:
        name["title"] = f"Ms (call {planter.phone(f'{where}: title')})"


def products(feed: Feed, planter: Planter) -> "PlantedProducts":
    """A product API's source."""
    return PlantedProducts(feed, planter)


class PlantedProducts(ProductSource):
    """Listings: every third title has the control, some have an address or a number of somebody's."""

    def __init__(self, feed: Feed, planter: Planter) -> None:
        super().__init__(feed, 0.2)
        self._planter = planter
        self._planted: dict[int, Row[Any]] = {}

    def row(self, serial: int) -> Row[Any]:
        """The row at this place."""
        if serial not in self._planted:
            row = super().row(serial)
            plant_listing(row.record, self._planter, serial)
            self._planted[serial] = row
        return self._planted[serial]


def plant_listing(record: Record, planter: Planter, serial: int) -> None:
    """Control or token in the title, now and then a token in a column that nobody declared."""
    title = record["title"]
    if serial % 3 == 0:
        record["title"] = f"{CONTROL} {title}"
    elif serial % 10 == 1:
        record["title"] = f"{title}, ask {planter.word('listing: an e-mail in the title')}@example.org"
    elif serial % 10 == 2:
        record["title"] = f"{title}, call {planter.phone('listing: a phone in the title')}"
    if serial % 10 == 4:
        record["seller"] = {"contact": f"{planter.word('listing: an unknown column')}@example.net"}
    if serial % 10 == 5:
        record["category"] = planter.word("listing: the category")
    if serial % 10 == 7:
        record["quantity"] = planter.word("listing: the quantity")


def raw_values(records: Iterator[Record], planter: Planter) -> list[tuple[bytes | None, bytes | None]]:
    """Keys and values as a stranger writes them, with tokens in all: records, and what is none."""
    sound = [(planter.word("raw: a key").encode(), json.dumps(record).encode()) for record in records]
    text = sound[0][1]

    def key() -> bytes:
        return planter.word("raw: the key of what is no record").encode()

    word = planter.word("raw: a token in what is no record")
    return [
        *sound,
        (key(), text[: len(text) // 2]),
        (key(), word.encode()),
        (key(), json.dumps([word]).encode()),
        (key(), json.dumps(word).encode()),
        (key(), text.replace(PERSONAL.encode(), PERSONAL.encode() + b"\xff", 1)),
        (key(), b'{"email": "' + word.encode() + b'@example.com", ' + text[1:]),
        (key(), text.replace(b'"email"', b'"nick\\u0000name"', 1)),
        (key(), b"[" * 200 + text + b"]" * 200),
        (key(), text[:-1] + b', "letter": "' + word.encode() * 200_000 + b'"}'),
        (key(), b""),
        (key(), None),
        (None, text),
    ]


def forged_values(planter: Planter) -> list[tuple[bytes, bytes]]:
    """Keys and values for a governed topic, of somebody who has no message key."""
    word = planter.word("forged")
    person = {"full_name": f"{word} Löwe", "email": f"{word}@example.com", "gender": "female", "age": 44}
    return [
        (word.encode(), json.dumps(person).encode()),
        (b"0123456789abcdef0123456789abcdef", json.dumps(person).encode()),
        (word.encode(), word.encode()),
    ]
