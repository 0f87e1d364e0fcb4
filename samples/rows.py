"""The two datasets as their four sources lay them out, and one row with what must become of it.

Columns are named differently in each source; `LAYOUTS` has them side by side.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

SOURCES = ("csv", "json", "api", "sql")
LITERAL_NULLS = ("NULL", "N/A")
LITERAL_SOURCES = ("csv", "json")
"""The texts that stand for nothing, and the sources in which they occur."""

T = TypeVar("T")
Value = str | int | Decimal | date | datetime | None


@dataclass(frozen=True)
class Column:
    """A field and its name in each source. `kind`: text, date, moment, money or integer."""

    field: str
    kind: str
    csv: str
    json: str
    api: str
    sql: str

    def name_in(self, source: str) -> str:
        """The column's name in a source."""
        return str(getattr(self, source))


@dataclass(frozen=True)
class Layout:
    """A dataset: its columns, the fields of its key, its table in the database, its unknown column in the CSV."""

    name: str
    key: tuple[str, ...]
    table: str
    columns: tuple[Column, ...]
    unknown: str | None = None


def _columns(table: str) -> tuple[Column, ...]:
    return tuple(Column(*line.split()) for line in table.strip().splitlines())


LAYOUTS = {
    "orders": Layout(
        "orders",
        ("order_id",),
        "order_lines",
        _columns("""
order_id             text    OrderID            order_id             orderId            ord_id
order_date           date    Date               date                 date               ord_dt
updated_at           moment  UpdatedAt          updated_at           updatedAt          changed_at
product_name         text    ProductName        product_name         productName        prod_name
product_category     text    ProductCategory    product_category     productCategory    prod_cat
product_sub_category text    ProductSubCategory product_sub_category productSubCategory prod_subcat
product_note         text    ProductNote        product_note         productNote        prod_note
product_price        money   ProductPrice       product_price        productPrice       unit_price
customer_name        text    CustomerName       customer_name        customerName       cust_name
customer_email       text    CustomerEmail      customer_email       customerEmail      cust_mail
customer_address     text    CustomerAddress    customer_address     customerAddress    cust_addr
customer_phone       text    CustomerPhone      customer_phone       customerPhone      cust_phone
customer_segment     text    CustomerSegment    customer_segment     customerSegment    cust_segment
shipper_name         text    ShipperName        shipper_name         shipperName        shipper
shipping_method      text    ShippingMethod     shipping_method      shippingMethod     ship_method
quantity             integer QuantitySold       quantity_sold        quantitySold       qty
total_amount         money   TotalAmount        total_amount         totalAmount        total
discount_amount      money   DiscountAmount     discount_amount      discountAmount     discount
net_amount           money   NetAmount          net_amount           netAmount          net
"""),
        unknown="LoyaltyNote",
    ),
    "stock": Layout(
        "stock",
        ("stock_date", "product_name", "supplier_name"),
        "stock_levels",
        _columns("""
stock_date           date    Date               date                 date               stk_dt
updated_at           moment  UpdatedAt          updated_at           updatedAt          changed_at
product_name         text    ProductName        product_name         productName        prod_name
product_category     text    ProductCategory    product_category     productCategory    prod_cat
product_sub_category text    ProductSubCategory product_sub_category productSubCategory prod_subcat
supplier_name        text    SupplierName       supplier_name        supplierName       supplier
supplier_location    text    SupplierLocation   supplier_location    supplierLocation   supplier_loc
supplier_contact     text    SupplierContact    supplier_contact     supplierContact    supplier_contact
stock_received       integer StockReceived      stock_received       stockReceived      received
stock_sold           integer StockSold          stock_sold           stockSold          sold
stock_on_hand        integer StockOnHand        stock_on_hand        stockOnHand        on_hand
"""),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What must become of a row: admitted (no reason), or quarantined for one reason.

    reason: type (with the field), missing_required (with the field), rule (detail: net, price, on_hand or
    negative_total), no_subject_key (with the first key's field), malformed (detail: ragged, nul_byte or encoding),
    finding (with the field in which undeclared personal data stands, or `unknown column`).
    """

    reason: str | None = None
    field: str | None = None
    detail: str | None = None

    def __str__(self) -> str:
        return ":".join(part for part in (self.reason or "admitted", self.field, self.detail) if part)


ADMITTED = Outcome()


@dataclass
class Row:
    """One row of one source.

    A value of text in a column of another kind is written as it stands. `key` and `version` are what merging goes by;
    `person` who the row is about (None: nobody can be told); `touch` decides how values are written; `traits` names the
    defects and oddities put in; `extra` is the number of fields too many (or, negative, too few) in a CSV line;
    `remark` what stands in the CSV's unknown column, if it isn't left to `touch`.
    """

    source: str
    values: dict[str, Value]
    key: tuple[Value, ...]
    version: datetime
    person: int | None
    touch: int
    arrival: datetime
    outcome: Outcome = ADMITTED
    traits: list[str] = field(default_factory=list)
    extra: int = 0
    remark: str | None = None
    reachable: bool = False

    def money(self, field: str) -> Decimal:
        """An amount, in a row whose values have not been spoilt. Raises TypeError."""
        return _as(Decimal, self.values[field])

    def count(self, field: str) -> int:
        """A whole number, likewise."""
        return _as(int, self.values[field])

    def day(self, field: str) -> date:
        """A day, likewise."""
        return _as(date, self.values[field])


def _as(kind: type[T], value: Value) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"a value is a {type(value).__name__} where a {kind.__name__} was meant")
    return value
