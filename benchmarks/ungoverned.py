"""What enforcement off is, for every benchmark beside it: the same flows, which believe what they read.

Names and types are read as the contract says, since a store needs them, and what it derives is derived; nobody's keys
are asked for, nothing is searched, protected, signed or verified, and every row goes on in clear.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from governance.adapters.sinks import open_sinks
from governance.bootstrap import Services
from governance.contracts.types import Protect
from governance.enforcement.outcomes import QUARANTINED, REFUSED, Enforced
from governance.enforcement.plan import EnforcementPlan
from governance.enforcement.reading import read
from governance.flows.consuming import Consuming
from governance.flows.decoding import GovernedReader, Judged
from governance.flows.documents import Documents
from governance.flows.governed import written
from governance.flows.progress import Flow
from governance.model.clock import Clock
from governance.model.message import Message


def in_clear(plan: EnforcementPlan) -> EnforcementPlan:
    """The plan of a dataset in which nothing is personal; what is dropped otherwise is dropped here too."""
    columns = tuple(
        replace(c, protect=c.protect if c.protect == Protect.DROP else Protect.CLEAR, subject=None)
        for c in plan.columns
    )
    key = tuple(next(c.name for c in columns if c.field == field) for field in plan.key)
    return replace(plan, columns=columns, subjects=(), scanned=(), identity=key)


def let_through(
    batch: pa.RecordBatch, plan: EnforcementPlan, keys: object, scanner: object, clock: Clock, *, threads: int = 1
) -> Enforced:
    """Names and types as declared, the origin beside them, and nothing else."""
    del keys, scanner, threads
    reading = read(batch, plan, clock)
    wrong = sum(int(failed.sum()) for failed in reading.failed.values())
    if wrong:
        raise ValueError(f"{wrong} cells of {plan.dataset} don't fit their types")
    columns = [reading.values[c.field] for c in plan.columns if c.stored]
    origin, rows = reading.origin, batch.num_rows
    columns += [pa.repeat(pa.scalar(text), rows) for text in (origin.source, origin.part)]
    columns += [pa.array(origin.positions, pa.int64()), pa.repeat(pa.scalar(plan.version), rows)]
    admitted = pa.RecordBatch.from_arrays(columns, schema=plan.output_schema())
    return Enforced(admitted, _nothing(QUARANTINED), _nothing(REFUSED))


def unsigned(rows: pa.RecordBatch, plan: EnforcementPlan, topic: str, *_: object) -> list[Message]:
    """`governed.encode` without its signature."""
    return [Message(topic, key, value) for key, value in zip(*written(rows, plan), strict=True)]


class NoKeys:
    """A keyring for whom needs none."""

    keys: Any = None

    @contextmanager
    def lease(self, holder: str) -> Iterator["NoKeys"]:
        """A lease on nothing."""
        del holder
        yield self

    def check(self) -> None:
        """Never runs out."""


class NoFingerprints(NoKeys):
    """A keyring for collectors, which know by digests what they have met: of any content, each time another."""

    @property
    def keys(self) -> "NoFingerprints":  # type: ignore[override]
        """Itself."""
        return self

    def fingerprints(self, bodies: list[bytes]) -> list[bytes]:
        """Plain digests, as they would be without a key."""
        return [hashlib.blake2b(body, digest_size=32).digest() for body in bodies]


@dataclass(frozen=True)
class Believing(GovernedReader):
    """A reader that takes messages for what they say: identity and version are read, nothing is checked."""

    def read(self, messages: Sequence[Message], leased: object = None) -> Judged:
        """Every message as a document."""
        del leased
        version = self.plan.column(self.plan.version_field or "").name
        values = [message.value for message in messages]
        records = [orjson.loads(value or b"") for value in values]
        moments = [record[version].rstrip("Z") for record in records]
        days = np.full(len(values), "NaT", "datetime64[D]")
        if self.plan.record_date is not None:
            name = self.plan.column(self.plan.record_date).name
            days = np.array([record[name][:10] for record in records], "datetime64[D]")
        versions = np.array(moments, "datetime64[us]").astype(np.int64)
        documents = Documents([message.key or b"" for message in messages], values, versions, days)
        return Judged(documents, np.arange(len(values)))


def consuming(services: Services, dataset: str, flow: Flow = Flow.STREAM) -> Consuming:
    """What a consumer of a dataset's topic needs that believes it."""
    found = services.contracts.find(dataset)[1]
    topic = found.governed_topic
    if topic is None:
        raise ValueError(f"{dataset} has no topic to benchmark")
    plan = in_clear(services.plan(found))
    governed = services.consuming(found, topic, flow)
    sink = open_sinks(services.settings, plan, services.clock, counting=flow is not Flow.SPARK)
    reader = Believing(plan, *(getattr(governed.reader, name) for name in ("keys", "alive", "clock")))
    return replace(governed, plan=plan, reader=reader, sink=sink, keyring=NoKeys())


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)
