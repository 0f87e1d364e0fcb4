"""Kinds of data of the United States and Canada. Each rule's source stands at its function."""

import random

from samples.pii.checks import luhn, weighted
from samples.pii.kinds import Kind, fill, one_of

_MBI = "ACDEFGHJKMNPQRTUVWXY"


def _ssn(chance: random.Random) -> str:
    """A social security number that nobody can have: areas 900 to 999 are never issued (SSA, POMS RM 10201.030), and
    groups 01 to 49 aren't taxpayers' numbers either.
    """
    area, group, serial = (
        f"9{fill(chance, '##')}",
        f"{chance.randrange(1, 50):02d}",
        f"{chance.randrange(1, 10_000):04d}",
    )
    gap = chance.choice(("-", "-", "-", " ", "."))
    return gap.join((area, group, serial)) if chance.random() < 0.8 else area + group + serial


def _itin(chance: random.Random) -> str:
    """A taxpayer's number: 9, groups 50-65, 70-88, 90-92, 94-99 (IRS, IRM 3.21.263)."""
    group = chance.choice((*range(50, 66), *range(70, 89), 90, 91, 92, *range(94, 100)))
    area, serial = f"9{fill(chance, '##')}", fill(chance, "####")
    return chance.choice(
        (f"{area}-{group}-{serial}", f"{area}-{group}-{serial}", f"{area}{group}{serial}", f"{area} {group} {serial}")
    )


def _routing(chance: random.Random) -> str:
    """An ABA routing number: weights 3 7 1 modulo 10 (ABA Routing Number Policy)."""
    body = f"{chance.choice((0, 1, 2, 3, 6, 7))}{chance.randrange(1, 3)}{fill(chance, '######')}"
    whole = body + str(-weighted(body, (3, 7, 1, 3, 7, 1, 3, 7)) % 10)
    return whole if chance.random() < 0.8 else f"{whole[:4]}-{whole[4:8]}-{whole[8]}"


def _npi(chance: random.Random) -> str:
    """A provider's identifier: Luhn with the prefix 80840 (45 CFR 162.406, CMS)."""
    body = chance.choice("12") + fill(chance, "########")
    whole = body + luhn("80840" + body)
    return whole if chance.random() < 0.7 else f"{whole[:4]}-{whole[4:7]}-{whole[7:]}"


def _mbi(chance: random.Random) -> str:
    """A Medicare beneficiary's identifier, shaped as CMS's sample 1EG4-TE5-MK73 (CMS, Understanding the MBI format)."""
    one, two, three = fill(chance, "%@@#", _MBI), fill(chance, "@@#", _MBI), fill(chance, "@@##", _MBI)
    return one + two + three if chance.random() < 0.5 else f"{one}-{two}-{three}"


def _dea(chance: random.Random) -> str:
    """A DEA number: check digit of (1+3+5) + 2(2+4+6) (21 CFR 1301, DEA Diversion Control)."""
    body = fill(chance, "######")
    total = weighted(body, (1, 2, 1, 2, 1, 2))
    return chance.choice("ABFGM") + fill(chance, "@") + body + str(total % 10)


def _sin(chance: random.Random) -> str:
    """A Canadian social insurance number: Luhn; none begins with 8 (Employment and Social Development Canada)."""
    body = chance.choice("12345679") + fill(chance, "#######")
    whole = body + luhn(body)
    gap = chance.choice((" ", " ", "-", ""))
    return f"{whole[:3]}{gap}{whole[3:6]}{gap}{whole[6:]}"


def kinds() -> tuple[Kind, ...]:
    """All of them."""
    licences = one_of("@#######", "@####-#####-#####", "########", "@########", "@############")
    return (
        Kind("US_SSN", "us", ("ssn", "social security number"), _ssn, 3),
        Kind("US_ITIN", "us", ("itin",), _itin),
        Kind("US_PASSPORT", "us", ("us passport",), one_of("#########", "@########")),
        Kind("US_DRIVER_LICENSE", "us", ("driver license",), licences),
        Kind(
            "US_BANK_NUMBER", "us", ("account number", "bank account"), one_of("########", "##########", "############")
        ),
        Kind("ABA_ROUTING_NUMBER", "us", ("aba routing",), _routing),
        Kind("US_NPI", "us", ("npi",), _npi),
        Kind("US_MBI", "us", ("mbi", "medicare"), _mbi),
        Kind("MEDICAL_LICENSE", "us", ("DEA",), _dea),
        Kind("US_HEALTH_INSURANCE_MEMBER_ID", "us", ("member id",), one_of("XYZ#########", "W########", "AB-#######")),
        Kind("US_CLAIM_NUMBER", "us", ("claim",), one_of("CLM-########", "CLM##########")),
        Kind("US_PRESCRIPTION_NUMBER", "us", ("prescription",), one_of("RX-#######", "RX########")),
        Kind("US_PRIOR_AUTHORIZATION_NUMBER", "us", ("prior authorization",), one_of("PA-########", "PA##########")),
        Kind("US_PROVIDER_TAX_ID", "us", ("tax id", "ein"), one_of("12-#######", "45-#######", "83-#######")),
        Kind("US_REFERRAL_NUMBER", "us", ("referral",), one_of("REF-######", "INF########")),
        Kind("CA_SIN", "ca", ("social insurance number",), _sin),
        Kind(
            "CA_POSTAL_CODE",
            "ca",
            ("postal code",),
            one_of("K%@ #@#", "M#@ #@#", "V#@#@#", letters="ABCEGHJKLMNPRSTVXY"),
        ),
    )
