"""Records are canonical, closed and free of personal data; heads and anchor lines are what was signed and chained."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.audit.anchor import AnchorError, Chain, Erasure, add_line, read_lines
from governance.audit.heads import Ed25519Signer, HeadError, HeadFault, SignedHead, VerifyingKey, sign_head
from governance.audit.merkle import Frontier, leaf_hash
from governance.audit.records import Record, RecordError, canonical, carried_index, decode, encode, stamp, unstamp
from governance.model.secret import Secret

AT = "2026-03-01T12:00:00.000000Z"
RECORD = Record("ingest.publish", "airflow", "store/orders", run="r-1", ok=True, counts={"admitted": 3, "a": 1})
SIGNER = Ed25519Signer(Secret(bytes(32)))

_KEYS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,8}", fullmatch=True)
_INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = _TEXTS | _INTEGERS | st.booleans() | st.dictionaries(_KEYS, _INTEGERS, max_size=4)


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
@settings(deadline=None, max_examples=100)
def test_canonical_json_is_sorted_compact_and_minimally_escaped(value: dict) -> None:
    expected = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical(value) == expected.encode()


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), None, [1], 2**53, -(2**53), {"a": 1.5}, {"a": True}, {"a": "b"}, "\ud800", b"x"]
)
def test_canonical_json_refuses_what_it_has_no_one_form_for(value: object) -> None:
    with pytest.raises(RecordError):
        canonical({"field": value})


def test_a_record_comes_back_as_it_was_written() -> None:
    stored = encode(RECORD, 7, AT)
    assert decode(stored).record == RECORD
    assert (decode(stored).index, carried_index(stored), stamp(decode(stored).at)) == (7, 7, AT)
    assert stored == (
        b'{"action":"ingest.publish","actor":"airflow","at":"2026-03-01T12:00:00.000000Z",'
        b'"counts":{"a":1,"admitted":3},"dataset":"store/orders","index":7,"ok":true,"run":"r-1"}'
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor", "ana@example.com"),
        ("actor", "Ana Example"),
        ("actor", None),
        ("actor", ""),
        ("action", "Publish!"),
        ("item", "+1 202 555 0100"),
        ("dataset", "a" * 129),
        ("run", "ünï"),
        ("request", 7),
        ("ok", 1),
        ("ok", "yes"),
        ("counts", {"ana@example.com": 1}),
        ("counts", {"admitted": 1.5}),
        ("counts", {"admitted": True}),
        ("counts", {"admitted": "3"}),
        ("reasons", ["minor"]),
        ("reasons", {str(n): n for n in range(257)}),
    ],
)
def test_a_record_holds_identifiers_and_counts_and_nothing_else(field: str, value: object) -> None:
    with pytest.raises(RecordError) as caught:
        Record(**{"action": "ingest.run", "actor": "airflow", field: value})
    assert field in str(caught.value)
    assert "ana" not in str(caught.value).lower()


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"[]",
        b"7",
        encode(RECORD, 7, AT) + b" ",
        encode(RECORD, 7, AT).replace(b'"ok":true', b'"ok":null'),
        encode(RECORD, 7, AT).replace(b'"ok":true', b'"pk":true'),
        encode(RECORD, 7, AT).replace(b'"index":7', b'"index":-7'),
        encode(RECORD, 7, AT).replace(b'"actor":"airflow",', b""),
        encode(RECORD, 7, "yesterday"),
    ],
)
def test_bytes_outside_the_closed_set_are_no_record(stored: bytes) -> None:
    with pytest.raises(RecordError):
        decode(stored)


def test_moments_are_utc_to_the_microsecond() -> None:
    there = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert stamp(there) == AT
    assert unstamp(AT) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    with pytest.raises(RecordError):
        stamp(datetime(2026, 3, 1))  # noqa: DTZ001  (that it has no zone is the point)


def _head(size: int) -> SignedHead:
    tree = Frontier()
    tree.extend(leaf_hash(encode(RECORD, index, AT)) for index in range(size))
    return sign_head(tree, AT, SIGNER)


def test_a_head_holds_under_its_key_and_no_other() -> None:
    head = _head(5)
    assert head.fault(SIGNER.verifying_key) is None
    other = Ed25519Signer(Secret(bytes([1] * 32)))
    assert head.fault(other.verifying_key) is HeadFault.FOREIGN_KEY
    assert replace(head, key_id=other.verifying_key.id).fault(other.verifying_key) is HeadFault.FORGED


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"size": 6}, HeadFault.FORGED),
        ({"root": bytes(32)}, HeadFault.FORGED),
        ({"at": "2026-03-01T12:00:00.000001Z"}, HeadFault.FORGED),
        ({"signature": bytes(64)}, HeadFault.FORGED),
        ({"signature": b""}, HeadFault.FORGED),
        ({"peaks": bytes(64)}, HeadFault.PEAKS),
        ({"peaks": b""}, HeadFault.PEAKS),
    ],
)
def test_a_changed_head_does_not_hold(change: dict, fault: HeadFault) -> None:
    assert replace(_head(5), **change).fault(SIGNER.verifying_key) is fault


def test_a_signature_over_something_else_is_no_head() -> None:
    """The signed bytes say that they are a head's."""
    head = _head(5)
    message = canonical({"at": head.at, "root": head.root.hex(), "size": head.size})
    assert replace(head, signature=SIGNER.sign(message)).fault(SIGNER.verifying_key) is HeadFault.FORGED


