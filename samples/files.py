"""The file sources: orders and stock as CSV and as JSON, and the truth beside them."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from samples.rows import LAYOUTS, Layout, Row
from samples.store import Wave
from samples.writing import csv_cells, csv_header, json_record, json_text

T = TypeVar("T")
Progress = Callable[[str, int], None]
"""Called now and then with what is being written and how many more rows of it are done."""

_EVERY = 5000


def quiet(_: str, __: int) -> None:
    """Say nothing."""


def write_files(wave: Wave, folder: Path, progress: Progress = quiet) -> list[Path]:
    """Write orders.csv, stock.csv, orders.json, stock.json and truth.json; returns their paths.

    orders.csv begins with a byte order mark and ends its lines with CR LF, stock.csv does neither.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for dataset, layout in LAYOUTS.items():
        path = folder / f"{dataset}.csv"
        _write_csv(path, layout, wave.rows[dataset]["csv"], progress, marked=dataset == "orders")
        paths.append(path)
        path = folder / f"{dataset}.json"
        _write_json(path, layout, wave.rows[dataset]["json"], progress)
        paths.append(path)
    truth = folder / "truth.json"
    truth.write_text(json.dumps(wave.truth, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [*paths, truth]


def _write_csv(path: Path, layout: Layout, rows: list[Row], progress: Progress, *, marked: bool) -> None:
    with path.open("w", encoding="utf-8-sig" if marked else "utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\r\n" if marked else "\n")
        lines.writerow(csv_header(layout))
        for row in counted(rows, path.name, progress):
            lines.writerow(csv_cells(row, layout))


def _write_json(path: Path, layout: Layout, rows: list[Row], progress: Progress) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        before = "[\n"
        for row in counted(rows, path.name, progress):
            file.write(before + json_text(json_record(row, layout)))
            before = ",\n"
        file.write("\n]\n" if rows else "[]\n")


def counted(rows: Sequence[T], what: str, progress: Progress) -> Iterator[T]:
    """The rows; `progress` hears of every few thousand and of the rest."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % _EVERY == 0:
            progress(what, _EVERY)
    progress(what, len(rows) % _EVERY)
