"""The lake: Parquet files under one root on a local file system, S3 or GCS (`governance.flows.stores.Lake`).

A file counts only through its row in the warehouse's manifest, so what a crash leaves here is an orphan, never data.
"""

import errno
import hashlib
import io
import os
import re
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from governance.enforcement.plan import EnforcementPlan
from governance.errors import SettingsError, StoreUnavailableError, UserError
from governance.flows.stores import LakeFile

_GROUP_ROWS = 128 * 1024
_FILE_ROWS = 64 * _GROUP_ROWS
_NAME = re.compile(r"[\w.-]+(/[\w.-]+)*")
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


class ParquetLake:
    """Files named `<dataset>/run=<run>/part-00000.parquet` under `root`: a folder, or an address of file, s3 or gs.

    Every method raises StoreUnavailableError when the store is away or full, SettingsError when the root is wrong or
    may not be written.
    """

    def __init__(self, root: str) -> None:
        if "://" in root:
            with _translated("opening it"):
                self._files, path = _file_system(root)
        else:
            self._files, path = fs.LocalFileSystem(), str(Path(root).absolute())
        self._root = path.rstrip("/")
        if not self._root:
            raise SettingsError("the lake's root must be a folder or bucket, not the top of everything")
        self._local = isinstance(self._files, fs.LocalFileSystem)

    def write(self, run: str, plan: EnforcementPlan, rows: Iterator[pa.RecordBatch]) -> tuple[LakeFile, ...]:
        """Write the rows, in files of 8 M rows at most, replacing what an earlier try of this run left.

        No rows, no file. A file has its name only once it is whole, and on a local file system once it is on the disk.
        """
        folder = f"{_fit(plan.dataset)}/run={_fit(run)}"
        with _translated(f"writing {plan.dataset}"):
            self._clear(folder)
            written: list[LakeFile] = []
            with closing(_read_ahead(rows)) as ahead:
                pending = _Rows(ahead)
                while pending.more():
                    written.append(self._one(f"{folder}/part-{len(written):05d}.parquet", plan, pending))
            return tuple(written)

    def sweep(self, dataset: str, manifest: tuple[LakeFile, ...], older_than: datetime) -> int:
        """Delete the dataset's files that no manifest row names and that were last written before; returns how many."""
        named = {file.path for file in manifest}
        swept = 0
        with _translated(f"sweeping {dataset}"):
            for info in self._listed(_fit(dataset)):
                path = info.path[len(self._root) :].lstrip("/")
                old = info.mtime is not None and info.mtime < older_than
                if info.type == fs.FileType.File and path not in named and old:
                    self._files.delete_file(info.path)
                    swept += 1
            self._drop_empty(_fit(dataset))
        return swept

    @contextmanager
    def open(self, path: str) -> Iterator[pa.NativeFile]:
        """A file of the manifest, to be read. Raises UserError where it is gone."""
        if ".." in path.split("/"):
            raise SettingsError("the manifest names a file outside the lake")
        with _translated("opening a file"):
            try:
                raw = self._files.open_input_file(f"{self._root}/{path}")
            except FileNotFoundError:
                raise UserError(f"{path} counts in the lake's manifest and is gone: restore it from a backup") from None
        with closing(raw):
            yield raw

    def _one(self, path: str, plan: EnforcementPlan, rows: "_Rows") -> LakeFile:
        """One file: under another name until it is whole where names can be changed at once (an object store shows an
        object only when its upload ends)."""
        final = f"{self._root}/{path}"
        folder, _, name = final.rpartition("/")
        temporary = f"{folder}/.{name}.tmp" if self._local else final
        if self._local:
            self._files.create_dir(folder, recursive=True)
        try:
            with self._files.open_output_stream(temporary) as raw:
                sink = _Hashing(raw)
                count = _encode(sink, plan, rows)
                sink.flush()
            if self._local:
                _to_disk(Path(temporary))
                Path(temporary).replace(final)
                for parent in (Path(folder), *Path(folder).parents)[: path.count("/") + 1]:
                    _to_disk(parent)
        except BaseException:
            with suppress(OSError):
                self._files.delete_file(temporary)
            raise
        return LakeFile(path, count, sink.size, sink.sha256.hexdigest())

    def _clear(self, folder: str) -> None:
        for info in self._listed(folder):
            if info.type == fs.FileType.File:
                self._files.delete_file(info.path)

    def _listed(self, folder: str) -> list[fs.FileInfo]:
        selector = fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True, recursive=True)
        listed: list[fs.FileInfo] = self._files.get_file_info(selector)
        return listed

    def _drop_empty(self, folder: str) -> None:
        """Empty run folders are litter on a local file system; an object store has none."""
        if self._local:
            for run in Path(f"{self._root}/{folder}").glob("run=*"):
                with suppress(OSError):
                    run.rmdir()


