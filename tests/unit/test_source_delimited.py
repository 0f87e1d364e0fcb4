"""Delimited files: every record is a row with its cells as they stand, or malformed with its reason; none is lost."""

import csv
import gzip
import io
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.adapters.sources import open_source
from governance.contracts.types import Line, Source
from governance.errors import SourceError
from governance.flows.source import MalformedReason as Why
from governance.flows.source import SourceBatch


def read(path: Path, batch_rows: int = 1000, max_inflated: int = 1 << 40, **declared: object) -> list[SourceBatch]:
    source = Source("shop_csv", "csv", str(path), Line("shop.odcs.yaml", 1), **declared)  # type: ignore[arg-type]
    return list(open_source(source, str(path), batch_rows=batch_rows, max_inflated=max_inflated).batches())


def rows(batches: list[SourceBatch]) -> list[tuple[int, tuple[str, ...]]]:
    """(position, cells) of every row."""
    found = []
    for batch in batches:
        assert batch.records_read == batch.records.num_rows + len(batch.malformed)
        assert set(batch.records.schema.types) <= {batch.records.schema.types[0]}
        cells = zip(*(column.to_pylist() for column in batch.records.columns), strict=True)
        found += list(zip(batch.positions.to_pylist(), cells, strict=True))
    return found


def faults(batches: list[SourceBatch]) -> list[tuple[int, Why]]:
    return [(m.position, m.reason) for batch in batches for m in batch.malformed]


def write(folder: Path, data: bytes, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_cells_stand_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, b'id,when,amount,note\n007, 2025-01-02 ,1.10,\nNULL,NaN,"$1,234.50 ","two\nlines ""x"""\n')
    batches = read(path)
    assert [str(t) for t in batches[0].records.schema.types] == ["string"] * 4
    assert rows(batches) == [
        (0, ("007", " 2025-01-02 ", "1.10", "")),
        (1, ("NULL", "NaN", "$1,234.50 ", 'two\nlines "x"')),
    ]
    assert batches[0].part.startswith("orders.csv@")


def test_ragged_rows_are_malformed_and_their_neighbours_keep_their_positions(tmp_path: Path) -> None:
    batches = read(write(tmp_path, b'a,b\n1,2\nshort\n3,4\n5,6,7\n"8\n8",9\n'))
    assert rows(batches) == [(0, ("1", "2")), (2, ("3", "4")), (4, ("8\n8", "9"))]
    assert faults(batches) == [(1, Why.RAGGED), (3, Why.RAGGED)]
    assert [(m.length, m.body) for m in batches[0].malformed] == [(5, b"short"), (5, b"5,6,7")]


def test_the_body_of_a_malformed_record_is_in_no_repr(tmp_path: Path) -> None:
    (batch,) = read(write(tmp_path, b"a,b\nPeter Canary\n"))
    assert "Canary" not in repr(batch) and "Canary" not in repr(batch.malformed)


def test_a_line_of_another_encoding_is_malformed_and_the_rest_goes_on(tmp_path: Path) -> None:
    batches = read(write(tmp_path, "a,b\n1,é\n".encode() + "2,é\n".encode("cp1252") + b"3,\xed\xa0\x80\n4,x\n"))
    assert rows(batches) == [(0, ("1", "é")), (3, ("4", "x"))]
    assert faults(batches) == [(1, Why.ENCODING), (2, Why.ENCODING)]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_the_declared_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    assert rows(read(write(tmp_path, "näme,b\nZoë,ß\n".encode(encoding)), encoding=encoding)) == [(0, ("Zoë", "ß"))]


def test_what_the_declared_encoding_lacks_is_malformed_with_its_bytes(tmp_path: Path) -> None:
    batches = read(write(tmp_path, b"a,b\n1,\x80\n2,\x81\n3,x\n"), encoding="cp1252")
    assert rows(batches) == [(0, ("1", "€")), (2, ("3", "x"))]
    assert [(m.position, m.reason, m.body) for m in batches[0].malformed] == [(1, Why.ENCODING, b"2,\x81")]


def test_half_a_utf16_unit_is_malformed(tmp_path: Path) -> None:
    batches = read(write(tmp_path, "a,b\n1,x\n2,y".encode("utf-16") + b"\x41"), encoding="utf-16")
    assert rows(batches) == [(0, ("1", "x"))]
    assert faults(batches) == [(1, Why.ENCODING)]


def test_a_header_of_another_encoding_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="declare the encoding"):
        read(write(tmp_path, "näme,b\nx,y\n".encode("cp1252")))
    with pytest.raises(SourceError, match="is no encoding"):
        read(write(tmp_path, b"a,b\n"), encoding="ebcdic-of-old")


