"""The Scanner on Presidio: a detector for each field, the search over distinct values, and their answers by row."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import pyarrow as pa
from presidio_analyzer import EntityRecognizer, PatternRecognizer
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from governance.adapters.presidio.analysis import Asked, PresidioDetector, boosted, part_of, supported
from governance.adapters.presidio.conditions import condition_of
from governance.adapters.presidio.recognisers import recognisers_of
from governance.pii import own_values
from governance.pii.columns import Tools, scan_column
from governance.pii.names import Names
from governance.pii.prefilter import least_digits, least_length, met_rows
from governance.pii.scanner import FieldScan, ScannedColumn, ScanPlan
from governance.pii.search import Memory

_Key = tuple[Any, ...]
_HEARD_FIELDS = 1_000
_DATE, _DATE_SCORE = "DATE_TIME", 0.6
"""Presidio's entity of dates, and the score it gives one that is written as ISO 8601."""


@dataclass(frozen=True)
class _Ready:
    """A detector, what it remembers, and the fewest digits and characters of a text that it is asked about."""

    detector: PresidioDetector
    memory: Memory
    least_digits: int
    least_length: int

    @classmethod
    def of(cls, detector: PresidioDetector) -> "_Ready":
        conditions = detector.conditions
        return cls(detector, Memory(), least_digits(conditions), least_length(conditions))


class PresidioScanner:
    """Looks at every cell, with Presidio's recognisers as the plan chooses them (see `recognisers`).

    A cell that takes longer than `limit_seconds` is cannot-tell. `names` finds people in free text; without it a text
    that holds a letter is cannot-tell. Safe from several threads.
    """

    def __init__(self, limit_seconds: float = 1.0, names: Names | None = None) -> None:
        self._limit = limit_seconds
        self._names = names
        self._ready: dict[_Key, _Ready] = {}
        self._chosen: dict[_Key, list[EntityRecognizer]] = {}
        self._heard: dict[_Key, tuple[bool, ...]] = {}
        self._lock = Lock()

    def scan(
        self, columns: Mapping[str, pa.Array], plan: ScanPlan, declared: Mapping[str, pa.Array]
    ) -> dict[str, ScannedColumn]:
        """An answer for every column. Raises ContractError where the plan asks for what nothing can find."""
        answers = {}
        for name, column in columns.items():
            field = plan.of(name)
            ready = self._for(plan, field)
            answers[name] = scan_column(column, field, plan, declared, self._tools(ready, plan))
        return answers

    def _tools(self, ready: _Ready, plan: ScanPlan) -> Tools:
        return Tools(
            detector=ready.detector,
            memory=ready.memory,
            met=met_rows,
            own=own_values.find,
            names=self._names,
            moment=_moment(plan),
            least_digits=ready.least_digits,
            least_length=ready.least_length,
        )

    def _for(self, plan: ScanPlan, field: FieldScan) -> _Ready:
        chosen = self._recognisers(plan)
        speaking = self._speaking(plan, field, chosen)
        key = (plan.entities, plan.countries, plan.threshold, tuple(sorted(plan.thresholds.items())), speaking)
        with self._lock:
            if key not in self._ready:
                self._ready[key] = _Ready.of(detector_of(chosen, speaking, plan, self._limit))
            return self._ready[key]

    def _speaking(self, plan: ScanPlan, field: FieldScan, chosen: Sequence[EntityRecognizer]) -> tuple[bool, ...]:
        """For which recognisers the field's words speak; a stream asks the same for each of its small batches."""
        key = (plan.entities, plan.countries, field.context)
        with self._lock:
            if key not in self._heard:
                if len(self._heard) >= _HEARD_FIELDS:  # columns that nobody declared may have any names
                    self._heard.clear()
                self._heard[key] = tuple(supported(one, field.context) for one in chosen)
            return self._heard[key]

    def _recognisers(self, plan: ScanPlan) -> list[EntityRecognizer]:
        key = (plan.entities, plan.countries)
        with self._lock:
            if key not in self._chosen:
                self._chosen[key] = recognisers_of(plan)
            return self._chosen[key]


def _moment(plan: ScanPlan) -> tuple[str, float] | None:
    """Every date is a finding where the plan asks for dates by name; else a date's own column says what it holds."""
    if _DATE not in plan.entities or plan.least(_DATE) > _DATE_SCORE:
        return None
    return _DATE, _DATE_SCORE


def detector_of(
    recognisers: Sequence[EntityRecognizer],
    speaking: Sequence[bool],
    plan: ScanPlan,
    seconds: float,
) -> PresidioDetector:
    """A detector of these recognisers; `speaking` says for which the field's words speak.

    A pattern that can't reach its entity's least score, however its match is checked, is left out: nothing it could
    find would count.
    """
    asked, conditions = [], []
    for recogniser, speaks in zip(recognisers, speaking, strict=True):
        entity = recogniser.supported_entities[0]
        for part in _divided(recogniser):
            if _reaches(part, speaks, plan.least(entity)):
                asked.append(Asked(part_of(part), entity, speaks, plan.least(entity)))
                conditions.append(_condition(part))
    return PresidioDetector(asked, conditions, seconds)


def _divided(recogniser: Any) -> Iterator[Any]:
    """A recogniser for each of its patterns, or of its regions: a text is only searched for what it can hold."""
    many = "supported_regions" if isinstance(recogniser, PhoneRecognizer) else "patterns"
    for one in getattr(recogniser, many):
        alone = copy.copy(recogniser)
        setattr(alone, many, [one])
        yield alone


_CONDITIONS: dict[_Key, Any] = {}


def _condition(recogniser: Any) -> Any:
    """The recogniser's condition, worked out once a process (a pattern of many alternatives takes seconds)."""
    patterns = tuple(pattern.regex for pattern in getattr(recogniser, "patterns", ()))
    regions = tuple(getattr(recogniser, "supported_regions", ()))
    key = (type(recogniser), patterns, getattr(recogniser, "global_regex_flags", None), regions)
    if key not in _CONDITIONS:
        _CONDITIONS[key] = condition_of(recogniser)
    return _CONDITIONS[key]


def _reaches(recogniser: Any, speaks: bool, least: float) -> bool:
    """Whether something that the recogniser finds can reach a score, however a match is checked."""
    kind = type(recogniser)
    if issubclass(kind, PhoneRecognizer):
        highest = recogniser.SCORE
    elif kind.validate_result is not PatternRecognizer.validate_result:
        highest = 1.0
    else:
        highest = max(pattern.score for pattern in recogniser.patterns)
    return bool((boosted(highest) if speaks else highest) >= least)
