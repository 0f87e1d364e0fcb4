"""Polling the samples' APIs over HTTP: cursors, counted pages, ETags, waits; and never more than was asked for."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from governance.adapters.sources.polling import open_polling
from governance.adapters.sources.retrying import Patience
from governance.contracts.types import Line, Source
from governance.errors import SourceError, SourceUnavailableError
from governance.flows.polling import PagedSource, PolledPage, StoppedError, until_stopped
from samples.faults import Fault, Faults
from samples.feed import Feed
from samples.products import ProductSource
from samples.products.api import ProductApi
from samples.serving import ApiServer
from samples.ticks import Ticks
from samples.users import UserSource
from samples.users.api import UserApi

LINE = Line("it.odcs.yaml", 7)
PRODUCTS = Source("products_api", "api", "", LINE, records="data", page_size=40, updated_parameter="updated_since")
PEOPLE = Source(
    "users_api", "api", "", LINE, records="results", page_size=40, page_parameter="page", size_parameter="results"
)
FEED = Feed(seed=3, keys=100, changed=4, fresh=1)


@contextmanager
def served(faults: Faults | None = None) -> Iterator[ApiServer]:
    ticks = Ticks()
    apis = (ProductApi(ProductSource(FEED, 0.0), ticks), UserApi(UserSource(FEED, 0.0), ticks))
    with ApiServer(apis, rate=0, faults=faults, ticks=ticks) as server:
        yield server


@contextmanager
def polling(server: ApiServer, source: Source, patience: Patience | None = None) -> Iterator[PagedSource]:
    path = "products" if source is PRODUCTS or source.records == "data" else "api"
    with contextlib.closing(open_polling(source, f"{server.url}/{path}", patience=patience)) as made:
        yield made


def ids(page: PolledPage | None, name: str) -> list[str]:
    assert page is not None
    return list(page.batch.records.column(name).to_pylist())


def test_pages_follow_their_cursors_to_the_end() -> None:
    with served() as server, polling(server, PRODUCTS) as api:
        cursor, found, sizes = None, [], []
        while True:
            page = api.page(len(sizes) + 1, cursor, None, None)
            assert page is not None and page.batch.part == (cursor or "first page")
            found += ids(page, "id")
            sizes.append(page.batch.records_read)
            cursor = page.following
            if cursor is None:
                break
    assert (sizes, found) == ([40, 40, 20], [f"P-{n}" for n in range(100)])
    assert (api.grows, api.asks_since) == (False, True)


def test_a_page_that_has_not_changed_is_not_given_again() -> None:
    with served() as server, polling(server, PRODUCTS) as api:
        first = api.page(1, None, None, None)
        assert first is not None and first.tag
        assert api.page(1, None, None, first.tag) is None
        last = api.page(2, first.following, None, first.tag)
        assert last is not None and last.tag != first.tag


def test_what_changed_since_is_asked_for() -> None:
    with served() as server, polling(server, PRODUCTS) as api:
        server.ticks.advance(3)
        page = api.page(1, None, FEED.start + timedelta(minutes=1, seconds=30), None)
        assert 5 <= len(ids(page, "id")) <= 10
        assert api.page(1, None, datetime(2027, 1, 1, tzinfo=UTC), None) is not None


def test_counted_pages_end_with_a_short_one_that_grows() -> None:
    with served() as server, polling(server, PEOPLE) as api:
        pages = [api.page(n, str(n) if n > 1 else None, None, None) for n in (1, 2, 3)]
        assert [page.following for page in pages if page] == ["2", "3", None]
        assert [page.batch.part for page in pages if page] == ["1", "2", "3"]
        short = pages[2]
        assert short is not None and api.page(3, "3", None, short.tag) is None
        server.ticks.advance()
        grown = api.page(3, "3", None, short.tag)
        assert grown is not None and grown.batch.records_read == 25
    assert api.grows


def test_what_the_location_asks_stays_in_every_request() -> None:
    with served() as server, contextlib.closing(open_polling(PEOPLE, f"{server.url}/api?seed=other")) as other:
        with polling(server, PEOPLE) as api:
            mine, theirs = (ids(one.page(1, None, None, None), "login.uuid") for one in (api, other))
        assert len(mine) == len(theirs) == 40
        assert set(mine).isdisjoint(theirs)


def test_a_server_that_gives_less_or_more_than_was_asked_for_is_not_read_in_part() -> None:
    """Else what a short page leaves out would be missed in silence, and what stands on a long one be counted twice."""
    modest = replace(PEOPLE, size_parameter="limit", page_size=2)
    with served() as server, polling(server, modest) as api, pytest.raises(SourceError, match="more pages follow"):
        api.page(1, None, None, None)
    greedy = replace(PEOPLE, page_size=3, size_parameter="results", page_parameter="results")
    with served() as server, polling(server, greedy) as api, pytest.raises(SourceError, match="asked for"):
        api.page(5, "5", None, None)


def test_the_wait_that_a_server_asks_for_is_kept() -> None:
    waits: list[float] = []
    patience = Patience(sleep=waits.append, longest=5)
    with served(Faults(at={1: Fault.RATE_LIMIT, 2: Fault.ERROR})) as server, polling(server, PRODUCTS, patience) as api:
        assert api.page(1, None, None, None) is not None
    assert waits[0] == 1.0 and 0 <= waits[1] <= 1.0


def test_whoever_is_told_to_stop_waits_no_longer() -> None:
    stop = Event()
    stop.set()
    patience = Patience(first=60, chance=lambda: 1.0, sleep=until_stopped(stop))
    with (
        served(Faults(every={1: Fault.UNAVAILABLE})) as server,
        polling(server, PRODUCTS, patience) as api,
        pytest.raises(StoppedError),
    ):
        api.page(1, None, None, None)


def test_a_page_that_stays_broken_is_named_and_not_quoted() -> None:
    patience = Patience(tries=2, sleep=lambda _: None)
    with (
        served(Faults(every={1: Fault.CUT_JSON})) as server,
        polling(server, PRODUCTS, patience) as api,
        pytest.raises(SourceUnavailableError, match=r"products_api: page 17 .* after 2 tries") as error,
    ):
        api.page(17, None, None, None)
    assert "P-1" not in str(error.value)


def test_only_an_api_is_polled() -> None:
    with pytest.raises(SourceError, match=r"it\.odcs\.yaml:7.* no API"):
        open_polling(replace(PRODUCTS, format="csv"), "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="http or https"):
        open_polling(PRODUCTS, "/tmp/products.json")
