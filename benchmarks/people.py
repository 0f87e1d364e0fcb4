"""Names of people in the labelled corpus: the scanner's and Presidio's own finder, on the same spaCy pipeline.

Presidio is called cell by cell. The names and sentences are others than those that the pipeline was trained on.
"""

from collections.abc import Sequence
from pathlib import Path

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer

from benchmarks.detectors import ours
from governance.adapters.names.spacy import SpacyNames
from governance.adapters.presidio.scanner import PresidioScanner
from governance.pii.scanner import ScanPlan
from samples.pii.corpus import MISS, NAME, Cell
from samples.pii.scores import Places, Score, score

MODEL = Path(__file__).parents[1] / "models" / "names"
PERSON = "PERSON"


def measure_names(cells: Sequence[Cell], model: Path = MODEL) -> tuple[Score, Score]:
    """Our score and Presidio's, over the cells with names and the near misses."""
    chosen = [cell for cell in cells if cell.style in (NAME, MISS)]
    texts = [cell.text for cell in chosen]
    scanner = PresidioScanner(limit_seconds=60, names=SpacyNames(model))
    mine = ours(scanner, texts, ScanPlan((PERSON,)), free=True)
    return score(PERSON, chosen, mine), score(PERSON, chosen, _theirs(texts, model))


def _theirs(texts: Sequence[str], model: Path) -> Places:
    labels = NerModelConfiguration(model_to_presidio_entity_mapping={"PER": PERSON})
    nlp = SpacyNlpEngine([{"lang_code": "en", "model_name": str(model)}], labels)
    nlp.nlp = {"en": spacy.load(model)}  # its own loading would ask the network for a package of that name
    registry = RecognizerRegistry([SpacyRecognizer(supported_entities=[PERSON])], supported_languages=["en"])
    engine = AnalyzerEngine(registry=registry, nlp_engine=nlp, supported_languages=["en"])
    found = ((index, engine.analyze(text, "en", entities=[PERSON])) for index, text in enumerate(texts))
    return {index: [(one.start, one.end) for one in results] for index, results in found if results}
