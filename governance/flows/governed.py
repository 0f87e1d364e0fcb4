"""Admitted rows as governed messages: what the collector produces and the consumer verifies.

A message's key is the record's identity: the first subject's pseudonym (32 hexadecimal digits), or the primary key's
values as a JSON array where there is no subject. Its value is a JSON object of every stored column by name, null where
it is null: numbers and truth values as such; moments in RFC 3339 with microseconds and `Z`; dates, times and decimals
as text, so that no reader rounds them. Where a row came from stays behind: the message has a place of its own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.plan import PART, POSITION, SOURCE, VERSION, EnforcementPlan
from governance.errors import ContractError, ProtectionError
from governance.model.message import Message
from governance.model.secret import Secret
from governance.protection.messages import sign_all

_OURS = frozenset({SOURCE, PART, POSITION, VERSION})
_ESCAPED = r'[\x00-\x1f"\\]'
"""What JSON doesn't take in a text as it is; orjson writes everything else as UTF-8."""


def encode(rows: pa.RecordBatch, plan: EnforcementPlan, topic: str, key_id: str, key: Secret) -> list[Message]:
    """The rows (in `plan.output_schema()`) as signed messages of a topic, in their order, column by column.

    Raises ProtectionError for a row without identity, ContractError for a column of a type that no plan has.
    """
    unsigned = [Message(topic, one, value) for one, value in zip(*written(rows, plan), strict=True)]
    return sign_all(unsigned, plan.dataset, plan.version, key_id, key)


def written(rows: pa.RecordBatch, plan: EnforcementPlan) -> tuple[list[bytes], list[bytes]]:
    """Each row's identity and its JSON object, as `encode` sends them. Raises as it does."""
    if not rows.num_rows:
        return [], []
    cells = {name: _cells(rows.column(name)) for name in rows.schema.names if name not in _OURS}
    return _bytes(_identities(rows, plan, cells)), _bytes(_objects(cells))


def _identities(rows: pa.RecordBatch, plan: EnforcementPlan, cells: dict[str, pa.Array]) -> pa.Array:
    """Each row's key. A row that speaks of nobody is known by its primary key, which no pseudonym can be taken for."""
    pseudonyms = rows.column(plan.subjects[0].pseudonym_column) if plan.subjects else pa.nulls(len(rows), pa.string())
    if not pseudonyms.null_count:
        return pseudonyms
    names = [plan.column(field).name for field in plan.key]
    if not names or any(name not in cells for name in names):
        raise ProtectionError(
            f"{plan.dataset}: a row has neither a pseudonym nor a stored primary key: nothing is sent"
        )
    commas = [part for name in names for part in (pa.scalar(","), cells[name])][1:]
    return pc.coalesce(pseudonyms, _joined("[", *commas, "]"))


def _objects(cells: dict[str, pa.Array]) -> pa.Array:
    parts: list[Any] = []
    for name, column in cells.items():
        label = orjson.dumps(name).decode()
        parts += [pa.scalar(f"{',' if parts else '{'}{label}:"), column]
    return _joined(*parts, "}")


def _joined(*parts: Any) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")


def _cells(column: pa.Array) -> pa.Array:
    """A column as JSON, cell by cell: `null` for null."""
    kind = column.type
    if pa.types.is_string(kind):
        text = _quoted(_escaped(column))
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        text = column.cast(pa.string())
    elif pa.types.is_floating(kind):
        text = _each(column, lambda number: orjson.dumps(number).decode())
    elif pa.types.is_timestamp(kind):
        moments = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.string())
        text = _quoted(pc.replace_substring(moments, " ", "T", max_replacements=1))
    elif pa.types.is_decimal(kind):
        text = _quoted(_each(column, lambda number: f"{number:f}"))
    elif pa.types.is_date(kind) or pa.types.is_time(kind):
        text = _quoted(column.cast(pa.string()))
    else:
        raise ContractError(f"a column of type {kind} can't be put into a message")
    return pc.fill_null(text, "null")


def _escaped(column: pa.Array) -> pa.Array:
    """Texts as JSON has them between quotes. Few need anything done, and only those are touched."""
    odd = pc.fill_null(pc.match_substring_regex(column, _ESCAPED), False)
    if not pc.any(odd).as_py():
        return column
    mended = [orjson.dumps(text).decode()[1:-1] for text in column.filter(odd).to_pylist()]
    return pc.replace_with_mask(column, odd, pa.array(mended, pa.string()))


def _quoted(text: pa.Array) -> pa.Array:
    return _joined('"', text, '"')


def _each(column: pa.Array, form: Callable[[Any], str]) -> pa.Array:
    return pa.array([None if value is None else form(value) for value in column.to_pylist()], pa.string())


def _bytes(texts: pa.Array) -> list[bytes]:
    found: np.ndarray = texts.cast(pa.binary()).to_numpy(zero_copy_only=False)
    return list(found)
