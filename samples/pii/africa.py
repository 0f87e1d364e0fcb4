"""Kinds of data of South Africa and Nigeria. Each rule's source stands at its function."""

import random

from samples.pii.checks import luhn, verhoeff
from samples.pii.kinds import Kind, birthday, fill, one_of


def _identity(chance: random.Random) -> str:
    """South African identity number: birth date, sex and serial, citizenship, 8, Luhn (Department of Home Affairs)."""
    body = f"{birthday(chance):%y%m%d}{fill(chance, '####')}{chance.choice('001')}8"
    return body + luhn(body)


def _nin(chance: random.Random) -> str:
    """Nigerian identification number: ten digits and Verhoeff's (NIMC Act 2007)."""
    body = fill(chance, "%#########")
    return body + verhoeff(body)


def kinds() -> tuple[Kind, ...]:
    """All of them."""
    plates = one_of(
        "CA ###-###", "@@ ## @@ GP", "@@##@@GP", "@@@ ### GP", "ND ###-###", "CF ### WP", letters="BCDFGHJKLMNPRSTVWXYZ"
    )
    phones = one_of("082 123 45%#", "+27 82 123 45%#", "0831234%##"), one_of("011 234 56%#", "+27 21 234 56%#")
    return (
        Kind("ZA_ID_NUMBER", "za", ("id number", "identity number"), _identity),
        Kind("ZA_PASSPORT", "za", ("passport",), one_of("A########", "M########")),
        Kind("ZA_VAT_NUMBER", "za", ("vat number",), one_of("4#########")),
        Kind(
            "ZA_INCOME_TAX_NUMBER", "za", ("income tax", "tax number"), one_of("0#########", "1#########", "9#########")
        ),
        Kind(
            "ZA_COMPANY_REGISTRATION",
            "za",
            ("company registration",),
            one_of("2014/######/07", "1998/######/23", "CK2001/######"),
        ),
        Kind("ZA_DRIVER_LICENSE", "za", ("driving licence",), one_of("##########@@", "########@@@@")),
        Kind("ZA_TRAFFIC_REGISTER_NUMBER", "za", ("traffic register number",), one_of("#############")),
        Kind("ZA_LICENSE_PLATE", "za", ("licence plate",), plates),
        Kind("ZA_MOBILE_NUMBER", "za", ("mobile phone",), phones[0]),
        Kind("ZA_TELEPHONE_NUMBER", "za", ("telephone",), phones[1]),
        Kind("NG_NIN", "ng", ("nin",), _nin),
        Kind("NG_VEHICLE_REGISTRATION", "ng", ("plate number",), one_of("@@@-###@@", "@@@###@@", "@@@ ###@@")),
    )
