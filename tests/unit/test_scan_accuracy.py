"""How much personal data the scan finds in a labelled corpus, entity by entity: never less than Presidio alone.

The floors in scan_floors.csv are what was measured, rounded down. Run as a program (PYTHONPATH=.), this
file measures them anew after the corpus or a detector has changed; a floor that sinks needs a reason.
"""

import csv
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.detectors import FIELD, ours
from benchmarks.people import PERSON, measure_names
from benchmarks.recall import NAMED, SILENT, Pair, Report, measure, show, total
from governance.adapters.presidio.recognisers import entities_of, recognisers_of, shipped
from governance.adapters.presidio.scanner import PresidioScanner
from governance.pii.scanner import FieldScan, ScanPlan
from samples.pii import checks
from samples.pii.corpus import ALONE, DISGUISED, MISS, NAME, Cell, corpus, countries, kinds

FLOORS = Path(__file__).with_name("scan_floors.csv")
EVERY = 3
"""The tests take every third cell; `make bench` takes all."""


def scanner() -> PresidioScanner:
    return PresidioScanner(limit_seconds=60)


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return corpus()[::EVERY]


@pytest.fixture(scope="module")
def report(cells: list[Cell]) -> Report:
    measured = measure(scanner(), cells)
    show("What the scan finds", measured)
    return measured


def test_nothing_that_presidio_finds_is_missed(report: Report) -> None:
    missed = {key: pair.missed for key, pair in report.items() if pair.missed}
    assert missed == {}


def test_recall_of_every_entity_is_at_least_presidios(report: Report) -> None:
    behind = {key for key, pair in report.items() if pair.ours.recall < pair.peer.recall}
    assert behind == set()
    assert total(report).ours.found > total(report).peer.found > 4000 / EVERY


def test_values_that_only_the_plain_form_shows_are_found(report: Report) -> None:
    named = [pair for (setting, _), pair in report.items() if setting == NAMED]
    assert all(pair.ours_disguised.found >= pair.peer_disguised.found for pair in named)
    more = [pair for pair in named if pair.ours_disguised.found > pair.peer_disguised.found]
    assert len(more) > 0.9 * len(named)  # in the others Presidio's patterns take full-width digits as they are
    together = sum(named, Pair())
    assert together.ours_disguised.recall > 0.9
    assert together.peer_disguised.recall < 0.2


def test_people_are_found_as_often_as_by_presidio_with_the_same_model() -> None:
    mine, theirs = measure_names(corpus()[::2])
    show("Names of people", {(SILENT, PERSON): Pair(mine, theirs)})
    assert mine.recall >= theirs.recall
    assert mine.recall >= 0.88  # names and sentences that the model hasn't seen, in ten scripts
    assert mine.precision >= 0.65  # beside as many codes, numbers and words that are no names


def test_no_floor_sinks(report: Report) -> None:
    with FLOORS.open(encoding="utf-8", newline="") as lines:
        floors = {(row["field"], row["entity"]): row for row in csv.DictReader(lines)}
    assert set(floors) == set(report)
    sunk = {
        key: (pair.ours.recall, pair.ours.precision)
        for key, pair in report.items()
        if pair.ours.recall < float(floors[key]["recall"]) or pair.ours.precision < float(floors[key]["precision"])
    }
    assert sunk == {}


@pytest.mark.parametrize("country", ["us", "de", "kr"])
def test_a_scan_for_everything_marks_each_cell_that_a_scan_for_one_entity_marks(
    country: str, cells: list[Cell]
) -> None:
    texts = [cell.text for cell in cells if cell.country == country]
    plan, tool = ScanPlan(countries=(country,)), scanner()
    answer = tool.scan({FIELD: pa.array(texts)}, plan, {})[FIELD]
    single = set[int]()
    for entity in entities_of(recognisers_of(plan)):
        single |= set(ours(tool, texts, ScanPlan((entity,), (country,))))
    assert set(np.flatnonzero(answer.undeclared).tolist()) == single
    assert not answer.cannot_tell.any()


