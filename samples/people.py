"""Customers and suppliers' contacts. All made up: example domains, reserved telephone numbers."""

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from samples.phones import RESERVED, Phone, phones
from samples.seeded import stream

FIRST = (
    "Ada", "Aïcha", "Anneke", "Beatriz", "Björn", "Carla", "Chloé", "Dagny", "Delia", "Eamon", "Esra", "Farid",
    "Fiona", "Gaël", "Greta", "Hana", "Hugo", "Ines", "Iris", "Jamal", "José", "Jun", "Karin", "Kwame", "Leïla",
    "Linus", "Łukasz", "Mairi", "Marta", "Mina", "Nadia", "Nils", "Noor", "Olena", "Omar", "Petra", "Pilar", "Quinn",
    "Rafael", "Rosa", "Ruth", "Samir", "Søren", "Tariq", "Tess", "Uma", "Ulrike", "Vera", "Víctor", "Wanda", "Wim",
    "Xenia", "Yara", "Yusuf", "Zoë", "Zdeněk", "Mary Ann", "Jean-Luc", "花子", "Дарья",
)  # fmt: skip
LAST = (
    "Abara", "Ålund", "Bauer", "Benítez", "Brandt", "Castellan", "Čermák", "Dahl", "D'Angelo", "Diallo", "Eriksen",
    "Farrow", "Fenn", "Gallagher", "Garrigue", "Haddad", "Hollis", "Ibarra", "Ivers", "Jansen", "Jovanović", "Kaya",
    "Kowalczyk", "Lindqvist", "Löwe", "Marchetti", "Moreau", "Müller", "Nakata", "Ndiaye", "Núñez", "O'Brien",
    "Okafor", "Olsson", "Pavlova", "Pereira", "Quayle", "Rask", "Reyes", "Rossi", "Sandoval", "Sato", "Schäfer",
    "Silva", "Šimić", "Tanaka", "Thorne", "Trần", "Ueda", "Urquhart", "van der Berg", "Varga", "Weiss", "Whitlock",
    "Ximenes", "Gökçe", "Young", "Zamora", "Zielińska", "山田",
)  # fmt: skip
STREETS = (
    "Rosemary Lane", "Mint Street", "Thyme Walk", "Calle de la Salvia", "Rue du Tilleul", "Kamillenweg", "Basil Court",
    "Fennel Road", "Lavender Hill", "Via dell'Alloro", "Sorrel Close", "Yarrow Avenue", "Borage Mews", "Hop Garden",
    "Linden Allee", "Saffron Gate", "Nettle Bank", "Myrtle Crescent",
)  # fmt: skip
CITIES = (
    "Leeds LS1 4AP", "York YO1 7HH", "Portland, OR 97205", "Austin, TX 78701", "Málaga 29001", "Lyon 69002",
    "Köln 50667", "Łódź 90-001", "Bristol BS1 5TR", "Hobart TAS 7000", "Perth WA 6000", "Québec G1R 2L3",
    "Århus 8000", "São Paulo 01000-000", "Cork T12 AB34", "Madison, WI 53703",
)  # fmt: skip
SEGMENTS = ("Consumer", "Corporate", "Home Office")
_DOMAINS = ("example.com", "example.org", "example.net")
_UNFOLDED = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O"})

PHONE_ONLY = 0.04
EMAIL_ONLY = 0.05
PAIRED = 0.02
CROWD = 6
"""Shares of customers: with a telephone and no e-mail, with an e-mail only, in pairs who share one number. One crowd of
six on one number (an office) a thousand customers."""


@dataclass(frozen=True)
class Person:
    """`number` is unique. `sharers` people have this telephone."""

    number: int
    name: str
    email: str | None
    phone: Phone | None
    address: str
    segment: str
    sharers: int = 1


def customers(seed: int, count: int) -> list[Person]:
    """`count` customers, each with an e-mail or a number that is theirs alone: so who is who is never in doubt."""
    chance = stream(seed, "customers")
    pool = phones(stream(seed, "phones").randrange(RESERVED))
    kinds = _kinds(chance, count)
    numbers = {n: (next(pool), 1) for n in range(count) if kinds[n] == "phone"}
    numbers |= _shared_numbers(kinds, pool)
    people = []
    for number, kind in enumerate(kinds):
        phone, sharers = numbers.get(number) or (next(pool, None) if kind != "email" else None, 1)
        name = f"{chance.choice(FIRST)} {chance.choice(LAST)}"
        email = None if kind == "phone" else email_of(chance, name, number)
        segment = chance.choices(SEGMENTS, (6, 3, 1))[0]
        people.append(Person(number, name, email, phone, address(chance), segment, sharers))
    return people


def _kinds(chance: random.Random, count: int) -> list[str]:
    shares = {"phone": PHONE_ONLY, "email": EMAIL_ONLY, "pair": PAIRED, "both": 1 - PHONE_ONLY - EMAIL_ONLY - PAIRED}
    kinds = chance.choices(list(shares), list(shares.values()), k=count)
    kinds[:4] = ["phone", "email", "pair", "pair"]
    for start in range(10, count - CROWD, 1000):
        kinds[start : start + CROWD] = ["crowd"] * CROWD
    return kinds


def _shared_numbers(kinds: list[str], pool: Iterator[Phone]) -> dict[int, tuple[Phone, int]]:
    """By customer, the numbers of pairs and crowds and how many share them. An odd one out has a number alone."""
    pairs = [n for n, kind in enumerate(kinds) if kind == "pair"]
    crowd = [n for n, kind in enumerate(kinds) if kind == "crowd"]
    groups: list[tuple[int, ...]] = list(zip(pairs[0::2], pairs[1::2], strict=False))
    groups += [tuple(crowd[i : i + CROWD]) for i in range(0, len(crowd), CROWD)]
    shared = {}
    for group, phone in zip(groups, pool, strict=False):
        shared.update(dict.fromkeys(group, (phone, len(group))))
    return shared


def email_of(chance: random.Random, name: str, number: int) -> str:
    """An address at an example domain, unique by its number; about one in ten keeps the name's own letters."""
    local = name.lower().replace(" ", ".").replace("'", "")
    if chance.random() > 0.1:
        local = unicodedata.normalize("NFKD", local.translate(_UNFOLDED)).encode("ascii", "ignore").decode()
    else:
        local = unicodedata.normalize("NFC", local)
    return f"{local.strip('.') or 'customer'}{number}@{chance.choice(_DOMAINS)}"


def address(chance: random.Random) -> str:
    """One or two lines; some with quotes, commas or both."""
    street, city, house = chance.choice(STREETS), chance.choice(CITIES), chance.randrange(1, 240)
    shapes = (
        f"{house} {street}, {city}",
        f"{house} {street}, {city}",
        f"{house} {street}\n{city}",
        f'Flat "{chance.choice("ABCD")}", {house} {street}, {city}',
        f'"The Old Dairy"\n{street} {house}\n{city}',
    )
    return chance.choices(shapes, (5, 4, 3, 2, 1))[0]
