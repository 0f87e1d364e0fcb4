"""Seconds that each step of a load takes in the stores: 1 M governed rows of 20 columns, 5 of them tokens of 90 bytes,
5 % repeated keys, on a PostgreSQL of its own. Timings only: no peer, no goal.

First load into an empty table, then the same rows again (nothing changes), then a tenth of them in a newer version.
"""

import argparse
import contextlib
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import psycopg
import pyarrow as pa

from governance.adapters.gate import GreatExpectationsGate
from governance.adapters.lake import ParquetLake
from governance.adapters.warehouse import PostgresWarehouse
from governance.enforcement.plan import ColumnPlan, EnforcementPlan, RulePlan, SourcePlan, SubjectPlan
from governance.flows.stores import Publication
from local.postgres import Postgres

ROWS = 1_000_000
PEOPLE = 100_000
BATCH = 65_536
REPEATED = 0.05
TOKENS = ("customer_name", "customer_email", "customer_address", "customer_phone", "note")
MONEY = ("product_price", "total_amount", "discount_amount", "net_amount")
CODES = ("product_category", "product_sub_category", "customer_segment", "shipper_name", "shipping_method")
LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype=np.uint8)
Result = TypeVar("Result")


def column(name: str, kind: str = "string", protect: str = "clear", *, required: bool = False) -> ColumnPlan:
    """A column of the made dataset."""
    subject = "customer" if protect == "encrypt" else None
    return ColumnPlan(name, name, kind, required, protect, subject, None, "none", "quarantine", {}, {})


PLAN = EnforcementPlan(
    dataset="store.orders/order_line",
    contract="store.orders",
    version="1.0.0",
    system="store",
    table="orders",
    columns=(
        column("order_id", required=True),
        column("order_date", "date"),
        column("updated_at", "timestamp"),
        column("product_name"),
        *(column(name) for name in CODES),
        *(column(name, protect="encrypt") for name in TOKENS),
        column("quantity", "int64"),
        *(column(name, "decimal(12,2)") for name in MONEY),
        column("weight", "double"),
    ),
    subjects=(SubjectPlan("customer", (("customer_email", "email"),), TOKENS, "customer_pseudonym"),),
    row_rules=(),
    set_rules=(
        RulePlan("one row a key", "unique", ("order_id",)),
        RulePlan("some rows", "row_count", (), {"min": 1}),
        RulePlan("few without a quantity", "null_share", ("quantity",), {"max": 0.1}),
    ),
    sources=(SourcePlan("csv", ("",), True), SourcePlan("api", ("",), True)),
    key=("order_id",),
    version_field="updated_at",
    record_date="order_date",
    scanned=(),
    admit_unscanned=(),
)


def texts(random: np.random.Generator, rows: int, width: int) -> pa.Array:
    """Random text of one width, as tokens and pseudonyms are."""
    data = LETTERS[random.integers(0, 64, size=(rows, width), dtype=np.uint8)].tobytes()
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data))


def picked(random: np.random.Generator, rows: int, values: list[str]) -> pa.Array:
    """Each row one of the values."""
    return pa.array(values).take(pa.array(random.integers(0, len(values), rows)))


def money(random: np.random.Generator, rows: int) -> pa.Array:
    """Amounts up to 100,000.00."""
    wide = np.zeros((rows, 2), dtype=np.int64)
    wide[:, 0] = random.integers(0, 10_000_000, rows)
    return pa.Array.from_buffers(pa.decimal128(12, 2), rows, [None, pa.py_buffer(wide)])


