"""What a collector takes for a record that it has met: alike ones are told apart, and passes from one another."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.flows.met_again import Met, recognise

Page = list[bytes]


class Memory:
    """What the control database does: the newest meeting by digest and number; what a pass hasn't met goes."""

    def __init__(self) -> None:
        self.kept: dict[tuple[bytes, int], Met] = {}
        self.poll = 0

    def read(self, pages: list[Page], unchanged: set[int] = frozenset()) -> list[bytes]:  # type: ignore[assignment]
        """One pass; what is new in it. Pages in `unchanged` weren't given again."""
        new, still = [], []
        for place, page in enumerate(pages):
            if place in unchanged:
                still.append(str(place))
                continue
            known, met = recognise(page, self.kept.values(), self.poll, str(place), still)
            new += [digest for digest, seen in zip(page, known, strict=True) if not seen]
            self._touch(still)
            self.kept |= {(one.digest, one.number): one for one in met}
        self._touch(still)
        self.kept = {key: one for key, one in self.kept.items() if one.poll == self.poll}
        self.poll += 1
        return new

    def _touch(self, still: list[str]) -> None:
        for key, one in self.kept.items():
            if one.page in still:
                self.kept[key] = Met(one.digest, one.number, self.poll, one.page)


RECORDS = st.lists(st.sampled_from([b"a", b"b", b"c", b"d"]), max_size=4)
PAGES = st.lists(RECORDS, min_size=1, max_size=4)


@settings(deadline=None, max_examples=200)
@given(PAGES, PAGES)
def test_a_second_pass_brings_what_the_first_had_not(first: list[Page], second: list[Page]) -> None:
    """As often as it is there more often; wherever it stands now."""
    memory = Memory()
    assert memory.read(first) == [digest for page in first for digest in page]
    had, has = (Counter(digest for page in pages for digest in page) for pages in (first, second))
    assert Counter(memory.read(second)) == has - had


@settings(deadline=None, max_examples=200)
@given(PAGES, st.sets(st.integers(0, 3)), RECORDS)
def test_pages_that_are_unchanged_need_not_be_given(pages: list[Page], unchanged: set[int], more: Page) -> None:
    """The records of a page that was told by its ETag are as good as met."""
    memory = Memory()
    memory.read(pages)
    grown = [*pages, more]
    assert Counter(memory.read(grown, unchanged & set(range(len(pages))))) == Counter(more)
    assert memory.read(grown) == []


def test_what_a_pass_has_not_met_is_forgotten() -> None:
    memory = Memory()
    memory.read([[b"a", b"b"]])
    assert memory.read([[b"b"]]) == []
    assert memory.read([[b"a", b"b"]]) == [b"a"]


def test_a_record_that_is_served_twice_counts_twice() -> None:
    known, met = recognise([b"a", b"b", b"a"], [], 0, "")
    assert known == [False] * 3
    assert [(one.digest, one.number) for one in met] == [(b"a", 1), (b"b", 1), (b"a", 2)]
