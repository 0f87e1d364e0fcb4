"""A row has one cause, the first that is found, whatever else is wrong with it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.enforcement.outcomes import Reason
from governance.enforcement.verdict import Cause, Verdict


def test_a_row_keeps_its_first_cause() -> None:
    verdict = Verdict(3)
    verdict.mark(np.array([True, False, False]), Reason.TYPE, "quantity")
    verdict.mark(np.array([True, True, False]), Reason.RULE, "net", "net_of")
    assert verdict.of(0) == Cause(Reason.TYPE, "quantity")
    assert verdict.of(1) == Cause(Reason.RULE, "net", "net_of")
    assert verdict.good.tolist() == [False, False, True]


def test_a_fault_that_no_row_has_leaves_nothing() -> None:
    verdict = Verdict(2)
    verdict.mark(np.zeros(2, bool), Reason.TYPE, "quantity")
    assert verdict.causes == [] and verdict.good.all() and not verdict.bad.any()


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), max_size=6))
@settings(deadline=None, max_examples=50)
def test_every_row_is_either_good_or_has_the_first_cause_that_was_marked(masks: list[list[bool]]) -> None:
    verdict = Verdict(5)
    for number, mask in enumerate(masks):
        verdict.mark(np.array(mask), Reason.RULE, None, str(number))
    for row in range(5):
        first = next((number for number, mask in enumerate(masks) if mask[row]), None)
        assert bool(verdict.good[row]) is not bool(verdict.bad[row])
        assert verdict.bad[row] == (first is not None)
        if first is not None:
            assert verdict.of(row).detail == str(first)
