"""Sentences with people's names in them, and ones with words that only look like names."""

import random
from collections.abc import Callable, Sequence

from samples.names import words

Labelled = tuple[str, list[tuple[int, int, str]]]

WITH = (
    "Please call {} about the parcel.", "{} said the colour is wrong", "Spoke with {} on the phone",
    "gift for {}",
    "delivered to {}, signed at the door", "Dear {}, thank you for your order", "Hi {}, where is my {good}?",
    "Regards, {}", "customer {} wants a refund", "ask for {} at reception", "my neighbour {} has the {good}",
    "The {good} was ordered by {} from {city}", "{} and {} share the account", "contact: {}", "attn {}", "c/o {}",
    "{} rang twice", "Mr {} will collect it on {day}", "Mrs. {} is not at home", "Dr {} prescribed it",
    "return label sent to {}", "as agreed with {}", "{}'s {good} arrived broken", "{} - VIP customer",
    "note from {}: leave it outside", "Meeting with {} in {city} on {day}", "invoice to {}; pay by {month}",
    "I am {} and I want my money back", "My name is {}", "reported by {} ({month})", "driver {} was late again",
    "Herr {} hat angerufen", "Frau {} möchte umtauschen", "Bitte an {} liefern", "Kundin {} ist zufrieden",
    "Monsieur {} a appelé hier", "Livrer à {} avant {day}", "la cliente {} est contente", "Merci à {}",
    "La señora {} llamó ayer", "Entregar a {} en {city}", "El pedido de {} llegó roto", "Gracias, {}",
    "Il signor {} ha chiamato", "Spedire a {}", "Grazie a {} per l'aiuto", "O cliente {} ligou", "Entregue a {}",
    "Mevrouw {} belde", "Bezorgen bij {}", "Pani {} dzwoniła", "Paczka dla {}", "Kunden {} ringde", "Takk til {}",
    "Позвоните {} завтра", "заказ для {}", "{} さんに電話", "{}様のご注文", "{}님 주문", "请联系{}", "اتصل {} أمس",
    "{} जी ने फोन किया",
    "{}", "{}, {city}", "{} (wife of {})", "on behalf of {}", "signed {}",
    "picked up by {} and brought to {city}",
    "The {brand} {line} was for {}", "{} likes the {colour} {good} by {brand}",
)  # fmt: skip
ANYWHERE = ("{plain} {} {plain}", "{plain} {}", "{} {plain}", "{Plain} {} {plain}.", "{plain}, {}, {plain}")
"""Names among words in no order: what tells them is how they look."""
PRODUCTS = ("{Made} {line} {good}", "{made} {plain}", "The {Made} {good} {plain}", "{Plain} {Made} {Made2} {good}")
"""Things called by words of a language."""
LATER_WITH = (
    "The courier gave it to {} by mistake", "refund approved by {} last week",
    "{} has complained about the {good}",
    "Thanks {} for the quick answer!", "this belongs to {}", "please wait until {} confirms",
    "Herrn {} informieren",
    "chez {} au deuxième étage", "para {} con cariño", "gekauft von {} in {city}",
    "told {} that the {good} is sold out",
    "her brother {} paid for it", "handed over to {}.", "new owner: {}", "{} never received the {good}",
)  # fmt: skip
WITHOUT = (
    "{colour} {colour2} {good}, size M", "{brand} {line} {good}", "The {brand} {good} arrives in {month}",
    "{line} {line2} {good} by {brand}", "Arrives on {day} or {day2}", "{month} sale: all {good} half price",
    "Made in {city}", "ships from {city} on {day}", "{look} arrive in {month}", "{look} the box, please",
    "{look} not be washed hot", "{look} socket broken", "{city} {line} {good}", "New {colour} {line} Edition",
    "{brand} and {brand2} Ltd, {city}", "Black Forest cake tin", "{plain}", "{plain}.", "{Plain}",
    "{Plain}. {Plain}.",
    "order {number}, {number} pieces", "{good} {colour} {number}", "Version {number} of the {line} manual",
    "Returned: {good} ({colour})", "{colour} {good} from {city}, {month} {number}", "WARNING: DO NOT WASH",
    "{Good} with {colour} stripes", "{brand}", "{line} {good}", "{city}", "{day}", "Rückgabe im {month}",
    "Lieferung nach {city}", "Farbe {colour}", "Couleur {colour}, taille M", "Envío a {city}", "Hecho en {city}",
    "Produkt der Marke {brand}", "заказ из {city}", "{city}から発送", "{brand} {number} Pro", "{look} {good}",
    "Thank You!", "Best Quality Ever", "Great {Good}, Fast Delivery", "Hello, where is my {good}?", "Hi there",
    "Dear Sir or Madam", "Dear customer service", "Signed for by neighbour", "Call before {day}",
    "Terms And Conditions",
    "Bitte vor {day} liefern", "Die Lieferung kam im {month}", "Der Kunde war zufrieden", "Die Farbe der Jacke",
    "Free Shipping to {city}", "{look} Cream Soap", "{colour} {look} Perfume", "Happy Birthday",
    "Merry Christmas",
)  # fmt: skip
LATER_WITHOUT = (
    "{brand} launches the {line} {good} in {month}", "Only {number} left of {colour} {good}",
    "{look} be back in stock",
    "Pickup in {city} from {day}", "{colour} and {colour2} mixed", "Gift Card from {brand}",
    "Die {good} aus {city}",
    "{line} {brand} Starter Kit", "Opened on {day}, closed in {month}", "{Plain} {brand} {plain}",
    "Too {colour} for me",
    "{look} {colour2} {good}", "Bon produit de {city}", "Nice {Good}! Would Buy Again",
)  # fmt: skip


