"""What looks like personal data and isn't: numbers, codes and texts of shops, files and machines."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from samples.pii.checks import ean, isbn10, luhn
from samples.pii.kinds import Draw, fill, one_of

HEX = "0123456789abcdef"


def _isbn10(chance: random.Random) -> str:
    body = fill(chance, "0########")
    whole = body + isbn10(body)
    return chance.choice((whole, f"{whole[0]}-{whole[1:5]}-{whole[5:9]}-{whole[9]}"))


def _isbn13(chance: random.Random) -> str:
    body = fill(chance, "9780########")
    whole = body + ean(body)
    return chance.choice((whole, f"978-0-{whole[4:8]}-{whole[8:12]}-{whole[12]}"))


def _ean13(chance: random.Random) -> str:
    body = chance.choice(("400", "590", "871", "30", "50", "93")) + fill(chance, "#########")
    return (
        body[:12] + ean(body[:12].ljust(12, "0")) if len(body) >= 12 else body.ljust(12, "7") + ean(body.ljust(12, "7"))
    )


def _imei(chance: random.Random) -> str:
    """A device's number: 15 digits that pass Luhn (3GPP TS 23.003), under the test code 00 and GSMA's 35 and 86."""
    body = chance.choice(("001010", "350000", "861234")) + fill(chance, "########")
    return body + luhn(body)


def _luhn_no_card(chance: random.Random) -> str:
    """Sixteen digits that pass Luhn under a leading digit that no scheme issues (ISO/IEC 7812-1: 0, 7, 8, 9)."""
    body = chance.choice("0789") + fill(chance, "##############")
    return body + luhn(body)


def _luhn_order(chance: random.Random) -> str:
    """Order numbers with a Luhn digit of 16 digits that begin as cards do: nobody can tell them by their look."""
    body = chance.choice(("4000", "5200", "6011", "3400")) + fill(chance, "###########")
    return body + luhn(body)


def _version(chance: random.Random) -> str:
    shapes = (
        "v#.##.#",
        "#.#.#",
        "##.##.##-rc%",
        "#.#.#.#",
        "1.2.3.4",
        "##.0.####.##",
        "release-##.#",
        "python3.1#",
        "v2.#.#+build.##",
    )
    return fill(chance, chance.choice(shapes))


def _coordinates(chance: random.Random) -> str:
    lat, lon = chance.uniform(-90, 90), chance.uniform(-180, 180)
    shapes = (
        f"{lat:.6f}, {lon:.6f}",
        f"{lat:.4f}",
        f"{lon:.7f}",
        f"POINT({lon:.5f} {lat:.5f})",
        f"{abs(lat):.0f}°{chance.randrange(60)}'N",
    )
    return chance.choice(shapes)


def _moment(chance: random.Random) -> str:
    """Numbers that are moments: epochs in seconds to microseconds, and the digits of dates, as long as national ids."""
    moment = datetime(1975, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(1_600_000_000))
    seconds = int(moment.timestamp())
    ways = (
        f"{seconds}", f"{seconds}{chance.randrange(1000):03d}", f"{seconds}{chance.randrange(10**6):06d}",
        f"{moment:%Y%m%d%H%M%S}", f"{moment:%y%m%d%H%M}", f"{moment:%y%m%d%H%M%S}",
        f"{moment:%Y%m%d}{chance.randrange(10**4):04d}",
        f"{moment:%Y%m%dT%H%M%S}", f"{moment:%d%m%y}{chance.randrange(10**5):05d}",
    )  # fmt: skip
    return chance.choice(ways)


def _hash(chance: random.Random) -> str:
    return fill(chance, "@" * chance.choice((7, 12, 32, 40, 64)), HEX)


def _price(chance: random.Random) -> str:
    value = Decimal(chance.randrange(100, 10**7)) / 100
    return chance.choice(
        (
            f"{value}",
            f"€{value}",
            f"{value:,} USD",
            f"{value} zł",
            f"R$ {value}".replace(".", ","),
            f"¥{value:.0f}",
            f"-{value}",
        )
    )


def _parcel(chance: random.Random) -> str:
    return fill(
        chance,
        chance.choice(
            ("1Z@@@@@@#########%", "JD0146000########", "RR#########DE", "####-####-####", "00340434#######")
        ),
    ).upper()


def _mail_like(chance: random.Random) -> str:
    ways = (
        "a@b",
        "@kaya_d",
        "meet @ 5",
        "user@localhost",
        "2 pcs @ 3.50",
        "git@:repo",
        "x@y@z",
        "me(at)here",
        "@media print",
        "foo@.com",
        "@example",
    )
    return chance.choice(ways)


def _words(chance: random.Random) -> str:
    ways = ("blue cotton shirt", "returns accepted within 30 days", "n/a", "see above", "Größe XL", "très doux",
            "綿100%", "no comment",
            "size 42, colour 7", "left at the door", "ok", "5 stars!!!", "too small :(", "batteries not included",
            "отличный товар",
            "100 % wool 30 °C", "12 x 34 cm", "3 for 2")  # fmt: skip
    more = chance.choice(("", "", f" #{chance.randrange(100)}", f" - {chance.choice(ways)}"))
    return chance.choice(ways) + more


def _colour(chance: random.Random) -> str:
    return chance.choice(
        (fill(chance, "#@@@@@@", HEX)[1:].join(("#", "")), f"rgb({chance.randrange(256)}, {chance.randrange(256)}, 0)")
    )


_SORTS: tuple[tuple[str, Draw], ...] = (
    (
        "order number",
        one_of(
            "ORD-######",
            "SO%#######",
            "PO-2024-#####",
            "#########",
            "100########",
            "W%########",
            "#######-##",
            "INV/2024/####",
        ),
    ),
    ("isbn-10", _isbn10),
    ("isbn-13", _isbn13),
    ("ean", _ean13),
    ("sku", one_of("@@-###-@", "@@@###@@", "ART.%###.##", "@#######", "TSHIRT-BLU-XL-##", "@@#######")),
    ("imei", _imei),
    ("luhn, no card", _luhn_no_card),
    ("luhn, card-like", _luhn_order),
    ("version", _version),
    ("coordinates", _coordinates),
    ("moment", _moment),
    ("hash", _hash),
    ("colour", _colour),
    ("price", _price),
    ("parcel", _parcel),
    ("mail-like", _mail_like),
    ("words", _words),
    ("quantity", one_of("%", "%#", "%##", "%###", "%#####", "-%##", "0.##", "%#.#")),
    ("time", one_of("1#:##", "0%:##:##", "##:##:##.###", "PT%H##M")),
    (
        "file",
        one_of("IMG_####.JPG", "report_v%.pdf", "/var/log/app.%.log", "C:\\data\\%#.csv", "main.py", "DSC0####.png"),
    ),
)


def misses(chance: random.Random, each: int) -> Iterator[tuple[str, str]]:
    """(sort, text): as many of each sort."""
    for sort, draw in _SORTS:
        for _ in range(each):
            yield sort, draw(chance)
