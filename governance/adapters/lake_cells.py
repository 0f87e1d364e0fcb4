"""The lake's files as a scan reads them (`governance.flows.stored.StoredCells`): the manifest's, by row groups."""

import errno
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from governance.adapters.lake import ParquetLake
from governance.enforcement.plan import EnforcementPlan
from governance.errors import KasbahError, StoreUnavailableError, UserError
from governance.flows.stored import Copy, Piece
from governance.flows.stores import LakeFile

STORE = "lake"

_BATCH_ROWS = 32_768


class LakeCells:
    """The files of one lake that count. `manifest` gives a dataset's."""

    def __init__(self, lake: ParquetLake, manifest: Callable[[str], tuple[LakeFile, ...]]) -> None:
        self._lake, self._manifest = lake, manifest

    def copies(self, plan: EnforcementPlan) -> tuple[Copy, ...]:
        """The dataset's files: each is written once and never changed."""
        return tuple(Copy(STORE, f.path, f.sha256, f.rows) for f in self._manifest(plan.dataset))

    def pieces(self, plan: EnforcementPlan, copy: Copy, leave: frozenset[str], position: int = 0) -> Iterator[Piece]:
        """All rows from the row group `position` on. UserError where the file is gone or no Parquet."""
        del plan
        with self._lake.open(copy.name) as raw:
            file = _opened(raw, copy)
            columns = [name for name in file.schema_arrow.names if name not in leave]
            if not columns:
                return
            for group in range(position, file.num_row_groups):
                for batch in _batches(file, group, columns, copy):
                    yield Piece(batch, None)
                yield Piece(pa.record_batch({}), group + 1)


def _opened(raw: pa.NativeFile, copy: Copy) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(raw, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _meaning(error, copy) from None


def _batches(file: pq.ParquetFile, group: int, columns: list[str], copy: Copy) -> Iterator[pa.RecordBatch]:
    batches = file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=columns)
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _meaning(error, copy) from None
        if batch is None:
            return
        yield batch


def _meaning(error: Exception, copy: Copy) -> KasbahError:
    """An error number is the file system's; the reader of Parquet has none. Its message may quote what it read."""
    number = getattr(error, "errno", None)
    if number is not None:
        return StoreUnavailableError(
            f"the lake is away while {copy.name} is read ({errno.errorcode.get(number, number)})"
        )
    return UserError(
        f"{copy.name} counts in the lake's manifest and can't be read as Parquet: restore it from a backup"
    )
