"""A feed grows tick by tick, forgets nothing and can be entered anywhere."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samples.feed import START, Feed, moment_at
from samples.ticks import Ticks

FEEDS = st.builds(
    Feed,
    seed=st.integers(0, 5),
    keys=st.integers(1, 60),
    changed=st.integers(0, 4),
    fresh=st.integers(0, 3),
)


@given(feed=FEEDS)
@settings(max_examples=40, deadline=None)
def test_rows_come_in_the_order_of_their_moments_and_never_two_at_once(feed: Feed) -> None:
    places = [feed.place(serial) for serial in range(feed.rows(5))]
    moments = [place.moment for place in places]
    assert moments == sorted(set(moments))
    for place in places:
        assert moment_at(place.moment) <= feed.start + feed.every * place.tick
        if place.tick:
            assert moment_at(place.moment) > feed.start + feed.every * (place.tick - 1)


@given(feed=FEEDS)
@settings(max_examples=40, deadline=None)
def test_a_tick_changes_what_is_there_and_brings_what_is_new(feed: Feed) -> None:
    known = {feed.place(serial).number for serial in range(feed.keys)}
    assert known == set(range(feed.keys))
    for tick in range(1, 5):
        places = [feed.place(serial) for serial in range(feed.rows(tick - 1), feed.rows(tick))]
        changed, new = [p for p in places if not p.fresh], [p for p in places if p.fresh]
        assert (len(changed), len(new)) == (feed.changes, feed.news)
        assert {p.number for p in changed} <= known
        assert not {p.number for p in new} & known
        known |= {p.number for p in new}
        assert all(feed.first(p.number) == p.serial for p in new)


@given(feed=FEEDS, hours=st.integers(-800, 1))
@settings(max_examples=40, deadline=None)
def test_an_increment_begins_at_the_first_row_of_its_moment(feed: Feed, hours: int) -> None:
    rows, moment = feed.rows(3), START + timedelta(hours=hours)
    later = [serial for serial in range(rows) if moment_at(feed.place(serial).moment) >= moment]
    assert feed.since(moment, rows) == (later[0] if later else rows)
    assert feed.since(datetime(1, 1, 1, tzinfo=UTC), rows) == 0


@pytest.mark.parametrize("wrong", [{"keys": 0}, {"changed": -1}, {"fresh": -1}, {"every": timedelta(0)}])
def test_a_feed_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a feed has"):
        Feed(**wrong)  # type: ignore[arg-type]


def test_ticks_go_by_with_time_and_on_request_but_never_back() -> None:
    now = [100.0]
    ticks = Ticks(2, clock=lambda: now[0])
    assert ticks.now() == 0
    now[0] += 5
    assert ticks.now() == 2
    assert ticks.advance(3) == 5
    with pytest.raises(ValueError, match="only go on"):
        ticks.advance(-1)
    assert Ticks().now() == 0
