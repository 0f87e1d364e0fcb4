"""What a listing says: the product, and what changes about it."""

from typing import NamedTuple

from samples.draws import Draws
from samples.feed import Place, written

CATEGORIES = {
    "Kitchen": ("Tea Kettle", "Spice Grinder", "Cutting Board", "Salad Bowl", "Storage Jar", "Baking Tray", "Mug Set"),
    "Garden": ("Watering Can", "Seed Tray", "Plant Pot", "Garden Hose", "Pruning Shears", "Compost Bin", "Trellis"),
    "Pantry": ("Herbal Tea", "Oat Drink", "Coconut Sugar", "Chia Seeds", "Olive Oil", "Lentil Pasta", "Date Syrup"),
    "Body Care": ("Hand Soap", "Face Cream", "Bath Salt", "Shampoo Bar", "Massage Oil", "Lip Balm", "Cotton Pads"),
    "Home": ("Table Lamp", "Wool Blanket", "Wall Clock", "Floor Cushion", "Coat Rack", "Door Mat", "Photo Frame"),
    "Sports": ("Yoga Mat", "Water Bottle", "Skipping Rope", "Bike Light", "Gym Bag", "Tennis Balls", "Swim Cap"),
    "Office": ("Desk Organiser", "Notebook", "Fountain Pen", "Paper Tray", "Monitor Stand", "Sticky Notes", "Stapler"),
    "Toys": ("Building Blocks", "Wooden Train", "Jigsaw Puzzle", "Plush Bear", "Kite", "Marble Run", "Spinning Top"),
}
"""The categories that the shop knows, and what stands in each."""
_NAMES = tuple((category, name) for category, names in CATEGORIES.items() for name in names)
_QUALITIES = ("Bamboo", "Organic", "Recycled", "Classic", "Compact", "Foldable", "Large", "Small", "Premium", "Matte",
              "Two-tone", "Handmade", "Heavy-duty", "Travel", "Reusable", "Soft")  # fmt: skip
_SIZES = ("", ", set of 2", ", set of 4", ", pack of 6", ", 250 g", ", 500 ml", ", 30 cm", ", size M", " & case",
          " & lid", " 2.0")  # fmt: skip
PLACES = ("Germany", "China", "United States", "Poland", "Spain", "Turkey", "Vietnam", "Portugal", "India", "Mexico")


class Product(NamedTuple):
    """A listing as the marketplace means it. Money in cents, ratings in tenths, `updated` in microseconds from 1970."""

    id: str
    title: str
    category: str
    low: int
    high: int
    promotion: int | None
    quantity: int
    rating: int | None
    reviews: int
    seller_id: str
    seller_rating: int
    ship_from: str
    ship_days: int
    updated: int


def product(seed: int, place: Place) -> Product:
    """The listing at this place: title, category and seller stay a product's own; price, stock and reviews change."""
    own = Draws(seed, "product", place.number)
    category, name = own.pick(_NAMES)
    title = f"{own.pick(_QUALITIES)} {name}{own.pick(_SIZES)}"
    seller = own.below(400)
    base = 199 + own.below(9_000) * (1 + own.below(4) // 3 * 6)
    ship_from, ship_days = own.pick(PLACES), 1 + own.below(30)
    now = Draws(seed, "listing", place.number, place.serial)
    low = max(49, base * (80 + now.below(41)) // 100)
    return Product(
        id=f"P-{place.number}",
        title=title,
        category=category,
        low=low,
        high=low if own.below(3) == 0 else low + 1 + now.below(low),
        promotion=low * (60 + now.below(35)) // 100 if now.below(4) == 0 else None,
        quantity=now.below(500),
        rating=10 + now.below(41) if now.below(10) else None,
        reviews=now.below(5_000),
        seller_id=f"S-{seller}",
        seller_rating=800 + Draws(seed, "seller", seller).below(201),
        ship_from=ship_from,
        ship_days=ship_days,
        updated=place.moment,
    )


def record(made: Product) -> dict[str, object]:
    """The listing as JSON data, with nothing wrong about it."""
    low, high = f"{made.low / 100:.2f}", f"{made.high / 100:.2f}"
    return {
        "id": made.id,
        "title": made.title,
        "category": made.category,
        "price": low if made.low == made.high else f"{low} - {high}",
        "promotionPrice": None if made.promotion is None else made.promotion / 100,
        "quantity": made.quantity,
        "rating": None if made.rating is None else made.rating / 10,
        "reviews": made.reviews,
        "sellerId": made.seller_id,
        "sellerRating": made.seller_rating / 10,
        "shipFrom": made.ship_from,
        "shipDays": made.ship_days,
        "updatedAt": written(made.updated),
    }
