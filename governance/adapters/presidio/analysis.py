"""Presidio's recognisers called directly, each against a clock.

Presidio gives a pattern sixty seconds and then passes over it with a word in its log, which would read as clean. Here
the time of a text is one budget, and running out of it is said. A recogniser's patterns, scores, validation and
invalidation are its own; the result is that of `AnalyzerEngine.analyze` with the no-op NLP engine (a test compares
them), without the explanations that it builds for each match.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import regex
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneNumberMatcher
from presidio_analyzer import EntityRecognizer, PatternRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import IbanRecognizer, PhoneRecognizer

from governance.errors import KasbahError
from governance.pii.search import Found, Place

_BOOST, _LEAST_WITH_CONTEXT = 0.35, 0.4
"""What a context word adds to a score, and the least score it leads to: LemmaContextAwareEnhancer's defaults."""
_WINDOW, _LONGEST_WINDOW = 4_096, 65_536
_CUT = regex.compile(r"[\n\r!?\"'<>{}|_&@ghjklmqrvwyzGHJKLMQRVWYZ]")
"""Characters that are in no phone number, its punctuation or the words before an extension."""


_FAILURES = (ValueError, TypeError, AttributeError, ArithmeticError, LookupError, RecursionError, MemoryError)
"""What a recogniser's own checks raise on a text they can't read."""


class OutOfTimeError(KasbahError):
    """A text takes longer than it may."""


class Clock:
    """The time that one text has left, and what its parts have found out for each other."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.known: dict[tuple[int, int, str], Any] = {}

    def left(self) -> float:
        """Seconds. Raises OutOfTimeError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise OutOfTimeError("a text takes longer than it may")
        return left


class Part(Protocol):
    """One recogniser at work on one text."""

    def find(self, text: str, clock: Clock) -> Iterator[tuple[int, int, float]]:
        """Start, end and score before any context. Raises OutOfTimeError."""
        ...


@dataclass(frozen=True)
class Patterns:
    """A PatternRecognizer: compiled patterns with their scores, and its checks where it has any."""

    recogniser: PatternRecognizer
    compiled: tuple[tuple[Any, float], ...]
    validates: bool
    invalidates: bool

    @classmethod
    def of(cls, recogniser: Any) -> "Patterns":
        """From the recogniser's own patterns and flags."""
        flags = recogniser.global_regex_flags
        compiled = _compiled(recogniser.patterns, flags)
        kind = type(recogniser)
        return cls(
            recogniser,
            compiled,
            kind.validate_result is not PatternRecognizer.validate_result,
            kind.invalidate_result is not PatternRecognizer.invalidate_result,
        )

    def find(self, text: str, clock: Clock) -> Iterator[tuple[int, int, float]]:
        """Every match of every pattern that stands its checks."""
        for pattern, score in self.compiled:
            for match in _matches(pattern, text, clock):
                start, end = match.span()
                if start == end:
                    continue
                score_here = self._checked(text[start:end], score)
                if score_here > 0:
                    yield start, end, score_here

    def _checked(self, match: str, score: float) -> float:
        if self.validates:
            valid = self.recogniser.validate_result(match)
            if valid is not None:
                score = EntityRecognizer.MAX_SCORE if valid else EntityRecognizer.MIN_SCORE
        if self.invalidates and self.recogniser.invalidate_result(match):
            return 0.0
        return score


@dataclass(frozen=True)
class Ibans:
    """The IBAN recogniser: of each match the longest run of its groups that validates."""

    recogniser: IbanRecognizer
    compiled: tuple[tuple[Any, float], ...]

    @classmethod
    def of(cls, recogniser: Any) -> "Ibans":
        """From the recogniser's own patterns and flags."""
        return cls(recogniser, _compiled(recogniser.patterns, recogniser.global_regex_flags))

    def find(self, text: str, clock: Clock) -> Iterator[tuple[int, int, float]]:
        """One place a match at most."""
        for pattern, score in self.compiled:
            for match in _matches(pattern, text, clock):
                found = self._longest(match, text, score)
                if found is not None:
                    yield found

    def _longest(self, match: Any, text: str, score: float) -> tuple[int, int, float] | None:
        start = match.start()
        for group in range(match.re.groups, 0, -1):
            end = match.end(group) if match.end(group) > 0 else match.end()
            valid = self.recogniser.validate_result(text[start:end]) if end > start else False
            if valid is None:
                return start, end, score
            if valid:
                return start, end, float(EntityRecognizer.MAX_SCORE)
        return None


@dataclass(frozen=True)
class Phones:
    """A recogniser on phonenumbers, which can't be interrupted: long texts go to it window by window.

    They are cut where no number can reach across, so that the result is that of the whole text. (In a whole text
    phonenumbers gives up silently after 65,535 candidates; in windows it never does.)
    """

    recogniser: PhoneRecognizer

    def find(self, text: str, clock: Clock) -> Iterator[tuple[int, int, float]]:
        """Every number in every window, as each of the recogniser's regions writes it."""
        for first, last in _windows(text):
            for region in self.recogniser.supported_regions:
                clock.left()
                for start, end, score in self._in_window(text[first:last], region, first, clock):
                    yield first + start, first + end, score

    def _in_window(self, text: str, region: str, first: int, clock: Clock) -> Iterator[tuple[int, int, float]]:
        recogniser = self.recogniser
        if type(recogniser) is not PhoneRecognizer:  # the South African ones keep a part of what is found
            for one in recogniser.analyze(text, recogniser.supported_entities):
                yield one.start, one.end, float(one.score)
            return
        for match in _Numbers(text, region, recogniser.leniency or 0, first, clock):
            yield match.start, match.end, float(recogniser.SCORE)


