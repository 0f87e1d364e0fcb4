"""What the rest of Kasbah asks of the ledger and its anchor. Adapters keep them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from governance.audit.anchor import AnchorEntry, Erasure
from governance.audit.heads import SignedHead
from governance.audit.merkle import Frontier, leaf_hash
from governance.audit.records import Entry, Record
from governance.errors import AuditError, RolledBackError


@dataclass(frozen=True)
class Appended:
    """Where a batch stands: the 0-based indexes of its first and last record."""

    first: int
    last: int


class Anchor(Protocol):
    """Heads and erasures, kept under other credentials than the database's, append-only."""

    @property
    def warning(self) -> str | None:
        """Why this anchor is good for development only, as a sentence to show loudly; None where it is not."""

    def append_head(self, head: SignedHead) -> None:
        """Keep it, durably. A head that is older than the newest one kept changes nothing; one that contradicts it
        raises AuditError.
        """

    def append_erasure(self, erasure: Erasure) -> None:
        """Keep it, durably."""

    def newest_head(self) -> SignedHead | None:
        """The newest head kept. Raises AnchorError where a line was edited."""

    def entries(self) -> Iterator[AnchorEntry]:
        """Every entry that stands there at the moment of the call, oldest first; raises AnchorError at a line that
        was edited.
        """


class Snapshot(Protocol):
    """One moment of the stored ledger, read in order and in constant memory."""

    @property
    def size(self) -> int:
        """How many records the stored running state counts."""

    @property
    def peaks(self) -> bytes:
        """The stored running state's subtree roots, concatenated."""

    def rows(self, first: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """(index, record bytes, stored leaf hash) by index, from `first` on."""

    def heads(self) -> Iterator[SignedHead]:
        """The stored heads by size, as they stand there: nothing about them has been checked."""

    def tiles(self) -> Iterator[tuple[int, bytes]]:
        """The stored tiles (number, root) by number."""


class History(Protocol):
    """The stored ledger, for reading: needs no signing key."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """One moment of it, unmoved by writers."""

    def size(self) -> int:
        """How many records there are."""

    def stored_head(self, size: int) -> SignedHead | None:
        """The head that is stored for this size."""

    def last(self, count: int) -> list[Entry]:
        """The newest records, oldest first."""

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """The proof that record `index` is in the tree of `size` records."""

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The proof that the tree of `old` records is the beginning of the tree of `new` ones."""


class Ledger(History, Protocol):
    """The ledger, for writing."""

    def append(self, records: Sequence[Record]) -> Appended:
        """Keep the records, durably, in this order and next to each other. When it returns they survive a crash.

        Raises AuditError on an empty batch, StoreUnavailableError when the database is away or full (nothing of the
        batch is then kept, unless the connection was lost during the commit: the caller's run or request id tells).
        """

    def head(self) -> SignedHead:
        """Sign the ledger as it is, once it has been shown to continue the anchor's newest head."""

    def publish_head(self) -> SignedHead:
        """`head()`, stored and copied to the anchor. Where nothing was appended since, the one that stands."""


def check_not_rolled_back(ledger: History, anchor: Anchor) -> None:
    """Raise RolledBackError where the database is older than its anchor, or was so and has been written to since.

    Costs one look-up. A database whose head contradicts the anchor's raises AuditError. This is no verification: for
    that see `verify`.
    """
    held = anchor.newest_head()
    if held is None:
        return
    size = ledger.size()
    if size < held.size:
        raise RolledBackError(
            f"the control database is older than its anchor: its ledger has {size} records, the anchor's newest head "
            f"has {held.size}. Restore a newer copy of the database"
        )
    stored = ledger.stored_head(held.size)
    if stored is None:
        raise RolledBackError(
            f"the control database doesn't hold its anchor's newest head, of {held.size} records: it was restored from "
            "an older copy and written to since. Restore a newer copy of the database"
        )
    if stored.root != held.root:
        raise AuditError(
            f"the control database and its anchor contradict each other at {held.size} records: "
            "run `kasbah audit verify`"
        )


def continue_from(base: Frontier, snapshot: Snapshot) -> Frontier:
    """The tree at a snapshot, computed from the record bytes that follow `base`.

    Raises AuditError where they don't lead to the stored running state: then nothing may be signed.
    """
    tree = base.copy()

    def leaves() -> Iterator[bytes]:
        for expected, (index, record, _) in enumerate(snapshot.rows(base.size), base.size):
            if index != expected:
                raise AuditError(f"the ledger lacks record {expected}: run `kasbah audit verify`")
            yield leaf_hash(record)

    tree.extend(leaves())
    if tree.size != snapshot.size or b"".join(tree.peaks) != snapshot.peaks:
        raise AuditError(
            f"the ledger's records from {base.size} on are not those that were appended, so no head is signed: "
            "run `kasbah audit verify`"
        )
    return tree
