"""The users API's people: randomuser's shape and defects, ages at the edge, people who move, and the truth of it."""

import json
import re
from collections import Counter
from datetime import date, datetime, timedelta

import pytest

from samples.feed import START, Feed
from samples.feed_truth import final, truth
from samples.rows import ADMITTED
from samples.traits import Row
from samples.users import Person, UserSource, records
from samples.users.nations import NATIONS
from samples.users.source import UNDERAGE
from samples.users.traits import AGE_UNKNOWN, TRAITS

FIRST_DAY = START.date()
RESERVED = re.compile(
    r"\+1 (?:[2-9]\d\d) 555 01\d\d|\+44 (?:20 7946 0\d{3}|7700 900\d{3}|(?:1[1-6]1|11\d|191) 496 0\d{3})"
    r"|\+49 (?:30 23125|69 90009|40 66969|221 4710|89 99998) \d{3}|\+49 (?:171 39200|176 040690) \d\d"
    r"|\+33 (?:1 99 00|2 61 91|3 53 01|4 65 71|5 36 49|6 39 98) \d\d \d\d|\+61 [2378] (?:5550|7010) \d{4}"
    r"|\+353 20 91\d \d{4}|\+46 (?:31 390 06|40 628 04|8 465 004|70 174 06) \d\d|\+46 980 319 2\d\d"
)


@pytest.fixture(scope="module")
def rows() -> list[Row[Person]]:
    return list(UserSource(Feed(keys=3000)).rows(0, 3000))


