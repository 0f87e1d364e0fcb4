"""The numbers in MongoDB are those of the people who are there, whatever comes again, late, is deleted or dies."""

import contextlib
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services import running
from store_records import NOW, documents, plan, pseudonym, record, version

from governance.adapters.mongodb import MongoSink, Server
from governance.adapters.mongodb.state import GUARD, digest
from governance.enforcement.plan import EnforcementPlan
from governance.errors import SettingsError, StoreUnavailableError
from governance.flows.aggregates import Aggregate, check
from governance.flows.documents import Documents, Taken
from local.mongodb import MongoDB

PAIRS = Aggregate("by_nationality_and_gender", ("nationality", "gender"))
OVERALL = Aggregate("age", mean="age")
NATIONS = Aggregate("age_by_nationality", ("nationality",), mean="age")
AGES = Aggregate("ages", ("age",), width=10)
DOMAINS = Aggregate("email_domains", ("email_domain",))
EVERY = (PAIRS, OVERALL, NATIONS, AGES, DOMAINS)


@pytest.fixture(scope="module")
def server(mongodb: MongoDB) -> Iterator[Server]:
    made = Server(mongodb.address)
    yield made
    made.close()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(fresh_name: str) -> EnforcementPlan:
    return plan(fresh_name)


Make = Callable[..., MongoSink]


@pytest.fixture
def make(server: Server, people: EnforcementPlan, clock: Clock, mongodb: MongoDB) -> Iterator[Make]:
    def made(*aggregates: Aggregate, of: EnforcementPlan = people) -> MongoSink:
        sink = MongoSink(server, of, aggregates or EVERY, clock)
        sink.prepare()
        return sink

    yield made
    with pymongo.MongoClient(mongodb.address) as client:
        client.drop_database(people.system)


@pytest.fixture
def sink(make: Make) -> MongoSink:
    return make()


def codes(sink: MongoSink, some: Documents) -> list[Taken]:
    return [Taken(code) for code in sink.write(some)]


def told(sink: MongoSink, one: Aggregate) -> dict[str, Any]:
    found = sink.aggregates.shown.find_one({"_id": one.name})
    assert found is not None
    return found


def people_by(sink: MongoSink, one: Aggregate) -> dict[Any, int]:
    """Every group as it is, also those that aren't shown."""
    groups = sink.aggregates.groups.find({"aggregate": one.name, "people": {"$gt": 0}})
    return {tuple(line["key"]): line["people"] for line in groups}


def crowd(count: int, start: int = 0, **cells: Any) -> list[dict[str, Any]]:
    return [record(number, **cells) for number in range(start, start + count)]


def test_people_are_counted_by_group(sink: MongoSink) -> None:
    assert (
        codes(
            sink,
            documents([*crowd(6, age=20), *crowd(7, 6, nationality="FR", gender="male", age=None, email_domain=None)]),
        )
        == [Taken.APPLIED] * 13
    )
    assert told(sink, OVERALL)["groups"] == [{"people": 13, "mean_age": 20.0}]
    assert told(sink, NATIONS)["groups"] == [
        {"nationality": "DE", "people": 6, "mean_age": 20.0},
        {"nationality": "FR", "people": 7, "mean_age": None},
    ]
    assert told(sink, PAIRS)["groups"] == [
        {"nationality": "DE", "gender": "female", "people": 6},
        {"nationality": "FR", "gender": "male", "people": 7},
    ]
    assert told(sink, AGES)["groups"] == [{"from": 20, "to": 29, "people": 6}, {"from": None, "to": None, "people": 7}]
    assert told(sink, DOMAINS)["groups"] == [
        {"email_domain": "example.com", "people": 6},
        {"email_domain": None, "people": 7},
    ]


def test_somebody_who_changes_leaves_one_group_and_joins_another(sink: MongoSink) -> None:
    codes(sink, documents([*crowd(6), *crowd(6, 6, nationality="FR")]))
    before = told(sink, NATIONS)
    codes(sink, documents([record(0, 1, nationality="FR", age=46)]))
    after = told(sink, NATIONS)
    assert people_by(sink, NATIONS) == {("DE",): 5, ("FR",): 7}
    assert after["groups"][1] == {"nationality": "FR", "people": 7, "mean_age": 40.9}
    assert after["version"] > before["version"]


def test_what_comes_again_or_late_changes_nothing(sink: MongoSink) -> None:
    codes(sink, documents(crowd(6, minute=5)))
    assert codes(sink, documents([record(0, 5), record(1, 4, nationality="FR"), record(2, 5, nationality="FR")])) == [
        Taken.UNCHANGED,
        Taken.SUPERSEDED,
        Taken.CONFLICT,
    ]
    assert people_by(sink, NATIONS) == {("DE",): 6}


