"""What goes wrong in the sources, each with the share of rows that it befalls and what must become of such a row.

A row gets one of these at most, so that the reason for which it is held is never in doubt.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from samples.rows import SOURCES, Outcome, Row

Spoil = Callable[[Row, random.Random], Outcome]
TEXTUAL = ("csv", "json", "api")
"""The sources in which a value needn't have its column's type. A database's columns are typed."""

_IMPOSSIBLE = ((2, 30), (4, 31), (13, 5), (11, 31), (0, 10), (6, 0))
_WORDS = ("three", "12 pcs", "a dozen", "2,5", "1/2", "~4")
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_NO_EMAIL = (None, None, "not given", "see order form")
_NO_PHONE = (None, None, "-", "none")
_CARDS = (4111111111111111, 4012888888881881, 5555555555554444, 5105105105105100, 6011111111111117)
"""Numbers that card networks publish for tests."""
_OTHERS = ("Greta Olsson", "Hugo Brandt", "Fiona Gallagher", "Petra Bauer", "Samir Diallo")
_DRAMA = 7946_0000
"""London's telephone numbers 020 7946 0000 to 0999 are set aside for fiction."""
_NO_CONTACT = ("ask at the gate", "by post only", "tbc")


@dataclass(frozen=True)
class Defect:
    """A defect: `share` of the rows of each of `sources` (at least one row a source where there are enough)."""

    name: str
    share: float
    sources: Sequence[str]
    spoil: Spoil


