"""Kinds of European data outside Germany. Each rule's source stands at its function."""

import random

from samples.pii.checks import luhn, weighted
from samples.pii.kinds import LETTERS, Kind, birthday, fill, one_of, until_valid

_CONSONANTS = "BCDFGHJKLMNPQRSTVWXYZ"
_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
"""Values of characters in odd places of a codice fiscale, A to Z (0 to 9 as A to J): D.M. 23 December 1976."""


def _nif(chance: random.Random) -> str:
    """Spanish DNI: the letter is the number modulo 23 (Real Decreto 1553/2005 and Interior Ministry's table)."""
    body = fill(chance, "########")
    return body + chance.choice(("", "", "-")) + _spanish(body)


def _nie(chance: random.Random) -> str:
    """Spanish NIE: X, Y, Z stand for 0, 1, 2, then as a DNI."""
    first, body = chance.randrange(3), fill(chance, "#######")
    return "XYZ"[first] + body + chance.choice(("", "", "-")) + _spanish(f"{first}{body}")


def _spanish(digits: str) -> str:
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23]


def _fiscal_code(chance: random.Random) -> str:
    """Italian codice fiscale: six letters of the names, birth date, place and check letter (D.M. 23 December 1976)."""
    born = birthday(chance)
    names = fill(chance, "@@@@@@", _CONSONANTS)
    day = born.day + (40 if chance.random() < 0.5 else 0)
    body = f"{names}{born:%y}{'ABCDEHLMPRST'[born.month - 1]}{day:02d}{chance.choice(('H501', 'F205', 'L219', 'Z404'))}"
    total = 0
    for place, character in enumerate(body):
        value = int(character) if character.isdigit() else ord(character) - 65
        total += _ODD[value] if place % 2 == 0 else value
    whole = body + LETTERS[total % 26]
    return whole.lower() if chance.random() < 0.15 else whole


def _italian_vat(chance: random.Random) -> str:
    """Partita IVA: seven digits, the office's three, Luhn (D.P.R. 633/1972, Agenzia delle Entrate)."""
    body = fill(chance, "#######") + f"{chance.randrange(1, 100):03d}"
    return body + luhn(body)


def _pesel(chance: random.Random) -> str:
    """Polish PESEL: birth date (months + 20 from 2000 on), serial, weights 1 3 7 9 (gov.pl, PESEL number)."""
    born = birthday(chance)
    body = f"{born:%y}{born.month + (20 if born.year >= 2000 else 0):02d}{born:%d}{fill(chance, '####')}"
    return body + str(-weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def _hetu(chance: random.Random) -> str:
    """Finnish personal identity code: the number modulo 31 (Digital and Population Data Services Agency). Individual
    numbers from 900 on are for tests and belong to nobody.
    """
    born = birthday(chance)
    sign = chance.choice("ABCDEF" if born.year >= 2000 else "-YXWVU")
    serial = f"9{fill(chance, '##')}"
    check = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(f"{born:%d%m%y}{serial}") % 31]
    return f"{born:%d%m%y}{sign}{serial}{check}"


def _personnummer(chance: random.Random) -> str:
    """Swedish personal number: Luhn over ten digits (Skatteverket, SKV 704); coordination numbers add 60 to the day."""
    born = birthday(chance)
    day = born.day + (60 if chance.random() < 0.2 else 0)
    body = f"{born:%y%m}{day:02d}{fill(chance, '###')}"
    serial = body[6:] + luhn(body)
    century = f"{born.year // 100}" if chance.random() < 0.5 else ""
    return century + body[:6] + chance.choice(("-", "-", "")) + serial


def _organisation(chance: random.Random) -> str:
    """Swedish organisation number: the third digit is 2 or more, Luhn (Skatteverket, SKV 709)."""
    body = fill(chance, "%#") + str(chance.randrange(2, 10)) + fill(chance, "######")
    return body[:6] + chance.choice(("-", "")) + body[6:] + luhn(body)


def _nhs(chance: random.Random) -> str:
    """NHS number: weights 10 to 2 modulo 11 (NHS Data Dictionary), from 999, which is never issued to patients."""

    def finish(body: str) -> str | None:
        check = -weighted(body, range(10, 1, -1)) % 11
        return None if check == 10 else body + str(check)

    whole = until_valid(chance, "999######", finish)
    gap = chance.choice(("", " ", "-"))
    return f"{whole[:3]}{gap}{whole[3:6]}{gap}{whole[6:]}"


