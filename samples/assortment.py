"""What the shop sells and who supplies it."""

from dataclasses import dataclass

from samples.people import CITIES, FIRST, LAST, email_of
from samples.seeded import stream

_RANGE = {
    ("Teas", "Herbal tea"): ("Chamomile Tea", "Peppermint Tea", "Nettle Leaf Tea", "Rooibos Vanilla", "Lemon Balm Tea",
                             "Linden Blossom Tea", "Ginger Turmeric Tea", "Hibiscus Tea", "Sage Tea", "Fennel Tea"),
    ("Teas", "Blends"): ("Evening Calm Blend", "Morning Green Blend", "Alpine Herb Blend", "Moroccan Mint Blend",
                         "Winter Spice Blend", "Liquorice & Orange", "Garden Rose Blend", "Citrus Verbena Blend"),
    ("Supplements", "Capsules"): ("Ashwagandha Capsules", "Milk Thistle Capsules", "Turmeric Capsules",
                                  "Valerian Capsules", "Echinacea Capsules", "Spirulina Tablets", "Maca Capsules",
                                  "Ginkgo Capsules", "Moringa Tablets"),
    ("Supplements", "Tinctures"): ("Elderberry Tincture", "Passionflower Tincture", "Hawthorn Tincture",
                                   "St John's Wort Tincture", "Dandelion Root Tincture", "Lemon Balm Tincture"),
    ("Supplements", "Protein"): ("Pea Protein 500 g", "Hemp Protein 500 g", "Rice Protein 1 kg", "Pumpkin Seed Protein",
                                 "Sunflower Protein 400 g"),
    ("Body Care", "Oils"): ("Lavender Oil 10 ml", "Tea Tree Oil 10 ml", "Jojoba Oil 100 ml", "Rosehip Oil 30 ml",
                            "Calendula Oil 50 ml", "Eucalyptus Oil 10 ml", "Argan Oil 50 ml", "Neem Oil 100 ml"),
    ("Body Care", "Soaps"): ("Olive Soap Bar", "Oat & Honeybush Soap", "Charcoal Mint Soap", "Aloe Vera Gel 250 ml",
                             "Shea Butter 200 g", "Rosemary Shampoo Bar", "Witch Hazel Toner", "Comfrey Balm"),
    ("Pantry", "Spices"): ("Ceylon Cinnamon", "Smoked Paprika", "Saffron 1 g", "Black Cumin", "Turmeric Powder",
                           "Wild Oregano", "Bay Leaves", "Juniper Berries", "Sumac", "Dried Thyme"),
    ("Pantry", "Seeds"): ("Chia Seeds 500 g", "Flax Seeds 1 kg", "Hemp Hearts 250 g", "Psyllium Husk", "Basil Seeds",
                          "Black Sesame"),
    ("Pantry", "Sweeteners"): ("Agave Syrup 350 ml", "Date Syrup 350 ml", "Coconut Sugar 500 g", "Carob Molasses"),
    ("Plant-based", "Milks"): ("Oat Drink 6 x 1 l", "Almond Drink 6 x 1 l", "Hazelnut Drink 1 l", "Soy Drink 1 l",
                               "Coconut Drink 1 l", "Rice Drink 1 l"),
    ("Plant-based", "Alternatives"): ("Jackfruit Pieces", "Smoked Tofu", "Tempeh, plain", "Seitan Slices",
                                      'Lupin "Steak"', "Cashew Spread", "Chickpea Pasta", "Lentil Burger Mix"),
    ("Garden", "Seeds and pots"): ("Basil Grow Kit", "Mint Plant", "Lavender Plant", "Rosemary Plant", "Sage Seeds",
                                   "Herb Spiral Set", "Clay Pot 12 cm", "Coriander Seeds", "Thyme Plant",
                                   "Parsley Seeds", "Lemongrass Plant", "Chamomile Seeds"),
}  # fmt: skip
SHIPPERS = ("Green Mile Couriers", "Fern & Feather Freight", "Harbour Post", "Swift Sparrow", "Overland Parcel")
NOTES = (
    "gift wrapped", "best before the end of the year", "new recipe", "last pieces of this batch", "keep cool and dry",
    "opened for inspection", "without the outer box", "sold with a free sample", "label in two languages",
    "from the spring harvest",
)  # fmt: skip
"""What people write on an order line, none of it about anybody."""
METHODS = ("Standard", "Express", "Pickup")
_HOUSES = (
    "Alder Farm", "Blue Meadow", "Cedar Root", "Dune Botanicals", "Elm & Ivy", "Fallow Field", "Glenherb", "Hillside",
    "Ivory Oats", "Juniper House", "Kelp & Co", "Lowland Mills", "Mossgate", "Northern Thyme", "Oak Apothecary",
    "Prairie Seed", "Quiet Garden", "Rivergrain", "Sunroot", "Tall Grass", "Umber Soils", "Valley Press", "Wild Acre",
    "Yarrow Works", "Zest Orchard",
)  # fmt: skip


@dataclass(frozen=True)
class Product:
    """`cents` is the price of one; `demand` its weight among sales."""

    name: str
    category: str
    sub_category: str
    cents: int
    demand: float


@dataclass(frozen=True)
class Supplier:
    """`contact` is a person's e-mail address, `person` their number: two suppliers may have one contact."""

    name: str
    location: str
    contact: str
    person: int


def products(seed: int) -> list[Product]:
    """The shop's range: one hundred products, a few that sell well and a few that hardly do."""
    chance = stream(seed, "products")
    return [
        Product(name, category, sub, chance.randrange(250, 9000) // 5 * 5 + 4, chance.paretovariate(1.2))
        for (category, sub), names in _RANGE.items()
        for name in names
    ]


def suppliers(seed: int) -> list[Supplier]:
    """Twenty-five suppliers. The last two share a contact with the first two."""
    chance = stream(seed, "suppliers")
    made: list[Supplier] = []
    for number, house in enumerate(_HOUSES):
        city = chance.choice(CITIES)
        if number >= len(_HOUSES) - 2:
            twin = made[number - len(_HOUSES) + 2]
            made.append(Supplier(house, city, twin.contact, twin.person))
        else:
            contact = email_of(chance, f"{chance.choice(FIRST)} {chance.choice(LAST)}", number)
            made.append(Supplier(house, city, contact, number))
    return made
