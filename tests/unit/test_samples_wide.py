"""The wide table is the same however it is cut, in flat memory, and keeps the rules it states."""

import hashlib
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import csv

from samples.wide import PERSONAL, SCHEMA, batches, write_csv


def _table(rows: int, customers: int, seed: int = 7, chunk: int = 1000) -> pa.Table:
    return pa.Table.from_batches(batches(rows, customers, seed, chunk))


def test_pieces_of_any_size_make_the_same_table() -> None:
    whole = _table(2500, 300, chunk=2500)
    assert whole.schema == SCHEMA
    assert whole.num_columns == 20
    assert _table(2500, 300, chunk=7).equals(whole)
    assert _table(1000, 300).equals(whole.slice(0, 1000))
    assert not _table(2500, 300, seed=8).equals(whole)


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for name in ("a.csv", "b.csv"):
        write_csv(tmp_path / name, 70_000, 5000)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_file_reads_back_as_the_table(tmp_path: Path) -> None:
    write_csv(tmp_path / "wide.csv", 3000, 400)
    read = csv.read_csv(tmp_path / "wide.csv", convert_options=csv.ConvertOptions(column_types=SCHEMA))
    assert read.equals(_table(3000, 400))


def test_rows_keep_the_rules() -> None:
    table = _table(5000, 100)
    price, total, discount, net = (table[n] for n in ("unit_price", "total_amount", "discount_amount", "net_amount"))
    assert pc.all(pc.equal(net, pc.subtract(total, discount))).as_py()
    product = pc.multiply(price, table["quantity"].cast(pa.decimal128(19, 0)))
    assert pc.all(pc.equal(product, total)).as_py()
    assert pc.any(pc.not_equal(net, total)).as_py()


def test_a_customer_is_the_same_person_in_every_row() -> None:
    table = _table(20_000, 500)
    people = table.group_by(list(PERSONAL)).aggregate([])
    assert people.num_rows == 500
    for name in ("customer_email", "customer_phone"):
        assert len(people[name].unique()) == 500
    assert pc.all(pc.ends_with(people["customer_email"], "@example.com")).as_py()


def test_memory_does_not_grow_with_the_rows() -> None:
    """Python's own; Arrow's pool is looked at apart."""
    peaks = []
    for rows in (20_000, 200_000):
        tracemalloc.start()
        pool = 0
        for _ in batches(rows, 1000, chunk=10_000):
            pool = max(pool, pa.total_allocated_bytes())
        peaks.append((tracemalloc.get_traced_memory()[1], pool))
        tracemalloc.stop()
    assert peaks[1][0] < peaks[0][0] * 1.2
    assert peaks[1][1] < peaks[0][1] * 1.2


@pytest.mark.parametrize("numbers", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_numbers_below_one_are_refused(numbers: tuple[int, int, int]) -> None:
    rows, customers, chunk = numbers
    with pytest.raises(ValueError, match="1 or more"):
        next(batches(rows, customers, chunk=chunk))