def test_nul_bytes_make_their_row_malformed(tmp_path: Path) -> None:
    batches = read(write(tmp_path, b"a,b\n1,2\n3,\x004\n5,6\n"))
    assert rows(batches) == [(0, ("1", "2")), (2, ("5", "6"))]
    assert faults(batches) == [(1, Why.NUL_BYTE)]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (batch,) = read(write(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n"))
    assert batch.records.schema.names == ["a", "b"]


def test_a_header_only_has_no_rows(tmp_path: Path) -> None:
    for data in (b"a,b\n", b"a,b", b"\n\na,b\r\n\r\n"):
        (batch,) = read(write(tmp_path, data))
        assert batch.records.schema.names == ["a", "b"] and batch.records_read == 0


@pytest.mark.parametrize(("data", "says"), [(b"", "empty"), (b"\n\n", "no header"), (b"\xef\xbb\xbf", "no header")])
def test_an_empty_file_is_an_error(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read(write(tmp_path, data))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file at"):
        read(tmp_path / "absent.csv")


def test_two_columns_of_one_name_are_an_error_without_the_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"column 3 .* column 1") as caught:
        read(write(tmp_path, b"Canary,b,Canary\n1,2,3\n"))
    assert "Canary" not in str(caught.value)


def test_declared_columns_mean_that_there_is_no_header(tmp_path: Path) -> None:
    batches = read(write(tmp_path, b"1,2\n3,4\n"), columns=("a", "b"))
    assert rows(batches) == [(0, ("1", "2")), (1, ("3", "4"))]


def test_another_delimiter_and_no_quotes(tmp_path: Path) -> None:
    assert rows(read(write(tmp_path, b'a|b\n"x|y"\n'), delimiter="|", quote=None)) == [(0, ('"x', 'y"'))]
    with pytest.raises(SourceError, match="one ASCII character"):
        read(write(tmp_path, b"a,b\n"), delimiter="||")


def test_a_quote_within_a_field_is_a_character(tmp_path: Path) -> None:
    batches = read(write(tmp_path, b'a,b\n24" screen,x\n"y",5" pipe\n"z",w\n'))
    assert rows(batches) == [(0, ('24" screen', "x")), (1, ("y", '5" pipe')), (2, ("z", "w"))]


def test_a_quote_that_never_closes_is_one_truncated_record(tmp_path: Path) -> None:
    for end in (b"", b"\n"):
        batches = read(write(tmp_path, b'a,b\n1,2\n3,"cut\n5,6' + end))
        assert rows(batches) == [(0, ("1", "2"))]
        assert faults(batches) == [(1, Why.TRUNCATED)]


def test_a_cell_of_ten_megabytes_passes(tmp_path: Path) -> None:
    big = "x" * 5_000_000 + '""\n' + "y" * 5_000_000
    batches = read(write(tmp_path, f'a,b\n1,2\n3,"{big}"\n5,6\n'.encode()))
    found = rows(batches)
    assert [position for position, _ in found] == [0, 1, 2]
    assert found[1][1] == ("3", big.replace('""', '"')) and found[2][1] == ("5", "6")


@pytest.mark.parametrize("quoted", [False, True])
def test_a_line_of_fifty_megabytes_is_too_large_and_the_rest_goes_on(tmp_path: Path, quoted: bool) -> None:
    path = tmp_path / "long.csv"
    chunk = b'quoted "", \n text  ' * 52_429 if quoted else b"no newline in here " * 52_429
    with path.open("wb") as file:
        file.write(b"a,b\n1,2\n3," + b'"' * quoted)
        for _ in range(50):
            file.write(chunk)
        file.write(b'"' * quoted + b"\n5,6\n")
    tracemalloc.start()
    batches = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows(batches) == [(0, ("1", "2")), (2, ("5", "6"))]
    assert faults(batches) == [(1, Why.TOO_LARGE)]
    (fault,) = [m for batch in batches for m in batch.malformed]
    assert fault.body is None and fault.length == 2 + 50 * len(chunk) + 2 * quoted
    assert peak < 400 << 20


def test_gzip_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    two = gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n") + b"\0" * 100
    for name in ("orders.csv.gz", "orders.csv"):
        assert rows(read(write(tmp_path, two, name))) == [(0, ("1", "2")), (1, ("3", "4"))]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a,b\n1,2\n", "isn't gzip"),
        (gzip.compress(b"a,b\n" + bytes(range(1, 256)) * 99)[:-20], "cut off"),
        (gzip.compress(b"a,b\n1,2\n" * 99)[:-8] + b"\0" * 8, "damaged"),
        (b"\x1f\x8b\x08", "cut off"),
    ],
)
def test_a_bad_gz_is_an_error(tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read(write(tmp_path, data, "orders.csv.gz"))


def test_a_gzip_bomb_is_refused_long_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=6) as file:
        file.write(b"a,b\n")
        for _ in range(80):
            file.write(b"\n" * (1 << 20))
    with pytest.raises(SourceError, match="bomb"):
        read(path)
    with pytest.raises(SourceError, match="more than 1000000 bytes"):
        read(path, max_inflated=1_000_000)


