"""Check digits by their public rules, written from the specifications named at each."""

from collections.abc import Sequence
from hashlib import sha256

_PERMUTED = ((0, 1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 5, 7, 6, 2, 8, 3, 0, 9, 4))
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The sum of each digit times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))


def luhn(digits: str) -> str:
    """The check digit of ISO/IEC 7812-1 annex B, to be put behind `digits`."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def verhoeff(digits: str) -> str:
    """The check digit of J. Verhoeff, Error Detecting Decimal Codes (1969), to be put behind `digits`."""
    state = 0
    for place, digit in enumerate(reversed(digits), start=1):
        state = _dihedral(state, _permuted(int(digit), place))
    return str(state if state >= 5 else -state % 5)


def _permuted(digit: int, times: int) -> int:
    for _ in range(times % 8):
        digit = _PERMUTED[1][digit]
    return digit


def _dihedral(one: int, two: int) -> int:
    """The product in the group of the symmetries of a pentagon: 0-4 turn, 5-9 mirror."""
    turn = one % 5 - two % 5 if one >= 5 else one % 5 + two % 5
    return turn % 5 + (5 if (one >= 5) != (two >= 5) else 0)


def mod97(country: str, account: str) -> str:
    """The two check digits of an IBAN (ISO 13616, by ISO 7064 MOD 97-10)."""
    return f"{98 - int(''.join(str(int(c, 36)) for c in f'{account}{country}00')) % 97:02d}"


def mod11_10(digits: str) -> str:
    """The check digit of ISO 7064 MOD 11,10, as in German tax and VAT numbers."""
    product = 10
    for digit in digits:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return str((11 - product) % 10)


def icao(text: str) -> str:
    """The check digit of a travel document (ICAO Doc 9303 part 3, 4.9): weights 7, 3, 1, letters from A = 10."""
    return str(sum(int(c, 36) * (7, 3, 1)[place % 3] for place, c in enumerate(text)) % 10)


def isbn10(digits: str) -> str:
    """The check character of a ten-digit book number (ISO 2108:1992)."""
    left = -weighted(digits, range(10, 1, -1)) % 11
    return "X" if left == 10 else str(left)


def ean(digits: str) -> str:
    """The check digit of the GS1 General Specifications, 7.9: weights 3, 1 from the right."""
    return str(-sum(int(d) * (3 if place % 2 == 0 else 1) for place, d in enumerate(reversed(digits))) % 10)


def cross_sum(number: int) -> int:
    """The sum of a number's decimal digits."""
    return sum(map(int, str(number)))


def base58check(payload: bytes) -> str:
    """Bitcoin's text form of a version byte and a hash (the Bitcoin wiki, Base58Check encoding)."""
    whole = payload + sha256(sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(whole, "big"), ""
    while number:
        number, left = divmod(number, 58)
        text = _BASE58[left] + text
    return "1" * (len(whole) - len(whole.lstrip(b"\0"))) + text


def bech32(program: bytes, version: int) -> str:
    """A witness program as an address of Bitcoin's main net: BIP 173 for version 0, BIP 350 from 1 on."""
    number = int.from_bytes(program, "big") << (-8 * len(program) % 5)
    length = (8 * len(program) + 4) // 5
    data = [version, *(number >> 5 * (length - 1 - i) & 31 for i in range(length))]
    prefix = [ord(c) >> 5 for c in "bc"] + [0] + [ord(c) & 31 for c in "bc"]
    left = _polymod([*prefix, *data, 0, 0, 0, 0, 0, 0]) ^ (1 if version == 0 else 0x2BC830A3)
    check = [left >> 5 * (5 - i) & 31 for i in range(6)]
    return "bc1" + "".join(_BECH32[value] for value in (*data, *check))


def _polymod(values: Sequence[int]) -> int:
    generators = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(generators):
            state ^= generator if top >> bit & 1 else 0
    return state
