"""What is odd or wrong about listings, and what must become of each."""

from datetime import timedelta, timezone
from html import escape

from samples.draws import Draws
from samples.feed import moment_at
from samples.products.listing import Product
from samples.rows import Outcome
from samples.traits import ECHO, Record, Trait

_FORMS = ("%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M", "%a, %d %b %Y %H:%M:%S GMT")
_WORDS = ("a few", "12 pcs", "~40", "ten", "in stock")
_UNKNOWN = ("Misc", "kitchen-old", "???", "Kitchen > Other")
_YEARS = timedelta(days=365 * 40)


def _text_numbers(record: Record, _: Product, __: Draws) -> None:
    """Everything is text, as in an export that went through a spreadsheet."""
    for name, value in record.items():
        if isinstance(value, int | float):
            record[name] = str(value)


def _nothing(record: Record, _: Product, draws: Draws) -> None:
    record |= {name: draws.pick((None, "N/A", "")) for name in ("promotionPrice", "rating")}


def _currency(record: Record, made: Product, draws: Draws) -> None:
    sign, low, high = draws.pick(("$", "$ ")), f"{made.low / 100:,.2f}", f"{made.high / 100:,.2f}"
    record["price"] = f"{sign}{low}" if low == high else f"{sign}{low} - {sign}{high}"


def _padded(record: Record, made: Product, draws: Draws) -> None:
    record["title"] = f"{' ' * draws.below(3)}{made.title}{draws.pick((' ', '  ', chr(9), chr(0xA0)))}"


def _entities(record: Record, made: Product, _: Draws) -> None:
    """As a page of HTML has it; unescaped, it is the title."""
    record["title"] = escape(made.title).replace(" ", "&#32;", 1)


def _zone(record: Record, made: Product, draws: Draws) -> None:
    """The same moment, told in another zone."""
    zone = timezone(timedelta(hours=draws.pick((-8, -3, 2, 9)), minutes=draws.pick((0, 30))))
    record["updatedAt"] = moment_at(made.updated).astimezone(zone).isoformat(timespec="microseconds")


def _form(record: Record, made: Product, draws: Draws) -> None:
    record["updatedAt"] = f"{moment_at(made.updated):{draws.pick(_FORMS)}}"


def _ahead(record: Record, made: Product, _: Draws) -> None:
    record["updatedAt"] = (moment_at(made.updated) + _YEARS).isoformat().replace("+00:00", "Z")


def _no_moment(record: Record, _: Product, __: Draws) -> None:
    record["updatedAt"] = None


def _swapped(record: Record, made: Product, _: Draws) -> None:
    """The highest price first."""
    record["price"] = f"{made.high / 100:.2f} - {made.low / 100:.2f}"


def _no_price(record: Record, _: Product, draws: Draws) -> None:
    record["price"] = draws.pick(("on request", "7,92 to 16,23", "1.99 - ", "12.00 - 14.00 - 16.00"))


def _email(record: Record, made: Product, draws: Draws) -> None:
    """Somebody's address, which nobody declared."""
    record["title"] = f"{made.title}, ask maker{draws.below(10_000)}@example.org"


def _phone(record: Record, made: Product, draws: Draws) -> None:
    record["title"] = f"{made.title}, call +44 20 7946 0{draws.below(1000):03d}"


def _negative(record: Record, _: Product, draws: Draws) -> None:
    record["quantity"] = -1 - draws.below(40)


def _in_words(record: Record, _: Product, draws: Draws) -> None:
    record["quantity"] = draws.pick(_WORDS)


def _no_id(record: Record, _: Product, draws: Draws) -> None:
    if draws.below(2):
        record["id"] = None
    else:
        del record["id"]


def _category(record: Record, _: Product, draws: Draws) -> None:
    record["category"] = draws.pick(_UNKNOWN)


def _unknown(record: Record, _: Product, draws: Draws) -> None:
    """A column that nobody declared, with nothing about anybody."""
    record["badge"] = draws.pick(("new", "bestseller", "last pieces"))


def _again(_: Record, __: Product, ___: Draws) -> None:
    """Nothing to spoil: the row is another's."""


TRAITS: tuple[Trait[Product], ...] = (
    Trait("text_numbers", 20, _text_numbers),
    Trait("nothing_in_words", 12, _nothing),
    Trait("currency_sign", 10, _currency),
    Trait("padded_title", 8, _padded),
    Trait("html_entities", 8, _entities),
    Trait("other_zone", 8, _zone),
    Trait("swapped_range", 4, _swapped),
    Trait("unknown_column", 4, _unknown),
    Trait(ECHO, 12, _again),
    Trait("other_form", 3, _form, Outcome("type", "updated_at")),
    Trait("no_moment", 2, _no_moment, Outcome("required", "updated_at")),
    Trait("future", 2, _ahead, Outcome("ahead", "updated_at")),
    Trait("price_in_words", 3, _no_price, Outcome("type", "price")),
    Trait("email_in_title", 2, _email, Outcome("finding", "title")),
    Trait("phone_in_title", 2, _phone, Outcome("finding", "title")),
    Trait("negative_quantity", 3, _negative, Outcome("rule", "quantity", "negative_quantity")),
    Trait("quantity_in_words", 3, _in_words, Outcome("type", "quantity")),
    Trait("missing_id", 2, _no_id, Outcome("required", "id")),
    Trait("unknown_category", 3, _category, Outcome("rule", "category", "known_category")),
)
