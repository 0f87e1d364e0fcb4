"""The shop's orders and stock as its four sources hold them, wave by wave, with the truth about them.

The same seed, scale and wave give the same rows on every machine.
"""

from dataclasses import dataclass
from typing import Any

from samples.orders import order_rows
from samples.rows import SOURCES, Row
from samples.shop import Period, Shop, period_of
from samples.stock import stock_rows
from samples.truth import truth_of


@dataclass(frozen=True)
class Wave:
    """One delivery: `rows[dataset][source]` in the order in which the source has them; `truth` as JSON data."""

    period: Period
    rows: dict[str, dict[str, list[Row]]]
    truth: dict[str, Any]


def history(seed: int = 7, scale: float = 1.0, wave: int = 1) -> list[Wave]:
    """The waves 1 to `wave`, each on top of those before.

    Scale 1 is about 5,000 order rows and 1,200 stock rows by 1,500 customers in the first wave, and about an eighth of
    that in each later one. Raises ValueError for a wave below 1 or a scale below 0.05.
    """
    shop = Shop.open(seed, scale)
    last = period_of(wave).wave
    return [_wave(shop, period_of(number)) for number in range(1, last + 1)]


def generate(seed: int = 7, scale: float = 1.0, wave: int = 1) -> Wave:
    """The one wave. See `history`."""
    return history(seed, scale, wave)[-1]


def _wave(shop: Shop, period: Period) -> Wave:
    rows, counts = {}, {}
    for dataset, make in (("orders", order_rows), ("stock", stock_rows)):
        before = dict(shop.published[dataset])
        made = make(shop, period)
        rows[dataset] = {source: _arranged([r for r in made if r.source == source]) for source in SOURCES}
        counts[dataset] = truth_of(shop, dataset, rows[dataset], before)
    truth = {
        "seed": shop.seed,
        "scale": shop.scale,
        "wave": period.wave,
        "period": [period.start.isoformat(), period.end.isoformat()],
        "datasets": counts,
    }
    return Wave(period, rows, truth)


def _arranged(rows: list[Row]) -> list[Row]:
    """By arrival. The sort is stable, so that rows of one moment stay as they were made."""
    return sorted(rows, key=lambda row: row.arrival)
