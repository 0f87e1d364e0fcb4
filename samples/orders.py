"""The order lines of one wave."""

import random
from datetime import datetime, time, timedelta
from decimal import Decimal

from samples.assortment import METHODS, NOTES, SHIPPERS
from samples.copies import clone, copies
from samples.defects import ORDER_DEFECTS, REPAIRABLE, befall
from samples.people import Person
from samples.phones import Phone
from samples.rows import LITERAL_NULLS, LITERAL_SOURCES, Row, Value
from samples.seeded import stream
from samples.shop import Period, Shop, day_in, merge, pick_source

FIRST_WAVE, LATER_WAVE = 4700, 560
ANONYMOUS, LITERAL_NULL, PADDED, LATE, ODD_CENTS, NOTED = 0.01, 0.02, 0.03, 0.01, 0.02, 0.3
UPDATED, RESENT, STALE, FORGOTTEN = 0.20, 0.04, 0.02, 0.03
"""Shares of a wave's sales; NOTED are those with a note on the product. The second line holds from the second wave on:
rows changed since, sent again unchanged, sent in an older version, and rows of a known customer in which the e-mail was
left out."""

_QUANTITIES = {"Consumer": (1, 6), "Corporate": (5, 60), "Home Office": (1, 12)}


def order_rows(shop: Shop, period: Period) -> list[Row]:
    """Every order row of the wave, in no order. The shop remembers what it needs for the next."""
    chance = stream(shop.seed, shop.scale, "orders", period.wave)
    count = max(40, round((FIRST_WAVE if period.wave == 1 else LATER_WAVE) * shop.scale))
    fresh = [_sale(shop, period, chance) for _ in range(count)]
    plain = [row for row in fresh if not {"anonymous", "late"} & set(row.traits)]
    before = {id(row): clone(row) for row in plain}
    sound = befall(plain, ORDER_DEFECTS, chance)
    added = copies(sound, chance, "order_date", _older)
    again = _returning(shop, period, chance, count) if period.wave > 1 else []
    rows = fresh + added + again
    shop.mended["orders"] = [
        before[id(row)] for row in plain if REPAIRABLE & set(row.traits) and row.outcome.reason != "malformed"
    ]
    merge(shop.published["orders"], rows)
    shop.reachable |= {
        r.person for r in rows if r.reachable and r.person is not None and r.outcome.reason != "malformed"
    }
    return rows


def _sale(shop: Shop, period: Period, chance: random.Random) -> Row:
    person, product = chance.choice(shop.people), next(shop.demand)
    quantity = chance.randint(*_QUANTITIES[person.segment])
    day, moment, late = day_in(period, chance, LATE)
    shop.order_number += 1
    key = f"O-{shop.order_number:06d}"
    source = pick_source(chance)
    touch = chance.getrandbits(32)
    traits = ["late"] if late else []
    cents = product.cents * quantity
    if chance.random() < ODD_CENTS and quantity > 2:
        cents += (quantity - 1) // 2
        traits.append("odd_cents")
    values: dict[str, Value] = {
        "order_id": key,
        "order_date": day,
        "updated_at": moment,
        "product_name": product.name,
        "product_category": product.category,
        "product_sub_category": product.sub_category,
        "product_note": chance.choice(NOTES) if chance.random() < NOTED else None,
        "product_price": _money(product.cents),
        "shipper_name": chance.choice(SHIPPERS),
        "shipping_method": chance.choice(METHODS),
        "quantity": quantity,
    }
    row = Row(source, values, (key,), moment, person.number, touch, moment, traits=traits)
    if late and period.wave > 1:
        row.arrival = datetime.combine(period.start, time()) + timedelta(seconds=chance.randrange(20 * 86400))
    _amounts(row, _money(cents), chance.choice((0, 0, 0, 5, 10, 15)))
    _customer(shop, row, person, chance)
    if chance.random() < PADDED:
        values["product_name"] = chance.choice(("  {}", "{} ", " {}  ", "\t{}")).format(product.name)
        traits.append("padded_name")
    shop.sold[product.name, day.year, day.month] += quantity
    return row


