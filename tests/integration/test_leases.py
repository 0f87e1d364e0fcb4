"""Leases on a real PostgreSQL: nobody works with keys beyond one, and whoever must can wait for all of them."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from keys_setup import SetClock

from governance.adapters.control.leases import PostgresLeases, leases
from governance.errors import ConflictError, LeaseExpiredError, StoreUnavailableError
from governance.protection.leases import Leases


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def book(control: sa.Engine, clock: SetClock) -> Leases:
    return Leases(PostgresLeases(control), clock)


def test_a_holder_sends_nothing_after_its_lease(book: Leases, clock: SetClock) -> None:
    lease = book.begin("ingest 1", 30)
    clock.forward(29.9)
    lease.check()
    clock.forward(0.1)
    with pytest.raises(LeaseExpiredError, match="ingest 1"):
        lease.check()


def test_a_lease_is_on_record_from_its_beginning_to_its_end(book: Leases) -> None:
    lease = book.begin("ingest 1", 30)
    (seen,) = book.running()
    assert seen.holder == "ingest 1"
    assert (seen.expires_at - seen.began_at).total_seconds() == pytest.approx(30)
    lease.end()
    lease.end()
    assert book.running() == ()


def test_a_lease_that_ran_out_is_over_by_itself(book: Leases) -> None:
    book.begin("crashed", 0.05)
    assert book.wait_until_clear(book.now(), longest=10, pause=0.05) < 10


def test_only_leases_from_before_are_waited_for(book: Leases) -> None:
    before, moment = book.begin("before", 60), book.now()
    after = book.begin("after", 60)
    waits: list[float] = []

    def end_it(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            before.end()

    assert book.wait_until_clear(moment, longest=60, sleep=end_it) == pytest.approx(0.6)
    assert len(waits) == 3
    assert [one.holder for one in book.running()] == ["after"]
    after.end()


def test_waiting_ends_with_the_name_of_the_holder(book: Leases) -> None:
    book.begin("ingest 1", 60)
    with pytest.raises(ConflictError, match="ingest 1"):
        book.wait_until_clear(book.now(), longest=1, sleep=lambda _: None)


def test_a_holder_whose_clock_is_wrong_does_not_outlive_its_lease(control: sa.Engine, clock: SetClock) -> None:
    """Its clock stands years ahead of the database's, or behind: it counts a length, never a moment."""
    for shift in (1e9, -1e9):
        clock.forward(shift)
        lease = Leases(PostgresLeases(control), clock).begin("ingest 1", 30)
        lease.check()
        clock.forward(31)
        with pytest.raises(LeaseExpiredError):
            lease.check()


def test_old_leases_do_not_pile_up(book: Leases, control: sa.Engine) -> None:
    book.begin("old", 30)
    with control.begin() as connection:
        day = sa.text("interval '3 days'")
        past = {name: leases.c[name] - day for name in ("began_at", "expires_at")}
        connection.execute(sa.update(leases).values(past))
    book.begin("new", 30)
    with control.begin() as connection:
        assert connection.execute(sa.select(leases.c.holder)).scalars().all() == ["new"]


@pytest.mark.parametrize("act", [lambda b: b.begin("x", 1), lambda b: b.running(), lambda b: b.now()])
def test_a_database_that_is_away_is_worth_another_try(act: Callable[[Leases], object], clock: SetClock) -> None:
    from governance.adapters.control.database import connect

    book = Leases(PostgresLeases(connect("postgresql://nobody@127.0.0.1:1/none")), clock)
    with pytest.raises(StoreUnavailableError):
        act(book)
