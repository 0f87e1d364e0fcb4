"""The scanner beside Presidio called cell by cell with the same recognisers, in one run, turn by turn.

* scan: 50 columns whose values repeat as in real tables (codes, names, sentences, states, amounts, identifiers that
  don't repeat), of which at most 0.5 % of the distinct values get past the prefilter.
* scan_hard: every cell another, a tenth gets past.
* scan_all_pass: every cell another, every one gets past.

Presidio reads a sample of the same cells as texts, spread evenly over them. A scanner remembers what it has decided, so
each turn has a new one, made ready before its clock runs. Both must flag the same cells of the sample. Both work on one
core; what is compared is the processor's time, of all threads, as a machine's other work would weigh on one of the two.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.detectors import Peer
from governance.adapters.presidio.recognisers import recognisers_of
from governance.adapters.presidio.scanner import PresidioScanner, detector_of
from governance.pii.forms import texts_of
from governance.pii.prefilter import least_digits, least_length, met_rows
from governance.pii.scanner import ScanPlan

ROWS = 200_000
HARD_CELLS = 20_000
PASSING_CELLS = 2_000
SAMPLE = 300
REPEATS = 5
GOALS = {"scan": 100.0, "scan_hard": 8.0, "scan_all_pass": 0.95}
PLAN = ScanPlan()
_FURNITURE = ("table", "lamp", "chair", "desk", "sofa", "shelf", "bench", "stool", "chest")
_WORDS = ("blue", "green", "oak", "ash", "large", "small", "round", "linen", *_FURNITURE)
_STATES = ["new", "paid", "packed", "sent", "returned"]
Columns = Mapping[str, pa.Array]


def table(rows: int) -> dict[str, pa.Array]:
    """50 columns: five of each of ten kinds, none with personal data."""
    random = np.random.default_rng(5)

    def some(values: Sequence[str]) -> pa.Array:
        return pa.array(values).take(pa.array(random.integers(0, len(values), rows)))

    def phrases(words: int) -> list[str]:
        return [" ".join(random.choice(_WORDS, words)) for _ in range(3_000)]

    kinds: list[Callable[[], pa.Array]] = [
        lambda: some(_STATES),
        lambda: some(["DE", "FR", "GB", "SE", "US"]),
        lambda: some(phrases(2)),
        lambda: some(phrases(9)),
        lambda: some([f"{_WORDS[n % 9][:2].upper()}{n:04}" for n in range(5_000)]),
        lambda: pa.array([f"O{n:07}" for n in range(rows)]),
        lambda: pa.array(random.integers(100, 99_999, rows) / 100),
        lambda: pa.array(random.integers(1, 40, rows)),
        lambda: pa.array(random.integers(15_000, 20_000, rows).astype(np.int32)).cast(pa.date32()),
        lambda: pa.array(random.integers(0, 2, rows).astype(bool)),
    ]
    return {f"c{5 * i + n}": make() for i, make in enumerate(kinds) for n in range(5)}


def passing(count: int) -> list[str]:
    """Different cells that get past the prefilter: personal data of many kinds, and what only looks like it."""
    forms: list[Callable[[int], str]] = [
        lambda n: f"write to customer{n}@example.com please",
        lambda n: f"call +44 7700 {900_000 + n % 1000} or extension {n}",
        lambda n: f"card 4111 1111 {n % 10_000:04} {(n * 7) % 10_000:04}",
        lambda n: f"iban DE{n % 90 + 10}37040044{n:010}",
        lambda n: f"from 198.51.100.{n % 250} to 203.0.113.{n % 240}, hop {n}",
        lambda n: f"see https://www.example.com/orders/{n}",
        lambda n: f"ssn 078-{n % 90 + 10}-{n % 9000 + 1000} no {n}",
        lambda n: f"order 3fa85f64-5717-4562-b3fc-{n:012x}",
        lambda n: f"(202) 555-0{100 + n % 100}, desk {n}",
        lambda n: f"seen on {1990 + n % 30}-0{n % 9 + 1}-1{n % 9}, lot {n}",
    ]
    return [forms[n % len(forms)](n) for n in range(count)]


def mixed(count: int) -> list[str]:
    """Different cells of which a tenth gets past, evenly spread."""
    hard = passing(count // 10)
    plain = [f"{_WORDS[n % 17]} {_WORDS[n % 13]} of lot {n}b, {_WORDS[n % 11]}" for n in range(count)]
    return [hard[n // 10] if n % 10 == 9 else plain[n] for n in range(count)]


def share_met(columns: Columns) -> float:
    """The share of the distinct values that get past the prefilter."""
    recognisers = recognisers_of(PLAN)
    conditions = detector_of(recognisers, [False] * len(recognisers), PLAN, 1.0).conditions
    met = 0
    for column in columns.values():
        texts = texts_of(column, least_digits(conditions), least_length(conditions))
        if texts is not None:
            met += len(np.unique(np.concatenate(met_rows(conditions, texts.texts))))
    return met / sum(pc.count_distinct(column).as_py() for column in columns.values())


@dataclass
class Figure:
    """One comparison: cells a second of ours and of Presidio, a turn each."""

    name: str
    columns: Columns
    share: tuple[float, float]
    seconds: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cells = sum(map(len, self.columns.values()))
        self.peer = Peer(PLAN)
        per_column = max(SAMPLE // len(self.columns), 1)
        self.sample: dict[str, list[int]] = {
            name: list(range(0, len(column), max(len(column) // per_column, 1)))[:per_column]
            for name, column in self.columns.items()
        }
        low, high = self.share
        assert low <= share_met(self.columns) <= high, f"{self.name}: {share_met(self.columns):.4f} get past"

    def texts(self) -> list[str]:
        """The sampled cells, as Presidio is given them."""
        return [t for name, rows in self.sample.items() for t in self._texts(name, rows)]

    def _texts(self, name: str, rows: list[int]) -> list[str]:
        texts: list[str] = self.columns[name].take(pa.array(rows)).cast(pa.string()).to_pylist()
        return texts

    def turn(self) -> None:
        """Ours, then Presidio."""
        scanner = PresidioScanner(limit_seconds=60)
        scanner.scan({"ready": pa.array(["made ready"])}, PLAN, {})
        start = time.process_time()
        answers = scanner.scan(self.columns, PLAN, {})
        ours = (time.process_time() - start) / self.cells
        texts = self.texts()
        start = time.process_time()
        found = self.peer.places(texts)
        peer = (time.process_time() - start) / len(texts)
        theirs = {index for places in found.values() for index in places}
        flagged = [bool(answers[name].undeclared[row]) for name, rows in self.sample.items() for row in rows]
        ours_found = {index for index, flag in enumerate(flagged) if flag}
        assert self._readable(ours_found ^ theirs) == set(), "the two disagree about a cell"
        self.seconds.append((ours, peer))

    def _readable(self, indices: set[int]) -> set[int]:
        """Those that are cells of text: a date or a fraction is none to the scanner, whatever Presidio reads in it."""
        kinds = [self.columns[name].type for name, rows in self.sample.items() for _ in rows]
        return {index for index in indices if pa.types.is_string(kinds[index])}

    def ratios(self) -> list[float]:
        """Presidio's time a cell over ours, turn by turn."""
        return [peer / ours for ours, peer in self.seconds]

    def result(self) -> dict[str, object]:
        """Medians."""
        ratio = statistics.median(self.ratios())
        return {
            "name": self.name,
            "value": round(1 / statistics.median(ours for ours, _ in self.seconds)),
            "unit": "cells/s",
            "peer": round(1 / statistics.median(peer for _, peer in self.seconds)),
            "ratio": round(ratio, 2),
            "goal": GOALS[self.name],
            "met": ratio >= GOALS[self.name],
        }


