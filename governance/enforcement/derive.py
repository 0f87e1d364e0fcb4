"""The closed set of computations a contract may ask for. Each works on whole columns, before anything is protected."""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.plan import arrow_type
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
    """What stands behind the last @, in lower case; null where there is none."""
    found = pc.extract_regex(address, r"@(?P<domain>[^@\s]+)$")
    return pc.utf8_lower(pc.struct_field(found, "domain"))


def concat(values: list[pa.Array], separator: str) -> pa.Array:
    """The texts joined; nulls are left out, and nothing but nulls is null."""
    texts = [v.cast(pa.string()) for v in values]
    joined = pc.binary_join_element_wise(*texts, separator, null_handling="skip")
    held = np.any([t.is_valid().to_numpy(zero_copy_only=False) for t in texts], axis=0)
    return pc.if_else(pa.array(held), joined, pa.scalar(None, pa.string()))


def derive(rule: dict[str, Any], inputs: list[pa.Array], word: str, rows: int, today: date) -> pa.Array:
    """The derived column in its declared type. Raises ContractError for a kind that is not of the set."""
    kinds: dict[str, Callable[[], pa.Array]] = {
        "age_in_years": lambda: age_in_years(inputs[0], today),
        "email_domain": lambda: email_domain(inputs[0]),
        "year": lambda: pc.year(inputs[0]),
        "concat": lambda: concat(inputs, rule.get("separator") or ""),
        "constant": lambda: pa.array([rule["value"]] * rows, pa.string()),
    }
    if rule["kind"] not in kinds:
        raise ContractError(f"a derive is one of {', '.join(sorted(kinds))}")
    return kinds[rule["kind"]]().cast(arrow_type(word))