def made(chance: random.Random, count: int, *, later: bool = False) -> list[Labelled]:
    """`count` sentences and the names in them as (start, end, PER). `later` ones have other names and
    shapes."""
    one, none = (LATER_WITH, LATER_WITHOUT) if later else (WITH + ANYWHERE * 20, WITHOUT + PRODUCTS * 12)
    return [
        _sentence(chance, chance.choice(one) if chance.random() < 0.55 else chance.choice(none), later=later)
        for _ in range(count)
    ]


def _sentence(chance: random.Random, template: str, *, later: bool) -> Labelled:
    text, names = "", []
    rest = template
    while rest:
        before, opened, after = rest.partition("{")
        text += before
        if not opened:
            break
        slot, _, rest = after.partition("}")
        value = words.person(chance, later=later) if not slot else _FILL[slot.rstrip("2")](chance)
        if not slot:
            names.append((len(text), len(text) + len(value), "PER"))
        text += value
    if chance.random() < 0.3:
        text += chance.choice((" ", ". ", "; ", " - ", "\n")) + _plain(chance)
    elif chance.random() < 0.3:
        before = _capitalised(chance) + chance.choice((". ", "; ", "\n"))
        text, names = before + text, [(s + len(before), e + len(before), label) for s, e, label in names]
    return _case(chance, text), names


def _case(chance: random.Random, text: str) -> str:
    """As it is, or as people write in a hurry; only where no letter's case changes its length."""
    drawn = chance.random()
    changed = text.lower() if drawn < 0.06 else text.upper() if drawn < 0.1 else text
    return changed if len(changed) == len(text) else text


def _plain(chance: random.Random) -> str:
    return " ".join(words.plain(chance) for _ in range(chance.randrange(1, 8)))


def _capitalised(chance: random.Random) -> str:
    """A sentence's beginning: a word of a language."""
    return f"{chance.choice(words.PLAIN).capitalize()} {_plain(chance)}"


def _one_of(some: Sequence[str]) -> Callable[[random.Random], str]:
    return lambda chance: chance.choice(some)


_FILL: dict[str, Callable[[random.Random], str]] = {
    "good": _one_of(words.GOODS),
    "Good": lambda chance: chance.choice(words.GOODS).capitalize(),
    "city": _one_of(words.CITIES),
    "month": _one_of(words.MONTHS),
    "day": _one_of(words.DAYS),
    "brand": _one_of(words.BRANDS),
    "line": _one_of(words.LINES),
    "colour": _one_of(words.COLOURS),
    "look": _one_of(words.LOOKALIKES),
    "plain": _plain,
    "made": _one_of(words.PLAIN),
    "Made": lambda chance: chance.choice(words.PLAIN).capitalize(),
    "Plain": _capitalised,
    "number": lambda chance: str(chance.choice((2, 12, 48, 500, 2024, 90210, 4711))),
}
