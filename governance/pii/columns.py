"""One column's answer: what its leaves hold, told by row and counted by entity and band."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from governance.pii import forms
from governance.pii.forms import Texts
from governance.pii.leaves import Leaf, leaves
from governance.pii.names import Names
from governance.pii.redaction import in_original, redact
from governance.pii.scanner import Band, FieldScan, Finding, ScannedColumn, ScanOutcome, ScanPlan
from governance.pii.search import Detector, Memory, Met, in_both_forms, search
from governance.pii.spans import Spans, concat

Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Own = Callable[[pa.Array, Mapping[str, pa.Array], Mapping[str, str]], Spans]
"""The row's own declared values in its free text (`own_values.find`)."""


@dataclass(frozen=True)
class Tools:
    """What a column is searched with. No text with fewer digits than `least_digits`, or shorter than `least_length`,
    can meet a condition. `moment` is the finding in every cell of a date or time, where the plan asks for those by
    name.
    """

    detector: Detector
    memory: Memory
    met: Met
    own: Own
    names: Names | None
    moment: tuple[str, float] | None = None
    least_digits: int = 0
    least_length: int = 0


@dataclass
class _Sight:
    """What is seen of a leaf, by position in it, or of a column, by rows; `unknown` always by rows.

    `hidden` are seen in the plain form alone.
    """

    open: list[Spans] = field(default_factory=list)
    hidden: list[Spans] = field(default_factory=list)
    unknown: list[Ints] = field(default_factory=list)


def scan_column(
    column: pa.Array, how: FieldScan, plan: ScanPlan, declared: Mapping[str, pa.Array], tools: Tools
) -> ScannedColumn:
    """Search every leaf of a column. A cell is undeclared where one of its leaves holds what isn't declared."""
    rows = len(column)
    sight = _Sight()
    for whole in leaves(column):
        here = _Sight()
        leaf = _look(whole, how, here, tools)
        if how.text and pa.types.is_string(leaf.values.type):
            own = declared if leaf.rows is None else {f: v.take(pa.array(leaf.rows)) for f, v in declared.items()}
            here.open.append(tools.own(leaf.values, own, plan.own))
        sight.open.append(_of_rows(_settled(concat(*here.open), how), leaf))
        sight.hidden.append(_of_rows(_settled(concat(*here.hidden), how), leaf))
        sight.unknown += here.unknown
    spans = concat(*sight.open, *sight.hidden)
    unknown = spans.not_read(rows)
    for some in sight.unknown:
        unknown[some] = True
    undeclared = _undeclared(spans, how).touched(rows)
    findings = _count(spans, how, rows)
    redacted = None
    if how.redact and undeclared.any() and column.type in (pa.string(), pa.large_string()):
        redacted, undeclared = _redacted(column, how, sight, tools, undeclared)
    unknown &= ~undeclared
    if unknown.any():
        findings += (Finding(how.field, ScanOutcome.CANNOT_TELL, int(unknown.sum())),)
    return ScannedColumn(undeclared, unknown, findings, redacted)


def _look(leaf: Leaf, how: FieldScan, sight: _Sight, tools: Tools) -> Leaf:
    """Patterns in the texts of a leaf, and names where it is free text. Returns it without what is no text."""
    if forms.is_moment(leaf.values.type):
        if tools.moment is not None:
            held = np.flatnonzero(leaf.values.is_valid().to_numpy(zero_copy_only=False))
            sight.open.append(Spans.of((int(i), 0, 0, *tools.moment) for i in held))
        return leaf
    texts = forms.texts_of(leaf.values, tools.least_digits, tools.least_length)
    if texts is None:
        return leaf
    if texts.unreadable is not None:
        unreadable = forms.index_in(leaf.values, texts.unreadable) >= 0
        sight.unknown.append(leaf.row_of(np.flatnonzero(unreadable)))
        leaf = Leaf(pc.if_else(pa.array(unreadable), pa.scalar(None, leaf.values.type), leaf.values), leaf.rows)
    hits = search(texts, tools.detector, tools.memory, tools.met)
    sight.open.append(_spread(hits.open, texts, leaf))
    sight.hidden.append(_spread(hits.hidden, texts, leaf))
    if how.text and pa.types.is_string(leaf.values.type):
        if tools.names is None:
            sight.unknown.append(leaf.row_of(_lettered(leaf, texts)))
        else:
            named = in_both_forms(texts, tools.names.find)
            sight.open.append(_spread(named.open, texts, leaf))
            sight.hidden.append(_spread(named.hidden, texts, leaf))
    return leaf


