"""A wide table for measuring: any number of rows, twenty columns, five of them personal.

A cell depends on the seed, the row's number (or its customer's) and the column alone: so neither the size of the pieces
nor the machine changes a byte, and memory stays flat however many rows are written. Drawn with SplitMix64
(Steele, Lea and Flood, 2014), a mixing of 64-bit integers, over whole NumPy arrays.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from samples.assortment import METHODS, products
from samples.files import Progress, quiet
from samples.people import CITIES, FIRST, LAST, SEGMENTS, STREETS
from samples.phones import RESERVED, phone_at

PERSONAL = ("customer_name", "customer_email", "customer_phone", "customer_address", "customer_birth_place")
SCHEMA = pa.schema(
    [
        ("row_id", pa.int64()),
        *((name, pa.string()) for name in PERSONAL),
        ("ordered_on", pa.date32()),
        ("updated_at", pa.timestamp("s", tz="UTC")),
        ("product_code", pa.string()),
        ("category", pa.string()),
        ("segment", pa.string()),
        ("shipping_method", pa.string()),
        ("quantity", pa.int64()),
        ("unit_price", pa.decimal128(12, 2)),
        ("total_amount", pa.decimal128(12, 2)),
        ("discount_amount", pa.decimal128(12, 2)),
        ("net_amount", pa.decimal128(12, 2)),
        ("warehouse", pa.int64()),
        ("weight_grams", pa.int64()),
        ("paid", pa.bool_()),
    ]
)
_CHUNK = 65_536
_FIRST_DAY = 20_089
"""2025-01-01, in days from 1970-01-01."""


def batches(rows: int, customers: int, seed: int = 7, chunk: int = _CHUNK) -> Iterator[pa.RecordBatch]:
    """The table in pieces of `chunk` rows. In every row net = total - discount and total = quantity x price.

    The e-mail is the customer's own. Beyond the reserved telephone numbers (some 166,000) customers have none.
    Raises ValueError for numbers below 1.
    """
    if rows < 1 or customers < 1 or chunk < 1:
        raise ValueError("rows, customers and the size of a piece must be 1 or more")
    fixed = _Fixed(seed)
    for start in range(0, rows, chunk):
        yield fixed.batch(np.arange(start, min(start + chunk, rows), dtype=np.uint64), customers)


def write_csv(path: Path, rows: int, customers: int, seed: int = 7, progress: Progress = quiet) -> None:
    """Write the table as CSV in UTF-8, quoted where needed. Raises OSError."""
    options = csv.WriteOptions(quoting_style="needed")
    with csv.CSVWriter(str(path), _TEXT_SCHEMA, write_options=options) as writer:
        for batch in batches(rows, customers, seed):
            writer.write_batch(_as_text(batch))
            progress(path.name, batch.num_rows)


_TEXT_SCHEMA = pa.schema([(f.name, pa.string() if pa.types.is_timestamp(f.type) else f.type) for f in SCHEMA])


def _as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Moments in ISO 8601 with T and Z, which Arrow's writer would write with a blank."""
    place = batch.schema.get_field_index("updated_at")
    moments = pc.strftime(batch.column(place), "%Y-%m-%dT%H:%M:%SZ")
    columns = [moments if i == place else column for i, column in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(columns, schema=_TEXT_SCHEMA)


class _Fixed:
    """The words that cells are made of, as Arrow arrays, and the seed."""

    def __init__(self, seed: int) -> None:
        self.seed = _mix(np.array([seed % 2**64], dtype=np.uint64))[0]
        names = [f"{first} {last}" for first in FIRST for last in LAST]
        self.names = pa.array(names)
        self.locals = pa.array([f"c{i:04d}." for i in range(len(names))])
        self.phones = _phones()
        self.places = pa.array([f" {street}, {city}" for street in STREETS for city in CITIES])
        self.cities = pa.array([city.split(" ")[0].strip(",") for city in CITIES])
        self.products = products(seed)
        self.codes = pa.array([f"P-{i:04d}" for i in range(len(self.products))])
        self.categories = pa.array([p.category for p in self.products])
        self.cents = np.array([p.cents for p in self.products], dtype=np.int64)

    def batch(self, rows: np.ndarray, customers: int) -> pa.RecordBatch:
        """The rows of these numbers."""
        product = self.draw(rows, 1, len(self.products))
        quantity = self.draw(rows, 2, 12) + 1
        total = self.cents[product] * quantity
        discount = total * (self.draw(rows, 3, 4) * 5) // 100
        day = self.draw(rows, 4, 365) + _FIRST_DAY
        changed = day * 86_400 + self.draw(rows, 5, 86_400)
        columns = [
            pa.array(rows.astype(np.int64)),
            *self.personal(self.draw(rows, 0, customers).astype(np.uint64)),
            pa.array(day.astype(np.int32)).cast(pa.date32()),
            pa.array(changed).cast(pa.timestamp("s", tz="UTC")),
            self.codes.take(pa.array(product)),
            self.categories.take(pa.array(product)),
            pa.array(SEGMENTS).take(pa.array(self.draw(rows, 6, len(SEGMENTS)))),
            pa.array(METHODS).take(pa.array(self.draw(rows, 7, len(METHODS)))),
            pa.array(quantity),
            *(_money(cents) for cents in (self.cents[product], total, discount, total - discount)),
            pa.array(self.draw(rows, 8, 40)),
            pa.array(self.draw(rows, 9, 4950) + 50),
            pa.array(self.draw(rows, 10, 10) > 0),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)

    def personal(self, customer: np.ndarray) -> list[pa.Array]:
        """Name, e-mail, telephone, address and birth place of each row's customer: always the same ones."""
        number = pa.array(customer.astype(np.int64)).cast(pa.string())
        name = pa.array(self.draw(customer, 20, len(self.names)))
        house = pa.array(self.draw(customer, 21, 240) + 1).cast(pa.string())
        place = self.places.take(pa.array(self.draw(customer, 22, len(self.places))))
        phone = customer.astype(np.int64)
        return [
            self.names.take(name),
            pc.binary_join_element_wise(self.locals.take(name), number, "@example.com", ""),
            self.phones.take(pa.array(phone, mask=phone >= RESERVED)),
            pc.binary_join_element_wise(house, place, ""),
            self.cities.take(pa.array(self.draw(customer, 23, len(self.cities)))),
        ]

    def draw(self, numbers: np.ndarray, topic: int, below: int) -> np.ndarray:
        """A number from 0 to `below` - 1 for each of the numbers and this topic, as int64."""
        salt = np.uint64((int(self.seed) + topic * 0xD1342543DE82EF95) % 2**64)
        return np.asarray((_mix(numbers ^ salt) % np.uint64(below)).astype(np.int64))


@cache
def _phones() -> pa.Array:
    return pa.array([f"+{p.country} {p.national}" for p in map(phone_at, range(RESERVED))])


def _mix(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64's output function: every bit of the number moves every bit of the result."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _money(cents: np.ndarray) -> pa.Array:
    """decimal(12,2) of whole cents, none negative: Arrow's decimals are 128-bit integers, low half first."""
    halves = np.zeros((len(cents), 2), dtype=np.int64)
    halves[:, 0] = cents
    return pa.Array.from_buffers(pa.decimal128(12, 2), len(cents), [None, pa.py_buffer(halves)])
