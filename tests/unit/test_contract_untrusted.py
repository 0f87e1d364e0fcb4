"""A contract file is untrusted: whatever its bytes, it is refused in a sentence, quickly."""

import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.contracts.document import MAX_BYTES, parse_document, read_document
from governance.contracts.load import read_contract


def refusal(path, content):
    path.write_bytes(content)
    document, faults = read_document(path)
    assert document is None
    (fault,) = faults
    return fault.code, fault.where.line


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"", "not-a-contract", 1),
        (b"# nothing\n", "not-a-contract", 1),
        (b"a: 1\nb: \xff\n", "not-utf8", 2),
        (b"a: 1\nb: \x00\n", "not-yaml", 2),
        (b"a: 1\nb: [\n", "not-yaml", 3),
        (b"a: 1\n\tb: 2\n", "not-yaml", 2),
        (b"a: &x [1, 1]\nb: *x\n", "alias", 2),
        (b"a: &x {b: 1}\nc:\n  <<: *x\n", "alias", 3),
        (b"a: !!python/object/apply:os.system [id]\n", "tag", 1),
        (b"a: 1\n--- \nb: 2\n", "not-a-contract", 2),
        (b"a:\n  b: 1\n  b: 2\n", "duplicate-key", 3),
        (b"a: " + b"[" * 41 + b"]" * 41, "too-deep", 1),
        (b"a: " + b"[" * 400_000, "too-deep", 1),
        (b"a: " + b"x" * MAX_BYTES, "too-large", 1),
        ("a: é\n".encode("utf-16"), "not-utf8", 1),
    ],
)
def test_what_is_no_contract_is_refused_by_line(tmp_path, content, code, line):
    begun = time.monotonic()
    assert refusal(tmp_path / "bad.odcs.yaml", content) == (code, line)
    assert time.monotonic() - begun < 20


def test_a_file_that_cannot_be_read_is_a_fault_and_no_crash(tmp_path):
    assert [f.code for f in read_document(tmp_path / "absent.odcs.yaml")[1]] == ["unreadable"]
    assert [f.code for f in read_document(tmp_path)[1]] == ["unreadable"]
    os.mkfifo(tmp_path / "pipe.odcs.yaml")
    assert [f.code for f in read_document(tmp_path / "pipe.odcs.yaml")[1]] == ["unreadable"]


def test_plain_words_mean_what_they_look_like():
    text = b"a: no\nb: 2024-01-01\nc: 010\nd: 1_000\ne: 12:30\nf: ~\ng: true\nh: 1e3\ni: '1'\nj: 1.0.0\n"
    assert parse_document(text, "f").data == {
        "a": "no",
        "b": "2024-01-01",
        "c": 10,
        "d": "1_000",
        "e": "12:30",
        "f": None,
        "g": True,
        "h": 1000.0,
        "i": "1",
        "j": "1.0.0",
    }


def test_every_part_knows_its_line():
    document = parse_document(b"a:\n  - b: 1\n    c:\n      [2,\n       3]\n", "f")
    assert {place: document.line(place).line for place in [("a",), ("a", 0, "b"), ("a", 0, "c", 1), ("a", 7, "x")]} == {
        ("a",): 1,
        ("a", 0, "b"): 2,
        ("a", 0, "c", 1): 5,
        ("a", 7, "x"): 1,
    }


@settings(deadline=None, max_examples=150)
@given(content=st.one_of(st.binary(max_size=200), st.text(alphabet="abc:-[]{}&*!'\"\n #,?|>%@", max_size=120)))
def test_any_bytes_are_a_contract_or_faults(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("c") / "any.odcs.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    contract, faults = read_contract(path)
    assert contract is not None or faults
