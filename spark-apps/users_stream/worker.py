"""What a task of Spark's does with its range of a partition, in the executor's Python process.

Settings, contracts and connections are opened once in each such process and serve all its tasks.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cache

import pyarrow as pa
from transform import report, slices

from governance.bootstrap import Services
from governance.flows.decoding import GovernedReader
from governance.flows.progress import Counts

_open = ExitStack()
"""What this process holds open until it ends."""


def deal(batches: Iterable[pa.RecordBatch], dataset: str, raw: bool) -> Iterator[pa.RecordBatch]:
    """For `mapInArrow`: batches of transform.COLUMNS in, a line of transform.REPORT for each out."""
    reader = _reader(dataset, raw)
    for batch in batches:
        for one in slices(batch):
            judged = reader.read(one.messages)
            yield report(one.part, one.after, Counts(read=len(one.messages), admitted=len(judged.places)))


@cache
def _reader(dataset: str, raw: bool) -> GovernedReader:
    services = _open.enter_context(Services.open())
    plan = services.plan(services.contracts[dataset][1])
    return GovernedReader(plan, services.message_keys, services.subjects.alive)
