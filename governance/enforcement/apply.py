"""Enforce: a plan applied to a batch. Every row ends admitted, quarantined or refused, and nothing leaves unprotected.

Order: names and types -> derive -> admission -> row quality -> scan -> subjects -> protect -> output schema.
"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contracts.types import Protect
from governance.enforcement.admission import admit, ahead
from governance.enforcement.outcomes import REFUSED, Enforced, Reason
from governance.enforcement.plan import ColumnPlan, EnforcementPlan, SubjectPlan, context_of
from governance.enforcement.quality import broken
from governance.enforcement.reading import Origin, Reading, read, without_ignored
from governance.enforcement.seal import bodies_of, seal_rows, with_content
from governance.enforcement.verdict import Verdict
from governance.errors import ContractError
from governance.model.clock import Clock
from governance.model.secret import Secret
from governance.pii.counts import ColumnCounts
from governance.pii.scanner import FieldScan, Finding, ScannedColumn, Scanner, ScanPlan, searched
from governance.protection import cells
from governance.protection.normalise import normalise
from governance.protection.subjects import Resolved


class Keys(Protocol):
    """The keys of one enforced batch, held under a lease that the caller began."""

    def resolve(self, entity: str, keys: list[pa.Array], create: np.ndarray) -> Resolved:
        """The subject of each row by its normalised key values, in deciding order; new ones only where `create` is
        true.
        """
        ...

    def fingerprints(self, bodies: list[bytes]) -> list[bytes]:
        """A keyed digest of each body."""
        ...

    def day_key(self, day: date) -> Secret:
        """The quarantine key of a day."""
        ...


@dataclass
class _Work:
    """What one call passes from step to step."""

    batch: pa.RecordBatch
    plan: EnforcementPlan
    reading: Reading
    verdict: Verdict
    refused: Verdict

    @property
    def rows(self) -> int:
        return int(self.batch.num_rows)


def enforce(
    batch: pa.RecordBatch, plan: EnforcementPlan, keys: Keys, scanner: Scanner, clock: Clock, *, threads: int = 1
) -> Enforced:
    """Apply the plan to a batch (see `reading.with_origin` for how a batch says where it comes from).

    admitted + quarantined + refused = rows. Raises ProtectionError where a key is missing, TransientError where the key
    store is away; then nothing of the batch may be stored.
    """
    batch = without_ignored(batch, plan)
    reading = read(batch, plan, clock)
    refused = admit(reading.values, plan, clock, batch.num_rows)
    work = _Work(batch, plan, reading, Verdict(batch.num_rows), refused)
    _check_types(work)
    work.verdict.mark(ahead(reading.values, plan, clock), Reason.AHEAD, plan.version_field)
    _check_rules(work)
    answers = _search(work, scanner)  # before the subjects, whom one batch makes while the next is searched
    subjects = _resolve_subjects(work, keys)
    findings, not_scanned, scanned = _heed(work, *answers)
    good = work.verdict.good & refused.good
    admitted = _protect(work, subjects, np.flatnonzero(good), threads)
    held = np.flatnonzero(work.verdict.bad & refused.good)
    today = clock().date()
    loose = _without_subject(held, [r for _, r in subjects])
    day_key = keys.day_key(today) if loose else None
    named = [(s.entity, r) for s, r in subjects]
    quarantined = seal_rows(batch, work.verdict, held, reading.origin, plan, named, today, day_key)
    if len(held):
        quarantined = with_content(quarantined, keys.fingerprints(bodies_of(batch, held)))
    return Enforced(
        admitted=admitted,
        quarantined=quarantined,
        refused=_refusals(refused, reading.origin),
        findings=findings,
        unknown_columns=tuple(sorted(reading.unknown)),
        created_subjects=sum(r.created for _, r in subjects),
        possible_links=sum(r.possible_links for _, r in subjects),
        shared_aliases=sum(r.shared for _, r in subjects),
        not_scanned=not_scanned,
        scanned=scanned,
    )


def _check_types(work: _Work) -> None:
    for column in work.plan.columns:
        failed = work.reading.failed.get(column.field)
        if failed is not None:
            work.verdict.mark(failed, Reason.TYPE, column.field)
    for column in work.plan.columns:
        if column.required:
            missing = ~_mask(work.reading.values[column.field].is_valid())
            work.verdict.mark(missing, Reason.REQUIRED, column.field)


def _check_rules(work: _Work) -> None:
    for rule in work.plan.row_rules:
        field = rule.fields[0] if len(rule.fields) == 1 else None
        work.verdict.mark(broken(rule, work.reading.values), Reason.RULE, field, rule.name)


def _resolve_subjects(work: _Work, keys: Keys) -> list[tuple[SubjectPlan, Resolved]]:
    """Subjects of all rows that may be stored, sealed quarantine included; none is created for a refused row."""
    resolved = []
    for subject in work.plan.subjects:
        aliases = [normalise(_text(work.reading.values[f]), rule) for f, rule in subject.keys]
        one = keys.resolve(subject.entity, aliases, work.refused.good)
        work.refused.mark(one.suppressed, Reason.SUPPRESSED)
        nobody = one.index < 0
        nameless = subject.pseudonym_column in work.plan.identity and work.plan.is_stream
        personal = np.full(work.rows, nameless)  # a stream's record is known by this person's pseudonym
        for field in subject.fields:
            column = work.plan.column(field)
            if column.derive is None or column.stored:
                personal |= _mask(work.reading.values[field].is_valid())
        work.verdict.mark(nobody & personal, Reason.NO_SUBJECT_KEY, subject.keys[0][0])
        resolved.append((subject, one))
    return resolved


_Answers = dict[str, ScannedColumn]


def _search(work: _Work, scanner: Scanner) -> tuple[_Answers, _Answers]:
    """Search what is to be stored in clear and, apart, since they may be called as fields are, the columns nobody
    declared.
    """
    plan, unknown = work.plan, work.reading.unknown
    declared = {f: work.reading.values[f] for f in plan.scan.own}
    scanned = searched(scanner, {f: work.reading.values[f] for f in plan.scanned}, plan.scan, declared, known=True)
    dropped = searched(scanner, unknown, _plan_of_unknown(plan.scan, tuple(unknown)), declared, known=False)
    return scanned, dropped


def _heed(
    work: _Work, scanned: _Answers, dropped: _Answers
) -> tuple[tuple[Finding, ...], tuple[str, ...], tuple[ColumnCounts, ...]]:
    """Hold and redact what the search says. Returns findings, the columns not scanned, and what was searched."""
    plan = work.plan
    not_scanned = []
    for name, answer in scanned.items():
        if plan.scan.of(name).redact and answer.redacted is not None:
            work.reading.values[name] = _redacted(work.reading.values[name], answer.redacted, name)
        work.verdict.mark(answer.undeclared, Reason.FINDING, name)
        if name not in plan.admit_unscanned:
            work.verdict.mark(answer.cannot_tell, Reason.CANNOT_TELL, name)
        elif answer.cannot_tell.any():
            not_scanned.append(name)
    for answer in dropped.values():
        work.verdict.mark(answer.undeclared, Reason.FINDING, "unknown column")
    counts = [ColumnCounts.of(name, answer) for name, answer in scanned.items()]
    counts += [ColumnCounts.of(name, answer, declared=False) for name, answer in dropped.items()]
    return tuple(f for one in counts for f in one.findings), tuple(not_scanned), tuple(counts)


def _plan_of_unknown(plan: ScanPlan, names: tuple[str, ...]) -> ScanPlan:
    """Columns that nobody declared are searched for patterns, and their names speak for what they hold."""
    return replace(plan, fields=tuple(FieldScan(name, text=False, context=context_of(name)) for name in names))


def _redacted(values: pa.Array, redacted: pa.Array, field: str) -> pa.Array:
    if len(redacted) != len(values) or redacted.type != values.type:
        raise ContractError(f"the scanner gave back another column than field {field}: nothing is stored")
    return redacted


def _protect(
    work: _Work, subjects: list[tuple[SubjectPlan, Resolved]], rows: np.ndarray, threads: int
) -> pa.RecordBatch:
    """The admitted rows in the output schema: tokens, masks, pseudonyms and clear columns."""
    whole = len(rows) == work.rows
    pick = None if whole else pa.array(rows)
    by_entity = {s.entity: r for s, r in subjects}
    columns = []
    for column in work.plan.columns:
        if column.stored:
            values = work.reading.values[column.field]
            values = values if pick is None else values.take(pick)
            columns.append(_protect_column(values, column, work.plan, by_entity, rows, threads))
    columns += [_pseudonyms(r, rows) for _, r in subjects]
    origin = work.reading.origin
    columns += [_repeat(origin.source, len(rows)), _repeat(origin.part, len(rows))]
    columns += [pa.array(origin.positions[rows], pa.int64()), _repeat(work.plan.version, len(rows))]
    return pa.RecordBatch.from_arrays(columns, schema=work.plan.output_schema())


def _protect_column(
    values: pa.Array,
    column: ColumnPlan,
    plan: EnforcementPlan,
    subjects: dict[str, Resolved],
    rows: np.ndarray,
    threads: int,
) -> pa.Array:
    if column.protect == Protect.CLEAR:
        return values
    if column.protect == Protect.MASK:
        return pc.if_else(values.is_valid(), pa.scalar("***"), pa.scalar(None, pa.string()))
    if column.protect != Protect.ENCRYPT or column.subject is None:
        raise ContractError(f"field {column.field} has no rule that enforcement knows: nothing is stored")
    resolved = subjects[column.subject]
    index = resolved.index[rows].astype(np.int32)
    return cells.encrypt(_text(values), index, resolved.table, plan.dataset, column.field, threads=threads).cast(
        pa.string()
    )


def _pseudonyms(resolved: Resolved, rows: np.ndarray) -> pa.Array:
    """32 hexadecimal digits a row, null where there is no subject."""
    index = resolved.index[rows]
    raw = np.ascontiguousarray(resolved.table.pseudonyms)
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    text = np.empty((len(raw), 32), dtype=np.uint8)
    text[:, 0::2], text[:, 1::2] = digits[raw >> 4], digits[raw & 15]
    offsets = np.arange(len(raw) + 1, dtype=np.int32) * 32
    names = pa.StringArray.from_buffers(len(raw), pa.py_buffer(offsets), pa.py_buffer(text))
    return names.take(pa.array(index, mask=index < 0))


def _refusals(refused: Verdict, origin: Origin) -> pa.RecordBatch:
    rows = np.flatnonzero(refused.bad)
    reasons = [str(refused.of(int(row)).reason) for row in rows]
    columns = [
        _repeat(origin.source, len(rows)),
        _repeat(origin.part, len(rows)),
        pa.array(origin.positions[rows], pa.int64()),
        pa.array(reasons, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=REFUSED)


def _without_subject(rows: np.ndarray, resolved: list[Resolved]) -> bool:
    known = np.zeros(len(rows), dtype=bool)
    for one in resolved:
        known |= one.index[rows] >= 0
    return bool((~known).any())


def _repeat(text: str, times: int) -> pa.Array:
    return pa.repeat(pa.scalar(text, pa.string()), times)


def _text(values: pa.Array) -> pa.Array:
    return values if pa.types.is_string(values.type) else values.cast(pa.string())


def _mask(values: pa.Array) -> np.ndarray:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)
