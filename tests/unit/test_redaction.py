"""A finding is replaced by its tag, and nothing else of the cell changes."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.pii.redaction import in_original, redact
from governance.pii.spans import Spans, concat

TEXTS = st.lists(st.text(max_size=30), min_size=1, max_size=6)


def _reference(text: str, places: list[tuple[int, int]], tag: str) -> str:
    """Character by character: a tag where a place begins, nothing within, the character itself elsewhere."""
    inside = [any(s <= i < e for s, e in places) for i in range(len(text))]
    out = ""
    for i, character in enumerate(text):
        touches = i > 0 and inside[i - 1] and inside[i] and not any(s < i < e for s, e in places)
        if inside[i]:
            out += tag if i == 0 or not inside[i - 1] or touches else ""
        else:
            out += character
    return out


@settings(deadline=None, max_examples=150)
@given(st.data(), TEXTS)
def test_everything_outside_the_found_places_stays_as_it_is(data: st.DataObject, texts: list[str]) -> None:
    found = []
    for row, text in enumerate(texts):
        for _ in range(data.draw(st.integers(0, 3)) if text else 0):
            start = data.draw(st.integers(0, len(text) - 1))
            found.append((row, start, data.draw(st.integers(start + 1, len(text))), "PERSON", 0.5))
    answer = redact(pa.array(texts), Spans.of(found))
    expected = [
        _reference(t, [(s, e) for r, s, e, _, _ in found if r == row], "<PERSON>") for row, t in enumerate(texts)
    ]
    assert answer.column.to_pylist() == expected
    assert not answer.left.any()


def test_offsets_are_characters_also_after_emoji_accents_and_marks() -> None:
    text = "👩‍👧 é \u202babc\u202c Ada!"
    start = text.index("Ada")
    answer = redact(pa.array([None, text]), Spans.of([(1, start, start + 3, "PERSON", 1.0)]))
    assert answer.column.to_pylist() == [None, "👩‍👧 é \u202babc\u202c <PERSON>!"]


def test_the_highest_score_names_the_tag_of_overlapping_places() -> None:
    spans = concat(
        Spans.of([(0, 0, 6, "PERSON", 0.5)]),
        Spans.of([(0, 4, 9, "EMAIL_ADDRESS", 0.9), (0, 9, 10, "PERSON", 0.2)]),
    )
    assert redact(pa.array(["0123456789-"]), spans).column.to_pylist() == ["<EMAIL_ADDRESS><PERSON>-"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([4111111111111111]),
        pa.array([["Ada"]]),
        pa.array([{"name": "Ada"}]),
        pa.array([b"Ada and Eve"]),
        pa.array(["Ada and Eve"]).dictionary_encode(),
    ],
)
def test_a_cell_that_is_no_text_is_left_and_named(column: pa.Array) -> None:
    answer = redact(column, Spans.of([(0, 0, 3, "PERSON", 1.0)]))
    assert answer.left.tolist() == [True]
    assert answer.column.equals(column)


@pytest.mark.parametrize("place", [(5, 12), (-1, 3), (7, 9), (3, 3), (4, 2)])
def test_a_row_with_a_place_outside_its_text_is_left_whole(place: tuple[int, int]) -> None:
    column = pa.array(["Ada", "Eve and"])
    answer = redact(column, Spans.of([(0, 0, 3, "PERSON", 1.0), (1, 0, 3, "PERSON", 1.0), (1, *place, "ID", 0.3)]))
    assert answer.column.to_pylist() == ["<PERSON>", "Eve and"]
    assert answer.left.tolist() == [False, True]


def test_a_place_in_a_null_is_left() -> None:
    answer = redact(pa.array([None, "x"], pa.string()), Spans.of([(0, 0, 1, "PERSON", 1.0)]))
    assert answer.left.tolist() == [True, False]


def test_ten_megabytes_with_many_places() -> None:
    text = "Ada, " * 2_000_000
    starts = np.arange(0, len(text), 5000)
    spans = Spans.of([(0, int(s), int(s) + 3, "PERSON", 1.0) for s in starts])
    [out] = redact(pa.array([text], pa.large_string()), spans).column.to_pylist()
    assert out.count("<PERSON>") == len(starts)
    assert out.count("Ada") == 2_000_000 - len(starts)


def _form(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")


@pytest.mark.parametrize(
    ("text", "found", "original"),
    [
        ("card 4111 now", "4111", "4111"),
        ("a\u200dda@example.com", "ada@", "a\u200dda@"),
        ("\u202bada@example.com\u202c", "ada", "ada"),
        ("Zoe\u0308 left", "Zoë", "Zoe\u0308"),
        ("of\ufb01ce", "fi", "\ufb01"),
        ("\u1112\u1161\u11ab is", "\ud55c", "\u1112\u1161\u11ab"),
    ],
)
def test_a_place_in_the_normal_form_is_found_in_the_text(text: str, found: str, original: str) -> None:
    form = _form(text)
    start = form.index(found)
    place = in_original(text, form, start, start + len(found))
    assert place is not None
    covered = text[place[0] : place[1]]
    assert covered.startswith(original) and _form(covered) == found


def test_half_a_ligature_is_all_of_it() -> None:
    assert in_original("\ufb01ne", "fine", 1, 2) == (0, 1)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), st.data())
def test_what_is_laid_beside_the_form_covers_what_was_found(text: str, data: st.DataObject) -> None:
    form = _form(text)
    if not form:
        assert in_original(text, form, 0, 1) is None
        return
    start = data.draw(st.integers(0, len(form) - 1))
    end = data.draw(st.integers(start + 1, len(form)))
    place = in_original(text, form, start, end)
    if place is not None:
        before, after = _form(text[: place[0]]), _form(text[place[1] :])
        assert len(before) <= start and len(form) - len(after) >= end
        assert form.startswith(before) and form.endswith(after)


def test_a_form_of_another_text_is_not_laid_beside_it() -> None:
    assert in_original("Ada", "Eve", 0, 3) is None
    assert in_original("Ada", "Ada", 0, 4) is None
