"""A person as the service writes them: JSON in the shape of randomuser, plus `updated`."""

from datetime import date
from hashlib import md5, sha1, sha256
from typing import Any

from samples.draws import Draws
from samples.feed import moment_at, written
from samples.users.nations import fill
from samples.users.person import Person

_WORDS = ("teapot", "juniper", "orchard", "candle", "harvest", "lantern", "pebble", "thimble", "willow", "saddle")


def record(who: Person, seed: int, day: date) -> dict[str, Any]:
    """The record with nothing wrong about it; ages as of `day`. A third of the streets are one text, and postcodes are
    numbers where the nation's are, but for a quarter of them."""
    draws = Draws(seed, "written", who.number)
    portrait = f"{'women' if who.gender == 'female' else 'men'}/{draws.below(100)}.jpg"
    registered = moment_at(who.registered).date()
    return {
        "gender": who.gender,
        "name": {"title": who.title, "first": who.first, "last": who.last},
        "location": _location(who, draws),
        "email": who.email,
        "login": _login(who, draws),
        "dob": {"date": f"{who.born.isoformat()}T{_time(draws)}Z", "age": _claimed(who, day)},
        "registered": {"date": written(who.registered // 1000 * 1000), "age": day.year - registered.year},
        "phone": _national(who.phone) if draws.below(6) == 0 else who.phone,
        "cell": who.cell.replace(" ", "-") if draws.below(4) == 0 else who.cell,
        "id": _document(who, draws),
        "picture": {
            "large": f"https://faces.example/portraits/{portrait}",
            "medium": f"https://faces.example/portraits/med/{portrait}",
            "thumbnail": f"https://faces.example/portraits/thumb/{portrait}",
        },
        "nat": who.nation.code,
        "updated": written(who.updated),
    }


def _location(who: Person, draws: Draws) -> dict[str, Any]:
    split, number = draws.below(3) > 0, who.nation.number and draws.below(4) > 0
    offset, description = who.nation.zone
    return {
        "street": {"number": who.house, "name": who.street} if split else f"{who.house} {who.street}",
        "city": who.city,
        "state": who.state,
        "country": who.nation.country,
        "postcode": int(who.postcode) if number else who.postcode,
        "coordinates": {
            "latitude": f"{draws.below(1_800_000) / 10_000 - 90:.4f}",
            "longitude": f"{draws.below(3_600_000) / 10_000 - 180:.4f}",
        },
        "timezone": {"offset": offset, "description": description},
    }


def _login(who: Person, draws: Draws) -> dict[str, str]:
    """What the service gives away, and nobody may read into a record: the password, and digests of it."""
    password, salt = f"{draws.pick(_WORDS)}{draws.below(1000)}", f"{draws.below(16**8):08x}"
    salted = f"{password}{salt}".encode()
    return {
        "uuid": who.uuid,
        "username": who.username,
        "password": password,
        "salt": salt,
        "md5": md5(salted, usedforsecurity=False).hexdigest(),
        "sha1": sha1(salted, usedforsecurity=False).hexdigest(),
        "sha256": sha256(salted).hexdigest(),
    }


def _document(who: Person, draws: Draws) -> dict[str, str | None]:
    """A number of nobody's; where the service's own reckoning went wrong, it says so: NaNNA123undefined."""
    name, mask = who.nation.document
    return {"name": name, "value": fill(mask, draws.below(10**8)) if mask else None}


def _claimed(who: Person, day: date) -> int:
    """The age that the service states. Of some minors it says 21: only the birthday counts."""
    age = who.age(day)
    return 21 if age < 18 and who.number % 100 == 11 else age


def _national(phone: str) -> str:
    """Without the country, as people at home write it."""
    country, _, rest = phone.partition(" ")
    return f"({rest.replace(' ', ')-', 1).replace(' ', '-')}" if country == "+1" else f"0{rest}"


def _time(draws: Draws) -> str:
    second = draws.below(86_400)
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{draws.below(1000):03d}"
