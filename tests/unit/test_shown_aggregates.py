"""No group of fewer than five people is shown, nor can be had by subtracting what is shown from a sum that is."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from governance.flows.aggregates import Aggregate, Group, shown

NATIONS = Aggregate("by_nationality", ("nationality",), mean="age")
PAIRS = Aggregate("by_nationality_and_gender", ("nationality", "gender"))
AGES = Aggregate("ages", ("age",), width=10)
ALL = Aggregate("overall", mean="age")


def view(one: Aggregate, groups: dict[Any, int | Group], others: dict[str, dict[Any, Group]] | None = None) -> Any:
    made = {key: group if isinstance(group, Group) else Group(group) for key, group in groups.items()}
    return shown([one], {one.name: made, **(others or {})})[0]


def names(of: dict[str, Any], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(line[column] for column in columns) for line in of["groups"]]


def test_groups_of_five_are_shown_with_their_mean() -> None:
    found = view(NATIONS, {("DE",): Group(6, 6, 243), ("FR",): Group(5, 5, 201)})
    assert found == {
        "people": 11,
        "groups": [
            {"nationality": "DE", "people": 6, "mean_age": 40.5},
            {"nationality": "FR", "people": 5, "mean_age": 40.2},
        ],
        "rest": 0,
    }


def test_a_group_alone_below_five_takes_the_next_smallest_with_it() -> None:
    """Else the number of all less those shown is the group that isn't."""
    found = view(NATIONS, {("DE",): 20, ("FR",): 9, ("IS",): 2, ("LU",): 9})
    assert names(found, "nationality") == [("DE",), ("LU",)]
    assert (found["people"], found["rest"]) == (40, 11)


def test_several_small_groups_hide_each_other_once_they_are_five_together() -> None:
    assert names(view(NATIONS, {("DE",): 20, ("IS",): 2, ("LU",): 3}), "nationality") == [("DE",)]
    assert names(view(NATIONS, {("DE",): 20, ("IS",): 1, ("LU",): 3}), "nationality") == []
    assert names(view(NATIONS, {("DE",): 20, ("IS",): 1, ("LU",): 3, ("SE",): 30}), "nationality") == [("SE",)]


def test_of_fewer_than_five_people_not_even_the_number_is_told() -> None:
    assert view(NATIONS, {("DE",): 4}) == {"people": None, "groups": [], "rest": None}
    assert view(ALL, {(): Group(4, 4, 160)})["people"] is None
    assert view(ALL, {(): Group(5, 5, 200)})["groups"] == [{"people": 5, "mean_age": 40.0}]


def test_a_mean_of_fewer_than_five_is_left_out() -> None:
    assert view(NATIONS, {("DE",): Group(9, 4, 160), ("FR",): Group(9, 9, 360)})["groups"] == [
        {"nationality": "DE", "people": 9, "mean_age": None},
        {"nationality": "FR", "people": 9, "mean_age": 40.0},
    ]


def test_a_part_is_hidden_where_the_sum_beside_it_would_tell() -> None:
    """Germans are shown, so German women may not be if German men are too few."""
    nations = {("DE",): Group(20), ("FR",): Group(20)}
    pairs = {
        ("DE", "female"): Group(17),
        ("DE", "male"): Group(3),
        ("FR", "female"): Group(10),
        ("FR", "male"): Group(10),
    }
    one, two = shown([NATIONS, PAIRS], {NATIONS.name: nations, PAIRS.name: pairs})
    assert names(one, "nationality") == [("DE",), ("FR",)]
    assert names(two, "nationality", "gender") == [("FR", "female"), ("FR", "male")]


def test_the_parts_of_what_is_hidden_are_hidden() -> None:
    nations = {("DE",): Group(30), ("IS",): Group(2), ("LU",): Group(6)}
    pairs = {("DE", "female"): Group(30), ("IS", "male"): Group(2), ("LU", "male"): Group(6)}
    one, two = shown([NATIONS, PAIRS], {NATIONS.name: nations, PAIRS.name: pairs})
    assert names(one, "nationality") == [("DE",)]
    assert names(two, "nationality", "gender") == [("DE", "female")]


def test_a_histogram_puts_ages_together() -> None:
    found = view(AGES, {(18,): 3, (19,): 4, (20,): 5, (29,): 6, (None,): 7})
    assert names(found, "from", "to", "people") == [(10, 19, 7), (20, 29, 11), (None, None, 7)]


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["DE", "FR", "IS", "LU", None]), st.sampled_from(["female", "male", "other"])),
        st.integers(0, 12),
        max_size=15,
    )
)
def test_whatever_the_numbers_subtracting_gives_no_small_group(people: dict[tuple[str | None, str], int]) -> None:
    nations: dict[tuple[str | None], int] = {}
    for (nation, _), count in people.items():
        nations[(nation,)] = nations.get((nation,), 0) + count
    counted = {
        NATIONS.name: {key: Group(count, count, 40 * count) for key, count in nations.items()},
        PAIRS.name: {key: Group(count) for key, count in people.items()},
    }
    by_nation, by_pair = shown([NATIONS, PAIRS], counted)
    total = sum(nations.values())
    if total < 5:
        assert by_nation["people"] is None
        assert by_pair["groups"] == []
        return
    told = {line["nationality"]: line["people"] for line in by_nation["groups"]}
    parts = {(line["nationality"], line["gender"]): line["people"] for line in by_pair["groups"]}
    assert all(count >= 5 for count in (*told.values(), *parts.values()))
    assert {nation for nation, _ in parts} <= set(told)
    check_remainder(total, told, [n for (n,), count in nations.items() if count and n not in told])
    for nation, count in told.items():
        mine = {key: n for key, n in parts.items() if key[0] == nation}
        hidden = [key for key, n in people.items() if key[0] == nation and n and key not in parts]
        if mine:
            check_remainder(count, mine, hidden)


def check_remainder(total: int, told: dict[Any, int], hidden: list[Any]) -> None:
    rest = total - sum(told.values())
    assert (rest == 0 and not hidden) or (rest >= 5 and (len(hidden) > 1 or not told))
