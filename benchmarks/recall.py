"""How much of the personal data in a labelled corpus is found, and how much else: beside Presidio called cell by cell.

Every country's cells are searched as its contract would have it: what belongs to no country, and all that Presidio has
for this one. Each entity is looked for twice: in a field whose name says nothing (`silent`), in all cells of the
country; and in one that is named after it (`named`), in the cells that hold it and in near misses.
"""

import csv
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.detectors import Peer, ours
from benchmarks.people import MODEL, PERSON, measure_names
from governance.adapters.presidio.recognisers import entities_of, recognisers_of
from governance.adapters.presidio.scanner import PresidioScanner
from governance.pii.scanner import Scanner, ScanPlan
from samples.pii.corpus import DISGUISED, MISS, Cell, Label, corpus, countries, kinds
from samples.pii.scores import NOTHING, Places, Score, score

NO_CELL = Cell("", (), "", "")
SILENT, NAMED = "silent", "named"
DATA = Path(os.environ.get("KASBAH_REALDATA", Path(__file__).parents[2] / "shared" / "data")) / "pii"
_SPANS = {"DOMAIN_NAME": "URL", "URL": "URL"}
_COLUMNS = {
    "id": "US_SSN",
    "phone": "PHONE_NUMBER",
    "email": "EMAIL_ADDRESS",
    "cc_number": "CREDIT_CARD",
    "birthdate": "DATE_TIME",
}


@dataclass(frozen=True)
class Pair:
    """One entity's scores, ours and Presidio's: of all cells, and of those in which only the NFKC form shows the value.
    `missed` are the (country, text) in which Presidio alone found it.
    """

    ours: Score = NOTHING
    peer: Score = NOTHING
    ours_disguised: Score = NOTHING
    peer_disguised: Score = NOTHING
    missed: tuple[tuple[str, str], ...] = ()

    def __add__(self, other: "Pair") -> "Pair":
        """Both together."""
        return Pair(
            self.ours + other.ours,
            self.peer + other.peer,
            self.ours_disguised + other.ours_disguised,
            self.peer_disguised + other.peer_disguised,
            self.missed + other.missed,
        )


Report = dict[tuple[str, str], Pair]
"""By setting and entity."""


def measure(scanner: Scanner, cells: list[Cell]) -> Report:
    """Every entity in every country's cells, in both settings."""
    report: Report = defaultdict(Pair)
    for country in countries():
        mine = [cell for cell in cells if cell.country == country]
        for key, pair in _of_country(scanner, mine, country):
            report[key] += pair
    return dict(report)


def _of_country(scanner: Scanner, cells: list[Cell], country: str) -> Iterator[tuple[tuple[str, str], Pair]]:
    plan = ScanPlan(countries=(country,))
    peer = Peer(plan)
    whole = peer.places([cell.text for cell in cells])
    words = {kind.entity: kind.words for kind in kinds()}
    for entity in entities_of(recognisers_of(plan)):
        one = ScanPlan((entity,), (country,))
        yield (SILENT, entity), _pair(entity, cells, ours(scanner, [c.text for c in cells], one), whole.get(entity, {}))
        told = [c for c in cells if c.style == MISS or any(label.entity == entity for label in c.labels)]
        texts = [c.text for c in told]
        theirs = peer.places(texts, (entity,), words[entity][:1]).get(entity, {})
        yield (NAMED, entity), _pair(entity, told, ours(scanner, texts, one, words[entity][:1]), theirs)


def _pair(entity: str, cells: list[Cell], mine: Places, theirs: Places) -> Pair:
    missed = tuple((cells[index].country, cells[index].text) for index in theirs if index not in mine)
    disguised = [cell if cell.style == DISGUISED else NO_CELL for cell in cells]
    hidden = (
        score(entity, disguised, {i: p for i, p in found.items() if disguised[i] is not NO_CELL})
        for found in (mine, theirs)
    )
    return Pair(score(entity, cells, mine), score(entity, cells, theirs), *hidden, missed)


def total(report: Mapping[tuple[str, str], Pair]) -> Pair:
    """All entities and settings together."""
    return sum(report.values(), Pair())