def test_a_deleted_person_is_counted_nowhere_and_does_not_come_back(sink: MongoSink) -> None:
    codes(sink, documents(crowd(7, minute=5)))
    assert codes(sink, documents([0, 99])) == [Taken.DELETED] * 2
    assert told(sink, OVERALL)["people"] == 6
    assert codes(sink, documents([record(0, 5), record(0, 4), 0])) == [
        Taken.SUPERSEDED,
        Taken.SUPERSEDED,
        Taken.DELETED,
    ]
    assert told(sink, OVERALL)["people"] == 6
    assert codes(sink, documents([record(0, 6)])) == [Taken.APPLIED]
    assert told(sink, OVERALL)["people"] == 7


def test_nothing_says_that_a_deleted_person_was_ever_here(sink: MongoSink, clock: Clock) -> None:
    codes(sink, documents(crowd(6, minute=5)))
    codes(sink, documents([0]))
    everything = [
        str(one)
        for collection in (sink.state.people, sink.state.gone, sink.aggregates.groups, sink.aggregates.shown)
        for one in collection.find()
    ]
    assert not any(pseudonym(0) in one for one in everything)
    guard = sink.state.gone.find_one({"_id": digest(pseudonym(0))})
    assert guard == {"_id": digest(pseudonym(0)), "version": version(5) + 1, "expires": clock.now + GUARD}
    lives = {name: about.get("expireAfterSeconds") for name, about in sink.state.gone.index_information().items()}
    assert lives["retention"] == 0


def test_only_what_is_counted_is_kept_of_a_person(sink: MongoSink) -> None:
    codes(sink, documents([record(1)]))
    (found,) = sink.state.people.find()
    assert found == {
        "_id": pseudonym(1),
        "version": version(0),
        "fields": {"nationality": "DE", "gender": "female", "age": 40, "email_domain": "example.com"},
        "expires": datetime(2034, 4, 30, tzinfo=UTC),
    }


def test_who_is_no_longer_kept_is_no_longer_counted(sink: MongoSink, clock: Clock) -> None:
    codes(sink, documents([*crowd(6), *crowd(6, 6, nationality="FR", registered_at="2020-01-01T00:00:00Z")]))
    assert told(sink, OVERALL)["people"] == 12
    clock.now = NOW + timedelta(days=1500)
    sink.aggregates.settle()
    assert people_by(sink, NATIONS) == {("DE",): 6}
    assert sink.state.people.count_documents({}) == 6
    indexes = sink.state.people.index_information()
    assert indexes["retention"]["expireAfterSeconds"] > 0


@pytest.mark.parametrize("deleting", [False, True])
def test_a_crash_between_the_state_and_the_numbers_is_made_good(sink: MongoSink, make: Make, *, deleting: bool) -> None:
    """Whoever comes next counts what is left to count, also the groups that somebody was in before."""
    codes(sink, documents([*crowd(6), *crowd(6, 6, nationality="FR")]))
    sink.state.write(documents([0 if deleting else record(0, 1, nationality="FR")]))
    assert people_by(sink, NATIONS) == {("DE",): 6, ("FR",): 6}
    codes(sink, documents([record(20, nationality="SE")]))
    assert people_by(sink, NATIONS) == {("DE",): 5, ("FR",): 6 if deleting else 7, ("SE",): 1}
    sink.state.write(documents([record(1, 1, nationality="SE")]))
    assert people_by(make(), NATIONS) == {("DE",): 4, ("FR",): 6 if deleting else 7, ("SE",): 2}


def test_one_who_writes_what_was_deleted_meanwhile_brings_nobody_back(sink: MongoSink, make: Make) -> None:
    """The deletion comes between the other's looking up and its writing."""
    slow = make()
    codes(sink, documents(crowd(6, minute=1)))
    look = slow.state._there

    def deleted_meanwhile(some: Documents) -> Any:
        found = look(some)
        slow.state._there = look  # type: ignore[method-assign]
        codes(sink, documents([0]))
        return {key: held for key, held in found.items() if held[1] is None}

    slow.state._there = deleted_meanwhile  # type: ignore[method-assign]
    codes(slow, documents([record(0, 1)]))
    assert told(sink, OVERALL)["people"] == 5
    assert sink.state.people.find_one({"_id": pseudonym(0)}) is None


def test_what_was_counted_earlier_never_replaces_what_was_counted_later(sink: MongoSink, make: Make) -> None:
    """One that counts slowly is overtaken while it does."""
    slow = make()
    codes(sink, documents(crowd(6)))
    counted = slow.aggregates._counted

    def overtaken() -> Any:
        found = counted()
        codes(sink, documents(crowd(3, 6)))
        return found

    slow.aggregates._counted = overtaken  # type: ignore[method-assign]
    slow.aggregates.rebuild()
    assert people_by(sink, PAIRS) == {("DE", "female"): 9}
    assert told(sink, PAIRS)["people"] == 9


