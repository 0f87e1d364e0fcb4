"""How each stored column is searched: clear ones by the scanner, protected ones by their form, ours not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from governance.contracts.types import Protect
from governance.enforcement.plan import PART, POSITION, SOURCE, VERSION, EnforcementPlan
from governance.flows.runs import column_name
from governance.pii.counts import ColumnCounts, together
from governance.pii.scanner import Band, Finding, ScannedColumn, Scanner, ScanOutcome, ScanPlan, searched
from governance.protection.stored_form import not_masked, not_pseudonyms, not_tokens

NOT_A_TOKEN, NOT_MASKED, NOT_A_PSEUDONYM = "NOT_A_TOKEN", "NOT_MASKED", "NOT_A_PSEUDONYM"
"""Said in an entity's place: a protected column holds something else than its contract promises."""

_ORIGIN = frozenset({SOURCE, PART, POSITION, VERSION})


@dataclass(frozen=True)
class StoredColumns:
    """The columns of a dataset's copies, under its plan.

    Nothing of a row is decrypted, so a person's own declared values can't be looked for here, and nothing is redacted:
    what is found is stored, and said.
    """

    plan: EnforcementPlan
    scanner: Scanner

    @property
    def leave(self) -> frozenset[str]:
        """Columns that needn't be read: those that the contract exempts, and where a row came from."""
        return _ORIGIN | {c.name for c in self.plan.columns if c.field in self.exempt}

    @cached_property
    def exempt(self) -> dict[str, str]:
        """Fields that are stored in clear and not searched, with the contract's reason."""
        clear = (c for c in self.plan.columns if c.stored and c.protect == Protect.CLEAR)
        return {c.field: c.reason or "" for c in clear if c.field not in self.plan.scanned}

    def search(self, rows: pa.RecordBatch) -> tuple[ColumnCounts, ...]:
        """What these rows come to, a column each. Raises ContractError where the scanner leaves one out."""
        given = dict(zip(rows.schema.names, rows.columns, strict=True))
        formed = [name for name in given if name in self._forms]
        clear = {self._clear[name]: given[name] for name in given if name in self._clear}
        others = {n: v for n, v in given.items() if n not in self._clear and n not in self._forms}
        found = self._scan(clear, self._searches, declared=True)
        found += [self._by_form(name, given[name]) for name in formed]
        found += self._scan(others, replace(self._searches, fields=()), declared=False)
        return together(found)

    def _scan(self, columns: Mapping[str, pa.Array], plan: ScanPlan, *, declared: bool) -> list[ColumnCounts]:
        found = []
        for name, answer in searched(self.scanner, columns, plan, {}, known=declared).items():
            counts = ColumnCounts.of(name, answer, declared=declared)
            found.append(counts if declared else counts.called(column_name(name)))
        return found

    def _by_form(self, name: str, values: pa.Array) -> ColumnCounts:
        field, entity, wrong = self._forms[name]
        mask = wrong(values)
        count = int(mask.sum())
        findings = (Finding(field, ScanOutcome.UNDECLARED, count, entity, str(Band.HIGH)),) if count else ()
        return ColumnCounts.of(field, ScannedColumn(mask, np.zeros(len(mask), dtype=bool), findings))

    @cached_property
    def _clear(self) -> dict[str, str]:
        return {c.name: c.field for c in self.plan.columns if c.stored and c.field in self.plan.scanned}

    @cached_property
    def _searches(self) -> ScanPlan:
        return replace(self.plan.scan, fields=tuple(replace(f, redact=False) for f in self.plan.scan.fields))

    @cached_property
    def _forms(self) -> dict[str, tuple[str, str, Callable[[pa.Array], np.ndarray]]]:
        """Stored name -> (field, what is said, which cells are of another form)."""
        kinds = {Protect.ENCRYPT: (NOT_A_TOKEN, not_tokens), Protect.MASK: (NOT_MASKED, not_masked)}
        found = {
            c.name: (c.field, *kinds[Protect(c.protect)])
            for c in self.plan.columns
            if c.stored and c.protect in kinds and c.name not in self._clear
        }
        pseudonyms = {s.pseudonym_column: NOT_A_PSEUDONYM for s in self.plan.subjects}
        return found | {name: (name, said, not_pseudonyms) for name, said in pseudonyms.items()}
