"""Reads the whole stored ledger once and finds any flip, drop, reorder, insertion, truncation or rollback against the
signed heads of the database and of the verifier.

Every leaf is computed from the stored record bytes; at each head the tree's root must be the signed one. The heads'
own subtree roots let the reading go on behind a damaged span, so that damage names its span and no other. Memory is
flat: one tree frontier, and a bounded number of findings.

What can't be found: changes to records after the newest head that the verifier holds, by someone who also rewrites the
running state and the heads since. Publishing heads often keeps that span short.
"""

from collections.abc import Callable, Iterable, Iterator

from governance.audit.anchor import AnchorEntry, AnchorError
from governance.audit.findings import Fault, Findings, Report
from governance.audit.heads import SignedHead, VerifyingKey
from governance.audit.ledger import Anchor, History
from governance.audit.reading import Reading
from governance.audit.references import Origin, Reference, merge_heads


def verify(
    history: History,
    anchor: Anchor | None,
    key: VerifyingKey,
    head: SignedHead | None = None,
    advance: Callable[[int], None] = lambda rows: None,
) -> Report:
    """Verify the whole ledger. `key`: the public key from the verifier's own side; `head`: one more head that the
    verifier holds; `advance` is told now and then how many records have been read. Raises StoreUnavailableError when
    the database is away.
    """
    findings = Findings()
    tally = _Tally(findings)
    # The anchor first: a head is stored before it is anchored, so what the anchor holds now, the snapshot holds too.
    entries = anchor.entries() if anchor else iter(())
    with history.snapshot() as snapshot:
        sources: dict[Origin, Iterable[SignedHead]] = {
            Origin.STORED: snapshot.heads(),
            Origin.ANCHORED: tally.anchored(entries),
            Origin.GIVEN: [head] if head else [],
        }
        reading = Reading(snapshot, tally.counted(merge_heads(sources, key, findings)), findings)
        reading.run(advance)
    tally.judge()
    notes = [*tally.notes(), *reading.notes()]
    if anchor and anchor.warning:
        notes.insert(0, anchor.warning)
    return Report(reading.count, reading.good_heads, reading.proven, tuple(findings), findings.more, tuple(notes))


class _Tally:
    """Counts the heads on both sides, since what one side lacks altogether is a finding or a note."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.held = 0
        self.stored_since = 0

    def anchored(self, entries: Iterator[AnchorEntry]) -> Iterator[SignedHead]:
        """The anchor's heads, ascending; what is wrong with the anchor becomes a finding and ends them."""
        newest = -1
        try:
            for entry in entries:
                if not isinstance(entry, SignedHead):
                    continue
                if entry.size <= newest:
                    self.findings.add(Fault.ANCHOR, f"its head of {entry.size} records follows one of {newest}")
                    return
                newest = entry.size
                yield entry
        except AnchorError as error:
            self.findings.add(Fault.ANCHOR, str(error))

    def counted(self, references: Iterator[Reference]) -> Iterator[Reference]:
        """The same references."""
        for reference in references:
            if reference.origins & {Origin.ANCHORED, Origin.GIVEN}:
                self.held += 1
                self.stored_since = 0
            else:
                self.stored_since += 1
            yield reference

    def judge(self) -> None:
        """An anchor without a head beside a database with several was emptied or replaced."""
        if not self.held and self.stored_since > 1:
            self.findings.add(
                Fault.ANCHOR, f"the verifier holds no head, though the database published {self.stored_since}"
            )

    def notes(self) -> list[str]:
        """What the verifier's side lacks."""
        if not self.held:
            return ["the verifier holds no head: a rollback or a truncation can't be told"]
        if self.stored_since:
            return [f"heads published after the newest one that the verifier holds: {self.stored_since}"]
        return []
