"""Which signed heads a verification may lean on: the database's and the verifier's own, checked and merged."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from governance.audit.findings import Fault, Findings
from governance.audit.heads import HeadFault, SignedHead, VerifyingKey
from governance.audit.merkle import Frontier


class Origin(StrEnum):
    """Whence a head was read."""

    STORED = "in the database"
    ANCHORED = "in the anchor"
    GIVEN = "that was handed in"


@dataclass(frozen=True)
class Reference:
    """The root that the tree of this size must have. `tree` lets the reader go on from here; None where the head's
    subtree roots are not sound. `origins`: where such a head stands, whether it held or not.
    """

    size: int
    root: bytes
    tree: Frontier | None
    origins: frozenset[Origin]


def merge_heads(
    sources: dict[Origin, Iterable[SignedHead]], key: VerifyingKey, findings: Findings
) -> Iterator[Reference]:
    """References by ascending size, in constant memory; each source ascends. What is wrong with a head becomes a
    finding; where two good ones contradict each other, the verifier's wins.
    """
    marked = heapq.merge(*(_marked(origin, heads) for origin, heads in sources.items()), key=_size)
    for size, group in groupby(marked, key=_size):
        heads = list(group)
        good = [(head, origin) for head, origin in heads if _usable(head, origin, key, findings)]
        if good:
            yield _reference(size, good, frozenset(origin for _, origin in heads), findings)


def _marked(origin: Origin, heads: Iterable[SignedHead]) -> Iterator[tuple[SignedHead, Origin]]:
    return ((head, origin) for head in heads)


def _size(item: tuple[SignedHead, Origin]) -> int:
    return item[0].size


def _reference(
    size: int, good: list[tuple[SignedHead, Origin]], origins: frozenset[Origin], findings: Findings
) -> Reference:
    held = [head for head, origin in good if origin is not Origin.STORED]
    root = (held or [good[0][0]])[0].root
    if any(head.root != root for head, _ in good):
        findings.add(Fault.HEAD_FORKED, f"there are two heads of {size} records with different roots, both signed")
    sound = [head for head, _ in good if head.root == root and head.peaks_hold()]
    return Reference(size, root, sound[0].frontier() if sound else None, origins)


def _usable(head: SignedHead, origin: Origin, key: VerifyingKey, findings: Findings) -> bool:
    """Whether its signed root may be leant on."""
    fault = head.fault(key)
    if fault is None:
        return True
    kind = Fault.HEAD_FOREIGN if fault is HeadFault.FOREIGN_KEY else Fault.HEAD_FORGED
    findings.add(kind, f"the head of {head.size} records {origin}: {fault}")
    return fault is HeadFault.PEAKS
