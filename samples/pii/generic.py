"""Kinds of data that are the same everywhere: cards, accounts, addresses of people, machines and wallets."""

import random
import uuid
from datetime import UTC, datetime, timedelta

from samples.pii.checks import base58check, bech32, luhn, mod97
from samples.pii.kinds import Kind, fill, grouped
from samples.pii.phones import phone

_TEST_CARDS = (
    ("411111", 16, (4, 4, 4, 4)), ("424242", 16, (4, 4, 4, 4)), ("555555", 16, (4, 4, 4, 4)),
    ("510510", 16, (4, 4, 4, 4)), ("222300", 16, (4, 4, 4, 4)), ("601111", 16, (4, 4, 4, 4)),
    ("353011", 16, (4, 4, 4, 4)), ("378282", 15, (4, 6, 5)), ("371449", 15, (4, 6, 5)), ("305693", 14, (4, 6, 4)),
)  # fmt: skip
"""The leading digits, length and groups of the numbers that card schemes and acquirers publish for tests."""
_IBANS = (
    ("DE", "##################"), ("FR", "##########@@#@@@@#@@@##"), ("GB", "@@@@##############"), ("ES",
    "####################"),
    ("IT", "@##########@#@@@####@@@"), ("NL", "@@@@##########"), ("CH", "#####@@@@@@@@@@@@"), ("PL",
    "########################"),
    ("SE", "####################"), ("NO", "###########"), ("BE", "############"), ("AT", "################"),
    ("MT", "@@@@#####@@@@@@@@@@@@@@@@@@"), ("BR", "#######################@@"), ("TR", "######################"),
    ("SA", "##@@@@@@@@@@@@@@@@@@"), ("CR", "##################"),
)  # fmt: skip
"""Structures of the IBAN Registry (SWIFT, ISO 13616) without country and check digits."""
_LOCAL = ("ana.lima", "j_okafor", "mei-lin.wu", "o'hara", "s.k.rao", "info", "bruno+news", "m", "x99", "kaya.d",
          "tom&co",
          "zoë", "jürgen.groß", "иван", "a.b.c.d", "first.last", "user123", "nina_73")  # fmt: skip
_HOSTS = ("example.com", "example.org", "example.net", "mail.example.com", "shop-7.example.org", "eu.mail.example.net")
_PATHS = ("", "/", "/u/4711", "/profile?id=88", "/~kaya/index.html", "/a/b#top", ":8443/me")


def card(chance: random.Random) -> str:
    """A number under a published test prefix, bare, spaced or hyphenated."""
    prefix, length, groups = chance.choice(_TEST_CARDS)
    body = fill(chance, prefix + "#" * (length - len(prefix) - 1))
    return grouped(body + luhn(body), groups, chance.choice(("", "", " ", "-")))


def iban(chance: random.Random) -> str:
    """An account number of one of 17 countries, bare or in groups of four."""
    country, mask = chance.choice(_IBANS)
    account = fill(chance, mask)
    whole = country + mod97(country, account) + account
    return whole if chance.random() < 0.5 else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))


def email(chance: random.Random) -> str:
    """An address under a name of RFC 2606."""
    whole = f"{chance.choice(_LOCAL)}@{chance.choice(_HOSTS)}"
    return whole.upper() if chance.random() < 0.1 else whole


def url(chance: random.Random) -> str:
    """A page under a name of RFC 2606, with scheme and without."""
    return (
        chance.choice(("https://", "http://", "", "https://www.", "www."))
        + chance.choice(_HOSTS)
        + chance.choice(_PATHS)
    )


def ip(chance: random.Random) -> str:
    """An address of RFC 5737 or RFC 3849."""
    if chance.random() < 0.6:
        net = chance.choice(("192.0.2", "198.51.100", "203.0.113"))
        return f"{net}.{chance.randrange(256)}" + chance.choice(("", "", "", "/24"))
    groups = [f"{chance.randrange(1, 65536):x}" for _ in range(6)]
    whole, short = ["2001", "db8", *groups], ["2001", "db8", "", *groups[: chance.randrange(1, 4)]]
    return chance.choice((":".join(whole), ":".join(short), f"::ffff:192.0.2.{chance.randrange(256)}"))


def mac(chance: random.Random) -> str:
    """A hardware address of the documentation range 00-00-5E-00-53-xx (RFC 7042)."""
    whole = f"00005e0053{chance.randrange(256):02x}"
    if chance.random() < 0.3:
        return grouped(whole, (4, 4, 4), ".")
    one = grouped(whole, (2,) * 6, chance.choice(":-"))
    return one.upper() if chance.random() < 0.5 else one


def uuid4(chance: random.Random) -> str:
    """A random UUID (RFC 9562)."""
    one = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    return one.upper() if chance.random() < 0.2 else one


def wallet(chance: random.Random) -> str:
    """A Bitcoin address of each sort: P2PKH, P2SH, SegWit version 0 and 1."""
    sort = chance.randrange(4)
    if sort < 2:
        return base58check(bytes([0 if sort == 0 else 5]) + chance.randbytes(20))
    return bech32(chance.randbytes(20 if sort == 2 else 32), sort - 2)


def day(chance: random.Random) -> str:
    """A date as people write it in numbers; some with a time."""
    moment = datetime(1950, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(2_400_000_000))
    shapes = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%d-%b-%Y", "%d/%m/%y",
              "%Y-%m-%dT%H:%M:%SZ",
              "%d. %B %Y", "%Y年%m月%d日")  # fmt: skip
    return moment.strftime(chance.choice(shapes))


def kinds() -> tuple[Kind, ...]:
    """All of them."""
    return (
        Kind("CREDIT_CARD", "", ("credit card", "card number", "visa"), card, 3),
        Kind("IBAN_CODE", "", ("iban", "bank account", "bank"), iban, 3),
        Kind("EMAIL_ADDRESS", "", ("email", "email address"), email, 3),
        Kind("URL", "", ("website", "link"), url, 2),
        Kind("IP_ADDRESS", "", ("ip", "ip address"), ip, 2),
        Kind("MAC_ADDRESS", "", ("mac address",), mac),
        Kind("UUID", "", ("uuid", "guid"), uuid4),
        Kind("CRYPTO", "", ("bitcoin wallet", "btc"), wallet, 2),
        Kind("DATE_TIME", "", ("date", "birthday"), day, 2),
        Kind("PHONE_NUMBER", "", ("phone", "mobile number", "telephone"), phone, 5),
    )
