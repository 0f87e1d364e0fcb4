"""JSON files: values keep their text, every record is a row or malformed with its reason, memory stays flat."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.adapters.sources import json_file, open_source
from governance.contracts.types import Line, Source
from governance.errors import SourceError
from governance.flows.source import MalformedReason as Why
from governance.flows.source import SourceBatch


def read(path: Path, form: str = "json", batch_rows: int = 1000, **declared: object) -> list[SourceBatch]:
    source = Source("shop_json", form, str(path), Line("shop.odcs.yaml", 1), **declared)  # type: ignore[arg-type]
    return list(open_source(source, str(path), batch_rows=batch_rows).batches())


def rows(batches: list[SourceBatch]) -> list[tuple[int, dict[str, str | None]]]:
    found = []
    for batch in batches:
        assert (
            batch.records_read
            == batch.records.num_rows + len(batch.malformed)
            == len(batch.positions) + len(batch.malformed)
        )
        assert all(str(kind) == "string" for kind in batch.records.schema.types)
        found += list(zip(batch.positions.to_pylist(), batch.records.to_pylist(), strict=True))
    return found


def faults(batches: list[SourceBatch]) -> list[tuple[int, Why]]:
    return [(m.position, m.reason) for batch in batches for m in batch.malformed]


def write(folder: Path, text: str | bytes, name: str = "orders.json") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    return path


def test_no_type_is_guessed(tmp_path: Path) -> None:
    text = (
        '[{"a":1.10,"b":"1.10","c":true,"d":null,"e":"","f":12345678901234567890123,"g":1E400,"h":NaN,"i":-Infinity}]'
    )
    assert rows(read(write(tmp_path, text))) == [
        (
            0,
            {
                "a": "1.10",
                "b": "1.10",
                "c": "true",
                "d": None,
                "e": "",
                "f": "12345678901234567890123",
                "g": "1E400",
                "h": "NaN",
                "i": "-Infinity",
            },
        )
    ]


def test_nested_records_become_dotted_paths_and_lists_json_text(tmp_path: Path) -> None:
    text = """[{"location": {"street": {"name": "Elm", "number": 7}, "none": {}},
                "tags": ["ä", 1.50, {"k": [null, false]}]},
               {"location": {"street": "7 Elm"}, "extra": 1}]"""
    (batch,) = read(write(tmp_path, text))
    assert rows([batch]) == [
        (
            0,
            {
                "location.street.name": "Elm",
                "location.street.number": "7",
                "location.none": None,
                "tags": '["ä",1.50,{"k":[null,false]}]',
                "location.street": None,
                "extra": None,
            },
        ),
        (
            1,
            {
                "location.street.name": None,
                "location.street.number": None,
                "location.none": None,
                "tags": None,
                "location.street": "7 Elm",
                "extra": "1",
            },
        ),
    ]


def test_extended_json_gives_way_to_what_it_holds(tmp_path: Path) -> None:
    text = (
        '{"_id":{"$oid":"5f"},"born":{"$date":{"$numberLong":"-17"}},"n":[{"$numberInt":"3"}]}\n{"_id":{"$oid":"60"}}'
    )
    for form in ("json", "ndjson"):
        assert rows(read(write(tmp_path, text), form)) == [
            (0, {"_id": "5f", "born": "-17", "n": '["3"]'}),
            (1, {"_id": "60", "born": None, "n": None}),
        ]


@pytest.mark.parametrize(
    "text", ['[{"a":1}][{"a":2},\n{"a":3}]', '{"a":1}{"a":2} {"a":3}', '[{"a":1}]{"a":2}\n[{"a":3}]']
)
def test_documents_in_a_row_are_all_read(tmp_path: Path, text: str) -> None:
    assert rows(read(write(tmp_path, text))) == [(0, {"a": "1"}), (1, {"a": "2"}), (2, {"a": "3"})]


def test_the_list_may_stand_in_an_envelope(tmp_path: Path) -> None:
    text = '{"info":{"n":[1,{"data":[]}],"s":"]}"},"data":{"x":1,"items":[{"a":1},{"a":2}],"y":[]},"end":null}'
    path = write(tmp_path, text + " " + text)
    assert [row["a"] for _, row in rows(read(path, records="data.items"))] == ["1", "2", "1", "2"]
    for wrong in ("data", "items", "info.n.x"):
        with pytest.raises(SourceError, match="no list at"):
            read(path, records=wrong)
    with pytest.raises(SourceError, match="no list at"):
        read(write(tmp_path, "[]"), records="data")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ('{"a":1,"a":2}', Why.DUPLICATE_KEY),
        ('{"b":{"c":[{"d":1,"d":1}]}}', Why.DUPLICATE_KEY),
        ('{"b":{"c":1},"b.c":2}', Why.DUPLICATE_KEY),
        ('{"a":"\\ud800"}', Why.ENCODING),
        ('{"a":["\\udc00x"]}', Why.ENCODING),
        ('{"\\ud83d":1}', Why.ENCODING),
        (b'{"a":"caf\xe9"}', Why.ENCODING),
        (b'{"a":"\xed\xa0\x80"}', Why.ENCODING),
        ('{"a":"x\\u0000y"}', Why.NUL_BYTE),
        ('{"a":[["\\u0000"]]}', Why.NUL_BYTE),
        ('{"a":"x\0y"}', Why.NUL_BYTE),
        ('{"a":01}', Why.NOT_JSON),
        ('{"a":"x" "b"}', Why.NOT_JSON),
        ("{'a':1}", Why.NOT_JSON),
        ('{"a":]}', Why.NOT_JSON),
        ('["a"]', Why.NOT_AN_OBJECT),
        ("17", Why.NOT_AN_OBJECT),
        ("null", Why.NOT_AN_OBJECT),
        ('"te{xt"', Why.NOT_AN_OBJECT),
        ("nul", Why.NOT_JSON),
        ('{"a":' * 10_000 + "1" + "}" * 10_000, Why.TOO_DEEP),
        ('{"a":' + "[" * 10_000 + "]" * 10_000 + "}", Why.TOO_DEEP),
        ('{"a":' * 70 + "1" + "}" * 70, Why.TOO_DEEP),
        ("{" + ",".join(f'"k{i}":1' for i in range(5000)) + "}", Why.TOO_WIDE),
    ],
)
@pytest.mark.parametrize("form", ["list", "lines", "envelope"])
@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_a_malformed_record_leaves_its_neighbours_alone(
    tmp_path: Path, record: str | bytes, why: Why, form: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if piece == 7 and len(record) > 100:
        piece = 1000
    monkeypatch.setattr(json_file, "_PIECE", piece)
    raw = record if isinstance(record, bytes) else record.encode()
    good = ['{"a":"é😀"}'.encode(), b'{"a":"\\ud83d\\ude00 \\\\u0000 \\""}']
    if form == "lines":
        batches = read(write(tmp_path, b"\n".join([good[0], raw, good[1]])), "ndjson")
    elif form == "list":
        batches = read(write(tmp_path, b"[" + b" ,\n ".join([good[0], raw, good[1]]) + b"]"))
    else:
        data = b'{"r" : [' + b",".join([good[0], raw, good[1]]) + b'],"z":1}'
        batches = read(write(tmp_path, data), records="r")
    assert rows(batches) == [(0, {"a": "é😀"}), (2, {"a": '😀 \\u0000 "'})]
    assert faults(batches) == [(1, why)]
    (fault,) = [m for batch in batches for m in batch.malformed]
    assert fault.body == raw and fault.length == len(raw)


@pytest.mark.parametrize("piece", range(1, 16))
@pytest.mark.parametrize(("escape", "why"), [("\\ud800", Why.ENCODING), ("\\u0000", Why.NUL_BYTE)])
def test_an_escape_that_arrives_in_two_pieces_is_seen(
    tmp_path: Path, escape: str, why: Why, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_file, "_PIECE", piece)
    batches = read(write(tmp_path, f'[{{"a":"{escape}"}}]'))
    assert faults(batches) == [(0, why)]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('[{"a":1},{"a":2},{"a":"cut', 2),
        ('[{"a":1},{"a":2},{"a":[1', 2),
        ('[{"a":1},{"a":2},', 2),
        ('[{"a":1},{"a":2}', 2),
        ('[{"a":1},{"a":"\\', 1),
        ("[" + "[" * 10_000, 0),
    ],
)
def test_a_cut_off_file_gives_the_whole_records_and_one_truncated(tmp_path: Path, text: str, whole: int) -> None:
    batches = read(write(tmp_path, text))
    assert len(rows(batches)) == whole and faults(batches) == [(whole, Why.TRUNCATED)]
    cut = read(write(tmp_path, '{"x":{},"r":' + text), records="r")
    assert len(rows(cut)) == whole and faults(cut) == [(whole, Why.TRUNCATED)]


@pytest.mark.parametrize("cut", range(1, 46))
def test_wherever_an_envelope_is_cut_the_loss_shows(tmp_path: Path, cut: int) -> None:
    text = '{"n": {"x" : "y"}, "r" :[{"a":1}], "m": [1, {}]}'
    batches = read(write(tmp_path, text[:cut]), records="r")
    assert [reason for _, reason in faults(batches)] == [Why.TRUNCATED]


def test_a_cut_off_last_line_is_truncated(tmp_path: Path) -> None:
    batches = read(write(tmp_path, '{"a":1}\n\n{"a":"cu'), "ndjson")
    assert rows(batches) == [(0, {"a": "1"})] and faults(batches) == [(1, Why.TRUNCATED)]


@pytest.mark.parametrize("text", ["<html><body>Bad gateway</body></html>", "   ", "orders", '"x"', "a,b\n1,2\n"])
def test_what_is_no_json_at_all_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError, match="isn't JSON"):
        read(write(tmp_path, text))


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    for form in ("json", "ndjson"):
        with pytest.raises(SourceError, match="empty"):
            read(write(tmp_path, ""), form)


def test_lists_of_nothing_are_fine(tmp_path: Path) -> None:
    assert read(write(tmp_path, "[]")) == []
    assert read(write(tmp_path, '{"r":[]}'), records="r") == []
    (batch,) = read(write(tmp_path, "[{},{}]"))
    assert batch.records.num_rows == 2 and batch.records.num_columns == 0


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_too_large_records_are_passed_over_in_flat_memory(tmp_path: Path, form: str) -> None:
    path = tmp_path / "long.json"
    with path.open("wb") as file:
        file.write(b'{"a":1}\n{"a":"')
        for _ in range(50):
            file.write(b'\\" }{ \\\\' * (1 << 17))
        file.write(b'"}\n{"a":"' + b"x" * 10_000_000 + b'"}\n')
    tracemalloc.start()
    batches = read(path, form)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(p, len(row["a"] or "")) for p, row in rows(batches)] == [(0, 1), (2, 10_000_000)]
    assert faults(batches) == [(1, Why.TOO_LARGE)]
    (fault,) = [m for batch in batches for m in batch.malformed]
    assert fault.length == 50 * (8 << 17) + len('{"a":""}') and fault.body is None
    assert peak < 200 << 20


def test_another_encoding_and_gzip(tmp_path: Path) -> None:
    text = '[{"a":"Zoë"}]'
    assert rows(read(write(tmp_path, text.encode("utf-16")), encoding="utf-16")) == [(0, {"a": "Zoë"})]
    assert rows(read(write(tmp_path, gzip.compress(b"\xef\xbb\xbf" + text.encode()), "x.json.gz"))) == [
        (0, {"a": "Zoë"})
    ]
    batches = read(write(tmp_path, b'[{"a":"\x80"},{"a":"\x81"}]'), encoding="cp1252")
    assert rows(batches) == [(0, {"a": "€"})]
    assert [(m.reason, m.body) for m in batches[0].malformed] == [(Why.ENCODING, b'{"a":"\x81"}')]


def test_batches_are_of_the_asked_size_and_only_have_the_keys_seen(tmp_path: Path) -> None:
    path = write(tmp_path, json.dumps([{"n": i, f"k{i // 1000}": "x"} for i in range(2500)]))
    batches = read(path, batch_rows=1000)
    assert [b.records.schema.names for b in batches] == [["n", "k0"], ["n", "k1"], ["n", "k2"]]
    assert [row["n"] for _, row in rows(batches)] == [str(i) for i in range(2500)]
    assert sum(b.consumed for b in batches) == path.stat().st_size


GOOD = st.dictionaries(
    st.text("ab", min_size=1, max_size=2), st.none() | st.booleans() | st.integers() | st.text(max_size=5)
)
BAD = st.sampled_from(['{"a":1,"a":2}', '{"a":"\\ud800"}', '{"a":"\\u0000"}', '{"a":+1}', "[1]", "-0.0", '{"a":"\\x"}'])


@settings(deadline=None, max_examples=150)
@given(st.lists(GOOD | BAD, max_size=20), st.sampled_from(["list", "row", "lines"]), st.integers(1, 60), st.booleans())
def test_rows_and_malformed_are_the_records_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, made: list[dict[str, object] | str], form: str, piece: int, ascii_: bool
) -> None:
    texts = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=ascii_) for one in made]
    data = {"list": "[%s]", "row": "%s", "lines": "%s\n"}[form] % {"list": ",", "row": " ", "lines": "\n"}[form].join(
        texts
    )
    if form == "row":
        data = "{} " + data
        made = [{}, *made]
    if form == "lines" and not made:
        return
    path = write(tmp_path_factory.mktemp("made"), data)
    before, json_file._PIECE = json_file._PIECE, piece
    try:
        batches = read(path, "ndjson" if form == "lines" else "json")
    finally:
        json_file._PIECE = before
    if form == "row":
        assert sum(b.records_read for b in batches) >= len([m for m in made if m not in ("[1]", "-0.0")])
        return
    expected = [
        (i, {k: text(v) for k, v in one.items()})
        for i, one in enumerate(made)
        if isinstance(one, dict) and not any(isinstance(v, str) and "\0" in v for v in one.values())
    ]
    found = [
        (p, {k: v for k, v in row.items() if k in expected_keys})
        for (p, row), expected_keys in zip(rows(batches), [e for _, e in expected], strict=True)
    ]
    assert found == expected
    assert sum(batch.records_read for batch in batches) == len(made)


def text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
