"""The users stream's Spark application with enforcement off: the same code, whose worker believes what it reads.

`python benchmarks/spark_users.py …` in the environment that `local.spark` gives, with this project's folder on
PYTHONPATH. What follows goes to the application.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import main
import pyarrow as pa
import worker

from benchmarks.ungoverned import consuming
from governance.bootstrap import Services
from governance.flows.consuming import Consuming
from governance.flows.progress import Flow


def believing(services: Services, dataset: str, *, raw: bool) -> Consuming:
    """In the place of `worker.consuming_of`."""
    del raw
    return consuming(services, dataset.split("/", maxsplit=1)[0], Flow.SPARK)


def deal(batches: Iterable[pa.RecordBatch], dataset: str, raw: bool) -> Iterator[pa.RecordBatch]:
    """`worker.deal`, in an executor's process in which nothing else was replaced."""
    worker.consuming_of = believing
    yield from worker.deal(batches, dataset, raw)


class Batches(main.Batches):
    """Its batches are dealt with by us."""

    def __init__(self, dealt: object, settle: Callable[[], None], stop: threading.Event) -> None:
        del dealt
        super().__init__(partial(deal, dataset=main.DATASET, raw=False), settle, stop)


if __name__ == "__main__":
    worker.consuming_of = believing
    main.Batches = Batches
    sys.exit(main.main())