def test_a_public_key_has_32_bytes() -> None:
    with pytest.raises(HeadError):
        VerifyingKey(b"short")


@pytest.mark.parametrize(
    "change", [{"size": "5"}, {"size": True}, {"size": -1}, {"root": "zz"}, {"root": "AB"}, {"at": 7}, {"more": 1}]
)
def test_a_head_from_a_file_has_exactly_its_fields(change: dict) -> None:
    fields = _head(5).to_fields()
    assert SignedHead.from_fields(fields) == _head(5)
    with pytest.raises((HeadError, RecordError)):
        SignedHead.from_fields({**fields, **change})


def _anchor() -> list[bytes]:
    lines, chain = [], Chain()
    for entry in (_head(1), Erasure(41, "req-1"), _head(5), Erasure(42, "req-2"), _head(9)):
        line, chain = add_line(chain, entry)
        lines.append(line.removesuffix(b"\n"))
    return lines


def test_an_anchor_gives_back_its_entries() -> None:
    assert list(read_lines(_anchor())) == [_head(1), Erasure(41, "req-1"), _head(5), Erasure(42, "req-2"), _head(9)]


@pytest.mark.parametrize("line", range(4))
def test_an_edit_dropped_or_moved_line_of_the_anchor_is_found(line: int) -> None:
    lines = _anchor()
    edited = [*lines]
    edited[line] = edited[line].replace(b"0", b"1", 1)
    dropped = lines[:line] + lines[line + 1 :]
    moved = [*lines]
    moved[line], moved[line + 1] = lines[line + 1], lines[line]
    spaced = [*lines]
    spaced[line] = spaced[line].replace(b":", b": ", 1)
    for tampered in (edited, dropped, moved, spaced):
        with pytest.raises(AnchorError, match=f"line ({line + 1}|{line + 2})"):
            list(read_lines(tampered))


@pytest.mark.parametrize("subject", [-1, True, "41", 1.5])
def test_an_erasure_is_an_internal_id_and_a_request(subject: object) -> None:
    line = json.dumps(
        {"kind": "erasure", "line": 1, "previous": "0" * 64, "request": "r", "subject": subject},
        separators=(",", ":"),
    )
    with pytest.raises(AnchorError, match="line 1"):
        list(read_lines([line.encode()]))
