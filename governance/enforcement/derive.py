"""The closed set of computations a contract may ask for. Each works on whole columns, before anything is protected."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.plan import arrow_type
from governance.enforcement.ranges import band, range_bounds
from governance.errors import ContractError


def age_in_years(born: pa.Array, today: date) -> pa.Array:
    """Full years by calendar birthday (29 February: from 1 March in common years); null where the date is unknown."""
    if not pa.types.is_date(born.type):
        born = born.cast(pa.timestamp("us", tz="UTC")).cast(pa.date32())
    years = pc.subtract(today.year, pc.year(born))
    before = pc.or_(
        pc.greater(pc.month(born), today.month),
        pc.and_(pc.equal(pc.month(born), today.month), pc.greater(pc.day(born), today.day)),
    )
    return pc.subtract(years, before.cast(pa.int64()))


def email_domain(address: pa.Array) -> pa.Array:
    """What stands behind the last @, in lower case; null where that isn't two labels or more behind a local part, in
    which there may be a space: so what else people write into the field, such as `@name`, doesn't become a domain.
    """
    found = pc.extract_regex(address, r"^.*[^\s]@(?P<domain>[^@\s.]+(?:\.[^@\s.]+)+)$")
    return pc.utf8_lower(pc.struct_field(found, "domain"))


def concat(values: list[pa.Array], separator: str) -> pa.Array:
    """The texts joined; nulls are left out, and nothing but nulls is null.

    Joined in pairs, because Arrow's own skipping join drops the rows in which every text is null.
    """
    joined, *rest = [v.cast(pa.string()) for v in values]
    for text in rest:
        joined = pc.coalesce(pc.binary_join_element_wise(joined, text, separator), joined, text)
    return joined


def derive(rule: dict[str, Any], inputs: list[pa.Array], word: str, rows: int, today: date) -> pa.Array:
    """The derived column in its declared type. Raises ContractError for a kind that is not of the set."""
    kinds: dict[str, Callable[[], pa.Array]] = {
        "age_in_years": lambda: age_in_years(inputs[0], today),
        "email_domain": lambda: email_domain(inputs[0]),
        "year": lambda: pc.year(inputs[0]),
        "concat": lambda: concat(inputs, rule.get("separator") or ""),
        "constant": lambda: pa.array([rule["value"]] * rows, pa.string()),
        "range_lowest": lambda: range_bounds(inputs[0], word)[0],
        "range_highest": lambda: range_bounds(inputs[0], word)[1],
        "band": lambda: band(inputs[0], rule["limits"], rule["labels"]),
    }
    if rule["kind"] not in kinds:
        raise ContractError(f"a derive is one of {', '.join(sorted(kinds))}")
    return kinds[rule["kind"]]().cast(arrow_type(word))
