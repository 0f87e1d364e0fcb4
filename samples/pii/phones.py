"""Telephone numbers that belong to nobody, country by country, as people there write them.

Set aside for fiction: 555-0100 to 555-0199 in North American area codes (NANPA); Ofcom's, ACMA's (Australia), ARCEP's
(France), the Bundesnetzagentur's (Germany), ComReg's (Ireland) and PTS's (Sweden) drama numbers. No such range is
published for Brazil, India, Israel, Japan, Mexico, Spain or South Africa: there a subscriber number that runs up or
down (…12345, …98765) stands for the rest.
"""

import random
from collections.abc import Callable

from samples.pii.kinds import fill

_AREAS = (202, 212, 213, 305, 312, 404, 415, 416, 503, 512, 602, 604, 617, 702, 713, 808, 907)


def _america(chance: random.Random) -> str:
    area, line = chance.choice(_AREAS), f"{chance.randrange(100, 200):04d}"
    shapes = ("({a}) 555-{n}", "{a}-555-{n}", "{a}.555.{n}", "{a} 555 {n}", "+1 {a} 555 {n}", "+1{a}555{n}",
              "1-{a}-555-{n}", "+1 ({a}) 555-{n} ext. 12", "001 {a} 555 {n}", "{a}555{n}")  # fmt: skip
    return chance.choice(shapes).format(a=area, n=line)


def _masks(*masks: str) -> Callable[[random.Random], str]:
    return lambda chance: fill(chance, chance.choice(masks))


# fmt: off
_COUNTRIES: tuple[tuple[str, Callable[[random.Random], str]], ...] = (
    ("US", _america),
    ("GB", _masks("07700 900###", "+44 7700 900###", "+447700900###", "020 7946 0###", "+44 20 7946 0###",
                  "(0117) 496 0###", "0161 496 0###", "+44 (0)20 7946 0###")),
    ("FR", _masks("01 99 00 ## ##", "+33 1 99 00 ## ##", "02 61 91 ## ##", "06 39 98 ## ##", "06.39.98.##.##",
                  "+33 6 39 98 ## ##", "+33639985###", "03 53 01 ## ##")),
    ("DE", _masks("030 23125 ###", "+49 30 23125###", "040 66969 ###", "069 90009-###", "089/99998###",
                  "0171 39200##", "+49 171 39200##", "(030) 23125-###")),
    ("AU", _masks("+61 2 5550 ####", "+61 491 570 156", "+61 3 7010 ####", "02 5550 ####", "0491 570 15#")),
    ("IE", _masks("020 91# ####", "+353 20 91# ####")),
    ("SE", _masks("070-174 06 %%", "+46 70 174 06 %%", "+46 8 465 004 ##", "08-465 004 ##")),
    ("BR", _masks("(11) 9%%12-3456", "+55 11 9%%12-3456", "+55 21 2%%1-2345", "11 9%%123456")),
    ("IN", _masks("+91 98765 4321#", "098765 4321#", "+91-9876543#1#", "98765 4321#")),
    ("IL", _masks("+972 52-123-45%#", "052-123-45%#", "03-612-34%#")),
    ("JP", _masks("+81 90-1234-56%#", "090-1234-56%#", "03-1234-56%#")),
    ("MX", _masks("+52 55 1234 56%#", "55 1234 56%#")),
    ("ES", _masks("+34 612 34 56 %#", "612 34 56 %#", "91 234 56 %#")),
    ("ZA", _masks("+27 82 123 45%#", "082 123 45%#")),
)
# fmt: on


def phone(chance: random.Random) -> str:
    """A number of one of fourteen countries, in a national or international form."""
    return chance.choice(_COUNTRIES)[1](chance)