def batches(rows: int, *, keys: int, version: int) -> list[pa.RecordBatch]:
    """Made rows; the last twentieth repeats keys of the others. `keys` is how many keys there are to choose from."""
    random = np.random.default_rng(7)
    fresh = int(rows * (1 - REPEATED))
    numbers = np.concatenate([random.permutation(keys)[:fresh], random.integers(0, keys, rows - fresh)])
    moments = (1_760_000_000 + version * 1_000_000 + numbers % 1000) * 1_000_000
    made: dict[str, pa.Array] = {
        "order_id": pa.array([f"O-{n:08d}" for n in numbers]),
        "order_date": pa.array(random.integers(19_000, 20_000, rows).astype(np.int32), pa.date32()),
        "updated_at": pa.array(moments, pa.int64()).cast(pa.timestamp("us", "UTC")),
        "product_name": picked(random, rows, [f"product {n}" for n in range(500)]),
        "quantity": pa.array(random.integers(1, 9, rows)),
        "weight": pa.array(random.random(rows)),
        "customer_pseudonym": texts(random, PEOPLE, 32).take(pa.array(random.integers(0, PEOPLE, rows))),
        "kasbah_source": picked(random, rows, ["csv", "api"]),
        "kasbah_part": picked(random, rows, ["orders.csv"]),
        "kasbah_position": pa.array(np.arange(rows)),
        "kasbah_contract": picked(random, rows, ["1.0.0"]),
    }
    made |= {name: picked(random, rows, ["one", "another", "a third"]) for name in CODES}
    made |= {name: texts(random, rows, 90) for name in TOKENS} | {name: money(random, rows) for name in MONEY}
    names = PLAN.output_schema().names
    return pa.table({name: made[name] for name in names}).to_batches(max_chunksize=BATCH)


def server_seconds(server: Postgres) -> float:
    """Processor seconds of the server so far: its children that have ended are in its own count."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parts = stat.read_text().rpartition(")")[2].split()
            if stat.parent.name == str(server.pid):
                total += sum(map(int, parts[11:15]))
            elif parts[1] == str(server.pid):
                total += sum(map(int, parts[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def timed(server: Postgres, label: str, action: Callable[[], Result]) -> Result:
    """Do it and print how long it took, and how much of the processors: on a busy machine the latter is what counts."""
    wall, ours, theirs = time.perf_counter(), time.process_time(), server_seconds(server)
    result = action()
    wall, ours, theirs = time.perf_counter() - wall, time.process_time() - ours, server_seconds(server) - theirs
    print(f"  {label:<20}{wall:8.2f} s   processor: ours {ours:6.2f} s, server {theirs:6.2f} s", flush=True)
    return result


def load(server: Postgres, lake: ParquetLake, run: str, rows: list[pa.RecordBatch]) -> None:
    """One load, step by step."""
    dsn = server.dsn("stores")
    warehouse, gate = PostgresWarehouse(dsn), GreatExpectationsGate(dsn)
    began = time.perf_counter()

    def stage() -> None:
        warehouse.prepare(PLAN)
        with warehouse.stage(run, PLAN) as writer:
            for number, batch in enumerate(rows):
                writer.write(number, batch)

    timed(server, "stage (COPY)", stage)
    merged = timed(server, "merge", lambda: warehouse.merge(run, PLAN))
    relation = timed(server, "gate: lay out", lambda: warehouse.gate_relation(run, PLAN))
    results = timed(server, "gate: judge", lambda: gate.evaluate(PLAN, relation))
    assert all(result.success for result in results)
    files = timed(server, "winners to Parquet", lambda: lake.write(run, PLAN, warehouse.winners(run, PLAN)))
    wanted = Publication(run, PLAN.dataset, PLAN.version, merged, {}, files)
    timed(server, "publish", lambda: warehouse.publish(wanted, PLAN))
    timed(server, "drop staging", lambda: warehouse.drop_stage(run, PLAN))
    print(f"  {'all':<24}{time.perf_counter() - began:8.2f} s   {merged}")


def main() -> None:
    """Start a server, load three times, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    folder = Path(tempfile.mkdtemp(prefix="kb"))
    server = Postgres.start(folder / "pg")
    try:
        dsn, lake = server.create("stores"), ParquetLake(str(folder / "lake"))
        first = batches(rows, keys=rows, version=0)
        print(f"{rows:,} rows, {sum(b.nbytes for b in first) / 1e6:.0f} MB in Arrow")
        began = time.perf_counter()
        import great_expectations

        print(f"  importing Great Expectations {great_expectations.__version__}: {time.perf_counter() - began:.2f} s")
        print("first load")
        load(server, lake, "first", first)
        print("the same again")
        load(server, lake, "again", first)
        print("a tenth, newer")
        load(server, lake, "newer", batches(rows // 10, keys=rows, version=1))
        with psycopg.connect(dsn) as connection:
            found = connection.execute("SELECT pg_size_pretty(pg_total_relation_size('store.orders'))").fetchone()
        print(f"table {found}, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