def _nino(chance: random.Random) -> str:
    """National insurance number (HMRC NIM39110): first letter not D F I Q U V, second nor O."""
    while (prefix := fill(chance, "@@", "ABCEGHJKLMNPRSTWXYZ")) in {"BG", "GB", "NK", "KN", "NT", "TN", "ZZ"}:
        continue
    mask = chance.choice(("######", " ## ## ## "))
    whole = prefix + fill(chance, mask) + chance.choice("ABCD")
    return whole.lower() if chance.random() < 0.1 else whole


def _driving(chance: random.Random) -> str:
    """British driver number (DVLA): five of the surname padded by 9, date (women month + 50), initials, three more."""
    born = birthday(chance)
    surname = chance.choice(("SMYLE", "KAYA9", "LIM99", "OKAFO", "MORGA", "WU999"))
    month = born.month + chance.choice((0, 50))
    year = f"{born:%y}"
    initials = fill(chance, "@") + chance.choice(("9", fill(chance, "@")))
    return f"{surname}{year[0]}{month:02d}{born:%d}{year[1]}{initials}{fill(chance, '%@@')}"


def _plate(chance: random.Random) -> str:
    """British plates: current (since 2001), prefix and suffix forms (DVLA INF104)."""
    letters = "ABCDEFGHJKLMNPRSTUVWXY"
    gap = chance.choice((" ", ""))
    if chance.random() < 0.6:
        age = chance.choice((2, 7, 11, 19, 24, 52, 61, 66, 73))
        return f"{fill(chance, '@@', letters)}{age:02d}{gap}{fill(chance, '@@@', letters)}"
    if chance.random() < 0.5:
        return f"{fill(chance, '@##', 'ABCDEFGHJKLMNPRSTVWXY')}{gap}{fill(chance, '@@@', 'ABCDEFGHJKLMNPRSTUVWXY')}"
    return f"{fill(chance, '@@@', letters)}{gap}{fill(chance, '%##@', 'ABCDEFGHJKLMNPRSTVWXY')}"


def kinds() -> tuple[Kind, ...]:
    """All of them."""
    postcodes = one_of(
        "M# #@@", "B## #@@", "EC%A #@@", "SW%# #@@", "SW%##@@", "LS## #@@", "W%A #@@", letters="ABDEFGHJLNPQRSTUWXYZ"
    )
    return (
        Kind("ES_NIF", "es", ("NIF", "DNI"), _nif),
        Kind("ES_NIE", "es", ("NIE",), _nie),
        Kind("ES_PASSPORT", "es", ("pasaporte",), one_of("@@@######")),
        Kind("IT_FISCAL_CODE", "it", ("codice fiscale",), _fiscal_code),
        Kind("IT_VAT_CODE", "it", ("partita iva",), _italian_vat),
        Kind("IT_DRIVER_LICENSE", "it", ("patente di guida",), one_of("@@#######@", "U1@######@", letters=_CONSONANTS)),
        Kind("IT_PASSPORT", "it", ("passaporto",), one_of("YA#######", "YB#######")),
        Kind(
            "IT_IDENTITY_CARD", "it", ("carta identità",), one_of("@@ #######", "@@#######", "CA#####@@", "#######@@")
        ),
        Kind("PL_PESEL", "pl", ("PESEL",), _pesel),
        Kind("FI_PERSONAL_IDENTITY_CODE", "fi", ("hetu", "henkilötunnus"), _hetu),
        Kind("SE_PERSONNUMMER", "se", ("personnummer",), _personnummer),
        Kind("SE_ORGANISATIONSNUMMER", "se", ("organisationsnummer",), _organisation),
        Kind("UK_NHS", "gb", ("nhs",), _nhs),
        Kind("UK_NINO", "gb", ("national insurance", "nino"), _nino),
        Kind("UK_PASSPORT", "gb", ("passport number",), one_of("##0######", "@@#######")),
        Kind("UK_POSTCODE", "gb", ("postcode",), postcodes),
        Kind("UK_DRIVING_LICENCE", "gb", ("driving licence",), _driving),
        Kind("UK_VEHICLE_REGISTRATION", "gb", ("vehicle registration",), _plate),
    )
