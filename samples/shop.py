"""What the shop knows from wave to wave, and the calendar of the waves.

Wave 1 is the year 2025; each later wave is the next month.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from samples.assortment import Product, Supplier, products, suppliers
from samples.people import Person, customers
from samples.rows import SOURCES, Row, Value
from samples.seeded import stream, weighted

LATE_HOURS = 20
"""How far before its wave a late row's updated_at may lie: an overlap of a day between two reads finds it."""
_SHARES = (0.35, 0.25, 0.20, 0.20)
_OPENS = time(8)

Key = tuple[Value, ...]


@dataclass(frozen=True)
class Period:
    """The days of a wave, both included."""

    wave: int
    start: date
    end: date

    @property
    def months(self) -> list[date]:
        """The first day of each month."""
        count = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month + 1
        return [_month(self.start, n) for n in range(count)]


def period_of(wave: int) -> Period:
    """Wave 1: 2025. Wave n: the (n - 1)th month after. Raises ValueError below 1."""
    if wave < 1:
        raise ValueError("waves are counted from 1")
    start = date(2025, 1, 1) if wave == 1 else _month(date(2026, 1, 1), wave - 2)
    return Period(wave, start, _month(start, 12 if wave == 1 else 1) - timedelta(days=1))


def _month(start: date, later: int) -> date:
    months = start.year * 12 + start.month - 1 + later
    return date(months // 12, months % 12 + 1, 1)


@dataclass
class Shop:
    """`published` is the newest admitted row of each key, `mended` what the source will correct, `reachable` the
    customers whose number was seen beside their e-mail and belongs to nobody else."""

    seed: int
    scale: float
    people: list[Person]
    products: list[Product]
    suppliers: list[Supplier]
    demand: Iterator[Product]
    order_number: int = 0
    published: dict[str, dict[Key, Row]] = field(default_factory=lambda: {"orders": {}, "stock": {}})
    mended: dict[str, list[Row]] = field(default_factory=lambda: {"orders": [], "stock": []})
    seen: dict[str, set[int]] = field(default_factory=lambda: {"customer": set(), "supplier_contact": set()})
    reachable: set[int] = field(default_factory=set)
    sold: Counter[tuple[str, int, int]] = field(default_factory=Counter)

    @classmethod
    def open(cls, seed: int, scale: float) -> "Shop":
        """The shop on its first day. Raises ValueError for a scale that is too small to hold every defect."""
        if scale < 0.05:
            raise ValueError("the scale must be 0.05 or more: below that not every defect occurs")
        range_ = products(seed)
        demand = weighted(stream(seed, scale, "demand"), [(p, p.demand) for p in range_])
        return cls(seed, scale, customers(seed, max(20, round(1500 * scale))), range_, suppliers(seed), demand)


def pick_source(chance: random.Random) -> str:
    """One of the four sources, by its share of the rows."""
    return chance.choices(SOURCES, _SHARES)[0]


def day_in(period: Period, chance: random.Random, late: float) -> tuple[date, datetime, bool]:
    """A day of the period and when its row was last changed, from 8 o'clock of that day on; or, for a share, late.

    In the first wave a late row's day lies months before its change; later its change, too, lies before the period.
    """
    days = (period.end - period.start).days
    last = datetime.combine(period.end, time(23, 59, 59))
    if chance.random() >= late:
        day = period.start + timedelta(days=chance.randrange(days + 1))
        moment = datetime.combine(day, _OPENS) + timedelta(seconds=chance.randrange(36 * 3600))
        return day, min(moment, last), False
    if period.wave == 1:
        day = period.start + timedelta(days=chance.randrange(days - 60))
        return day, last - timedelta(seconds=chance.randrange(3 * 86400)), True
    moment = datetime.combine(period.start, time()) - timedelta(seconds=1 + chance.randrange(LATE_HOURS * 3600))
    return moment.date() - timedelta(days=1 + chance.randrange(20)), moment, True


def merge(published: dict[Key, Row], rows: list[Row]) -> None:
    """Keep the newest admitted row of each key."""
    for row in rows:
        if row.outcome.reason is None:
            held = published.get(row.key)
            if held is None or held.version < row.version:
                published[row.key] = row