def _amounts(row: Row, total: Decimal, percent: int) -> None:
    discount = (total * percent / 100).quantize(Decimal("0.01"))
    row.values |= {"total_amount": total, "discount_amount": discount, "net_amount": total - discount}


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _customer(shop: Shop, row: Row, person: Person, chance: random.Random) -> None:
    """Who bought: as written on this row, or nobody."""
    names = ("customer_name", "customer_email", "customer_address", "customer_phone", "customer_segment")
    if chance.random() < ANONYMOUS:
        row.values |= dict.fromkeys(names)
        row.person = None
        row.traits.append("anonymous")
        return
    email, phone = person.email, None
    if person.phone:
        plain = email is None or chance.random() < 0.6
        phone = person.phone.plain(chance) if plain else person.phone.free(chance)
        row.reachable = plain and email is not None and person.sharers == 1
        if not plain:
            row.traits.append("phone_free_text")
        if person.sharers > 1:
            row.traits.append("phone_of_two" if person.sharers == 2 else "phone_of_many")
    if email:
        email = _written(email, row, chance)
    else:
        row.traits.append("phone_only")
        if row.source in LITERAL_SOURCES and chance.random() < 0.3:
            email = chance.choice(LITERAL_NULLS)
    row.values |= dict(zip(names, (person.name, email, person.address, phone, person.segment), strict=True))
    if person.number in shop.reachable and chance.random() < FORGOTTEN and "late" not in row.traits:
        _forget(row, person.phone, chance)
    elif row.source in LITERAL_SOURCES and person.email and chance.random() < LITERAL_NULL:
        row.values[chance.choice(("customer_phone", "customer_address"))] = chance.choice(LITERAL_NULLS)
        row.reachable = False
        row.traits.append("literal_null")


def _written(email: str, row: Row, chance: random.Random) -> str:
    """The address as people type it: now and then in capitals or with spaces around."""
    shape = chance.choices(("plain", "upper", "title", "padded"), (85, 5, 5, 5))[0]
    if shape != "plain":
        row.traits.append(f"email_{shape}")
    return {"plain": email, "upper": email.upper(), "title": email.title(), "padded": f"  {email} "}[shape]


def _forget(row: Row, phone: Phone | None, chance: random.Random) -> None:
    """Leave the e-mail out; the number is one that was seen beside it in an earlier wave."""
    row.values |= {"customer_email": None, "customer_phone": phone.plain(chance) if phone else None}
    row.traits = [t for t in row.traits if not t.startswith(("email_", "phone_free"))] + ["email_forgotten"]
    row.reachable = False


def _older(row: Row) -> None:
    """The version before: the discount had not been given yet, or had been."""
    _amounts(row, row.money("total_amount"), 0 if row.values["discount_amount"] else 20)


def _returning(shop: Shop, period: Period, chance: random.Random, count: int) -> list[Row]:
    """Rows whose key is known from an earlier wave: changed, mended, sent again, or sent too late."""
    known = list(shop.published["orders"].values())
    chance.shuffle(known)
    rows = []
    for row in shop.mended["orders"] + [known.pop() for _ in range(min(round(UPDATED * count), len(known)))]:
        _, moment, _ = day_in(period, chance, 0)
        new = clone(row, version=moment, arrival=moment)
        new.values["updated_at"] = moment
        _older(new)
        new.traits.append("updated")
        rows.append(new)
    filed = [row for row in known if row.source in LITERAL_SOURCES]
    for name, share in (("sent_again", RESENT), ("stale", STALE)):
        for _ in range(min(max(1, round(share * count)), len(filed))):
            row = filed.pop()
            old = clone(row, arrival=datetime.combine(period.start, time()) + timedelta(days=chance.randrange(20)))
            if name == "stale":
                old.version -= timedelta(minutes=30 + chance.randrange(60))
                old.values["updated_at"] = old.version
                _older(old)
            old.traits.append(name)
            rows.append(old)
    return rows
