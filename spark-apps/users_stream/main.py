"""The users stream on PySpark: from Kafka to Cassandra and MongoDB, governed.

On this machine `python -m local.spark users_stream` starts it. Spark gives each task a range of one partition; `worker`
deals with it in the executor's Python process: verified or, from a raw topic, enforced as the first operator; written;
counted. What comes back are counts. So nothing is shuffled, and no record rests in a checkpoint.
"""

import argparse
import signal
import sys
import threading
from functools import partial

import structlog
import worker
from kafka_options import kafka_options
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming import StreamingQuery
from transform import COLUMNS, REPORT_DDL

from governance.adapters.settings import load_settings

DATASET = "users.people/person"
_LONGEST_BATCH = 60.0
"""Seconds that a stop waits for the batch under way; then it is left to be done again."""

log = structlog.get_logger("users_stream")


class StoppedError(Exception):
    """A batch that came after the stop: it is left for the next start."""


class Batches:
    """What is done with each micro-batch, on the driver."""

    def __init__(self, *, raw: bool) -> None:
        self._deal = partial(worker.deal, dataset=DATASET, raw=raw)
        self._one = threading.Lock()
        self._stopped = threading.Event()

    def take(self, batch: DataFrame, number: int) -> None:
        """For `foreachBatch`. Returns once all is written and counted; an error leaves it to be done again."""
        with self._one:
            if self._stopped.is_set():
                raise StoppedError
            told = batch.mapInArrow(self._deal, REPORT_DDL).toArrow()
            sums = {name: sum(told.column(name).to_pylist()) for name in told.schema.names[2:]}
            log.info("batch", number=number, **sums)

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """No batch begins any more."""
        self._stopped.set()

    def wait(self) -> None:
        """Return once the batch under way is done, or after a minute."""
        if self._one.acquire(timeout=_LONGEST_BATCH):
            self._one.release()


def main() -> int:
    """Run until told to stop (SIGTERM, SIGINT) or, with --once, until what there is has been read."""
    options = _options()
    batches = Batches(raw=options.topic == "raw")
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: batches.stop())
    settings = load_settings()
    secrets = {name: secret.get_secret_value() for name, secret in settings.kafka.options.items()}
    kafka = kafka_options(settings.kafka.brokers, secrets)
    spark = _session()
    try:
        return _wait(_start(spark, batches, options, kafka), batches)
    finally:
        spark.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="users_stream", description=__doc__)
    parser.add_argument("--topic", choices=("governed", "raw"), default="governed", help="which of its topics is read")
    parser.add_argument("--once", action="store_true", help="end when what there is now has been read")
    parser.add_argument("--checkpoint", required=True, help="where Spark notes how far it is: a folder, or s3a://…")
    parser.add_argument("--records", type=int, default=20_000, help="how many a micro-batch has at most")
    return parser.parse_args()


def _session() -> SparkSession:
    """What holds whoever starts it: what Spark writes to disk is encrypted, and a batch for Python has an end."""
    return (
        SparkSession.builder.appName("users_stream")
        .config("spark.io.encryption.enabled", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "5000")
        .config("spark.sql.execution.arrow.maxBytesPerBatch", str(32 * 1024 * 1024))
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )


def _start(spark: SparkSession, batches: Batches, options: argparse.Namespace, kafka: dict[str, str]) -> StreamingQuery:
    topic = "users" if options.topic == "governed" else "users_raw"
    source = spark.readStream.format("kafka").options(**kafka)
    source = source.option("subscribe", topic).option("includeHeaders", "true").option("startingOffsets", "earliest")
    records = source.option("maxOffsetsPerTrigger", options.records).load().selectExpr(*COLUMNS)
    writer = records.writeStream.queryName("users_stream").foreachBatch(batches.take)
    writer = writer.option("checkpointLocation", options.checkpoint)
    return writer.trigger(
        **({"availableNow": True} if options.once else {"processingTime": "500 milliseconds"})
    ).start()


def _wait(query: StreamingQuery, batches: Batches) -> int:
    """Until it ends or is told to; the batch under way is finished before."""
    try:
        while not query.awaitTermination(1):
            if batches.stopped:
                batches.wait()
                query.stop()
                break
    except StreamingQueryException as error:
        if not batches.stopped:
            log.error("failed", why=type(error).__name__)  # noqa: TRY400  no stack trace
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
