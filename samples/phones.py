"""Telephone numbers that belong to nobody, and the ways in which people write them.

The ranges are those set aside for fiction: 555-0100 to 555-0199 in each area code of North America, Ofcom's drama
numbers in the United Kingdom, ACMA's fictitious numbers in Australia.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

_UK_CITIES = ("113 496", "114 496", "115 496", "116 496", "117 496", "118 496", "121 496", "131 496", "141 496",
              "151 496", "161 496", "191 498", "20 7946", "29 2018")  # fmt: skip
_INTERNATIONAL = ("+{c} {n}", "00{c} {n}", "+{c}{d}", "+{c}-{h}", "+{c}.{p}", "+{c}  {n} ", "+{c} ({a}) {r}")
_NATIONAL = ("{o}{n}", "{o}{d}", "{o}{h}", "({o}{a}) {r}")
_NOTED = ("+{c} {n} ext. 12", "+{c} {n} x4", "tel: +{c} {n}", "+{c} {n} (evenings)", "(+{c}) {n}", "mobile {o}{n}",
          "+{c} {n} / office")  # fmt: skip
_AREAS = tuple(a for a in range(200, 999) if a // 10 % 10 != 9 and a % 100 != 11)
_AMERICA, _BRITAIN, _AUSTRALIA = len(_AREAS) * 100, 1000 + len(_UK_CITIES) * 1000, 80_000
RESERVED = _AMERICA + _BRITAIN + _AUSTRALIA
_STEP = 68_891
"""A prime that doesn't divide RESERVED: stepping by it meets every number once."""


@dataclass(frozen=True)
class Phone:
    """A number: country code, national number in groups, and the digit put before it within the country."""

    country: str
    national: str
    trunk: str

    @property
    def digits(self) -> str:
        """`+` and digits: how the number is told from all others."""
        return f"+{self.country}{self.national.replace(' ', '')}"

    def plain(self, chance: random.Random) -> str:
        """Written internationally in some punctuation: everybody's reading of it is the same number."""
        return self._fill(chance.choice(_INTERNATIONAL))

    def free(self, chance: random.Random) -> str:
        """Written with a note, an extension or without the country: readings may differ."""
        return self._fill(chance.choice(_NATIONAL + _NOTED))

    def _fill(self, shape: str) -> str:
        area, _, rest = self.national.partition(" ")
        return shape.format(
            c=self.country,
            n=self.national,
            d=self.national.replace(" ", ""),
            h=self.national.replace(" ", "-"),
            p=self.national.replace(" ", "."),
            o=self.trunk,
            a=area,
            r=rest,
        )


def phone_at(index: int) -> Phone:
    """The reserved number at a place in the list of all: 0 <= index < RESERVED."""
    if index < _AMERICA:
        return Phone("1", f"{_AREAS[index // 100]} 555 {100 + index % 100:04d}", "")
    index -= _AMERICA
    if index < 1000:
        return Phone("44", f"7700 900{index:03d}", "0")
    if index < _BRITAIN:
        return Phone("44", f"{_UK_CITIES[index // 1000 - 1]} {index % 1000:04d}", "0")
    index -= _BRITAIN
    return Phone("61", f"{'2378'[index // 20_000]} {('5550', '7010')[index // 10_000 % 2]} {index % 10_000:04d}", "0")


def phones(start: int) -> Iterator[Phone]:
    """Every reserved number once, the three countries mixed, beginning at a place that the seed chose."""
    for count in range(RESERVED):
        yield phone_at((start + count * _STEP) % RESERVED)
