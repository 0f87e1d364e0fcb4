"""Kinds of German data. Each rule's source stands at its function."""

import random

from samples.pii.checks import cross_sum, icao, mod11_10, weighted
from samples.pii.kinds import LETTERS, Kind, birthday, fill, one_of

_DOCUMENT = "CFGHJKLMNPRTVWXYZ"
"""Letters of German document numbers (§ 5 PAuswG, Technical Guideline BSI TR-03110)."""


def _tax_id(chance: random.Random) -> str:
    """Identification number: of its first ten digits exactly one occurs twice (§ 139b AO, BZSt), ISO 7064 MOD 11,10."""
    digits = chance.sample("0123456789", 9)
    digits.insert(chance.randrange(10), chance.choice(digits))
    while digits[0] == "0":
        chance.shuffle(digits)
    body = "".join(digits)
    return body + mod11_10(body)


def _document(chance: random.Random) -> str:
    """Identity card or passport: a letter, seven of digits and letters, the check digit of ICAO Doc 9303."""
    body = chance.choice("CFGHJK") + "".join(chance.choice(_DOCUMENT + "0123456789") for _ in range(7))
    return body + icao(body)


def _pension(chance: random.Random) -> str:
    """Rentenversicherungsnummer: area, birth date, initial, serial, check digit (VKVV § 2 and § 4)."""
    born, area = birthday(chance), chance.choice(("10", "13", "38", "53", "65"))
    letter, serial = chance.choice(LETTERS), fill(chance, "##")
    digits = f"{area}{born:%d%m%y}{ord(letter) - 64:02d}{serial}"
    factors = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    total = sum(cross_sum(int(d) * f) for d, f in zip(digits, factors, strict=True))
    return f"{area}{born:%d%m%y}{letter}{serial}{total % 10}"


def _health(chance: random.Random) -> str:
    """Krankenversichertennummer: a letter as two digits, eight digits, weights 1 and 2 (§ 290 SGB V, GKV-SV)."""
    letter, body = chance.choice(LETTERS), fill(chance, "########")
    digits = f"{ord(letter) - 64:02d}{body}"
    total = sum(cross_sum(int(d) * (1 + place % 2)) for place, d in enumerate(digits))
    return f"{letter}{body}{total % 10}"


def _doctor(chance: random.Random) -> str:
    """Lebenslange Arztnummer: weights 4 and 9 over six digits, then the specialty (KBV, § 75 Abs. 7 SGB V)."""
    body = fill(chance, "######")
    return body + str(-weighted(body, (4, 9, 4, 9, 4, 9)) % 10) + chance.choice(("01", "34", "68"))


def _vat(chance: random.Random) -> str:
    """USt-IdNr.: ISO 7064 MOD 11,10 over eight digits (Bundeszentralamt für Steuern)."""
    body = fill(chance, "%#######")
    whole = body + mod11_10(body)
    return chance.choice((f"DE{whole}", f"DE {whole[:3]} {whole[3:6]} {whole[6:]}", f"DE{whole}"))


def kinds() -> tuple[Kind, ...]:
    """All of them."""
    plates = one_of(
        "B-@@ %##",
        "M-@@ %###",
        "HH-@ %##",
        "KÖ-@@ %#",
        "B @@ %##",
        "M-@@-%##E",
        "LÖ-@ %###H",
        letters="ABCDEFGHJKLMNPRSTUVWXYZ",
    )
    return (
        Kind("DE_TAX_ID", "de", ("Steuer-ID", "Steueridentifikationsnummer"), _tax_id),
        Kind("DE_ID_CARD", "de", ("Personalausweis",), _document),
        Kind("DE_PASSPORT", "de", ("Reisepass",), _document),
        Kind("DE_SOCIAL_SECURITY", "de", ("Rentenversicherungsnummer",), _pension),
        Kind("DE_HEALTH_INSURANCE", "de", ("Krankenversichertennummer", "KVNR"), _health),
        Kind("DE_LANR", "de", ("Arztnummer", "LANR"), _doctor),
        Kind("DE_BSNR", "de", ("BSNR", "Betriebsstättennummer"), one_of("02#######", "38#######", "72#######")),
        Kind("DE_VAT_ID", "de", ("USt-IdNr", "Umsatzsteuer-Identifikationsnummer"), _vat),
        Kind(
            "DE_TAX_NUMBER",
            "de",
            ("Steuernummer",),
            one_of("181/815/0815#", "93815/0815#", "21/815/0815#", "28938150815##", "133/8150/81##"),
        ),
        Kind("DE_KFZ", "de", ("Kennzeichen",), plates),
        Kind("DE_PLZ", "de", ("PLZ", "Postleitzahl"), one_of("1####", "80###", "04###", "5####", "20###")),
        Kind("DE_HANDELSREGISTER", "de", ("Handelsregister",), one_of("HRB %####", "HRA %###", "HRB%#####", "HRB %#")),
        Kind("DE_FUEHRERSCHEIN", "de", ("Führerschein",), one_of("BN########@", "JZ#########")),
    )
