"""People as they must be found in the stores, by what was served of them: rows, and figures about them all."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

from samples.feed import moment_at
from samples.traits import Row
from samples.users import Person

ENCRYPTED = ("full_name", "user_name", "email", "phone", "cell", "address")
"""The columns that hold tokens, by field id and name alike."""
CLEAR = ("gender", "title", "email_domain", "age", "registered_at", "nationality", "updated_at")
UNREAD = ("login.password", "login.salt", "login.md5", "login.sha1", "login.sha256", "id", "picture", "dob.age",
          "registered.age", "location.coordinates", "location.timezone")  # fmt: skip
"""What the contract never reads into a record, by dotted name."""
_EMPTY = (None, "", "N/A")

Plain = dict[str, Any]


def plain(row: Row[Person], today: date) -> Plain:
    """An admitted row's stored columns, those of ENCRYPTED opened. Moments in microseconds since 1970."""
    told, who = row.record, row.facts
    email = _text(told["email"])
    return {
        "gender": told["gender"],
        "title": told["name"]["title"],
        "full_name": f"{_text(told['name']['first'])} {_text(told['name']['last'])}",
        "user_name": told["login"]["username"],
        "email": email,
        "email_domain": email.rpartition("@")[2].lower() if email else None,
        "phone": _text(told["phone"]),
        "cell": _text(told["cell"]),
        "address": _address(told["location"]),
        "age": who.age(today),
        "registered_at": who.registered // 1000 * 1000,
        "nationality": told["nat"],
        "updated_at": who.updated,
    }


def _address(location: dict[str, Any]) -> str:
    street = location["street"]
    if isinstance(street, dict):
        street = f"{street['number']} {street['name']}"
    parts = (street, *(location[name] for name in ("city", "state", "postcode", "country")))
    return ", ".join(text for text in map(_text, parts) if text is not None)


def _text(value: object) -> str | None:
    """As the contract reads a cell: without blanks around it; some texts mean nothing."""
    text = None if value is None else str(value).strip()
    return None if text in _EMPTY else text


def hashable(one: Plain, *, aged: bool) -> tuple[tuple[str, Any], ...]:
    """For counting; without the age where a test has gone on beyond midnight."""
    return tuple(sorted((name, value) for name, value in one.items() if aged or name != "age"))


def figures(people: Iterable[Plain]) -> dict[str, dict[tuple[Any, ...], tuple[int, int | None]]]:
    """How many people each group of each aggregate of the contract has, and the sum of their ages where it is asked
    for: a plain recomputation.
    """
    by = {
        "all": ((), True),
        "nationality": (("nationality",), True),
        "nationality_and_gender": (("nationality", "gender"), False),
        "age": (("age",), False),
        "email_domain": (("email_domain",), False),
    }
    groups: dict[str, dict[tuple[Any, ...], list[int]]] = {name: defaultdict(list) for name in by}
    for one in people:
        for name, (columns, _) in by.items():
            groups[name][tuple(one[column] for column in columns)].append(one["age"])
    return {
        name: {key: (len(ages), sum(ages) if by[name][1] else None) for key, ages in found.items()}
        for name, found in groups.items()
    }


def micros(moment: Any) -> int:
    """A moment of a store's own type, without a zone meant in UTC, in microseconds since 1970."""
    since = moment.replace(tzinfo=None) - moment_at(0).replace(tzinfo=None)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
