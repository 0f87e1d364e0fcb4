"""One pass over the stored records, held against the heads of `references`."""

from collections.abc import Callable, Iterator
from typing import Final

from governance.audit.findings import Fault, Findings, records, they_are
from governance.audit.ledger import Snapshot
from governance.audit.merkle import TILE_LEAVES, Frontier, leaf_hash
from governance.audit.moves import Moves
from governance.audit.records import RecordError, carried_index
from governance.audit.references import Origin, Reference

MAX_SUSPECTS: Final = 1000
_TELL_ROWS: Final = 10_000


class Reading:
    """`count`: the index that the next row should have. `tree`: computed from the record bytes, None where it can't be
    known before the next head. `claimed`: the same from the stored leaf hashes, from where the two first differ in a
    span. `suspects`: records whose stored leaf hash is not theirs, to be judged at the span's end, since only the root
    tells whether the record or the leaf hash was altered. `named`: something in this span has a finding of its own.
    """

    def __init__(self, snapshot: Snapshot, references: Iterator[Reference], findings: Findings) -> None:
        self.snapshot = snapshot
        self.findings = findings
        self.count = 0
        self.good_heads = 0
        self.proven = 0
        self._references = references
        self._next = next(references, None)
        self._tiles = snapshot.tiles()
        self._moves = Moves()
        self._tree: Frontier | None = Frontier()
        self._claimed: Frontier | None = None
        self._start = 0
        self._suspects: list[int] = []
        self._bad_tiles: list[int] = []
        self._named = False
        self._unknown = 0
        self._carried = -1
        self._newest = 0
        self._newest_stored = 0
        self._unsigned = 0

    def run(self, advance: Callable[[int], None] = lambda rows: None) -> None:
        """Read to the end; what is found goes to the findings. `advance` hears the count every 10,000 records."""
        for index, record, leaf in self.snapshot.rows():
            self._close_up_to(self.count)
            if index < self.count:
                self._repeated(index)
                continue
            if index > self.count:
                self._gap(index)
            self._row(index, record, leaf)
            if self.count % _TELL_ROWS == 0:
                advance(self.count)
        self._close_up_to(self.count)
        self._end()

    def notes(self) -> list[str]:
        """What a reader should know beside the findings."""
        notes = []
        if self._unsigned:
            notes.append(f"records that no head signs yet: {self._unsigned}")
        if self._unknown:
            notes.append(f"spans between two heads that can't be checked because of the findings: {self._unknown}")
        return notes

    def _row(self, index: int, record: bytes, stored_leaf: bytes) -> None:
        self._place(index, record)
        leaf = leaf_hash(record)
        differs = leaf != stored_leaf
        if self._tree is not None:
            if differs and self._claimed is None:
                self._claimed = self._tree.copy()
            self._check_tiles(self._tree.extend((leaf,)))
            if self._claimed is not None:
                self._claimed.extend((stored_leaf,))
        if differs:
            if len(self._suspects) < MAX_SUSPECTS:
                self._suspects.append(index)
            else:
                self.findings.more += 1
        self.count = index + 1

    def _place(self, index: int, record: bytes) -> None:
        try:
            carried = carried_index(record)
        except RecordError:
            self.findings.add(Fault.ALTERED, f"what stands as record {index} is no record", index, index)
            self._named = True
            return
        self._carried = max(self._carried, carried)
        if carried != index:
            self._moves.see(index, carried)
            self._named = True

    def _repeated(self, index: int) -> None:
        self.findings.add(Fault.INSERTED, f"two rows stand as record {index}", index, index)
        self._lose()

    def _gap(self, index: int) -> None:
        """The rows from `count` up to `index` are not there, nor can the heads among them be checked."""
        first, last = self.count, index - 1
        self.findings.add(Fault.DROPPED, f"{they_are(first, last)} not there", first, last)
        self._lose()
        while (reference := self._next) is not None and reference.size <= index:
            self._close(reference)
            if reference.size < index:
                self._lose()
        self.count = index

    def _lose(self) -> None:
        self._tree = self._claimed = None
        self._named = True

    def _check_tiles(self, done: list[tuple[int, bytes]]) -> None:
        for number, root in done:
            stored = next(self._tiles, None)
            while stored is not None and stored[0] < number:
                stored = next(self._tiles, None)
            if stored != (number, root) and len(self._bad_tiles) < MAX_SUSPECTS:
                self._bad_tiles.append(number)

    def _close_up_to(self, count: int) -> None:
        while (reference := self._next) is not None and reference.size <= count:
            self._close(reference)

    def _close(self, reference: Reference) -> None:
        """Hold the span up to the next head against it, and go on from it."""
        self._pass(reference)
        if Origin.STORED not in reference.origins and Origin.ANCHORED in reference.origins:
            message = f"the head of {reference.size} records stands in the anchor and not in the database"
            self.findings.add(Fault.HEAD_MISSING, message)
        good = self._judge(reference)
        if reference.tree is not None:
            self._tree = reference.tree.copy()
        elif not good:
            self._tree = None
        self._begin(reference.size)

    def _pass(self, reference: Reference) -> None:
        self._newest = reference.size
        if Origin.STORED in reference.origins:
            self._newest_stored = reference.size
        self._next = next(self._references, None)

    def _begin(self, start: int) -> None:
        self._claimed = None
        self._start = start
        self._suspects, self._bad_tiles = [], []
        self._named = False

    def _judge(self, reference: Reference) -> bool:
        size, root = reference.size, reference.root
        if self._tree is not None and self._tree.size == size and self._tree.root() == root:
            self.good_heads += 1
            if reference.origins - {Origin.STORED}:
                self.proven = size
            self._clear_span()
            return True
        exact = self._claimed is not None and self._claimed.size == size and self._claimed.root() == root
        self._accuse()
        if self._tree is None:
            self._unknown += not self._named
        elif not exact and not self._named:
            last = max(size - 1, self._start)
            message = f"{they_are(self._start, last)} not as the head of {size} records signed them"
            self.findings.add(Fault.REWRITTEN, message, self._start, last)
        return False

    def _clear_span(self) -> None:
        """The records are those that were appended, so what differs beside them was altered."""
        for index in self._suspects:
            self.findings.add(Fault.LEAF, f"the leaf hash stored for record {index} is not its own", index, index)
        for number in self._bad_tiles:
            first, last = number * TILE_LEAVES, (number + 1) * TILE_LEAVES - 1
            self.findings.add(Fault.TILE, f"the subtree root stored for records {first} to {last}", first, last)

    def _accuse(self) -> None:
        for index in self._suspects:
            self.findings.add(Fault.ALTERED, f"record {index} is not the one that was appended", index, index)

    def _end(self) -> None:
        while self._next is not None:
            self._pass(self._next)
        self._unsigned = max(self.count - self._start, 0)
        size, expected = self.snapshot.size, max(self.snapshot.size, self._newest)
        if expected - self.count != self._moved():
            self._wrong_length(expected)
        if size == self.count and self._tree is not None:
            self._judge_tail(self._tree)
            return
        self._accuse()
        if size < self._newest and size != self.count:
            message = f"it counts {size} records, though a head of {self._newest} was signed"
            self.findings.add(Fault.STATE, message)

    def _wrong_length(self, expected: int) -> None:
        """Rows are missing at the end, or more stand there than were appended."""
        count = self.count
        if count > expected:
            message = f"{they_are(expected, count - 1)} there, though only {expected} records were appended"
            self.findings.add(Fault.INSERTED, message, expected, count - 1)
        elif self.snapshot.size == count and self._newest_stored <= count:
            message = f"the database ends at {count} records; the verifier holds a head of {expected}"
            self.findings.add(Fault.ROLLED_BACK, message, count, expected - 1)
        else:
            self.findings.add(Fault.TRUNCATED, f"{they_are(count, expected - 1)} not there", count, expected - 1)

    def _judge_tail(self, tree: Frontier) -> None:
        """The records that no head signs yet have only the running state to be held against."""
        if b"".join(tree.peaks) == self.snapshot.peaks:
            self._clear_span()
        elif self._suspects:
            self._accuse()
        elif not self._named:
            message = "it doesn't follow from the signed heads and the records"
            if not self._unsigned:
                self.findings.add(Fault.STATE, message)
                return
            first, last = self._start, self.count - 1
            message += f", or {records(first, last)}, which no head signs yet, were altered"
            self.findings.add(Fault.STATE, message, first, last)

    def _moved(self) -> int:
        """Findings for rows that stand at another index than they carry; returns how many rows that makes too few."""
        dropped = self._moves.dropped(self._carried)
        inserted = self._moves.inserted(self.count)
        for first, last in dropped:
            message = f"{they_are(first, last)} not there; what followed was moved up"
            self.findings.add(Fault.DROPPED, message, first, last)
        for first, last in inserted:
            self.findings.add(Fault.INSERTED, f"{they_are(first, last)} there twice", first, last)
        if self._moves and not dropped and not inserted:
            for first, last in self._moves.places():
                message = f"where {records(first, last)} belong, others of the ledger stand"
                self.findings.add(Fault.REORDERED, message, first, last)
        self.findings.more += self._moves.overflow
        return sum(last - first + 1 for first, last in dropped) - sum(last - first + 1 for first, last in inserted)
