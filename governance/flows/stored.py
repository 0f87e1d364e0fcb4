"""What a scan needs of the stores: copies of a dataset, read piece by piece from where an earlier scan ended.

A warehouse's table and a lake's files implement it; indices and topics can: the Protocol asks for no more than an order
in which a copy can be read, told by whole numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from governance.enforcement.plan import EnforcementPlan


@dataclass(frozen=True)
class Copy:
    """One stored copy of a dataset, or of a part of it. `name` says where it stands in its `store`.

    Positions mean the same as long as `version` does; a copy of another version is read from its beginning. `rows` is
    about how many it has, for a progress bar.
    """

    store: str
    name: str
    version: str
    rows: int | None = None


@dataclass(frozen=True)
class Piece:
    """Some rows of a copy, columns by their stored names. `after` is where reading goes on once this piece and all
    before it are dealt with; None where that can't be said yet.
    """

    rows: pa.RecordBatch = field(repr=False)
    after: int | None


class StoredCells(Protocol):
    """One store's copies of datasets. Raises StoreUnavailableError where it is away."""

    def copies(self, plan: EnforcementPlan) -> tuple[Copy, ...]:
        """The dataset's copies here, in an order that stays; none where nothing is stored."""
        ...

    def pieces(self, plan: EnforcementPlan, copy: Copy, leave: frozenset[str], position: int = 0) -> Iterator[Piece]:
        """All rows of the copy that was listed, from the position on, flat in memory; without the columns to `leave`.

        Columns that the plan doesn't have are given too. A row that is changed meanwhile may be given in its old or new
        form.
        """
        ...
