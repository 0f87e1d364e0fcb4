"""What a stream hands to a store of documents, and what the store says became of it: a Protocol."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int8]
"""One `Taken` a document."""


class Taken(IntEnum):
    """What a sink did with a document."""

    APPLIED = 0
    UNCHANGED = 1
    """There already, in this version and with this content."""
    SUPERSEDED = 2
    """A newer version is there, or was deleted."""
    DELETED = 3
    """A tombstone: nothing is there under its identity now."""
    REFUSED = 4
    """The sink takes others, but not this one."""
    CONFLICT = 5
    """The sink has other content in the same version."""


@dataclass(frozen=True)
class Documents:
    """Records in the order of their topic: identity, JSON object (None in a tombstone), version.

    `versions` are microseconds since 1970, int64, 0 for a tombstone. `days` are the dates of the records
    (`plan.record_date`), NaT where there is none; they never change for an identity.
    """

    keys: list[bytes] = field(repr=False)
    values: list[bytes | None] = field(repr=False)
    versions: npt.NDArray[np.int64] = field(repr=False)
    days: npt.NDArray[np.datetime64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, places: Sequence[int]) -> "Documents":
        """Those at these places, in that order."""
        chosen = np.asarray(places, dtype=np.int64)
        return Documents(
            [self.keys[p] for p in places], [self.values[p] for p in places], self.versions[chosen], self.days[chosen]
        )


NO_DOCUMENTS = Documents([], [], np.zeros(0, np.int64), np.zeros(0, "datetime64[D]"))


class DocumentSink(Protocol):
    """A store of documents by identity. Writing what was written before changes nothing.

    Raises TransientError where it is away, full, or refuses everything: then any of the documents may be there.
    """

    @property
    def name(self) -> str:
        """What it is called in messages: a kind and an index, never an address."""
        ...

    def prepare(self) -> None:
        """Make it ready for the dataset; repeating it changes nothing. Raises UserError where it holds something else
        under the dataset's name.
        """
        ...

    def write(self, documents: Documents) -> Codes:
        """Write them; returns, once the store has acknowledged, what became of each. Of one identity the later in
        order counts as later.
        """
        ...


@runtime_checkable
class QueuingSink(DocumentSink, Protocol):
    """A sink that can be given the next documents while it writes others, so that it never waits for work."""

    def begin(self, documents: Documents) -> Callable[[], Codes]:
        """Begin to write; what it gives back waits for the end, and answers and raises as `write` does.

        Two batches under way at once may be written in any order: their versions decide. So one that deletes must be
        the only one.
        """
        ...
