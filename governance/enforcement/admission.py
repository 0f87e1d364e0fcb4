"""Who may be stored at all. Decided before anything else can send a row to quarantine."""

import numpy as np
import pyarrow as pa

from governance.enforcement.derive import age_in_years
from governance.enforcement.outcomes import Reason
from governance.enforcement.plan import EnforcementPlan
from governance.enforcement.verdict import Verdict
from governance.model.clock import Clock


def admit(values: dict[str, pa.Array], plan: EnforcementPlan, clock: Clock, rows: int) -> Verdict:
    """Mark the rows that are refused: someone under the declared age, or whose age can't be established."""
    refused = Verdict(rows)
    for subject in plan.subjects:
        if subject.minimum_age is None or subject.born is None:
            continue
        age = age_in_years(values[subject.born], clock().date())
        unknown = ~age.is_valid().to_numpy(zero_copy_only=False)
        years = age.fill_null(0).to_numpy(zero_copy_only=False)
        refused.mark(unknown | (years < 0) | (years > 150), Reason.AGE_UNKNOWN, subject.born)
        refused.mark(np.asarray(years < subject.minimum_age), Reason.UNDERAGE, subject.born)
    return refused