def _redacted(column: pa.Array, how: FieldScan, sight: _Sight, tools: Tools, undeclared: Mask) -> tuple[pa.Array, Mask]:
    """The column with tags, and the rows that stay undeclared: those with a place that can't be replaced, and those in
    which something is found all the same afterwards.
    """
    hidden = _undeclared(concat(*sight.hidden), how)
    seen, unseen = _in_text(column, hidden)
    places = concat(_undeclared(concat(*sight.open), how), seen)
    answer = redact(column, places.where(~unseen[places.row]) if len(places) else places)
    left = answer.left | unseen
    changed = np.flatnonzero(undeclared & ~left)
    texts = forms.texts_of(answer.column.take(pa.array(changed)).cast(pa.string()), 0, 0)
    if texts is not None and len(changed):
        hits = search(texts, tools.detector, tools.memory, tools.met)
        again = concat(
            *(
                _spread(h, texts, Leaf(answer.column.take(pa.array(changed)).cast(pa.string())))
                for h in (hits.open, hits.hidden)
            )
        )
        still = _undeclared(again, how)
        left[changed[still.row]] = True
        left[changed[still.unread]] = True
    return answer.column, undeclared & left


def _in_text(column: pa.Array, hidden: Spans) -> tuple[Spans, Mask]:
    """Places of the plain form as places of the text, and the rows where there is no such place."""
    unseen = np.zeros(len(column), dtype=bool)
    found = []
    for row, start, end, entity, score in hidden.tuples():
        text = column[row].as_py()
        place = in_original(text, forms.plain_form(text), start, end)
        if place is None:
            unseen[row] = True
        else:
            found.append((row, *place, entity, score))
    return Spans.of(found), unseen


def _spread(spans: Spans, texts: Texts, leaf: Leaf) -> Spans:
    """From distinct values to the places in the leaf that hold them; only those with a hit are looked for."""
    hit = np.unique(np.concatenate([spans.row, spans.unread]))
    if not len(hit):
        return Spans.none()
    renumbered = Spans(
        np.searchsorted(hit, spans.row),
        spans.start,
        spans.end,
        spans.entity,
        spans.score,
        spans.names,
        np.searchsorted(hit, spans.unread),
    )
    return renumbered.spread(texts.index_of(leaf.values, hit))


def _lettered(leaf: Leaf, texts: Texts) -> Ints:
    """The positions of texts with a letter."""
    lettered = pc.match_substring_regex(texts.texts, r"\pL").to_numpy(zero_copy_only=False)
    bare = texts.values.filter(pa.array(~lettered))
    held: Mask = leaf.values.is_valid().to_numpy(zero_copy_only=False)
    if len(bare):
        held = held & ~pc.is_in(leaf.values, value_set=bare).to_numpy(zero_copy_only=False)
    return np.flatnonzero(held)


def _of_rows(spans: Spans, leaf: Leaf) -> Spans:
    if leaf.rows is None:
        return spans
    row, unread = leaf.rows[spans.row], np.unique(leaf.rows[spans.unread])
    return Spans(row, spans.start, spans.end, spans.entity, spans.score, spans.names, unread)


def _undeclared(spans: Spans, how: FieldScan) -> Spans:
    """The places of entities that the contract doesn't declare for the field."""
    if not len(spans):
        return spans
    held = np.array([name in how.declared for name in spans.names])
    return spans.where(~held[spans.entity])


def _settled(spans: Spans, how: FieldScan) -> Spans:
    """Without what a declared place is read as besides, and without what is seen inside it and is no surer than it: the
    domain in a declared e-mail address is no other entity's find, a card number in a declared web address is one.
    """
    if not len(spans) or not how.declared:
        return spans
    held = np.array([name in how.declared for name in spans.names])[spans.entity]
    declared: dict[int, list[tuple[int, int, float]]] = {}
    for row, start, end, _, score in spans.where(held).tuples():
        declared.setdefault(row, []).append((start, end, score))
    settled = [
        any(
            (start, end) == (low, high) or (low <= start and end <= high and score <= sure)
            for low, high, sure in declared.get(row, ())
        )
        for row, start, end, _, score in spans.tuples()
    ]
    return spans.where(held | ~np.array(settled))


def _count(spans: Spans, how: FieldScan, rows: int) -> tuple[Finding, ...]:
    """By entity, in order of name: how many rows hold it, each with its highest score's band."""
    findings = []
    for index in sorted(range(len(spans.names)), key=lambda i: spans.names[i]):
        entity = spans.names[index]
        outcome = ScanOutcome.DECLARED if entity in how.declared else ScanOutcome.UNDECLARED
        mine = spans.where(spans.entity == index)
        best = np.full(rows, -1.0)
        np.maximum.at(best, mine.row, mine.score)
        bands = [Band.of(score) for score in best[best >= 0]]
        for band in Band:
            count = bands.count(band)
            if count:
                findings.append(Finding(how.field, outcome, count, entity, str(band)))
    return tuple(findings)
