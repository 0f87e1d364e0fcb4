"""Each bad file has the defect that it is named for, between sound records, and is the same each time."""

import csv
import gzip
import json
import zipfile
from pathlib import Path

import pytest

from samples import bad
from samples.writing import csv_header

HEADER = csv_header(bad._ORDERS)


def _lines(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _once(path: Path) -> bytes:
    """The bytes of a large file, which is then removed."""
    content = path.read_bytes()
    path.unlink()
    return content


LARGE = (bad.huge_line, bad.huge_cell, bad.huge_json_line, bad.gzip_bomb, bad.gzip_bomb_of_rows)


def test_they_are_written_alike_each_time(tmp_path: Path) -> None:
    """Each under a name of its own. The large ones in small."""
    names = set()
    for make in bad.EVERY:
        size = (2**20,) if make in LARGE else ()
        first, second = make(tmp_path / "a", *size), make(tmp_path / "b", *size)
        assert first.read_bytes() == second.read_bytes()
        names.add(first.name)
    assert len(names) == len(bad.EVERY)


def test_nothing_but_a_header(tmp_path: Path) -> None:
    assert _lines(bad.header_only(tmp_path)) == [HEADER]
    assert bad.zero_bytes(tmp_path).stat().st_size == 0
    assert bad.zero_bytes_json(tmp_path).stat().st_size == 0
    assert json.loads(_text(bad.empty_array(tmp_path))) == []


def test_ragged_lines_have_sound_neighbours(tmp_path: Path) -> None:
    lengths = [len(line) - len(HEADER) for line in _lines(bad.ragged(tmp_path))]
    assert lengths == [0, 0, -2, 0, 0, 1, 0]


def test_one_line_is_no_utf8(tmp_path: Path) -> None:
    lines = bad.wrong_encoding(tmp_path).read_bytes().splitlines()
    wrong = []
    for number, line in enumerate(lines):
        try:
            line.decode()
        except UnicodeDecodeError:
            wrong.append(number)
    assert wrong == [3]
    assert len(lines) == 7
    assert "Zoë Löwe" in lines[3].decode("cp1252")


def test_columns_that_should_not_be_or_should(tmp_path: Path) -> None:
    assert _lines(bad.unknown_column(tmp_path))[0] == ["Remark", *HEADER]
    assert _lines(bad.missing_column(tmp_path))[0] == HEADER[1:]
    assert _lines(bad.repeated_column(tmp_path))[0] == ["OrderID", *HEADER]


def test_large_things_are_as_large_as_they_say(tmp_path: Path) -> None:
    lines = _once(bad.huge_line(tmp_path)).split(b"\n")
    assert len(lines[2]) == 50 * 2**20
    assert [len(line) < 1000 for line in lines] == [True, True, False, True, True]
    csv.field_size_limit(2**24)
    address = _lines(bad.huge_cell(tmp_path))[2][HEADER.index("CustomerAddress")]
    assert len(address) == 10 * 2**20
    flat = _once(bad.huge_json_line(tmp_path))
    assert len(flat) >= 50 * 2**20
    assert b"\n" not in flat


def test_json_that_is_not_one_array(tmp_path: Path) -> None:
    text = _text(bad.concatenated_arrays(tmp_path))
    assert [len(json.loads(line)) for line in text.splitlines()] == [2, 2, 2]
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    cut = _text(bad.cut_off(tmp_path))
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut)
    whole = cut[: cut.rindex("},\n") + 1] + "]"
    assert len(json.loads(whole)) == 5


def test_json_with_values_that_no_store_takes(tmp_path: Path) -> None:
    pairs = json.loads(_text(bad.duplicate_keys(tmp_path)), object_pairs_hook=list)
    assert [[name for name, _ in record].count("order_id") for record in pairs] == [1, 2, 1, 1, 1, 1]
    assert "\ud800" in json.loads(_text(bad.surrogates(tmp_path)))[1]["product_name"]
    assert "\0" in json.loads(_text(bad.nul_escape(tmp_path)))[1]["product_name"]
    assert b"\0" in bad.nul_bytes(tmp_path).read_bytes().splitlines()[4]
    words: list[str] = []
    json.loads(_text(bad.not_finite(tmp_path)), parse_constant=words.append)
    assert words == ["NaN", "Infinity", "-Infinity"]
    kinds = [type(record) for record in json.loads(_text(bad.not_objects(tmp_path)))]
    assert kinds == [dict, int, str, type(None), list, dict]
    with pytest.raises(RecursionError):
        json.loads(_text(bad.deep_nesting(tmp_path, 200_000)))


def test_archives_by_other_names(tmp_path: Path) -> None:
    assert zipfile.is_zipfile(bad.zip_called_csv(tmp_path))
    assert gzip.decompress(bad.gzip_called_csv(tmp_path).read_bytes()).startswith(b"OrderID,")
    with pytest.raises(EOFError):
        gzip.decompress(bad.gzip_cut_off(tmp_path).read_bytes())


def test_a_bomb_unfolds_a_thousand_times(tmp_path: Path) -> None:
    size = 128 * 2**20
    for make, ratio in ((bad.gzip_bomb, 1000), (bad.gzip_bomb_of_rows, 200)):
        path = make(tmp_path, size)
        assert size / path.stat().st_size > ratio
        unfolded = 0
        with gzip.open(path) as file:
            assert file.readline().startswith(b"OrderID,")
            while piece := file.read(2**22):
                unfolded += len(piece)
        assert unfolded > 0.99 * size
