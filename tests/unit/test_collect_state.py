"""How a collector moves through an API: passes, overlaps, ETags; and that its state survives being kept."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.flows.collect_state import CollectState, Seen, Trouble

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEGIN = CollectState()
MOMENTS = st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None, max_examples=60)
@given(
    st.builds(
        CollectState,
        st.integers(0, 99),
        MOMENTS,
        st.none() | st.text(),
        MOMENTS,
        st.dictionaries(st.text(), st.builds(Seen, st.text(), st.none() | st.text())),
        st.none() | st.builds(Trouble, st.integers(1, 9), st.just(NOW), st.text()),
        st.booleans(),
    )
)
def test_what_is_kept_is_what_was(state: CollectState) -> None:
    assert CollectState.of(json.loads(json.dumps(state.as_json()))) == state
    assert CollectState.of({}) == CollectState()


def test_a_pass_goes_from_page_to_page_and_begins_again() -> None:
    second = BEGIN.onward("c2", '"t1"')
    assert (second.cursor, second.poll, second.dirty) == ("c2", 0, True)
    ended = second.passed('"t2"', HOUR, asks_since=False)
    assert (ended.cursor, ended.poll, ended.dirty) == (None, 1, False)
    assert ended.pages == {"": Seen('"t1"', "c2"), "c2": Seen('"t2"', None)}


def test_a_place_is_the_same_after_a_crash_and_another_one_in_a_later_pass() -> None:
    assert BEGIN.part == "first page" == CollectState.of(BEGIN.as_json()).part
    assert BEGIN.onward("c2", None).part == "c2"
    assert BEGIN.passed(None, HOUR, asks_since=False).part == "first page, poll 1"


def test_the_next_pass_asks_for_the_newest_less_the_overlap() -> None:
    state = BEGIN.with_newest(NOW - HOUR, NOW).passed('"t"', HOUR, asks_since=True)
    assert state.since == NOW - 2 * HOUR
    assert state.pages == {}, "an ETag is of one address, and another one is asked now"


def test_what_is_asked_for_stays_until_the_newest_is_two_overlaps_ahead() -> None:
    """So that pages are told by their ETag meanwhile."""
    state = replace(BEGIN, since=NOW - 2 * HOUR, newest=NOW - HOUR)
    near = state.with_newest(NOW - timedelta(minutes=1), NOW).passed('"t"', HOUR, asks_since=True)
    assert near.since == state.since and near.pages
    far = near.with_newest(NOW, NOW).passed('"t"', HOUR, asks_since=True)
    assert far.since == NOW - HOUR


def test_a_record_ahead_of_the_clock_takes_nothing_along() -> None:
    state = BEGIN.with_newest(NOW + 9 * HOUR, NOW)
    assert state.newest == NOW
    assert state.with_newest(NOW - HOUR, NOW).newest == NOW, "nor does an old one take it back"
    assert BEGIN.with_newest(None, NOW).newest is None


def test_without_any_record_everything_is_asked_for_again() -> None:
    assert BEGIN.passed(None, HOUR, asks_since=True).since is None


def test_a_counted_page_is_asked_for_until_it_is_full() -> None:
    short = BEGIN.grown(None, '"t"')
    assert (short.cursor, short.poll, short.pages) == (None, 1, {"": Seen('"t"', None)})
    full = short.grown("2", '"u"')
    assert (full.cursor, full.pages) == ("2", {})


def test_trouble_counts_until_it_is_over() -> None:
    first = BEGIN.troubled("page 1: cut off", NOW)
    later = first.troubled("page 1: cut off", NOW + HOUR)
    assert later.trouble == Trouble(2, NOW, "page 1: cut off")
    assert later.onward("c2", None).trouble is None
    assert later.grown(None, None).trouble is None
    assert later.passed(None, HOUR, asks_since=True).trouble is None


def test_only_so_many_etags_are_kept() -> None:
    state = BEGIN
    for page in range(150):
        state = state.onward(f"c{page}", '"t"')
    assert len(state.pages) == 100