class _Numbers(PhoneNumberMatcher):
    """phonenumbers' matcher, which asks once for all regions about a number that names its country by itself."""

    def __init__(self, text: str, region: str, leniency: int, first: int, clock: Clock) -> None:
        super().__init__(text, region, leniency=leniency)
        self._first, self._known = first, clock.known

    def _parse_and_verify(self, candidate: str, offset: int) -> Any:
        if not _names_country(candidate):
            return super()._parse_and_verify(candidate, offset)
        key = (self._first, offset, candidate)
        if key not in self._known:
            self._known[key] = super()._parse_and_verify(candidate, offset)
        return self._known[key]


def _names_country(candidate: str) -> bool:
    """Whether it begins with a plus and a country code, so that its reading depends on no region."""
    if not candidate.startswith("+") or not candidate.isascii():
        return False
    code = "".join(filter(str.isdigit, candidate[:12]))
    return any(int(code[:length]) in COUNTRY_CODE_TO_REGION_CODE for length in (1, 2, 3) if len(code) >= length)


def _windows(text: str) -> Iterator[tuple[int, int]]:
    """Overlapping by the character they are cut at. Raises OutOfTimeError where a text offers no place to cut."""
    first, whole = 0, len(text)
    while whole - first > _WINDOW:
        cut = _CUT.search(text, first + _WINDOW, min(first + _LONGEST_WINDOW, whole))
        if cut is None:
            if whole - first > _LONGEST_WINDOW:
                raise OutOfTimeError("a text can't be searched in pieces")
            break
        yield first, cut.end()
        first = cut.start()
    yield first, whole


def _compiled(patterns: Sequence[Any], flags: int) -> tuple[tuple[Any, float], ...]:
    return tuple((regex.compile(p.regex, flags=flags), float(p.score)) for p in patterns)


def _matches(pattern: Any, text: str, clock: Clock) -> Iterator[Any]:
    try:
        for match in pattern.finditer(text, timeout=clock.left()):
            yield match
            clock.left()
    except TimeoutError as late:
        raise OutOfTimeError("a text takes longer than it may") from late


def part_of(recogniser: EntityRecognizer) -> Part:
    """The part that does this recogniser's work. Raises KasbahError for one whose work isn't known."""
    if isinstance(recogniser, PhoneRecognizer):
        return Phones(recogniser)
    if type(recogniser) is IbanRecognizer:
        return Ibans.of(recogniser)
    if isinstance(recogniser, PatternRecognizer) and type(recogniser).analyze is PatternRecognizer.analyze:
        return Patterns.of(recogniser)
    raise KasbahError(f"nothing here can run Presidio's {type(recogniser).__name__}")


@dataclass(frozen=True)
class Asked:
    """A recogniser as one field asks it: `boosted` where the field's words speak for it."""

    part: Part
    entity: str
    boosted: bool
    least: float


class PresidioDetector:
    """Presidio's findings in one text, by the given parts, each text within `seconds`."""

    def __init__(self, asked: Sequence[Asked], conditions: Sequence[Any], seconds: float) -> None:
        self._asked = tuple(asked)
        self._conditions = tuple(conditions)
        self._seconds = seconds

    @property
    def conditions(self) -> Sequence[Any]:
        """A condition for each recogniser."""
        return self._conditions

    def find(self, text: str, parts: Sequence[int]) -> Found:
        """What these recognisers find, with context and thresholds. A recogniser that fails has decided nothing."""
        clock, places = Clock(self._seconds), []
        decided = True
        for index in parts:
            one = self._asked[index]
            try:
                for start, end, score in one.part.find(text, clock):
                    reached = boosted(score) if one.boosted else score
                    if reached >= one.least:
                        places.append((start, end, one.entity, reached))
            except (OutOfTimeError, *_FAILURES):
                decided = False
        return Found(_without_duplicates(places), decided)


def boosted(score: float) -> float:
    """A score with a context word beside it."""
    return min(max(score + _BOOST, _LEAST_WITH_CONTEXT), 1.0)


def supported(recogniser: EntityRecognizer, words: Sequence[str]) -> bool:
    """Whether one of these words speaks for what the recogniser finds: it holds one of its context words."""
    lower = [word.lower() for word in words]
    return any(speaking.lower() in word for speaking in recogniser.context or () for word in lower)


def _without_duplicates(places: list[Place]) -> tuple[Place, ...]:
    if len(places) < 2:
        return tuple(places)
    results = [RecognizerResult(entity, start, end, score) for start, end, entity, score in places]
    kept = EntityRecognizer.remove_duplicates(results)
    return tuple((r.start, r.end, r.entity_type, r.score) for r in kept)