@pytest.mark.parametrize(
    "kind", [pa.int64(), pa.uint64(), pa.decimal128(38, 0), pa.decimal128(30, 4), pa.float64()], ids=str
)
def test_numbers_are_found_in_a_column_of_numbers_as_in_one_of_texts(kind: pa.DataType) -> None:
    texts = [c.text for c in corpus() if c.style in (ALONE, MISS) and c.text.isascii() and c.text.isdecimal()]
    texts = [text for text in texts if text[0] != "0" and len(text) < 16]
    plan = ScanPlan(countries=("us", "in", "pl", "tr", "kr"))
    numbers = pa.array([int(text) for text in texts]).cast(kind)
    answers = scanner().scan({"texts": pa.array(texts), "numbers": numbers}, plan, {})
    assert answers["texts"].undeclared.sum() > 300
    assert answers["numbers"].undeclared.tolist() == answers["texts"].undeclared.tolist()


def test_what_is_redacted_holds_no_labelled_value_any_more(cells: list[Cell]) -> None:
    cards = [c for c in cells if any(label.entity == "CREDIT_CARD" for label in c.labels) and c.style != DISGUISED]
    field = FieldScan(FIELD, text=False, redact=True)
    answer = scanner().scan({FIELD: pa.array([c.text for c in cards])}, ScanPlan(("CREDIT_CARD",), fields=(field,)), {})
    assert answer[FIELD].redacted is not None
    redacted = answer[FIELD].redacted.to_pylist()
    tagged = [(c, text) for c, text in zip(cards, redacted, strict=True) if "<CREDIT_CARD>" in text]
    assert len(tagged) > len(cards) * 0.8
    assert all(c.text[c.labels[0].start : c.labels[0].end] not in text for c, text in tagged)
    assert all(
        text == c.text.replace(c.text[c.labels[0].start : c.labels[0].end], "<CREDIT_CARD>") for c, text in tagged
    )


def test_the_corpus_is_the_same_each_time_and_holds_every_entity_of_the_patterns() -> None:
    whole = corpus()
    assert whole == corpus()
    assert whole != corpus(seed=1)
    assert 5_000 <= len(whole) <= 10_000
    labelled = Counter(label.entity for cell in whole for label in cell.labels)
    found = {entity for kind in shipped() for entity in kind(supported_language="en").supported_entities}
    assert found | {"PERSON"} == set(labelled)
    assert min(labelled.values()) >= 60
    assert Counter(cell.style for cell in whole)[MISS] > 1_500
    assert Counter(cell.style for cell in whole)[NAME] == 400
    assert {cell.country for cell in whole} == set(countries())
    assert all(0 <= label.start < label.end <= len(cell.text) for cell in whole for label in cell.labels)
    assert all(kind.words for kind in kinds())


@pytest.mark.parametrize(
    ("made", "published"),
    [
        (checks.luhn("7992739871"), "3"),  # ISO/IEC 7812-1's usual example
        (checks.luhn("411111111111111"), "1"),
        (checks.verhoeff("236"), "3"),
        (checks.mod97("GB", "WEST12345698765432"), "82"),  # ECBS TR201
        (checks.mod97("DE", "370400440532013000"), "89"),
        (checks.mod11_10("8609574271"), "9"),  # BZSt's example of an identification number
        (checks.icao("L898902C3"), "6"),  # ICAO Doc 9303 part 4, appendix A
        (checks.isbn10("030640615"), "2"),
        (checks.ean("400638133393"), "1"),
        (
            checks.base58check(bytes.fromhex("00010966776006953d5567439e5e39f86a0d273bee")),
            "16UwLL9Risc3QfPqBUvKofHmBQ7wMtjvM",
        ),
        (
            checks.bech32(bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6"), 0),  # BIP 173
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        ),
        (
            checks.bech32(bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"), 1),
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",  # BIP 350
        ),
    ],
)
def test_check_digits_are_those_of_the_published_examples(made: str, published: str) -> None:
    assert made == published


def write_floors() -> None:
    """Measure the floors anew."""
    measured = measure(scanner(), corpus()[::EVERY])
    with FLOORS.open("w", encoding="utf-8", newline="") as lines:
        out = csv.writer(lines, lineterminator="\n")
        out.writerow(("entity", "field", "recall", "precision"))
        for setting, entity in sorted(measured, key=lambda key: (key[1], key[0] == SILENT)):
            mine = measured[setting, entity].ours
            out.writerow(
                (entity, setting, *(f"{math.floor(v * 100) / 100:.2f}" for v in (mine.recall, mine.precision)))
            )


if __name__ == "__main__":
    write_floors()
