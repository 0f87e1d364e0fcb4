"""A scanner whose answers can be seen in the cells: for tests of what is done with answers."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.pii.scanner import Finding, ScannedColumn, ScanOutcome, ScanPlan


class SimpleScanner:
    """A cell with an @ holds an e-mail address, one with ??? can't be told; everything else is clean."""

    def scan(
        self, columns: Mapping[str, pa.Array], plan: ScanPlan, declared: Mapping[str, pa.Array]
    ) -> dict[str, ScannedColumn]:
        return {name: _searched(name, values) for name, values in columns.items()}


def _searched(name: str, values: pa.Array) -> ScannedColumn:
    text = values.cast(pa.string())
    addresses, unknown = (
        np.asarray(pc.match_substring(text, sign).fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
        for sign in ("@", "???")
    )
    findings = []
    if addresses.any():
        findings.append(Finding(name, ScanOutcome.UNDECLARED, int(addresses.sum()), "EMAIL_ADDRESS", "high"))
    if unknown.any():
        findings.append(Finding(name, ScanOutcome.CANNOT_TELL, int(unknown.sum())))
    return ScannedColumn(addresses, unknown, tuple(findings))