def measure() -> list[Figure]:
    """Every comparison, REPEATS turns each after one that isn't counted."""
    figures = [
        Figure("scan", table(ROWS), (0.0, 0.005)),
        Figure("scan_hard", {"text": pa.array(mixed(HARD_CELLS))}, (0.1, 0.11)),
        Figure("scan_all_pass", {"text": pa.array(passing(PASSING_CELLS))}, (1.0, 1.0)),
    ]
    for _ in range(REPEATS + 1):
        for figure in figures:
            figure.turn()
    for figure in figures:
        del figure.seconds[0]
    return figures


def run() -> list[dict[str, object]]:
    """The results, and a printed table with each ratio's spread."""
    figures = measure()
    print(f"scan beside Presidio cell by cell: {REPEATS} turns, medians (lowest to highest ratio)")
    results = []
    for figure in figures:
        result, ratios = figure.result(), figure.ratios()
        results.append(result)
        print(
            f"  {result['name']:<14} {result['value']:>12,} {result['unit']} of {figure.cells:>10,}"
            f"  Presidio {result['peer']:>7,}  {result['ratio']:>9,}x ({min(ratios):,.1f} to {max(ratios):,.1f})"
            f"  goal {result['goal']}x  {'met' if result['met'] else 'MISSED'}"
        )
    return results


def main() -> int:
    """1 if a goal is missed."""
    return 0 if all(result["met"] for result in run()) else 1


if __name__ == "__main__":
    sys.exit(main())
