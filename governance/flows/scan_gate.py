"""The scan gate: were all cells searched, and is undeclared personal data the exception that the contract expects?

The rows in which something was found are in quarantine already. The gate is for what their number says: a column of
them is a contract or a source to mend, before anything else of the load is published.
"""

from collections.abc import Sequence

from governance.enforcement.outcomes import Reason
from governance.enforcement.plan import EnforcementPlan
from governance.errors import GateError
from governance.flows.findings import called, percent
from governance.pii.counts import ColumnCounts

_NAMED = 5


def judge(
    run: str,
    plan: EnforcementPlan,
    totals: dict[str, dict[str, int]],
    searched: Sequence[ColumnCounts],
    read_whole: Sequence[ColumnCounts],
) -> dict[str, int]:
    """Counts of the step. `searched` is what all of the run's batches came to, `read_whole` those that were read from
    the source one row after the other: in a replay all rows were held before, so their share says nothing.

    Raises GateError where a cell went unsearched, or where a column's share is above the plan's `undeclared_share`.
    """
    _check_all_searched(run, plan, totals, searched)
    above = [one for one in read_whole if one.share > plan.undeclared_share]
    if above:
        more = f"; and {len(above) - _NAMED} more columns" if len(above) > _NAMED else ""
        raise GateError(
            f"run {run}: the scan gate blocked {plan.dataset}: "
            + "; ".join(_told(one, plan) for one in above[:_NAMED])
            + more
            + ". These rows are in quarantine, and the last published version stays readable. Declare the "
            "personal data (pii and protect), mend the source, or say `scan: none` with a reason, and load again"
        )
    return {
        "columns": len(searched),
        "cells": sum(one.cells for one in searched),
        "undeclared": sum(one.undeclared for one in searched),
        "cannot_tell": sum(one.cannot_tell for one in searched),
    }


def _check_all_searched(
    run: str, plan: EnforcementPlan, totals: dict[str, dict[str, int]], searched: Sequence[ColumnCounts]
) -> None:
    rows = sum(counts["rows"] - counts.get(f"quarantined.{Reason.MALFORMED}", 0) for counts in totals.values())
    cells = {one.field: one.cells for one in searched if one.declared}
    missed = [field for field in plan.scanned if cells.get(field, 0) != rows]
    if missed:
        raise GateError(
            f"run {run}: the scan gate blocked {plan.dataset}: field {missed[0]} was searched in "
            f"{cells.get(missed[0], 0)} of {rows} rows. Unknown is never a pass: begin a new run"
        )


def _told(one: ColumnCounts, plan: EnforcementPlan) -> str:
    entities = " and ".join(list(one.entities)[:3]) or "personal data"
    return (
        f"{called(one)} has undeclared {entities} in {percent(one.share)} of its cells "
        f"({one.undeclared:,} of {one.cells:,}), above the limit of {percent(plan.undeclared_share)}"
    )
