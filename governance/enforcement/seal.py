"""Quarantined rows, sealed before they leave the enforced batch: under the subject's key if it is known, else the
day's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import orjson
import pyarrow as pa

from governance.enforcement.outcomes import QUARANTINED, Reason
from governance.enforcement.plan import POSITION, EnforcementPlan
from governance.enforcement.reading import Origin
from governance.enforcement.verdict import Verdict
from governance.model.secret import Secret
from governance.protection import cells, pairs
from governance.protection.subjects import Resolved

QUARANTINE_FIELD = "kasbah_quarantine"
"""The field id that binds a sealed row's associated data: no sealed row can pass for a cell."""


@dataclass(frozen=True)
class Unreadable:
    """A record that could not be read as a record at all. `body` is in memory only, None where it is too large."""

    position: int
    length: int
    reason: str
    body: bytes | None


def seal_rows(
    batch: pa.RecordBatch,
    verdict: Verdict,
    rows: np.ndarray,
    origin: Origin,
    plan: EnforcementPlan,
    subjects: Sequence[tuple[str, Resolved]],
    day: date,
    day_key: Secret | None,
) -> pa.RecordBatch:
    """Seal the rows at these indices. A row goes under the first subject, in the contract's order, that is known."""
    if not len(rows):
        return pa.RecordBatch.from_pylist([], schema=QUARANTINED)
    bodies = bodies_of(batch, rows)
    records = [_record(verdict, int(row), origin, len(body)) for row, body in zip(rows, bodies, strict=True)]
    open_places = np.ones(len(rows), dtype=bool)
    for entity, resolved in subjects:
        mine = np.flatnonzero(open_places & (resolved.index[rows] >= 0))
        index = resolved.index[rows[mine]].astype(np.int32)
        texts = pa.array([bodies[i].decode() for i in mine], pa.string())
        tokens = cells.encrypt(texts, index, resolved.table, plan.dataset, QUARANTINE_FIELD)
        for i, key, token in zip(mine, index, tokens.to_pylist(), strict=True):
            pseudonym = resolved.table.pseudonyms[key].tobytes().hex()
            records[i] |= {"entity": entity, "pseudonym": pseudonym, "sealed": token.encode()}
        open_places[mine] = False
    for i in np.flatnonzero(open_places):
        records[i] |= _under_day(bodies[i], plan, origin, int(origin.positions[rows[i]]), day, day_key)
    return pa.RecordBatch.from_pylist(records, schema=QUARANTINED)


def bodies_of(batch: pa.RecordBatch, rows: np.ndarray) -> list[bytes]:
    """The rows at these indices as JSON, columns in the order of their names: the same row gives the same bytes."""
    place = batch.schema.get_field_index(POSITION)
    plain = batch.remove_column(place) if place >= 0 else batch
    taken = plain.take(pa.array(rows)).to_pylist()
    return [orjson.dumps(_held(row), option=orjson.OPT_SORT_KEYS) for row in taken]


def with_content(quarantined: pa.RecordBatch, fingerprints: list[bytes]) -> pa.RecordBatch:
    """The sealed rows with the digests of their bodies."""
    place = QUARANTINED.get_field_index("content")
    return quarantined.set_column(place, QUARANTINED.field(place), pa.array(fingerprints, pa.binary()))


def seal_unreadable(
    unreadable: Sequence[Unreadable], source: str, part: str, plan: EnforcementPlan, day: date, day_key: Secret | None
) -> pa.RecordBatch:
    """Records that are none. Where a minimum age is declared nobody can say whose they are, so no body is kept."""
    origin = Origin(source, part, np.array([u.position for u in unreadable], dtype=np.int64))
    records = []
    for one in unreadable:
        record = {
            "source": source,
            "part": part,
            "position": one.position,
            "reason": Reason.MALFORMED,
            "detail": one.reason,
            "length": one.length,
        }
        if one.body is not None and not plan.has_minimum_age:
            record |= _under_day(one.body, plan, origin, one.position, day, day_key)
        records.append(record)
    return pa.RecordBatch.from_pylist(records, schema=QUARANTINED)


def day_context(dataset: str, source: str, part: str, position: int) -> tuple[str, ...]:
    """What a day-sealed row is bound to: it opens only where it stood."""
    return ("quarantine", dataset, source, part, str(position))


def _under_day(
    body: bytes, plan: EnforcementPlan, origin: Origin, position: int, day: date, key: Secret | None
) -> dict[str, object]:
    if key is None:
        return {}
    context = day_context(plan.dataset, origin.source, origin.part, position)
    return {"day": day, "sealed": pairs.seal_bytes(body, key, context)}


def _held(row: dict[str, object]) -> dict[str, str]:
    """Texts, without nulls: a missing column and a null one are read alike, and a database's types as their text."""
    return {name: _text(value) for name, value in row.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value, default=str).decode().strip('"')


def _record(verdict: Verdict, row: int, origin: Origin, length: int) -> dict[str, object]:
    cause = verdict.of(row)
    return {
        "source": origin.source,
        "part": origin.part,
        "position": int(origin.positions[row]),
        "reason": str(cause.reason),
        "field": cause.field,
        "detail": cause.detail,
        "length": length,
    }
