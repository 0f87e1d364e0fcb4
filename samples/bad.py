"""Files that go wrong, one function a defect, for the tests: each writes one file and returns its path.

The columns are those of the orders. Around the defect stand sound records, so that a test can see them survive.
"""

import gzip
import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from samples.rows import LAYOUTS, Row
from samples.store import generate
from samples.writing import csv_cells, csv_header, json_record, json_text

MEGABYTE = 2**20
_ORDERS = LAYOUTS["orders"]
_GOOD = 6


def header_only(folder: Path) -> Path:
    """A CSV with a header and no line after it."""
    return _write(folder / "header_only.csv", _lines([]))


def zero_bytes(folder: Path) -> Path:
    """A CSV of no bytes."""
    return _write(folder / "zero_bytes.csv", b"")


def zero_bytes_json(folder: Path) -> Path:
    """A JSON file of no bytes."""
    return _write(folder / "zero_bytes.json", b"")


def empty_array(folder: Path) -> Path:
    """A JSON array without a record: sound, and empty."""
    return _write(folder / "empty_array.json", b"[]\n")


def wrong_encoding(folder: Path) -> Path:
    """A CSV of six lines, the third of which is in Windows-1252 and no UTF-8."""
    lines = _good_lines()
    lines[2] = _changed(lines[2], "CustomerName", "Zoë Löwe")
    text = [_line(cells) for cells in lines]
    return _write(folder / "wrong_encoding.csv", _lines([]), *text[:2], text[2].decode().encode("cp1252"), *text[3:])


def utf16(folder: Path) -> Path:
    """A whole CSV in UTF-16 with its byte order mark."""
    text = _lines(_good_lines()).decode()
    return _write(folder / "utf16.csv", text.encode("utf-16"))


def ragged(folder: Path) -> Path:
    """A CSV of six lines; the second has two fields too few, the fifth one too many."""
    lines = _good_lines()
    lines[1] = lines[1][:-2]
    lines[4] = [*lines[4], "?"]
    return _write(folder / "ragged.csv", _lines(lines))


def open_quote(folder: Path) -> Path:
    """A CSV whose last line opens a quote that is never closed."""
    return _write(folder / "open_quote.csv", _lines(_good_lines()), b'"O-999999,01-02-2025,\n')


def nul_bytes(folder: Path) -> Path:
    """A CSV of six lines with a NUL byte in the product's name of the fourth."""
    lines = _good_lines()
    lines[3] = _changed(lines[3], "ProductName", "Sage\0Tea")
    return _write(folder / "nul_bytes.csv", _lines(lines))


def unknown_column(folder: Path) -> Path:
    """A CSV of six lines with a column `Remark` that nobody declared, first of all."""
    rows = [["Remark", *csv_header(_ORDERS)], *(["none", *cells] for cells in _good_lines())]
    return _write(folder / "unknown_column.csv", *map(_line, rows))


def missing_column(folder: Path) -> Path:
    """A CSV of six lines without the required column OrderID."""
    rows = [csv_header(_ORDERS), *_good_lines()]
    return _write(folder / "missing_column.csv", *(_line(cells[1:]) for cells in rows))


def repeated_column(folder: Path) -> Path:
    """A CSV of six lines whose header has OrderID twice."""
    rows = [csv_header(_ORDERS), *_good_lines()]
    return _write(folder / "repeated_column.csv", *(_line([cells[0], *cells]) for cells in rows))


