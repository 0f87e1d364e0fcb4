"""Who may be stored at all, decided before anything else can hold a row; and which time a record is of."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.derive import age_in_years
from governance.enforcement.outcomes import Reason
from governance.enforcement.plan import EnforcementPlan
from governance.enforcement.verdict import Verdict
from governance.model.clock import Clock

_MOMENT = pa.timestamp("us", tz="UTC")


def admit(values: dict[str, pa.Array], plan: EnforcementPlan, clock: Clock, rows: int) -> Verdict:
    """Mark the rows that are refused: someone under the declared age, or whose age can't be established; then what is
    older than it may be kept.
    """
    refused = Verdict(rows)
    now = clock()
    for subject in plan.subjects:
        if subject.minimum_age is None or subject.born is None:
            continue
        age = age_in_years(values[subject.born], now.date())
        unknown = ~age.is_valid().to_numpy(zero_copy_only=False)
        years = age.fill_null(0).to_numpy(zero_copy_only=False)
        refused.mark(unknown | (years < 0) | (years > 150), Reason.AGE_UNKNOWN, subject.born)
        refused.mark(np.asarray(years < subject.minimum_age), Reason.UNDERAGE, subject.born)
    if plan.oldest_days is not None and plan.record_date is not None:
        oldest = _moment(now - timedelta(days=plan.oldest_days), values[plan.record_date].type)
        refused.mark(_true(pc.less(values[plan.record_date], oldest)), Reason.EXPIRED, plan.record_date)
    return refused


def ahead(values: dict[str, pa.Array], plan: EnforcementPlan, clock: Clock) -> np.ndarray:
    """Which rows say that they changed at a moment that hasn't come yet, skew of clocks apart."""
    if plan.skew_seconds is None or plan.version_field is None:
        return np.zeros(len(next(iter(values.values()), ())), dtype=bool)
    latest = clock() + timedelta(seconds=plan.skew_seconds)
    changed = values[plan.version_field]
    return _true(pc.greater(changed, _moment(latest, changed.type)))


def _moment(moment: datetime, kind: pa.DataType) -> pa.Scalar:
    """A moment as a column has it; of a column of dates its day in UTC."""
    return pa.scalar(moment.date(), kind) if pa.types.is_date(kind) else pa.scalar(moment, _MOMENT)


def _true(condition: pa.Array) -> np.ndarray:
    """Where a condition holds; a null holds nothing."""
    return np.asarray(condition.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
