"""What a record says: the person, and what changes about them."""

import unicodedata
from datetime import date, timedelta
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

from samples.draws import Draws
from samples.feed import Feed, Place
from samples.users.nations import Nation, fill, line, nation_of

DOMAINS = ("example.com",) * 9 + ("example.org",) * 5 + ("example.net",) * 4 + ("mail.example", "post.example") * 2 + (
    "students.example", "büro.example")  # fmt: skip
"""Where people have their e-mail, as often as each is drawn. All of RFC 2606."""
RARE = "harbour.example"
"""A domain of one person in 500."""
MINORS = range(10, 14)
"""Of a hundred numbers, those of people who are clearly under 18 at the feed's start."""
TURNS_TODAY, TURNS_TOMORROW, LEAP = 7, 8, 9
"""Of a hundred numbers: who turns 18 on the feed's first day, on the day after, and who was born on a 29 February."""
_HOUSEHOLD, _HOUSEHOLDS, _OFFICE, _OFFICES = range(20, 23), 200, range(500, 506), 1000
"""Numbers of people who share a telephone: three of 200, and six of 1000."""
_ADJECTIVES = ("blue", "happy", "lazy", "silver", "brown", "quick", "tiny", "golden", "calm", "brave")
_ANIMALS = ("koala", "fish", "goose", "meerkat", "heron", "lynx", "otter", "wren", "badger", "moth")
_UNFOLDED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ß": "ss", "æ": "ae"})
_DAY = 86_400_000_000


class Person(NamedTuple):
    """A person as the service means them. `registered` and `updated` in microseconds from 1970."""

    number: int
    uuid: str
    gender: str
    title: str
    first: str
    last: str
    nation: Nation
    house: int
    street: str
    city: str
    state: str
    postcode: str
    email: str
    phone: str
    cell: str
    born: date
    registered: int
    username: str
    updated: int

    @property
    def full_name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.email.rpartition("@")[2]

    def age(self, today: date) -> int:
        """Years by calendar birthday; who was born on a 29 February turns on 1 March of a common year."""
        return today.year - self.born.year - ((today.month, today.day) < (self.born.month, self.born.day))


def person(feed: Feed, place: Place, *, minors: bool = True) -> Person:
    """Who stands at this place: name, birthday and nationality stay; address and e-mail may change.

    Without minors, nobody is under 19 on the feed's first day, or born at the edge of anything.
    """
    own = Draws(feed.seed, "person", place.number)
    nation, rank = nation_of(place.number)
    gender = own.pick(("female", "male"))
    first = own.pick(nation.women if gender == "female" else nation.men)
    last = own.pick(nation.last)
    born = _born(own, place.number % 100 if minors else -1, place.number, feed.start.date())
    now = Draws(feed.seed, "address", place.number, -1 if place.fresh else place.serial)
    city, state = now.pick(nation.cities)
    return Person(
        number=place.number,
        uuid=_uuid(feed.seed, place.number),
        gender=gender,
        title=own.pick(("Ms", "Mrs", "Miss", "Dr") if gender == "female" else ("Mr", "Mr", "Mr", "Dr")),
        first=first,
        last=last,
        nation=nation,
        house=1 + now.below(240),
        street=now.pick(nation.streets),
        city=city,
        state=state,
        postcode=fill(nation.postcode, now.below(10**6)),
        email=_email(own, first, last, place, moved=not place.fresh and now.below(3) == 0),
        phone=_phone(place.number, nation, rank),
        cell=line(nation.cells, rank),
        born=born,
        registered=_registered(feed, place.number, own),
        username=f"{own.pick(_ADJECTIVES)}{own.pick(_ANIMALS)}{place.number}",
        updated=place.moment,
    )


def _born(own: Draws, turn: int, number: int, today: date) -> date:
    """A birthday; those at the edge, which `turn` names, are reckoned from the feed's first day."""
    if turn in (TURNS_TODAY, TURNS_TOMORROW):
        day = today + timedelta(days=turn - TURNS_TODAY)
        return date(day.year - 18, 3, 1) if (day.month, day.day) == (2, 29) else day.replace(year=day.year - 18)
    if turn == LEAP:
        year = (today.year - 18 - number // 100 % 8 * 4) // 4 * 4
        return date(year, 2, 29)
    if turn in MINORS:
        return today - timedelta(days=365 * 10 + own.below(365 * 7))
    return today - timedelta(days=365 * 19 + own.below(365 * 66))


def _email(own: Draws, first: str, last: str, place: Place, *, moved: bool) -> str:
    """An address that is this person's alone; about one in ten keeps the name's own letters."""
    plain = own.below(10) > 0
    domain = RARE if place.number % 500 == 77 else own.pick(DOMAINS)
    local = _local(f"{first}.{last}", plain=plain)
    return f"{local}{place.number}{f'.{place.serial}' if moved else ''}@{domain}"


@cache
def _local(name: str, *, plain: bool) -> str:
    local = name.lower().replace(" ", "").replace("'", "")
    if plain:
        return unicodedata.normalize("NFKD", local.translate(_UNFOLDED)).encode("ascii", "ignore").decode()
    return unicodedata.normalize("NFC", local)


def _phone(number: int, nation: Nation, rank: int) -> str:
    """Their own number; in a household or an office that of the first there."""
    for group, every in ((_HOUSEHOLD, _HOUSEHOLDS), (_OFFICE, _OFFICES)):
        if number % every in group:
            nation, rank = nation_of(number // every * every + group.start)
    return line(nation.lines, rank)


def _registered(feed: Feed, number: int, own: Draws) -> int:
    """In the two years before the feed began, or when the person came."""
    if number >= feed.keys:
        return feed.place(feed.first(number)).moment
    return feed.began - _DAY - own.below(2 * 365 * _DAY)


def _uuid(seed: int, number: int) -> str:
    """A random-looking UUID of version 4."""
    text = blake2b(f"{seed}/uuid/{number}".encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