def befall(rows: list[Row], defects: Sequence[Defect], chance: random.Random) -> list[Row]:
    """Spoil the declared shares, drawn without return, and give the rows back that nothing befell."""
    for source in SOURCES:
        mine = [row for row in rows if row.source == source]
        chance.shuffle(mine)
        wanted = [(d, max(1, round(d.share * len(mine)))) for d in defects if source in d.sources]
        for defect, count in wanted:
            for _ in range(min(count, len(mine) // 2)):
                row = mine.pop()
                row.outcome = defect.spoil(row, chance)
                row.traits.append(defect.name)
    return [row for row in rows if row.outcome.reason is None]


def _date(field: str) -> Spoil:
    def spoil(row: Row, chance: random.Random) -> Outcome:
        month, day = chance.choice(_IMPOSSIBLE)
        year = row.version.year
        american = f"{month:02d}-{day:02d}-{year}"
        row.values[field] = american if row.source == "csv" else f"{year}-{month:02d}-{day:02d}"
        return Outcome("type", field)

    return spoil


def _text(field: str, words: Sequence[str]) -> Spoil:
    def spoil(row: Row, chance: random.Random) -> Outcome:
        row.values[field] = chance.choice(words)
        return Outcome("type", field)

    return spoil


def _add(field: str, steps: Sequence[str], rule: str) -> Spoil:
    def spoil(row: Row, chance: random.Random) -> Outcome:
        step = chance.choice(steps)
        whole = isinstance(row.values[field], int)
        row.values[field] = row.count(field) + int(step) if whole else row.money(field) + Decimal(step)
        return Outcome("rule", detail=rule)

    return spoil


def _missing(field: str) -> Spoil:
    def spoil(row: Row, _: random.Random) -> Outcome:
        row.values[field] = None
        return Outcome("missing_required", field)

    return spoil


def _negative_total(row: Row, _: random.Random) -> Outcome:
    """A return booked as a sale: quantity and total are negative, everything else adds up."""
    quantity, total = row.count("quantity"), row.money("total_amount")
    row.values |= {
        "quantity": -quantity,
        "total_amount": -total,
        "discount_amount": Decimal("0.00"),
        "net_amount": -total,
    }
    return Outcome("rule", detail="negative_total")


def _no_key(row: Row, chance: random.Random) -> Outcome:
    """A name and an address, but nothing to tell the person by."""
    row.values |= {"customer_email": chance.choice(_NO_EMAIL), "customer_phone": chance.choice(_NO_PHONE)}
    row.person = None
    return Outcome("no_subject_key", "customer_email")


def _no_contact_key(row: Row, chance: random.Random) -> Outcome:
    row.values["supplier_contact"] = chance.choice(_NO_CONTACT)
    row.person = None
    return Outcome("no_subject_key", "supplier_contact")


def _ragged(extra: Sequence[int]) -> Spoil:
    def spoil(row: Row, chance: random.Random) -> Outcome:
        row.extra = chance.choice(extra)
        return Outcome("malformed", detail="ragged")

    return spoil


def _insert(text: str, detail: str) -> Spoil:
    def spoil(row: Row, _: random.Random) -> Outcome:
        name = str(row.values["product_name"])
        row.values["product_name"] = name[:3] + text + name[3:]
        return Outcome("malformed", detail=detail)

    return spoil


def _email_in_note(row: Row, chance: random.Random) -> Outcome:
    """Somebody else's address, in a note on the product."""
    row.values["product_note"] = f"new recipe, ask gardener{chance.randrange(10_000)}@example.org for it"
    return Outcome("finding", "product_note")


def _own_name_in_note(row: Row, _: random.Random) -> Outcome:
    """The customer's own name, which the row has encrypted elsewhere."""
    row.values["product_note"] = f"gift wrapped for {row.values['customer_name']}, with a card"
    return Outcome("finding", "product_note")


def _somebody_in_note(row: Row, chance: random.Random) -> Outcome:
    """A person who is nowhere else in the row: only a model of names finds them."""
    row.values["product_note"] = f"kept for {chance.choice(_OTHERS)} until Friday"
    return Outcome("finding", "product_note")


def _phone_in_unknown(row: Row, chance: random.Random) -> Outcome:
    """A telephone number in the column that nobody declared."""
    digits = str(_DRAMA + chance.randrange(1000))
    row.remark = f"call +44 20 {digits[:4]} {digits[4:]} before delivery"
    return Outcome("finding", "unknown column")


def _card_for_pieces(row: Row, chance: random.Random) -> Outcome:
    """The number of a payment card where pieces are counted; the level is reckoned from it, so that it adds up."""
    card = chance.choice(_CARDS)
    row.values |= {"stock_received": card, "stock_on_hand": card - row.count("stock_sold")}
    return Outcome("finding", "stock_received")


_SHORT, _LONG = (-1, -2, -4), (1, 1, 3)

ORDER_DEFECTS = (
    Defect("impossible_date", 0.004, TEXTUAL, _date("order_date")),
    Defect("quantity_in_words", 0.004, TEXTUAL, _text("quantity", _WORDS)),
    Defect("number_not_finite", 0.004, ("json",), _text("product_price", _NOT_FINITE)),
    Defect("wrong_net", 0.004, SOURCES, _add("net_amount", ("0.01", "-0.01", "1.00", "10.00"), "net")),
    Defect("wrong_price", 0.004, SOURCES, _add("product_price", ("0.50", "1.00", "9.00"), "price")),
    Defect("negative_total", 0.003, SOURCES, _negative_total),
    Defect("missing_id", 0.002, SOURCES, _missing("order_id")),
    Defect("no_key", 0.005, SOURCES, _no_key),
    Defect("too_few_fields", 0.003, ("csv",), _ragged(_SHORT)),
    Defect("too_many_fields", 0.003, ("csv",), _ragged(_LONG)),
    Defect("nul_byte", 0.002, ("json",), _insert("\0", "nul_byte")),
    Defect("lone_surrogate", 0.002, ("json",), _insert("\ud800", "encoding")),
    Defect("email_in_note", 0.003, SOURCES, _email_in_note),
    Defect("own_name_in_note", 0.002, SOURCES, _own_name_in_note),
    Defect("somebody_in_note", 0.002, SOURCES, _somebody_in_note),
    Defect("phone_in_unknown_column", 0.003, ("csv",), _phone_in_unknown),
)
STOCK_DEFECTS = (
    Defect("impossible_date", 0.005, TEXTUAL, _date("stock_date")),
    Defect("number_in_words", 0.005, TEXTUAL, _text("stock_sold", _WORDS)),
    Defect("wrong_on_hand", 0.008, SOURCES, _add("stock_on_hand", ("1", "-1", "20"), "on_hand")),
    Defect("missing_name", 0.003, SOURCES, _missing("product_name")),
    Defect("no_key", 0.005, SOURCES, _no_contact_key),
    Defect("too_few_fields", 0.004, ("csv",), _ragged(_SHORT)),
    Defect("too_many_fields", 0.004, ("csv",), _ragged(_LONG)),
    Defect("nul_byte", 0.003, ("json",), _insert("\0", "nul_byte")),
    Defect("lone_surrogate", 0.003, ("json",), _insert("\ud800", "encoding")),
    Defect("card_for_pieces", 0.004, ("csv",), _card_for_pieces),
)
REPAIRABLE = frozenset(
    {"impossible_date", "quantity_in_words", "number_in_words", "number_not_finite", "wrong_net", "wrong_price",
     "wrong_on_hand", "card_for_pieces"}
)  # fmt: skip
"""Defects that the source mends in a later wave, under the same key."""