def test_a_zip_named_csv_is_an_error(tmp_path: Path) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("orders.csv", "a,b\n1,2\n")
    with pytest.raises(SourceError, match="zip archive"):
        read(write(tmp_path, held.getvalue()))


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    write(tmp_path, b"a,b\n1,2\n", "day-1.csv")
    write(tmp_path, b"a,c\n3,4\n5,6\n", "day-2.csv")
    batches = read(tmp_path)
    assert [(b.part.split("@")[0], b.positions.to_pylist(), b.records.schema.names) for b in batches] == [
        ("day-1.csv", [0], ["a", "b"]),
        ("day-2.csv", [0, 1], ["a", "c"]),
    ]


def test_batches_are_of_the_asked_size_and_the_same_each_time(tmp_path: Path) -> None:
    lines = b"".join(b"%d,x\n" % i if i % 100 else b"ragged\n" for i in range(50_000))
    path = write(tmp_path, b"a,b\n" + lines)
    source = Source("s", "csv", str(path), Line("f", 1))
    reader = open_source(source, str(path), batch_rows=7000)
    once, again = list(reader.batches()), list(reader.batches())
    assert [b.records_read for b in once] == [b.records_read for b in again]
    assert all(5000 <= b.records_read <= 10_000 for b in once[:-1])
    assert sum(b.records_read for b in once) == 50_000
    assert sorted([p for p, _ in rows(once)] + [p for p, _ in faults(once)]) == list(range(50_000))
    assert all(cells[0] == str(p) for p, cells in rows(once))
    assert sum(b.consumed for b in once) == reader.size() == path.stat().st_size


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


CELL = st.text(alphabet=st.sampled_from('ab1é,"\n\r \t'), max_size=6)
DEFECTS = {
    Why.RAGGED: lambda line: line + b",more",
    Why.ENCODING: lambda line: line + b"\xff",
    Why.NUL_BYTE: lambda line: line + b"\0",
}
RECORD = st.tuples(st.lists(CELL, min_size=3, max_size=3), st.sampled_from([None, None, None, *DEFECTS]), st.booleans())


@settings(deadline=None, max_examples=150)
@given(st.lists(RECORD, max_size=30), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans(), st.integers(1, 12))
def test_rows_and_malformed_are_the_records_of_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[list[str], Why | None, bool]],
    ending: str,
    ends: bool,
    repeats: int,
) -> None:
    """Whatever is wrong with which record, each keeps its own place and cells."""
    made = made * repeats
    lines = []
    for cells, defect, always in made:
        line = ",".join(quoted(cell) if always or set(cell) & set(',"\r\n') else cell for cell in cells).encode()
        lines.append(DEFECTS[defect](line) if defect else line)
    data = ending.encode().join([b"a,b,c", *lines]) + ending.encode() * ends
    path = write(tmp_path_factory.mktemp("made"), data)
    batches = read(path, batch_rows=50)
    assert rows(batches) == [(i, tuple(cells)) for i, (cells, defect, _) in enumerate(made) if not defect]
    assert faults(batches) == [(i, defect) for i, (_, defect, _) in enumerate(made) if defect]
    assert sum(batch.records_read for batch in batches) == len(made)


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet=st.sampled_from('ab,"\n'), max_size=60))
def test_any_text_has_the_records_that_the_standard_library_sees(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """Quotes anywhere: the two ways of reading, quick and careful, agree with each other and with `csv`."""
    path = write(tmp_path_factory.mktemp("any"), b"a,b\n" + text.encode())
    expected = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    batches = read(path)
    cut = any(reason is Why.TRUNCATED for _, reason in faults(batches))
    whole = expected[:-1] if cut else expected
    assert rows(batches) == [(i, tuple(row)) for i, row in enumerate(whole) if len(row) == 2]
    assert [p for p, _ in faults(batches)] == [i for i, row in enumerate(expected) if len(row) != 2 or i >= len(whole)]
