"""The listings of a marketplace, as its product API gives them."""

from samples.products.listing import Product, product
from samples.products.source import ProductSource, records

__all__ = ["Product", "ProductSource", "product", "records"]
