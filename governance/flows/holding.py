"""Governed messages that are held back, sealed under the key of the day. Where their body may not be kept, they leave
position, length and reason.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from governance.enforcement.outcomes import QUARANTINED
from governance.enforcement.seal import day_context
from governance.flows.decoding import Fault
from governance.flows.source import LARGEST_BODY, LARGEST_RECORD
from governance.model.secret import Secret
from governance.protection import pairs

VOUCHED = frozenset({"sink", "conflict", "version", "type", "required"})
"""Reasons for which a governed message is held that was vouched for."""


@dataclass(frozen=True)
class Held:
    """A fault, at its position in a part of the source."""

    part: str
    position: int
    fault: Fault


def seal_faults(
    held: Iterable[Held], dataset: str, source: str, day: date, day_key: Callable[[date], Secret]
) -> pa.RecordBatch:
    """The rows as quarantine takes them. The key of the day is asked for only if a body is kept."""
    records = []
    for one in held:
        fault = one.fault
        record: dict[str, object] = {
            "source": source,
            "part": one.part,
            "position": one.position,
            "reason": str(fault.reason),
            "field": fault.column,
            "detail": fault.detail,
            "length": fault.length,
        }
        largest = LARGEST_RECORD if str(fault.reason) in VOUCHED else LARGEST_BODY
        if fault.body is not None and len(fault.body) <= largest:
            context = day_context(dataset, source, one.part, one.position)
            record |= {"day": day, "sealed": pairs.seal_bytes(fault.body, day_key(day), context)}
        records.append(record)
    return pa.RecordBatch.from_pylist(records, schema=QUARANTINED)