def test_a_record_has_the_shape_of_the_service() -> None:
    for record in records(5, 300):
        assert list(record) == ["gender", "name", "location", "email", "login", "dob", "registered", "phone", "cell",
                                "id", "picture", "nat", "updated"]  # fmt: skip
        assert list(record["name"]) == ["title", "first", "last"]
        assert list(record["location"]) == [
            "street", "city", "state", "country", "postcode", "coordinates", "timezone"]  # fmt: skip
        assert list(record["login"]) == ["uuid", "username", "password", "salt", "md5", "sha1", "sha256"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", record["login"]["uuid"])
        assert datetime.fromisoformat(record["registered"]["date"]) < datetime.fromisoformat(record["updated"])


def test_the_same_seed_makes_the_same_people_wherever_one_begins() -> None:
    whole = [row.record for row in UserSource(Feed(seed=3)).rows(0, 900)]
    assert [UserSource(Feed(seed=3)).row(serial).record for serial in (899, 5, 450)] == [
        whole[serial] for serial in (899, 5, 450)
    ]
    others = {record["login"]["uuid"] for record in records(4, 900)}
    assert len(others) == 900
    assert not others & {record["login"].get("uuid") for record in whole}


def test_streets_and_postcodes_come_in_both_shapes(rows: list[Row[Person]]) -> None:
    places = [row.record["location"] for row in rows if row.trait is None]
    assert {type(place["street"]) for place in places} == {dict, str}
    assert {type(place["postcode"]) for place in places} == {int, str}
    for row in rows:
        if row.trait is None:
            place = row.record["location"]
            street = place["street"]
            told = f"{street['number']} {street['name']}" if isinstance(street, dict) else street
            assert told == f"{row.facts.house} {row.facts.street}"
            assert int(place["postcode"]) == int(row.facts.postcode) if row.facts.nation.number else True


def test_identity_numbers_have_the_services_own_defects(rows: list[Row[Person]]) -> None:
    numbers = [row.record["id"]["value"] for row in rows]
    assert None in numbers
    assert any(re.fullmatch(r"NaNNA\d{3}undefined", number or "") for number in numbers)


def test_telephone_numbers_and_addresses_belong_to_nobody(rows: list[Row[Person]]) -> None:
    for row in rows:
        assert RESERVED.fullmatch(row.facts.phone)
        assert RESERVED.fullmatch(row.facts.cell)
    for record in (row.record for row in rows if row.trait is None):
        assert re.search(r"@(example\.(com|org|net)|[^@.]+\.example)$", record["email"])
    domains = Counter(row.facts.domain for row in rows)
    assert len(domains) >= 7
    assert not all(domain.isascii() for domain in domains)
    assert not all(row.facts.email.partition("@")[0].isascii() for row in rows)


def test_a_telephone_is_ones_own_but_in_a_household_or_an_office(rows: list[Row[Person]]) -> None:
    sharers = Counter(Counter({row.key: row.facts.phone for row in rows if row.trait != "echo"}.values()).values())
    assert set(sharers) <= {1, 2, 3, 5, 6}
    assert sharers[3] >= 12
    assert sharers[6] >= 2


def test_of_each_nationality_there_are_as_many_as_declared() -> None:
    people = [record["nat"] for record in records(7, 1000)]
    assert Counter(people) == {nation.code: nation.share * 10 for nation in NATIONS}


def test_who_turns_eighteen_today_is_let_in_and_who_does_tomorrow_is_not() -> None:
    days = {day: UserSource(Feed(), 0, FIRST_DAY + timedelta(days=day)) for day in (-1, 0, 1)}
    outcomes = {day: [source.row(number).outcome for number in (7, 8)] for day, source in days.items()}
    assert outcomes == {-1: [UNDERAGE, UNDERAGE], 0: [ADMITTED, UNDERAGE], 1: [ADMITTED, ADMITTED]}
    assert days[0].row(7).record["dob"]["date"].startswith("2008-01-01T")


def test_who_was_born_on_a_leap_day_turns_eighteen_on_the_first_of_march() -> None:
    def outcome(day: date) -> object:
        return UserSource(Feed(), 0, day).row(9).outcome

    assert UserSource(Feed(), 0).row(9).facts.born == date(2008, 2, 29)
    assert outcome(date(2026, 2, 28)) == UNDERAGE
    assert outcome(date(2026, 3, 1)) == ADMITTED


def test_a_minor_is_refused_whatever_else_is_wrong_and_whatever_age_is_claimed() -> None:
    source = UserSource(Feed(keys=3000), share=1)
    minors = [row for row in source.rows(0, 3000) if row.facts.number % 100 in range(10, 14)]
    assert {row.outcome for row in minors} == {UNDERAGE, AGE_UNKNOWN}
    assert len({row.trait for row in minors}) > 10
    assert any(row.record["dob"] and row.record["dob"]["age"] == 21 for row in minors)


def test_records_without_minors_are_of_adults_alone() -> None:
    years = [2025 - int(record["dob"]["date"][:4]) for record in records(7, 1000)]
    assert min(years) >= 18
    assert all(record["dob"]["age"] >= 19 for record in records(7, 1000))
    assert sum(record["dob"]["age"] < 18 for record in records(7, 1000, minors=True)) >= 40


def test_an_age_that_cannot_be_told_is_refused(rows: list[Row[Person]]) -> None:
    unknown = [row for row in rows if row.outcome == AGE_UNKNOWN]
    assert len(unknown) >= 25
    for row in unknown:
        told = (row.record["dob"] or {}).get("date") or ""
        try:
            born = datetime.fromisoformat(told).date()
        except ValueError:
            continue
        assert not 18 <= row.facts.age(FIRST_DAY) - (row.facts.born.year - born.year) <= 150


def test_people_move_and_change_their_address_but_stay_who_they_are() -> None:
    source = UserSource(Feed(keys=300, changed=60), share=0)
    before, after = final(source), final(source, tick=10)
    moved = [(before[key].facts, after[key].facts) for key in before if after[key].version > before[key].version]
    assert len(moved) > 150
    for was, now in moved:
        assert (was.number, was.first, was.last, was.born, was.phone) == (
            now.number, now.first, now.last, now.born, now.phone)  # fmt: skip
    renewed = sum(was.email != now.email for was, now in moved)
    assert 0.2 < renewed / len(moved) < 0.6
    assert sum(was.house != now.house for was, now in moved) > 0.9 * len(moved)
    emails = [row.facts.email for row in after.values()]
    assert len(set(emails)) == len(emails)


def test_every_thousand_rows_hold_each_defect_as_often_as_declared(rows: list[Row[Person]]) -> None:
    counts = truth(UserSource(Feed(keys=1000)))
    assert counts["traits"] == {trait.name: trait.share for trait in TRAITS}
    assert counts["rows"] == counts["admitted"] + counts["quarantined"] + counts["refused"] == 1000
    assert set(counts["refused_by_reason"]) == {"underage:born", "age_unknown:born", "expired:registered_at"}
    json.dumps(counts)


def test_some_groups_are_too_small_to_be_shown() -> None:
    people = [row.facts for row in final(UserSource(Feed(keys=400))).values()]
    domains = Counter(who.domain for who in people)
    nations = Counter((who.nation.code, who.gender) for who in people)
    assert 1 <= domains["harbour.example"] < 5 < domains["example.com"]
    assert 1 <= min(nations.values()) < 5 < max(nations.values())
