"""The necessary condition of each of Presidio's recognisers; None where none is proven.

A recogniser that only searches for its patterns (whatever it then does to the score) has the superset of each of them
as a clause. One that searches otherwise has a condition by hand, with its proof, or none.
"""

import inspect
from typing import Any

from presidio_analyzer import PatternRecognizer
from presidio_analyzer.predefined_recognizers import (
    IbanRecognizer,
    PhoneRecognizer,
    ZaMobileNumberRecognizer,
    ZaTelephoneNumberRecognizer,
)

from governance.adapters.presidio.phones import phone_clauses
from governance.pii.prefilter import Condition
from governance.pii.superset import Clause, clause_of

_SEARCH = ("analyze", "_PatternRecognizer__analyze_patterns", "_deny_list_to_regex")
# It searches for its patterns with its own flags, as the base class does, and reports what begins where they are found.
_ALIKE = (IbanRecognizer,)
# They ask phonenumbers' matcher for numbers of their regions; the South African ones then keep a part of them.
_PHONES = (PhoneRecognizer, ZaMobileNumberRecognizer, ZaTelephoneNumberRecognizer)


def condition_of(recognizer: Any) -> Condition | None:
    """What a cell must have for this recogniser to find anything in it; None if that isn't known.

    It holds while the recogniser's patterns and flags stay as they are now.
    """
    if isinstance(recognizer, PatternRecognizer) and _searches_by_pattern(recognizer):
        return _by_patterns(recognizer)
    if type(recognizer) in _PHONES and "analyze" not in vars(recognizer):
        clauses = phone_clauses(tuple(recognizer.supported_regions), recognizer.leniency)
        return None if clauses is None else Condition(clauses)
    return None


def _by_patterns(recognizer: Any) -> Condition | None:
    clauses: list[Clause] = []
    for pattern in recognizer.patterns:
        clause = clause_of(pattern.regex, int(recognizer.global_regex_flags or 0))
        if clause is None:
            return None
        clauses.append(clause)
    return Condition(tuple(dict.fromkeys(clauses)))


def _searches_by_pattern(recognizer: Any) -> bool:
    """Whether the recogniser's search is the base class's own, or one that is known to be like it."""
    if any(name in vars(recognizer) for name in _SEARCH):
        return False
    if type(recognizer) in _ALIKE:
        return True
    own = {name: inspect.getattr_static(type(recognizer), name, None) for name in _SEARCH}
    base = {name: inspect.getattr_static(PatternRecognizer, name) for name in _SEARCH}
    return own == base