def run() -> list[dict[str, Any]]:
    """Recall over all labelled cells beside Presidio's, and the same where only NFKC shows the value. Prints tables."""
    scanner, cells = PresidioScanner(limit_seconds=30), corpus()
    report = measure(scanner, cells)
    show("Made corpus", report)
    whole = total(report)
    entries = [
        _entry("scan_recall", report),
        _line("scan_recall_disguised", whole.ours_disguised, whole.peer_disguised, True),
    ]
    if MODEL.is_dir():
        mine, theirs = measure_names(cells)
        show("Names of people", {(SILENT, PERSON): Pair(mine, theirs)})
        entries.append(_line("scan_recall_names", mine, theirs, True))
    for name, given in shared():
        found = foreign(scanner, given)
        show(name, found)
        entries.append(_entry(f"scan_recall_{name}", found))
    return entries


def _entry(name: str, report: Report) -> dict[str, Any]:
    whole = total(report)
    kept = all(pair.ours.found >= pair.peer.found and not pair.missed for pair in report.values())
    return _line(name, whole.ours, whole.peer, kept)


def _line(name: str, mine: Score, theirs: Score, kept: bool) -> dict[str, Any]:
    value, peer = mine.recall, theirs.recall
    return {
        "name": name,
        "value": value,
        "unit": "share of cells",
        "peer": peer,
        "ratio": value / peer if peer else None,
        "goal": 1.0,
        "met": kept and value >= peer,
    }


def show(title: str, report: Mapping[tuple[str, str], Pair]) -> None:
    """A line an entity and setting: cells that hold it, recall and precision of ours and of Presidio's."""
    columns = (
        "entity",
        "field",
        "cells",
        "recall",
        "Presidio's",
        "precision",
        "Presidio's",
        "place recall",
        "place precision",
    )
    table = Table(*columns, title=title)
    for (setting, entity), pair in sorted(report.items(), key=lambda item: (item[0][1], item[0][0])):
        mine, theirs = pair.ours, pair.peer
        shares = (mine.recall, theirs.recall, mine.precision, theirs.precision, mine.span_recall, mine.span_precision)
        table.add_row(entity, setting, str(mine.cells), *(f"{share:.3f}" for share in shares))
    Console(width=140).print(table)


def shared() -> Iterator[tuple[str, list[Cell]]]:
    """Labelled files that may lie beside the project, as cells; nothing where they don't."""
    spans, rows = DATA / "generated_small.json", DATA / "sample-data.csv"
    if spans.exists():
        yield "generated_small", [_spanned(one) for one in json.loads(spans.read_text(encoding="utf-8"))]
    if rows.exists():
        with rows.open(encoding="utf-8", newline="") as lines:
            table = list(csv.DictReader(lines))
        yield "sample_data", [_whole(row[column], column) for row in table for column in row]


def _spanned(one: Mapping[str, Any]) -> Cell:
    labels = (
        Label(s["start_position"], s["end_position"], _SPANS.get(s["entity_type"], s["entity_type"]))
        for s in one["spans"]
    )
    return Cell(one["full_text"], tuple(labels), "", "text")


def _whole(text: str, column: str) -> Cell:
    labels = (Label(0, len(text), _COLUMNS[column]),) if column in _COLUMNS else ()
    return Cell(text, labels, "", column)


def foreign(scanner: Scanner, cells: list[Cell]) -> Report:
    """Every entity of a plan without countries, in fields whose name says nothing; those that are labelled or found."""
    plan, texts = ScanPlan(), [cell.text for cell in cells]
    whole = Peer(plan).places(texts)
    report: Report = {}
    for entity in entities_of(recognisers_of(plan)):
        pair = _pair(entity, cells, ours(scanner, texts, ScanPlan((entity,))), whole.get(entity, {}))
        if pair.ours.cells or pair.ours.wrong or pair.peer.wrong:
            report[SILENT, entity] = pair
    return report


if __name__ == "__main__":
    for result in run():
        sys.stdout.write(f"{json.dumps(result)}\n")
