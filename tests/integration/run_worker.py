"""A process that loads made batches, and kills itself where it is told: `run_worker.py DSN RUN POINT BATCH`.

Staging is a table of the same database, so the loader's whole way is here: stage, record, finish.
"""

import os
import signal
import sys
from datetime import UTC, datetime

import psycopg
import pyarrow as pa
from held_rows import quarantined, refused

from governance.adapters.control.database import connect
from governance.adapters.control.quarantine import PostgresQuarantine
from governance.adapters.control.runs import PostgresRuns
from governance.flows.runs import BatchRecord

DATASET, VERSION = "store.orders/order_line", "1.0.0"
NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
BATCHES, ROWS = 5, 100
STAGED = "CREATE TABLE IF NOT EXISTS staged (batch int, position bigint)"


def outcomes(number: int) -> tuple[list[int], pa.RecordBatch, pa.RecordBatch]:
    """Admitted positions, quarantined and refused rows of a made batch."""
    positions = range(number * ROWS, (number + 1) * ROWS)
    minors = [p for p in positions if p % 17 == 0]
    broken = [p for p in positions if p % 10 == 3 and p % 17]
    admitted = sorted(set(positions) - set(minors) - set(broken))
    return admitted, quarantined(broken), refused(minors)


def load(dsn: str, run_id: str, point: str, last: int) -> None:
    """Go on with the run, from its last recorded batch."""
    engine = connect(dsn)
    runs = PostgresRuns(engine, PostgresQuarantine(engine), lambda: NOW)
    with psycopg.connect(dsn, autocommit=True) as warehouse, runs.hold(DATASET, VERSION, "tester", run_id) as run:
        warehouse.execute(STAGED)
        done = {batch.number for batch in runs.done_batches(run.id)}
        warehouse.execute("DELETE FROM staged WHERE batch <> ALL(%s)", (list(done),))
        runs.begin_step(run.id, "enforce")
        for number in range(BATCHES):
            if number in done:
                continue
            admitted, held, minors = outcomes(number)
            warehouse.execute("INSERT INTO staged SELECT %s, unnest(%s::bigint[])", (number, admitted))
            _die(point == "staged" and number == last)
            record = BatchRecord(number, "csv", "orders.csv", number * ROWS, ROWS, len(admitted))
            runs.record_batch(run.id, record, held, minors, VERSION)
            _die(point == "recorded" and number == last)
        runs.finish_step(run.id, "enforce", {"rows": BATCHES * ROWS})
    engine.dispose()


def _die(now: bool) -> None:
    if now:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    load(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
