"""What a task of Spark's does with its range of a partition, in the executor's Python process.

Settings, contracts and connections are opened once in each such process and serve all its tasks. A store that is away
is waited for, in the log's sight: the range stays where it is, and nothing is lost.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import structlog
from transform import Slice, report, slices

from governance.bootstrap import Services
from governance.errors import KasbahError, LeaseExpiredError, TransientError, UserError
from governance.flows.consuming import Batch, Consuming
from governance.flows.progress import Counts, Flow, MovedOnError
from governance.flows.stream import Patience

log = structlog.get_logger("users_stream")

T = TypeVar("T")
Deal = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
_open = ExitStack()
"""What this process holds open until it ends."""


class TaskError(KasbahError):
    """A fault of ours. It is told without what it was about: Spark logs what a task raises."""


def deal(batches: Iterable[pa.RecordBatch], dataset: str, raw: bool) -> Iterator[pa.RecordBatch]:
    """For `mapInArrow`: batches of transform.COLUMNS in, a line of transform.REPORT for each partition's part out."""
    try:
        work = _consuming(dataset, raw)
        for batch in batches:
            for one in slices(batch):
                yield report(one.part, one.after, take(work, one))
    except KasbahError:
        raise
    except Exception as error:  # noqa: BLE001  the last net: a class name is said, a value never
        raise TaskError(f"internal error ({type(error).__name__} at {_place(error)}). Please report it") from None


def take(work: Consuming, one: Slice) -> Counts:
    """Deal with those records that nobody has dealt with: judged, written, counted.

    Returns what became of them. Raises what waiting doesn't mend.
    """
    while True:
        position = patiently(lambda: work.progress.standing(work.place(one.partition)).position)
        left = one.since(position)
        if not left.messages:
            return Counts()
        batch = Batch(work, left.messages, {one.partition: position})
        try:
            patiently(partial(_finish, batch), batch.end)
            return batch.stored.counts[one.partition]
        except MovedOnError:
            log.warning("another process reads this partition too", part=one.part)
        finally:
            batch.end()


def patiently(
    act: Callable[[], T],
    before_waiting: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Do it; while a store is away or slower than a lease lasts, say so, wait, and do it again."""
    patience, said = Patience(), ""
    while True:
        try:
            return act()
        except (TransientError, LeaseExpiredError) as error:
            if str(error) != said:
                said = str(error)
                log.warning("waiting", why=said)
        before_waiting()
        sleep(patience.next())


def _finish(batch: Batch) -> None:
    batch.judge()
    batch.store()


@cache
def _consuming(dataset: str, raw: bool) -> Consuming:
    """What this process works with."""
    return consuming_of(_open.enter_context(Services.open()), dataset, raw=raw)


def consuming_of(services: Services, dataset: str, *, raw: bool) -> Consuming:
    """What dealing with a dataset's governed topic, or with its raw one, needs."""
    found = services.contracts[dataset][1]
    topic = next((topic for topic in found.topics if topic.raw == raw), None)
    if topic is None:
        raise UserError(f"{found.id} has no {'raw' if raw else 'governed'} topic in its contract")
    return services.consuming(found, topic, Flow.SPARK, counting=False)


def _place(error: BaseException) -> str:
    """File and line where it was raised, which hold no data."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
