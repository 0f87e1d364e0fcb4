"""How far a collector or a consumer has come, and what became of what it read.

The counts of a part (a partition of a topic, the pages of an API) move together with its position, in the one
transaction that also holds its quarantined rows. Who comes with an older position, as one that lost the partition
meanwhile, changes nothing; so a replay counts nothing twice, whatever its batches' boundaries are.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import pyarrow as pa

from governance.errors import ConflictError


class MovedOnError(ConflictError):
    """Another process has read on from this position: what was just done is left to it, and counts for nothing."""


class Flow(StrEnum):
    """Who reads."""

    COLLECT = "collect"
    STREAM = "stream"
    SPARK = "spark"


@dataclass(frozen=True)
class Place:
    """What is read: one part of one source of a dataset, by one flow. `part` is `topic/partition`, or an API's name."""

    flow: Flow
    dataset: str
    source: str
    part: str


@dataclass(frozen=True)
class Counts:
    """What became of records. `read` = admitted + quarantined + refused + tombstones.

    Of those admitted, a sink says how many were `applied`, `unchanged` (there already in this version) or `superseded`
    (older than what is there); a record that the sink refuses is quarantined, not admitted.
    """

    read: int = 0
    admitted: int = 0
    applied: int = 0
    unchanged: int = 0
    superseded: int = 0
    tombstones: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(
            self.read + other.read,
            self.admitted + other.admitted,
            self.applied + other.applied,
            self.unchanged + other.unchanged,
            self.superseded + other.superseded,
            self.tombstones + other.tombstones,
            _sum(self.quarantined, other.quarantined),
            _sum(self.refused, other.refused),
        )


@dataclass(frozen=True)
class Standing:
    """Where a place stands: `position` is the next offset, or how many pages were read; `state` is the reader's own
    (an API's cursor and ETag), and holds no data value.
    """

    position: int = 0
    state: dict[str, Any] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    at: datetime | None = None
    """When it last moved."""


class ProgressStore(Protocol):
    """Where the standings are kept. Raises StoreUnavailableError where it is away."""

    def standing(self, place: Place) -> Standing:
        """Where a place stands; position 0 if nobody has read there yet."""
        ...

    def standings(self, dataset: str | None = None) -> tuple[tuple[Place, Standing], ...]:
        """Every place that was read, of one dataset or of all."""
        ...

    def advance(
        self,
        place: Place,
        before: int,
        after: Standing,
        quarantined: pa.RecordBatch | None = None,
        contract_version: str = "",
    ) -> None:
        """In one transaction: move the place from position `before` to `after.position` and `after.state`, add
        `after.counts` to its counts, and hold the quarantined rows (`enforcement.outcomes.QUARANTINED`).

        Raises MovedOnError, having changed nothing, unless the place stands at `before`.
        """
        ...

    def settle(
        self,
        place: Place,
        decided: pa.Array,
        counts: Counts,
        quarantined: pa.RecordBatch | None = None,
        contract_version: str = "",
    ) -> None:
        """In one transaction: let go of the rows held at these positions (int64), since a replay has decided about
        them, hold those that failed again, and add `counts` (a reason's count goes down by a negative one). The place
        stays where it is.

        Raises MovedOnError, having changed nothing, unless each of the positions is held.
        """
        ...


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    added = {reason: one.get(reason, 0) + other.get(reason, 0) for reason in sorted({*one, *other})}
    return {reason: count for reason, count in added.items() if count}
