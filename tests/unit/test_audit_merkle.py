"""The tree and its proofs, against the definitions of RFC 9162 written down a second time."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.audit.merkle import (
    TILE_LEAVES,
    Frontier,
    ProofError,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
)
from governance.errors import AuditError

SIZES = st.integers(1, 200)


def _records(size: int) -> list[bytes]:
    return [b"record %d" % number for number in range(size)]


def _naive(records: list[bytes]) -> bytes:
    """MTH of RFC 9162, section 2.1.1, word by word."""
    if not records:
        return sha256(b"").digest()
    if len(records) == 1:
        return sha256(b"\x00" + records[0]).digest()
    k = 1
    while k * 2 < len(records):
        k *= 2
    return sha256(b"\x01" + _naive(records[:k]) + _naive(records[k:])).digest()


def _naive_path(m: int, records: list[bytes]) -> list[bytes]:
    """PATH of section 2.1.3.1."""
    if len(records) == 1:
        return []
    k = 1
    while k * 2 < len(records):
        k *= 2
    if m < k:
        return [*_naive_path(m, records[:k]), _naive(records[k:])]
    return [*_naive_path(m - k, records[k:]), _naive(records[:k])]


def _naive_subproof(m: int, records: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of section 2.1.4.1."""
    if m == len(records):
        return [] if whole else [_naive(records)]
    k = 1
    while k * 2 < len(records):
        k *= 2
    if m <= k:
        return [*_naive_subproof(m, records[:k], whole), _naive(records[k:])]
    return [*_naive_subproof(m - k, records[k:], False), _naive(records[:k])]


def test_the_hashes_are_those_that_certificate_transparency_published() -> None:
    """The test tree of RFC 6962's reference implementation: eight inputs, and the roots of its first n."""
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    roots = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    }
    for size, root in roots.items():
        assert root_of(leaf_hash(bytes.fromhex(text)) for text in inputs[:size]).hex() == root


@given(size=st.integers(0, 200), cut=st.integers(0, 200))
@settings(deadline=None, max_examples=60)
def test_the_root_does_not_depend_on_how_appends_were_batched(size: int, cut: int) -> None:
    records = _records(size)
    frontier = Frontier()
    for batch in (records[:cut], records[cut:]):
        frontier = Frontier(frontier.size, frontier.peaks)
        frontier.extend(map(leaf_hash, batch))
    assert frontier.root() == _naive(records)


@given(size=SIZES, data=st.data())
@settings(deadline=None, max_examples=60)
def test_every_record_is_proven_and_no_other(size: int, data: st.DataObject) -> None:
    records = _records(size)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, lambda first, end: _naive(records[first:end]))
    assert list(path) == _naive_path(index, records)
    check_inclusion(index, size, leaf_hash(records[index]), path, _naive(records))
    for wrong in {(index + 1) % size, (index - 1) % size} - {index}:
        with pytest.raises(ProofError):
            check_inclusion(wrong, size, leaf_hash(records[index]), path, _naive(records))
    for bad in ((*path, b"\0" * 32), path[:-1] if path else (b"\0" * 32,)):
        with pytest.raises(ProofError):
            check_inclusion(index, size, leaf_hash(records[index]), bad, _naive(records))


@given(new=SIZES, data=st.data())
@settings(deadline=None, max_examples=60)
def test_a_longer_tree_is_proven_to_continue_a_shorter_one(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    records = _records(new)
    path = consistency_proof(old, new, lambda first, end: _naive(records[first:end]))
    assert list(path) == _naive_subproof(old, records, True)
    check_consistency(old, new, _naive(records[:old]), _naive(records), path)
    altered = [b"another", *records[1:]]
    with pytest.raises(ProofError):
        check_consistency(old, new, _naive(altered[:old]), _naive(records), path)
    with pytest.raises(ProofError):
        check_consistency(old, new, _naive(records[:old]), _naive(altered), path)
    with pytest.raises(ProofError):
        check_consistency(old, new, _naive(records[:old]), _naive(records), (*path, b"\0" * 32))


def test_completed_tiles_are_the_roots_of_their_leaves() -> None:
    leaves = [leaf_hash(record) for record in _records(3 * TILE_LEAVES + 5)]
    frontier = Frontier()
    tiles = [tile for start in range(0, len(leaves), 700) for tile in frontier.extend(leaves[start : start + 700])]
    expected = [(n, root_of(leaves[n * TILE_LEAVES : (n + 1) * TILE_LEAVES])) for n in range(3)]
    assert tiles == expected
    assert frontier.root() == root_of(leaves)


@pytest.mark.parametrize(("size", "peaks"), [(-1, []), (1, []), (2, [b"x" * 32] * 2), (1, [b"short"])])
def test_a_frontier_that_can_not_be_is_refused(size: int, peaks: list[bytes]) -> None:
    with pytest.raises(AuditError):
        Frontier(size, peaks)
