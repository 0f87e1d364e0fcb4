"""The Merkle tree of RFC 9162 (section 2.1; the same hashes as RFC 6962), over SHA-256, in O(log n) memory.

Leaf = SHA-256(0x00 || record), node = SHA-256(0x01 || left || right). The root of no leaf is SHA-256 of nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

from governance.errors import AuditError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
TILE_LEVEL: Final = 10
TILE_LEAVES: Final = 1 << TILE_LEVEL
"""Leaves under one tile: a complete subtree whose root is kept, so that proofs need not read every leaf."""

RangeRoot: TypeAlias = Callable[[int, int], bytes]
"""The root of the leaves [first, end): what a proof asks for."""


class ProofError(AuditError):
    """A proof doesn't lead from what it is about to the root."""


def leaf_hash(record: bytes) -> bytes:
    """The leaf of one record's bytes."""
    return sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The node over two hashes."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree as the roots of its perfect subtrees, largest first: one for each set bit of its size.

    That is all that appending and the root need, so an append costs one hash a leaf, and memory is 32·log2(size) bytes.
    """

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """Raises AuditError unless the peaks fit the size."""
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != HASH_BYTES for peak in peaks):
            raise AuditError(f"the subtree roots of a tree of size {size} don't fit it: run `kasbah audit verify`")
        self.size = size
        self.peaks = list(peaks)

    def copy(self) -> "Frontier":
        """One that can be extended apart."""
        return Frontier(self.size, self.peaks)

    def extend(self, leaves: Iterable[bytes]) -> list[tuple[int, bytes]]:
        """Append leaf hashes; returns the tiles that were completed, as (number, root)."""
        tiles = []
        peaks, size = self.peaks, self.size
        for leaf in leaves:
            node, bits, level = leaf, size, 0
            while bits & 1:
                node = sha256(b"\x01" + peaks.pop() + node).digest()
                bits >>= 1
                level += 1
                if level == TILE_LEVEL:
                    tiles.append((size >> TILE_LEVEL, node))
            peaks.append(node)
            size += 1
        self.size = size
        return tiles

    def root(self) -> bytes:
        """The tree's root, 32 bytes."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    frontier.extend(leaves)
    return frontier.root()


def inclusion_proof(index: int, size: int, range_root: RangeRoot) -> tuple[bytes, ...]:
    """The path that shows leaf `index` in the tree of `size` leaves (RFC 9162, 2.1.3.1), nearest sibling first."""
    if not 0 <= index < size:
        raise ProofError(f"record {index} is not in a tree of {size} records")
    path = []
    first, end = 0, size
    while end - first > 1:
        middle = first + _split(end - first)
        if index < middle:
            path.append(range_root(middle, end))
            end = middle
        else:
            path.append(range_root(first, middle))
            first = middle
    return tuple(reversed(path))


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes) -> None:
    """Raise ProofError unless the path leads from the leaf to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise ProofError(f"record {index} is not in a tree of {size} records")
    place, last, node = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if place & 1 or place == last:
            node = node_hash(step, node)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            node = node_hash(node, step)
        place >>= 1
        last >>= 1
    if last or node != root:
        raise ProofError(f"the inclusion proof doesn't lead from record {index} to the root")


def consistency_proof(old: int, new: int, range_root: RangeRoot) -> tuple[bytes, ...]:
    """What shows that the tree of `old` leaves is the beginning of the tree of `new` ones (RFC 9162, 2.1.4.1)."""
    if not 0 < old <= new:
        raise ProofError(f"there is no consistency proof from {old} to {new} records")
    path = []
    first, end, whole = 0, new, True
    while old != end:
        middle = first + _split(end - first)
        if old <= middle:
            path.append(range_root(middle, end))
            end = middle
        else:
            path.append(range_root(first, middle))
            first, whole = middle, False
    if not whole:
        path.append(range_root(first, end))
    return tuple(reversed(path))


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Raise ProofError unless the old tree is a beginning of the new one (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        raise ProofError(f"there is no consistency proof from {old} to {new} records")
    if old == new:
        if path or old_root != new_root:
            raise ProofError(f"two trees of {old} records differ")
        return
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        raise ProofError("the consistency proof is empty")
    if _climb(old, new, steps) != (old_root, new_root):
        raise ProofError(f"the tree of {new} records doesn't continue the one of {old}")


def _climb(old: int, new: int, steps: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The two roots that the steps of a consistency proof lead to."""
    place, last = old - 1, new - 1
    while place & 1:
        place >>= 1
        last >>= 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if place & 1 or place == last:
            before = node_hash(step, before)
            after = node_hash(step, after)
            while not place & 1 and place:
                place >>= 1
                last >>= 1
        else:
            after = node_hash(after, step)
        place >>= 1
        last >>= 1
    if last:
        raise ProofError("the consistency proof is too short")
    return before, after


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)
