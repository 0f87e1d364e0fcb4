"""The scanner and Presidio itself, asked for the places of one entity in the same cells."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from governance.adapters.presidio.recognisers import recognisers_of
from governance.pii.scanner import FieldScan, Scanner, ScanPlan
from samples.pii.scores import Places

FIELD = "value"


def ours(
    scanner: Scanner, texts: Sequence[str], plan: ScanPlan, words: tuple[str, ...] = (), *, free: bool = False
) -> Places:
    """Where the scanner finds the plan's one entity, told by what it redacts.

    A cell that it can't redact is one place; one that it can't tell of has none. `words` are the field's; `free` says
    that its texts may hold names.
    """
    (entity,) = plan.entities
    field = FieldScan(FIELD, text=free, redact=True, context=words)
    asked = ScanPlan(plan.entities, plan.countries, plan.threshold, plan.thresholds, (field,))
    answer = scanner.scan({FIELD: pa.array(texts, pa.string())}, asked, {})[FIELD]
    redacted = answer.redacted.to_pylist() if answer.redacted is not None else texts
    places = {}
    for index, (text, left) in enumerate(zip(texts, redacted, strict=True)):
        if answer.undeclared[index]:
            places[index] = [(0, len(text))]
        elif left != text:
            places[index] = list(_replaced(text, left, f"<{entity}>"))
    return places


def _replaced(text: str, left: str, tag: str) -> Iterator[tuple[int, int]]:
    """Where the tags of a redacted text stood in the text."""
    first, *kept = left.split(tag)
    start = len(first)
    for number, piece in enumerate(kept):
        last = number == len(kept) - 1
        end = len(text) - len(piece) if last else text.index(piece, start + 1)
        yield start, end
        start = end + len(piece)


class Peer:
    """Presidio's own engine, cell by cell, with the recognisers that the scanner would use for the same plan."""

    def __init__(self, plan: ScanPlan) -> None:
        nlp = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
        registry = RecognizerRegistry(recognizers=recognisers_of(plan), supported_languages=["en"])
        self._engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])
        self._plan = plan

    def places(
        self, texts: Sequence[str], entities: Sequence[str] | None = None, words: tuple[str, ...] = ()
    ) -> Mapping[str, Places]:
        """Places by entity: of all entities unless some are named."""
        found: dict[str, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        asked = list(entities) if entities else None
        for index, text in enumerate(texts):
            results = self._engine.analyze(text, "en", entities=asked, score_threshold=0.0, context=list(words))
            for one in results:
                if one.score >= self._plan.least(one.entity_type):
                    found[one.entity_type][index].append((one.start, one.end))
        return found
