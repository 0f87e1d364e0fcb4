"""Kinds of data of Asia and the Pacific. Each rule's source stands at its function."""

import random

from samples.pii.checks import cross_sum, verhoeff, weighted
from samples.pii.kinds import LETTERS, Kind, birthday, fill, one_of, until_valid

_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _abn(chance: random.Random) -> str:
    """Australian business number: weights 10 1 3 … 19, the first digit less one, modulo 89 (Australian Business
    Register).
    """
    body = fill(chance, "#########")
    for lead in range(10, 100):
        digits = f"{lead}{body}"
        if (weighted(digits, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10) % 89 == 0:
            break
    return chance.choice((digits, f"{digits[:2]} {digits[2:5]} {digits[5:8]} {digits[8:]}"))


def _acn(chance: random.Random) -> str:
    """Australian company number: weights 8 to 1 modulo 10 (ASIC, ACN check digit)."""
    body = fill(chance, "########")
    return _in_threes(chance, body + str(-weighted(body, range(8, 0, -1)) % 10))


def _tfn(chance: random.Random) -> str:
    """Tax file number: weights 1 4 3 7 5 8 6 9 10 sum to a multiple of 11 (Australian Taxation Office)."""

    def finish(body: str) -> str | None:
        check = weighted(body, (1, 4, 3, 7, 5, 8, 6, 9)) % 11  # 10 times x is -x
        return None if check == 10 else body + str(check)

    return _in_threes(chance, until_valid(chance, "########", finish))


def _in_threes(chance: random.Random, digits: str) -> str:
    return digits if chance.random() < 0.5 else f"{digits[:3]} {digits[3:6]} {digits[6:]}"


def _medicare(chance: random.Random) -> str:
    """Medicare card: weights 1 3 7 9 1 3 7 9 modulo 10, then the card's issue (Services Australia)."""
    body = fill(chance, chance.choice("23456") + "#######")
    whole = body + str(weighted(body, (1, 3, 7, 9, 1, 3, 7, 9)) % 10) + fill(chance, "%")
    return whole if chance.random() < 0.5 else f"{whole[:4]} {whole[4:9]} {whole[9]}"


def _aadhaar(chance: random.Random) -> str:
    """Aadhaar: eleven digits from 2 on and Verhoeff's (UIDAI, A UID Numbering Scheme, 2010)."""
    body = chance.choice("23456789") + fill(chance, "##########")
    whole, gap = body + verhoeff(body), chance.choice(("", " ", "-"))
    return f"{whole[:4]}{gap}{whole[4:8]}{gap}{whole[8:]}"


def _pan(chance: random.Random) -> str:
    """Permanent account number: the fourth letter is the holder's sort (Income Tax Department of India)."""
    return fill(chance, "@@@") + chance.choice("PPPCHFATBLJG") + fill(chance, "@####@")


def _gstin(chance: random.Random) -> str:
    """GST number: state, PAN, entity, Z, check character of base 36 (GST Network)."""
    state = chance.choice(("07", "09", "24", "27", "29", "33", "36"))
    body = f"{state}{_pan(chance)}{fill(chance, '%')}Z"
    total = 0
    for place, character in enumerate(body):
        product = _BASE36.index(character) * (1 + place % 2)
        total += product // 36 + product % 36
    return body + _BASE36[-total % 36]


def _resident(chance: random.Random, sexes: str) -> str:
    """Korean registration number: birth date, sex and century, weights 2…9 2…5 (Resident Registration Act, rules)."""
    born = birthday(chance)
    sex = sexes[(2 if born.year >= 2000 else 0) + chance.randrange(2)]
    body = f"{born:%y%m%d}{sex}{chance.randrange(96):02d}{fill(chance, '###')}"
    total = 11 - weighted(body, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11
    whole = body + str((total if sexes == "1234" else total + 2) % 10)
    return f"{whole[:6]}-{whole[6:]}" if chance.random() < 0.7 else whole


def _business(chance: random.Random) -> str:
    """Korean business number: weights 1 3 7 1 3 7 1 3 5 and the tens of the last product (National Tax Service)."""
    body = fill(chance, "%########")
    total = weighted(body, (1, 3, 7, 1, 3, 7, 1, 3, 5)) + int(body[8]) * 5 // 10
    whole = body + str(-total % 10)
    return f"{whole[:3]}-{whole[3:5]}-{whole[5:]}" if chance.random() < 0.7 else whole


def _driver(chance: random.Random) -> str:
    """Korean driver's licence: region 11 to 28, year, serial, check (Road Traffic Act, rules)."""
    return f"{chance.choice((11, 12, 13, 16, 21, 26))}{fill(chance, chance.choice(('-##-######-##', '##########')))}"


def _nric(chance: random.Random) -> str:
    """Singapore NRIC and FIN: weights 2 7 6 5 4 3 2, a letter by series (published by ICA's checkers)."""
    series, body = chance.choice("STFG"), fill(chance, "#######")
    total = weighted(body, (2, 7, 6, 5, 4, 3, 2)) + (4 if series in "TG" else 0)
    return series + body + ("JZIHGFEDCBA" if series in "ST" else "XWUTRQPNMLK")[total % 11]


def _uen(chance: random.Random) -> str:
    """Singapore business number of eight digits and a letter: weights 10 4 9 3 8 2 7 1 (ACRA, UEN)."""
    body = fill(chance, "5#######")
    return body + "XMKECAWLJDB"[weighted(body, (10, 4, 9, 3, 8, 2, 7, 1)) % 11]


def _thai(chance: random.Random) -> str:
    """Thai national number: weights 13 to 2 modulo 11 (Department of Provincial Administration)."""
    body = (
        chance.choice("12345678")
        + chance.choice(("10", "20", "30", "41", "50", "73", "80"))
        + fill(chance, "#########")
    )
    whole = body + str((11 - weighted(body, range(13, 1, -1)) % 11) % 10)
    return whole if chance.random() < 0.6 else f"{whole[0]}-{whole[1:5]}-{whole[5:10]}-{whole[10:12]}-{whole[12]}"


def _turkish(chance: random.Random) -> str:
    """Turkish identity number: tenth digit seven times the odd ones less the even ones, eleventh the sum modulo
    10 (Law 5490, NVİ).
    """
    body = fill(chance, "%########")
    odd, even = sum(map(int, body[::2])), sum(map(int, body[1::2]))
    whole = body + str((7 * odd - even) % 10)
    return whole + str(cross_sum(int(whole)) % 10)


def _tin(chance: random.Random) -> str:
    """Philippine taxpayer's number: weights 9 to 2 modulo 11, as open validators have it (the Bureau of Internal
    Revenue publishes no rule), and the branch.
    """

    def finish(body: str) -> str | None:
        check = weighted(body, range(9, 1, -1)) % 11
        return None if check == 10 else body + str(check)

    whole = until_valid(chance, "########", finish)
    dashed = f"{whole[:3]}-{whole[3:6]}-{whole[6:]}"
    return chance.choice((whole, dashed, f"{dashed}-000"))


def kinds() -> tuple[Kind, ...]:
    """All of them."""
    plates = one_of("MH12@@####", "DL%C@@####", "KA05@####", "22BH####@@", "TN09@@####", letters="ABCDEFGHJKLMNP")
    return (
        Kind("AU_ABN", "au", ("abn",), _abn),
        Kind("AU_ACN", "au", ("acn",), _acn),
        Kind("AU_TFN", "au", ("tax file number", "tfn"), _tfn),
        Kind("AU_MEDICARE", "au", ("medicare",), _medicare),
        Kind("IN_AADHAAR", "in", ("aadhaar",), _aadhaar, 2),
        Kind("IN_PAN", "in", ("permanent account number",), _pan),
        Kind("IN_GSTIN", "in", ("gstin",), _gstin),
        Kind(
            "IN_PASSPORT", "in", ("passport number",), one_of("@%#####%", "@%# ####%", letters="ABCDEFGHJKLMNPRSTUVWY")
        ),
        Kind("IN_VOTER", "in", ("voter",), one_of("@@@#######", letters=LETTERS)),
        Kind("IN_VEHICLE_REGISTRATION", "in", ("vehicle registration",), plates),
        Kind("KR_RRN", "kr", ("주민등록번호", "RRN"), lambda chance: _resident(chance, "1234")),
        Kind("KR_FRN", "kr", ("외국인등록번호", "FRN"), lambda chance: _resident(chance, "5678")),
        Kind("KR_BRN", "kr", ("사업자등록번호", "BRN"), _business),
        Kind("KR_DRIVER_LICENSE", "kr", ("운전면허", "Korean driver license"), _driver),
        Kind("KR_PASSPORT", "kr", ("여권", "Korean passport"), one_of("M###@####", "M########")),
        Kind("SG_NRIC_FIN", "sg", ("nric",), _nric),
        Kind("SG_UEN", "sg", ("uen",), _uen),
        Kind("TH_TNIN", "th", ("เลขประจำตัวประชาชน", "Thai National ID"), _thai),
        Kind("TR_NATIONAL_ID", "tr", ("tc kimlik",), _turkish),
        Kind(
            "TR_LICENSE_PLATE",
            "tr",
            ("plaka",),
            one_of("34 @@ ###", "06 @@@ ##", "35@####", "01-@@-####", letters="ABCDEFGHJKLMNPRSTUVYZ"),
        ),
        Kind(
            "PH_TIN",
            "ph",
            ("taxpayer identification number", "tin"),
            _tin,
        ),
        Kind("PH_UMID", "ph", ("umid",), one_of("####-#######-#", "############")),
        Kind("PH_PASSPORT", "ph", ("passport",), one_of("P#######A", "P#######B", "EB#######")),
    )
