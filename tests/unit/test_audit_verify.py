"""Verification against any tampering that hypothesis can think of, over a ledger in memory."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.audit.anchor import AnchorEntry
from governance.audit.findings import MAX_FINDINGS, Fault, Report
from governance.audit.heads import Ed25519Signer, SignedHead, sign_head
from governance.audit.merkle import Frontier, leaf_hash
from governance.audit.records import Record, encode
from governance.audit.verify import verify
from governance.model.secret import Secret

AT = "2026-03-01T12:00:00.000000Z"
SIGNER = Ed25519Signer(Secret(bytes(range(32))))
Row = tuple[int, bytes, bytes]


@dataclass
class Stored:
    """What a database would hold; a tamperer may change any of it."""

    table: list[Row]
    size: int
    peaks: bytes
    stored_heads: list[SignedHead]
    stored_tiles: list[tuple[int, bytes]] = field(default_factory=list)

    def snapshot(self) -> AbstractContextManager["Stored"]:
        return nullcontext(self)

    def rows(self, first: int = 0) -> Iterator[Row]:
        return iter(sorted((row for row in self.table if row[0] >= first), key=lambda row: row[0]))

    def heads(self) -> Iterator[SignedHead]:
        return iter(sorted(self.stored_heads, key=lambda head: head.size))

    def tiles(self) -> Iterator[tuple[int, bytes]]:
        return iter(self.stored_tiles)


@dataclass
class Held:
    """A verifier's own heads."""

    heads: list[SignedHead]
    warning: str | None = None

    def entries(self) -> Iterator[AnchorEntry]:
        return iter(self.heads)


def _rows(count: int, start: int = 0, run: str = "r") -> list[Row]:
    encoded = [encode(Record("ingest.batch", "airflow", run=run), start + i, AT) for i in range(count)]
    return [(start + i, row, leaf_hash(row)) for i, row in enumerate(encoded)]


def _ledger(*spans: int) -> tuple[Stored, Held]:
    """A ledger with a head after each span; the verifier holds them all."""
    rows, tree, heads, tiles = _rows(sum(spans)), Frontier(), [], []
    for span in spans:
        tiles += tree.extend(leaf for _, _, leaf in rows[tree.size : tree.size + span])
        heads.append(sign_head(tree, AT, SIGNER))
    return Stored(rows, tree.size, b"".join(tree.peaks), heads, tiles), Held(list(heads))


def _fit(stored: Stored) -> None:
    """Rewrite the running state so that it fits the rows, and drop the stored heads."""
    tree = Frontier()
    tree.extend(leaf for _, _, leaf in stored.rows())
    stored.size, stored.peaks, stored.stored_heads = tree.size, b"".join(tree.peaks), []


def _check(stored: Stored, held: Held) -> Report:
    return verify(stored, held, SIGNER.verifying_key)  # type: ignore[arg-type]  (of History only snapshot is used)


SPANS = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@given(spans=SPANS)
@settings(deadline=None, max_examples=30)
def test_nothing_is_found_where_nothing_was_changed(spans: list[int]) -> None:
    report = _check(*_ledger(*spans))
    assert report.ok
    assert report.proven == report.size == sum(spans)


@given(spans=SPANS, data=st.data())
@settings(deadline=None, max_examples=300)
def test_no_set_of_rows_but_the_signed_one_passes(spans: list[int], data: st.DataObject) -> None:
    """Rows taken from the real ones, from forged ones, doubled, left out, in any order, under fitting or unfitting
    leaf hashes, with the running state rewritten to fit or left.
    """
    stored, held = _ledger(*spans)
    genuine = list(stored.table)
    pool = [row[1] for row in genuine] + [row[1] for row in _rows(len(genuine) + 1, run="forged")] + [b"junk"]
    places = st.integers(0, len(pool) - 1)
    chosen = data.draw(st.lists(places, min_size=0, max_size=len(genuine) + 2) | st.permutations(range(len(genuine))))
    stored.table = [(i, pool[place], leaf_hash(pool[place])) for i, place in enumerate(chosen)]
    if data.draw(st.booleans()):
        _fit(stored)
    report = _check(stored, held)
    assert report.ok == (stored.table == genuine and bool(stored.stored_heads))
    if not report.ok:
        assert report.findings


@given(spans=SPANS, data=st.data())
@settings(deadline=None, max_examples=150)
def test_an_altered_record_names_itself_or_exactly_its_span(spans: list[int], data: st.DataObject) -> None:
    stored, held = _ledger(*spans)
    index = data.draw(st.integers(0, len(stored.table) - 1))
    with_leaf = data.draw(st.booleans())
    forged = _rows(1, index, run="forged")[0]
    stored.table[index] = forged if with_leaf else (index, forged[1], stored.table[index][2])
    ends = [sum(spans[: i + 1]) for i in range(len(spans))]
    end = next(end for end in ends if end > index)
    start = max((e for e in ends if e <= index), default=0)
    findings = [(finding.fault, finding.first, finding.last) for finding in _check(stored, held).findings]
    assert findings == [(Fault.REWRITTEN, start, end - 1) if with_leaf else (Fault.ALTERED, index, index)]


@given(spans=SPANS, data=st.data())
@settings(deadline=None, max_examples=150)
def test_dropped_rows_are_named_one_by_one(spans: list[int], data: st.DataObject) -> None:
    stored, held = _ledger(*spans)
    last = len(stored.table) - 1
    gone = data.draw(st.sets(st.integers(0, last), min_size=1))
    stored.table = [row for row in stored.table if row[0] not in gone]
    report = _check(stored, held)
    assert {finding.fault for finding in report.findings} <= {Fault.DROPPED, Fault.TRUNCATED}
    named = {index for finding in report.findings for index in range(finding.first, finding.last + 1)}
    assert named == gone


@given(spans=SPANS, data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_dropped_record_is_named_though_all_others_moved_up(spans: list[int], data: st.DataObject) -> None:
    stored, held = _ledger(*spans)
    gone = data.draw(st.integers(0, len(stored.table) - 1))
    kept = [row for row in stored.table if row[0] != gone]
    stored.table = [(i, row, leaf) for i, (_, row, leaf) in enumerate(kept)]
    findings = [(finding.fault, finding.first, finding.last) for finding in _check(stored, held).findings]
    fault = Fault.TRUNCATED if gone == len(kept) else Fault.DROPPED
    assert findings == [(fault, gone, gone)]


@given(spans=SPANS, data=st.data())
@settings(deadline=None, max_examples=100)
def test_a_database_of_an_earlier_moment_is_a_rollback(spans: list[int], data: st.DataObject) -> None:
    earlier = data.draw(st.integers(0, len(spans) - 1))
    old, _ = _ledger(*spans[:earlier])
    _, held = _ledger(*spans)
    findings = [(finding.fault, finding.first, finding.last) for finding in _check(old, held).findings]
    assert findings == [(Fault.ROLLED_BACK, sum(spans[:earlier]), sum(spans) - 1)]


def test_a_ledger_in_ruins_gives_a_bounded_report() -> None:
    """Memory stays flat: findings are counted beyond a limit, not kept."""
    stored, held = _ledger(5000, 5000)
    stored.table = [(index, b"junk", leaf) for index, _, leaf in stored.table]
    report = _check(stored, held)
    assert len(report.findings) == MAX_FINDINGS
    assert report.more > 5000
    assert not report.ok
