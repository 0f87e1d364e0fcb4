"""The lake's files are whole, digested, replaceable until they are published, and never outside their root."""

import errno
import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_rows import PLAN, batch, plan, row

from governance.adapters.lake import ParquetLake
from governance.errors import SettingsError, StoreUnavailableError


def rows(count: int, start: int = 0) -> pa.RecordBatch:
    return batch([row(f"o{n}", kasbah_position=n) for n in range(start, start + count)])


def files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


@pytest.mark.parametrize("form", ["folder", "address"])
def test_what_is_written_reads_back_and_the_manifest_row_speaks_of_its_bytes(tmp_path: Path, form: str) -> None:
    root = tmp_path / "a lake é"
    lake = ParquetLake(str(root) if form == "folder" else root.as_uri())
    (file,) = lake.write("r1", PLAN, iter([rows(3), rows(0), rows(4, 3)]))
    assert file.path == "store.orders/order_line/run=r1/part-00000.parquet"
    content = (root / file.path).read_bytes()
    assert (file.rows, file.size, file.sha256) == (7, len(content), hashlib.sha256(content).hexdigest())
    table = pq.read_table(root / file.path, partitioning=None)
    assert table.schema.equals(PLAN.output_schema())
    assert table.to_pylist() == pa.Table.from_batches([rows(3), rows(4, 3)]).to_pylist()
    assert table.schema.metadata == {
        b"kasbah.dataset": b"store.orders/order_line",
        b"kasbah.contract": b"store.orders 1.0.0",
    }


def test_no_rows_make_no_file(tmp_path: Path) -> None:
    lake = ParquetLake(str(tmp_path))
    assert lake.write("r1", PLAN, iter([])) == ()
    assert lake.write("r1", PLAN, iter([rows(0)])) == ()
    assert files(tmp_path) == []


def test_a_new_try_replaces_what_the_last_one_left(tmp_path: Path) -> None:
    lake = ParquetLake(str(tmp_path))
    lake.write("r1", PLAN, iter([rows(9)]))
    folder = tmp_path / "store.orders/order_line/run=r1"
    (folder / "part-00001.parquet").write_bytes(b"left")
    (folder / ".part-00002.parquet.tmp").write_bytes(b"half")
    (other,) = lake.write("r2", PLAN, iter([rows(1)]))
    (file,) = lake.write("r1", PLAN, iter([rows(2)]))
    assert files(tmp_path) == [file.path, other.path]
    assert pq.read_metadata(tmp_path / file.path).num_rows == 2


def test_a_long_load_is_cut_into_files_and_none_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.adapters.lake._FILE_ROWS", 10)
    parts = ParquetLake(str(tmp_path)).write("r1", PLAN, iter([rows(7), rows(16, 7), rows(7, 23)]))
    assert [f.rows for f in parts] == [10, 10, 10]
    ids = [i for f in parts for i in pq.read_table(tmp_path / f.path, partitioning=None)["order_id"].to_pylist()]
    assert ids == [f"o{n}" for n in range(30)]


def test_when_the_rows_fail_midway_no_file_has_its_name(tmp_path: Path) -> None:
    def failing() -> Iterator[pa.RecordBatch]:
        yield rows(5)
        raise StoreUnavailableError("the warehouse is away")

    with pytest.raises(StoreUnavailableError, match="warehouse"):
        ParquetLake(str(tmp_path)).write("r1", PLAN, failing())
    assert files(tmp_path) == []


def test_sweeping_takes_old_orphans_and_nothing_else(tmp_path: Path) -> None:
    lake = ParquetLake(str(tmp_path))
    kept = lake.write("r1", PLAN, iter([rows(1)]))
    lake.write("r2", PLAN, iter([rows(1)]))
    lake.write("r3", PLAN, iter([rows(1)]))
    lake.write("r1", plan(dataset="store.stock/stock_level"), iter([rows(1)]))
    long_ago = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    for path in [*tmp_path.glob("*/*/run=r[12]/*")]:
        os.utime(path, (long_ago, long_ago))
    assert lake.sweep(PLAN.dataset, kept, datetime.now(UTC) - timedelta(days=1)) == 1
    assert files(tmp_path) == [
        "store.orders/order_line/run=r1/part-00000.parquet",
        "store.orders/order_line/run=r3/part-00000.parquet",
        "store.stock/stock_level/run=r1/part-00000.parquet",
    ]
    assert not (tmp_path / "store.orders/order_line/run=r2").exists()
    assert lake.sweep("never/loaded", (), datetime.now(UTC)) == 0


@pytest.mark.parametrize("run", ["../r1", "a/../../b", "", ".", "/etc", "r 1", "r\0"])
def test_a_run_cannot_lead_out_of_its_folder(tmp_path: Path, run: str) -> None:
    with pytest.raises(SettingsError, match="can't name"):
        ParquetLake(str(tmp_path / "lake")).write(run, PLAN, iter([rows(1)]))
    assert files(tmp_path) == []


@pytest.mark.parametrize("root", ["ftp://files.example/lake", "nonsense://", "s3://"])
def test_a_root_of_no_kind_we_know_is_refused(root: str) -> None:
    with pytest.raises(SettingsError, match="root"):
        ParquetLake(root)


def test_a_root_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailableError, match=errno.errorcode[errno.ENOTDIR]):
        ParquetLake(str(tmp_path / "file")).write("r1", PLAN, iter([rows(1)]))


def test_a_full_disk_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the write fails halfway in the same way."""
    program = """
        import resource, signal, sys
        from test_lake import ParquetLake, PLAN, StoreUnavailableError, rows
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        ready = [rows(5000)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            ParquetLake(sys.argv[1]).write("r1", PLAN, iter(ready))
        except StoreUnavailableError as error:
            sys.exit(0 if "full" in str(error) else 2)
        sys.exit(1)
    """
    here = Path(__file__).parent
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parents[1])])}
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert files(tmp_path) == []
