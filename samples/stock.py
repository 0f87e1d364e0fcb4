"""The stock levels of one wave: a product, its supplier, a day."""

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from samples.assortment import Product, Supplier
from samples.copies import clone, copies
from samples.defects import REPAIRABLE, STOCK_DEFECTS, befall
from samples.rows import Row
from samples.seeded import stream
from samples.shop import Period, Shop, merge, pick_source

MONTHLY = 95
NO_CONTACT, PADDED, UPDATED = 0.02, 0.03, 0.10
"""Shares of rows without a contact, with blanks around the product's name and, of a later wave, changed since."""

_DATES, _SUPPLIERS = 28, 25


def stock_rows(shop: Shop, period: Period) -> list[Row]:
    """Every stock row of the wave, in no order. What was sold follows the sales of the month (made before)."""
    chance = stream(shop.seed, shop.scale, "stock", period.wave)
    each = max(3, round(MONTHLY * shop.scale))
    fresh = [
        _level(shop, chance, product, supplier, day, slots)
        for month in period.months
        for product, supplier, day, slots in _slots(shop, month, each)
    ]
    before = {id(row): clone(row) for row in fresh}
    sound = befall([row for row in fresh if "no_contact" not in row.traits], STOCK_DEFECTS, chance)
    added = copies(sound, chance, "stock_date", _older)
    again = _returning(shop, period, chance, len(fresh)) if period.wave > 1 else []
    shop.mended["stock"] = [before[id(row)] for row in fresh if REPAIRABLE & set(row.traits)]
    rows = fresh + added + again
    merge(shop.published["stock"], rows)
    return rows


def _slots(shop: Shop, month: date, count: int) -> Iterator[tuple[Product, Supplier, date, int]]:
    """Product, supplier and day of a month's levels: the last day first, then earlier days, then further suppliers.
    The number says into how many levels the product's month is divided."""
    last = (month.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    goods = shop.products
    total = min(count, len(goods) * _DATES * _SUPPLIERS)
    for number in range(total):
        product = number % len(goods)
        turn = number // len(goods)
        supplier = shop.suppliers[(product * 7 + turn // _DATES) % _SUPPLIERS]
        slots = -(-(total - product) // len(goods))
        yield goods[product], supplier, last - timedelta(days=turn % _DATES), slots


def _level(shop: Shop, chance: random.Random, product: Product, supplier: Supplier, day: date, slots: int) -> Row:
    sold = shop.sold[product.name, day.year, day.month] // slots
    received = sold + chance.choice((0, 0, 2, 5, 12, 40, 150))
    moment = datetime.combine(day, time(18)) + timedelta(seconds=chance.randrange(6 * 3600))
    key = (day, product.name, supplier.name)
    traits = []
    contact: str | None = supplier.contact
    person: int | None = supplier.person
    if chance.random() < NO_CONTACT:
        contact, person = None, None
        traits.append("no_contact")
    elif chance.random() < 0.1:
        contact = str(contact).upper()
        traits.append("email_upper")
    name = product.name
    if chance.random() < PADDED:
        name = chance.choice(("  {}", "{} ", " {}  ")).format(name)
        traits.append("padded_name")
    row = Row(pick_source(chance), {}, key, moment, person, chance.getrandbits(32), moment, traits=traits)
    row.values = {
        "stock_date": day,
        "updated_at": moment,
        "product_name": name,
        "product_category": product.category,
        "product_sub_category": product.sub_category,
        "supplier_name": supplier.name,
        "supplier_location": supplier.location,
        "supplier_contact": contact,
        "stock_received": received,
        "stock_sold": sold,
        "stock_on_hand": received - sold,
    }
    return row


def _older(row: Row) -> None:
    """The version before: a delivery had not been counted yet."""
    received, on_hand = row.count("stock_received"), row.count("stock_on_hand")
    missed = min(on_hand, 2)
    row.values |= {"stock_received": received - missed, "stock_on_hand": on_hand - missed}


def _returning(shop: Shop, period: Period, chance: random.Random, count: int) -> list[Row]:
    known = list(shop.published["stock"].values())
    chance.shuffle(known)
    rows = []
    for row in shop.mended["stock"] + known[: max(1, round(UPDATED * count))]:
        moment = datetime.combine(period.start, time(9)) + timedelta(seconds=chance.randrange(20 * 86400))
        new = clone(row, version=moment, arrival=moment)
        new.values["updated_at"] = moment
        _older(new)
        new.traits.append("updated")
        rows.append(new)
    return rows
