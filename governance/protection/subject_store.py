"""What resolving subjects asks of their store. Digests, ids and sealed values are uint8 arrays, one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from governance.errors import ConflictError
from governance.protection.columns import Mask
from governance.protection.pairs import ID_BYTES, SEALED_BYTES

Bytes2D: TypeAlias = npt.NDArray[np.uint8]
Epochs1D: TypeAlias = npt.NDArray[np.int32]

Rewrite: TypeAlias = Callable[[str, int, Bytes2D, Bytes2D], tuple[Bytes2D, Bytes2D]]
"""(entity, epoch, internal ids, sealed values) -> (sealed values, lookups), both under the new epoch."""

MOST_SUBJECTS = 3
"""A value met with more subjects than these is no alias any more: a shared phone."""


class MovedError(ConflictError):
    """Another writer changed what this one had read; what it did in part stands, and it looks again."""


@dataclass(frozen=True)
class SealedRows:
    """Subjects as stored: ids (m, 16), the epoch of each, sealed pairs (m, 76)."""

    ids: Bytes2D
    epochs: Epochs1D
    sealed: Bytes2D

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Found:
    """What is known of n digests.

    known: there is such an alias; then `subjects` (n, 16) holds its subject's id. shared: it stopped being an alias.
    suppressed: its person was erased and may not come back. `sealed`: the subjects of the deciding digests, once or
    more; `sealed_of` says by which row. `change` is a number that moves when anything of this stops being so for what
    was known: a subject or an alias gone or sealed again, a digest shared or suppressed.
    """

    known: Mask
    shared: Mask
    suppressed: Mask
    subjects: Bytes2D
    sealed: SealedRows
    sealed_of: npt.NDArray[np.integer]
    change: int


@dataclass(frozen=True)
class NewSubjects:
    """Subjects to be made: sealed under the open epoch, with their lookups and the aliases that decided on them."""

    entity: str
    rows: SealedRows
    lookups: Bytes2D
    digests: Bytes2D


@dataclass(frozen=True)
class Created:
    """How many subjects were made. Not complete: some alias had been taken, or suppressed, meanwhile."""

    subjects: int
    complete: bool


@dataclass(frozen=True)
class Linked:
    """How many possible links were new, and which of the given digests are shared from now on."""

    new: int
    shared: Mask


class SubjectStore(Protocol):
    """Where subjects, aliases and possible links are kept. Each method is one transaction.

    Raises StoreUnavailableError; writers raise MovedError where another writer was faster.
    """

    def find(self, entity: str, digests: Bytes2D, deciding: int, now: datetime) -> Found:
        """Look the digests up, in one round trip; the first `deciding` ones with their subjects' sealed values."""
        ...

    def create(self, new: NewSubjects, digests: Bytes2D, subjects: Bytes2D) -> Created:
        """Add subjects with their deciding aliases, and further aliases (`digests`) of them (`subjects`: their ids).

        One whose deciding alias is no longer free leaves nothing behind.
        """
        ...

    def attach(self, entity: str, digests: Bytes2D, subjects: Bytes2D) -> int:
        """Add aliases of subjects that there are; returns how many were still free."""
        ...

    def link(self, digests: Bytes2D, subjects: Bytes2D) -> Linked:
        """Note that an alias of one subject was met with another one, in this order, each pair once; a digest with more
        than MOST_SUBJECTS subjects becomes shared, and then links no further ones.
        """
        ...

    def sealed(self, ids: Bytes2D) -> SealedRows:
        """The sealed values of those subjects that there are, in any order."""
        ...

    def by_lookup(self, entity: str, lookups: Bytes2D) -> tuple[npt.NDArray[np.int32], SealedRows]:
        """The subjects with these lookups: the row of `lookups` that each was found by, and its sealed value."""
        ...

    def alive(self, lookups: Bytes2D) -> Mask:
        """Which of these lookups belong to a subject that there is."""
        ...

    def reseal(self, epoch: int, limit: int, rewrite: Rewrite) -> int:
        """Seal again at most `limit` subjects of earlier epochs under this one; returns how many. 0: none is left."""
        ...


def no_rows() -> SealedRows:
    """None at all."""
    return SealedRows(np.zeros((0, ID_BYTES), np.uint8), np.zeros(0, np.int32), np.zeros((0, SEALED_BYTES), np.uint8))
