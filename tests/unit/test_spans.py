"""Places in cells: joined, made one where they overlap, told of every row that holds the value."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.pii.spans import Spans, concat

PLACE = st.tuples(
    st.integers(0, 4), st.integers(0, 12), st.integers(1, 6), st.sampled_from("ABC"), st.sampled_from([0.3, 0.6, 0.9])
).map(lambda p: (p[0], p[1], p[1] + p[2], p[3], p[4]))
PLACES = st.lists(PLACE, max_size=12)


@settings(deadline=None, max_examples=200)
@given(PLACES)
def test_merged_places_cover_the_same_characters_once_and_keep_the_surest_name(places: list) -> None:
    merged = Spans.of(places).merged().tuples()
    before = {(row, i) for row, start, end, _, _ in places for i in range(start, end)}
    after = [(row, i) for row, start, end, _, _ in merged for i in range(start, end)]
    assert sorted(after) == sorted(before)
    for row, start, end, name, score in merged:
        inside = [p for p in places if p[0] == row and start <= p[1] and p[2] <= end]
        assert score == max(p[4] for p in inside)
        assert name in {p[3] for p in inside if p[4] == score}
    assert merged == sorted(merged)


def test_places_that_touch_stay_two() -> None:
    assert [p[1:3] for p in Spans.of([(0, 0, 3, "A", 0.5), (0, 3, 6, "A", 0.5)]).merged().tuples()] == [(0, 3), (3, 6)]


@settings(deadline=None, max_examples=150)
@given(PLACES, st.lists(st.integers(-1, 4), max_size=12), st.sets(st.integers(0, 4)))
def test_places_of_distinct_values_are_told_of_every_row(places: list, index: list[int], unread: set[int]) -> None:
    spans = Spans.of(places, np.array(sorted(unread), np.int64)).spread(np.array(index, np.int64))
    expected = [(row, *p[1:]) for row, value in enumerate(index) for p in places if p[0] == value]
    assert sorted(spans.tuples()) == sorted(expected)
    assert spans.unread.tolist() == [row for row, value in enumerate(index) if value in unread]


@given(PLACES, PLACES)
def test_places_of_two_searches_are_joined(some: list, more: list) -> None:
    both = concat(Spans.of(some, np.array([1])), Spans.of(more, np.array([1, 3])))
    assert sorted(both.tuples()) == sorted(some + more)
    assert both.unread.tolist() == [1, 3]
    assert both.counts(5).tolist() == [sum(p[0] == row for p in some + more) for row in range(5)]
    assert both.touched(5).tolist() == [any(p[0] == row for p in some + more) for row in range(5)]


def test_each_entity_has_its_own_least_score() -> None:
    spans = Spans.of([(0, 0, 1, "A", 0.5), (0, 0, 1, "B", 0.5), (1, 0, 1, "B", 0.9)])
    assert [p[3:] for p in spans.at_least({"B": 0.6}, 0.4).tuples()] == [("A", 0.5), ("B", 0.9)]
    assert not len(Spans.none().at_least({}, 0.4))