def _read_ahead(rows: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
    """One batch ahead in a thread, so that reading from the warehouse and encoding don't wait for each other."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, rows, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, rows, None)
            yield batch


class _Rows:
    """An iterator of batches that knows whether there are more rows."""

    def __init__(self, rows: Iterator[pa.RecordBatch]) -> None:
        self._rows = rows
        self._next: pa.RecordBatch | None = None

    def more(self) -> bool:
        while self._next is None or self._next.num_rows == 0:
            self._next = next(self._rows, None)
            if self._next is None:
                return False
        return True

    def take(self, most: int) -> pa.RecordBatch:
        """The next rows, `most` at most; only after more() said yes."""
        assert self._next is not None  # noqa: S101  more() came first
        batch: pa.RecordBatch = self._next
        self._next = batch.slice(most) if batch.num_rows > most else None
        return batch.slice(0, most)


class _Hashing(io.RawIOBase):
    """Passes bytes on, and digests and counts them on their way, so that the manifest speaks of what was sent and
    nothing is read again."""

    def __init__(self, raw: pa.NativeFile) -> None:
        super().__init__()
        self._raw = raw
        self.sha256 = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self._raw.write(view)
        self.sha256.update(view)
        self.size += view.nbytes
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._raw.flush()


def _encode(sink: _Hashing, plan: EnforcementPlan, rows: _Rows) -> int:
    """zstd throughout; dictionaries and statistics only where they say something, which of tokens and pseudonyms they
    don't."""
    schema = plan.output_schema().with_metadata(
        {b"kasbah.dataset": plan.dataset.encode(), b"kasbah.contract": f"{plan.contract} {plan.version}".encode()}
    )
    scattered = {c.name for c in plan.columns if c.protect == "encrypt"} | {s.pseudonym_column for s in plan.subjects}
    telling = [name for name in schema.names if name not in scattered]
    count = 0
    with pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"),
        schema,
        compression="zstd",
        use_dictionary=telling,
        write_statistics=telling,
        write_page_checksum=True,
    ) as writer:
        while count < _FILE_ROWS and rows.more():
            batch = rows.take(_FILE_ROWS - count)
            writer.write_batch(batch.cast(schema), row_group_size=_GROUP_ROWS)
            count += batch.num_rows
    return count


def _file_system(address: str) -> tuple[fs.FileSystem, str]:
    try:
        found: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(address)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SettingsError("the lake's root must be a folder or an address of file://, s3:// or gs://") from None
    return found


def _fit(name: str) -> str:
    """A dataset or run id as a path, refused where it could lead elsewhere."""
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise SettingsError(f"'{name}' can't name a folder in the lake: letters, digits, _, - and . only")
    return name


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """An error of the file system as one of ours: errno's name, and no message, which may name what it likes."""
    failure: Exception | None = None
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        if error.errno in _NOT_OURS:
            failure = SettingsError(
                f"the lake may not be written while {doing} ({name}): check its root and the rights there"
            )
        else:
            failure = StoreUnavailableError(f"the lake is away or full while {doing} ({name})")
    if failure is not None:
        raise failure