def test_an_aggregate_that_is_no_longer_declared_goes(make: Make) -> None:
    codes(make(), documents(crowd(6)))
    left = make(NATIONS)
    assert [one["_id"] for one in left.aggregates.shown.find()] == [NATIONS.name]
    assert told(left, NATIONS)["people"] == 6
    assert people_by(left, PAIRS) == {}


def test_a_text_too_long_to_name_a_group_is_refused_alone(sink: MongoSink) -> None:
    answer = codes(sink, documents([*crowd(5), record(7, nationality="x" * 20_000), record(8)]))
    assert answer == [*[Taken.APPLIED] * 5, Taken.REFUSED, Taken.APPLIED]
    assert people_by(sink, NATIONS) == {("DE",): 6}


PEOPLE, NATIONALITIES = 14, ("DE", "FR", None)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_the_numbers_are_those_of_a_plain_recount(make: Make, seed: int) -> None:
    """Random batches of new and old versions, replays and deletions, with crashes between, by two writers."""
    chance = random.Random(seed)  # noqa: S311
    writers = make(), make()
    for collection in (writers[0].state.people, writers[0].state.gone, writers[0].aggregates.groups):
        collection.delete_many({})
    writers[0].aggregates.shown.delete_many({})
    versions: dict[tuple[int, int], dict[str, Any]] = {}
    now: dict[int, tuple[int, dict[str, Any] | None]] = {}
    for _ in range(8):
        batch: list[Any] = []
        for _ in range(chance.randint(1, 12)):
            number, minute = chance.randrange(PEOPLE), chance.randrange(50)
            there = now.get(number)
            if chance.random() < 0.2:
                batch.append(number)
                if there is not None and there[1] is not None:
                    now[number] = (there[0] + 1, None)
                continue
            made = versions.setdefault(
                (number, minute),
                record(
                    number,
                    minute,
                    nationality=chance.choice(NATIONALITIES),
                    gender=chance.choice(("female", "male")),
                    age=chance.choice((None, 20, 21, 35)),
                    email_domain=chance.choice(("example.com", "example.org")),
                ),
            )
            batch.append(made)
            if there is None or version(minute) > there[0]:
                now[number] = (version(minute), made)
        writer = chance.choice(writers)
        if chance.random() < 0.3:
            writer.state.write(documents(batch))
        else:
            writer.write(documents(batch))
    chance.choice(writers).aggregates.settle()
    compare(writers[0], [made for _, made in now.values() if made is not None])
    chance.choice(writers).aggregates.rebuild()
    compare(writers[0], [made for _, made in now.values() if made is not None])


def compare(sink: MongoSink, alive: list[dict[str, Any]]) -> None:
    """With numbers made from the people themselves."""
    assert sink.state.people.count_documents({}) == len(alive)
    for one in EVERY:
        groups: dict[Any, int] = {}
        for person in alive:
            key = tuple(person[name] for name in one.by)
            groups[key] = groups.get(key, 0) + 1
        assert people_by(sink, one) == groups
        assert told(sink, one)["people"] == (len(alive) if len(alive) >= 5 else None)
    ages = [person["age"] for person in alive if person["age"] is not None]
    if len(ages) >= 5:
        assert told(sink, OVERALL)["groups"][0]["mean_age"] == round(sum(ages) / len(ages), 1)
    assert all(line["people"] >= 5 for one in EVERY for line in told(sink, one)["groups"])


def test_what_can_not_be_counted_is_refused_before_anything_is_written(people: EnforcementPlan) -> None:
    refusals = {
        "both count by age": (AGES, Aggregate("each_age", ("age",))),
        "email, which isn't stored in clear": (Aggregate("mails", ("email",)),),
        "nothing, which isn't stored": (Aggregate("x", ("nothing",)),),
        "can't use the column nationality": (Aggregate("x", mean="nationality"),),
        "two are called age": (OVERALL, OVERALL),
    }
    for message, aggregates in refusals.items():
        with pytest.raises(SettingsError, match=message):
            check(aggregates, people)
    assert check((NATIONS, PAIRS, AGES), people) == ("nationality", "age", "gender")


def test_mongodb_may_be_away(people: EnforcementPlan) -> None:
    with pytest.raises(SettingsError, match="the address of MongoDB"):
        Server("http://nowhere")
    with running(MongoDB) as own:
        server = Server(own.address + "?serverSelectionTimeoutMS=500")
        sink = MongoSink(server, people, EVERY)
        sink.prepare()
        own.kill()
        with pytest.raises(StoreUnavailableError):
            sink.write(documents([record(1)]))
        own.start()
        with contextlib.suppress(StoreUnavailableError):
            sink.write(documents([record(1)]))
        assert codes(sink, documents([record(1)])) in ([Taken.UNCHANGED], [Taken.APPLIED])
        server.close()