def huge_line(folder: Path, size: int = 50 * MEGABYTE) -> Path:
    """A CSV of one sound line, one line of `size` bytes (one field, without a quote) and one sound line."""
    lines = _good_lines()
    chunks = (b"x" * MEGABYTE for _ in range(size // MEGABYTE))
    return _write(folder / "huge_line.csv", _lines(lines[:1]), *chunks, b"\n", _line(lines[1]))


def huge_cell(folder: Path, size: int = 10 * MEGABYTE) -> Path:
    """A CSV of three lines; the address in the second has `size` bytes. Sound, if large."""
    lines = _good_lines()[:3]
    lines[1] = _changed(lines[1], "CustomerAddress", "Mint Street " * (size // 12) + "m" * (size % 12))
    return _write(folder / "huge_cell.csv", _lines(lines))


def huge_json_line(folder: Path, size: int = 50 * MEGABYTE) -> Path:
    """A JSON array in one line of at least `size` bytes: thousands of sound records."""
    record = json_text(_good_records()[0]).encode()
    count = size // (len(record) + 1) + 1
    return _write(folder / "huge_line.json", b"[", *([record + b","] * (count - 1)), record, b"]")


def concatenated_arrays(folder: Path) -> Path:
    """A JSON file of three arrays one after the other, two records each."""
    records = [json_text(r) for r in _good_records()]
    arrays = (f"[{first},{second}]\n".encode() for first, second in zip(records[::2], records[1::2], strict=True))
    return _write(folder / "concatenated.json", *arrays)


def cut_off(folder: Path) -> Path:
    """A JSON array that ends in the middle of its sixth record."""
    text = _array(json_text(r) for r in _good_records())
    return _write(folder / "cut_off.json", text[:-60])


def duplicate_keys(folder: Path) -> Path:
    """A JSON array whose second record has the key order_id twice, with different values."""
    records = [json_text(r) for r in _good_records()]
    records[1] = '{"order_id": "O-777777", ' + records[1][1:]
    return _write(folder / "duplicate_keys.json", _array(records))


def surrogates(folder: Path) -> Path:
    r"""A JSON array whose second record has the lone surrogate \ud800 in the product's name."""
    return _with_name(folder / "surrogates.json", "Sage \ud800Tea")


def nul_escape(folder: Path) -> Path:
    r"""A JSON array whose second record has \u0000 in the product's name."""
    return _with_name(folder / "nul_escape.json", "Sage\0Tea")


def not_finite(folder: Path) -> Path:
    """A JSON array whose first three records have the bare words NaN, Infinity and -Infinity for a price."""
    records = [json_text(r | {"product_price": float(word)}) for r, word in _with_words("nan", "inf", "-inf")]
    return _write(folder / "not_finite.json", _array(records))


def not_objects(folder: Path) -> Path:
    """A JSON array of a record, a number, a text, null, an array and a record."""
    first, last = (json_text(r) for r in _good_records()[:2])
    return _write(folder / "not_objects.json", _array([first, "42", '"text"', "null", "[1, 2]", last]))


def deep_nesting(folder: Path, depth: int = 10_000) -> Path:
    """A JSON array of a record, a record nested `depth` levels deep, and a record."""
    first, last = (json_text(r) for r in _good_records()[:2])
    deep = '{"order_id": ' + "[" * depth + "]" * depth + "}"
    return _write(folder / "deep_nesting.json", _array([first, deep, last]))


def html_for_json(folder: Path) -> Path:
    """A page of HTML that is called .json."""
    return _write(folder / "page.json", b"<!doctype html><title>Sorry</title><p>Please sign in.</p>\n")


def zip_called_csv(folder: Path) -> Path:
    """A zip archive (with a sound CSV in it) that is called .csv."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("orders.csv"), _lines(_good_lines()))
    return _write(folder / "archive.csv", memory.getvalue())


def gzip_called_csv(folder: Path) -> Path:
    """A sound CSV of six lines, gzipped, that is called .csv."""
    return _write(folder / "zipped.csv", gzip.compress(_lines(_good_lines()), mtime=0))


def gzip_cut_off(folder: Path) -> Path:
    """A gzipped CSV that lacks its second half."""
    whole = gzip.compress(_lines(_good_lines() * 50), mtime=0)
    return _write(folder / "cut_off.csv.gz", whole[: len(whole) // 2])


def gzip_bomb(folder: Path, inflated: int = 4096 * MEGABYTE) -> Path:
    """A gzipped CSV that unfolds to `inflated` bytes, a thousand times its size: one endless cell.

    It is one packed piece of 64 MiB many times over, so it is written in a moment.
    """
    return _bomb(folder / "bomb.csv.gz", b"0", inflated)


def gzip_bomb_of_rows(folder: Path, inflated: int = 4096 * MEGABYTE) -> Path:
    """A gzipped CSV that unfolds to `inflated` bytes, some 250 times its size: one sound line, over and over."""
    return _bomb(folder / "bomb_of_rows.csv.gz", _line(_good_lines()[0]), inflated)


def _bomb(path: Path, unit: bytes, inflated: int) -> Path:
    size = min(64 * MEGABYTE, inflated)
    piece = gzip.compress(unit * (size // len(unit)), compresslevel=9, mtime=0)
    copies = (piece for _ in range(max(1, inflated // size)))
    return _write(path, gzip.compress(_lines([]), mtime=0), *copies)


EVERY: tuple[Callable[[Path], Path], ...] = (
    header_only, zero_bytes, zero_bytes_json, empty_array, wrong_encoding, utf16, ragged, open_quote, nul_bytes,
    unknown_column, missing_column, repeated_column, huge_line, huge_cell, huge_json_line, concatenated_arrays, cut_off,
    duplicate_keys, surrogates, nul_escape, not_finite, not_objects, deep_nesting, html_for_json, zip_called_csv,
    gzip_called_csv, gzip_cut_off, gzip_bomb, gzip_bomb_of_rows,
)  # fmt: skip
"""Every bad file, the large ones included."""


def _good_rows() -> list[Row]:
    """Six sound rows, each of a key of its own, in one line each."""
    rows = generate(seed=11, scale=0.05).rows["orders"]["csv"]
    sound = {row.key: row for row in rows if not row.outcome.reason and not row.traits and _in_one_line(row)}
    return list(sound.values())[:_GOOD]


def _in_one_line(row: Row) -> bool:
    return all("\n" not in value for value in row.values.values() if isinstance(value, str))


def _good_lines() -> list[list[str]]:
    return [csv_cells(row, _ORDERS) for row in _good_rows()]


def _good_records() -> list[dict[str, str | None]]:
    return [json_record(row, _ORDERS) for row in _good_rows()]


def _with_words(*words: str) -> list[tuple[dict[str, str | None], str]]:
    return list(zip(_good_records(), words, strict=False))


def _with_name(path: Path, name: str) -> Path:
    records = _good_records()
    records[1]["product_name"] = name
    return _write(path, _array(json_text(r) for r in records))


def _changed(cells: list[str], column: str, text: str) -> list[str]:
    place = csv_header(_ORDERS).index(column)
    return [*cells[:place], text, *cells[place + 1 :]]


def _lines(lines: list[list[str]]) -> bytes:
    return b"".join(map(_line, [csv_header(_ORDERS), *lines]))


def _line(cells: list[str]) -> bytes:
    quoted = ('"' + c.replace('"', '""') + '"' if {",", '"', "\n"} & set(c) else c for c in cells)
    return (",".join(quoted) + "\n").encode()


def _array(records: Iterable[str]) -> bytes:
    return ("[" + ",\n".join(records) + "]\n").encode()


def _write(path: Path, *pieces: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.writelines(pieces)
    return path
