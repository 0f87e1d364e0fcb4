"""The users stream on PySpark: from Kafka to Cassandra and MongoDB, governed.

On this machine `python -m local.spark users_stream` starts it. Spark gives each task a range of one partition; `worker`
deals with it in the executor's Python process: verified or, from a raw topic, enforced as the first operator; written;
counted. What comes back are counts. So nothing is shuffled, and no record rests in a checkpoint.
"""

import argparse
import re
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TypeVar

import structlog
import worker
from kafka_options import kafka_options
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery
from resuming import starting_offsets
from transform import COLUMNS, REPORT_DDL

from governance.adapters.sinks import open_aggregates
from governance.bootstrap import Services
from governance.errors import KasbahError, TransientError, UserError
from governance.flows.consuming import Consuming

DATASET = "users.people/person"
_LONGEST_BATCH = 60.0
"""Seconds that a stop waits for the batch under way; then it is left to be done again."""
_LOOKING = 0.5
"""Seconds between two looks at whether it is to stop."""
_EVERY = "250 milliseconds"
"""How often Spark looks for what is new, at most."""
USER, INTERNAL, TRANSIENT = 1, 70, 75
"""Exit codes, as the command line's: what you can mend, what is wrong with us, what may work later."""

T = TypeVar("T")
log = structlog.get_logger("users_stream")


class StoppedError(Exception):
    """A batch that came after the stop: it is left for the next start."""


class Batches:
    """What is done with each micro-batch, on the driver, until `stop` is set. `settle` counts what tasks have changed:
    by one process, once for all of them.
    """

    def __init__(self, deal: worker.Deal, settle: Callable[[], None], stop: threading.Event) -> None:
        self._deal, self._settle, self.stop = deal, settle, stop
        self._one = threading.Lock()

    def take(self, batch: DataFrame, number: int) -> None:
        """For `foreachBatch`. Returns once all is written and counted; an error leaves it to be done again."""
        with self._one:
            if self.stop.is_set():
                raise StoppedError
            told = batch.mapInArrow(self._deal, REPORT_DDL).toArrow()
            _patiently(self._settle, self.stop)
            sums = {name: sum(told.column(name).to_pylist()) for name in told.schema.names[2:]}
            log.info("batch", number=number, **sums)

    def wait(self) -> None:
        """Return once the batch under way is done, or after a minute."""
        if self._one.acquire(timeout=_LONGEST_BATCH):
            self._one.release()


def main() -> int:
    """Run until told to stop (SIGTERM, SIGINT) or, with --once, until what there is has been read."""
    options, stop = _options(), threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    try:
        with Services.open() as services:
            spark = session()
            for one in (signal.SIGTERM, signal.SIGINT):  # Spark has put its own there
                signal.signal(one, lambda *_: stop.set())
            try:
                run(spark, services, options, stop)
            finally:
                spark.stop()
    except KasbahError as error:
        log.error("ended", why=str(error))  # noqa: TRY400  one sentence, never a stack trace
        return TRANSIENT if isinstance(error, TransientError) else USER
    except StreamingQueryException as error:
        log.error("ended", why=_cause(str(error)))  # noqa: TRY400  the same
        return INTERNAL
    return 0


def run(spark: SparkSession, services: Services, options: argparse.Namespace, stop: threading.Event) -> None:
    """Read until `stop` is set, or to the topic's end; the batch under way is finished.

    Raises UserError where contract, topic or a store must be mended first, StreamingQueryException where a task fails.
    """
    raw = options.topic == "raw"
    work = worker.consuming_of(services, options.dataset, raw=raw)
    deal = partial(worker.deal, dataset=options.dataset, raw=raw)
    with closing(work.sink), open_aggregates(services.settings, work.plan, services.clock) as settle:
        batches = Batches(deal, settle, stop)
        try:
            _patiently(work.sink.prepare, stop)
            query = _start(spark, services, work, batches, options)
            while not query.awaitTermination(_LOOKING):
                if stop.is_set():
                    batches.wait()
                    query.stop()
                    return
        except (StreamingQueryException, StoppedError):
            if not stop.is_set():
                raise


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="users_stream", description=__doc__)
    parser.add_argument("--topic", choices=("governed", "raw"), default="governed", help="which of its topics is read")
    parser.add_argument("--dataset", default=DATASET, help=argparse.SUPPRESS)
    parser.add_argument("--once", action="store_true", help="end when what there is now has been read")
    parser.add_argument("--checkpoint", required=True, help="where Spark notes how far it is: a folder, or s3a://…")
    parser.add_argument("--records", type=int, default=20_000, help="how many a micro-batch has at most")
    return parser.parse_args()


def session() -> SparkSession:
    """What holds whoever starts it: what Spark writes to disk is encrypted, and a batch for Python has an end."""
    return (
        SparkSession.builder.appName("users_stream")
        .config("spark.io.encryption.enabled", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "5000")
        .config("spark.sql.execution.arrow.maxBytesPerBatch", str(32 * 1024 * 1024))
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )


def _start(
    spark: SparkSession, services: Services, work: Consuming, batches: Batches, options: argparse.Namespace
) -> StreamingQuery:
    """Begin to read. The control database decides where, the checkpoint only spares looking."""
    kafka = services.settings.kafka
    secrets = {name: secret.get_secret_value() for name, secret in kafka.options.items()}
    positions = _patiently(lambda: _positions(services, work), batches.stop)
    source = spark.readStream.format("kafka").options(**kafka_options(kafka.brokers, secrets))
    source = source.option("subscribe", work.topic).option("includeHeaders", "true")
    source = source.option("startingOffsets", starting_offsets(spark, options.checkpoint, work.topic, positions))
    records = source.option("maxOffsetsPerTrigger", options.records).load().selectExpr(*COLUMNS)
    writer = records.writeStream.queryName("users_stream").foreachBatch(batches.take)
    writer = writer.option("checkpointLocation", options.checkpoint)
    return (writer.trigger(availableNow=True) if options.once else writer.trigger(processingTime=_EVERY)).start()


def _positions(services: Services, work: Consuming) -> dict[int, int]:
    """Where each partition of the topic stands. Raises UserError where one ends before it."""
    found = {}
    for partition, (first, end) in services.monitor.ends(work.topic).items():
        position = work.progress.standing(work.place(partition)).position
        if position > end:
            raise UserError(
                f"{work.part(partition)} ends at {end}, before the position {position} that was read: it isn't the "
                "topic it was. Give the contract's topic another name, or restore it"
            )
        found[partition] = max(position, first)
    return found


def _patiently(act: Callable[[], T], stop: threading.Event) -> T:
    """Do it, again while something is away. Raises StoppedError if told to stop meanwhile."""

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise StoppedError

    return worker.patiently(act, sleep=sleep)


def _cause(told: str) -> str:
    """The one sentence of ours in what Spark tells of a failure; else what it calls the failure."""
    ours = re.findall(r"^(?:governance\.[\w.]+|worker)\.(\w+Error: .*)$", told, re.MULTILINE)
    return ours[-1] if ours else told.split("]", maxsplit=1)[0].lstrip("[")


if __name__ == "__main__":
    sys.exit(main())
