"""What enforcement stores of people: tokens, masks and pseudonyms, and sealed rows in quarantine."""

import secrets
from collections import Counter
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest
from desk import GOOD, PLAN, Desk, Row, outcomes, raw

from governance.enforcement.outcomes import Enforced
from governance.errors import TokenError

# Nothing personal in clear

PERSONAL = {
    "full_name": "CANARY-name",
    "email": "CANARY-local@example.org",
    "phone": "+46 70 555 01 77 CANARY",
    "card": "CANARY-card",
    "street": "CANARY-street",
    "city": "CANARY-city",
    "initials": "CANARY-initials",
    "undeclared": "CANARY-undeclared",
}


def test_no_personal_value_is_left_in_any_outcome(desk: Desk) -> None:
    failing: list[Row] = [
        {},
        {"joined": "CANARY-joined"},
        {"points": "CANARY-points"},
        {"level": "CANARY-level"},
        {"phone": "CANARY", "email": "CANARY", "card": None},
        {"born": "2015-05-06"},
        {"born": "CANARY-born"},
    ]
    done = desk.take([{**GOOD, **PERSONAL, "note": "CONTROL", **row} for row in failing])
    assert Counter(kind for kind, *_ in outcomes(done).values()) == {"admitted": 1, "quarantined": 4, "refused": 2}
    for batch in (done.admitted, done.quarantined, done.refused):
        found = raw(batch)
        assert b"CANARY" not in found and b"canary" not in found and b"1990-01-02" not in found
    assert b"CONTROL" in raw(done.admitted), "the search finds what is there"


def test_protections_are_what_the_contract_says(desk: Desk) -> None:
    rows = [{**GOOD, **PERSONAL}, {**GOOD, "email": "b@Example.NET"}]
    (full, bare) = desk.take(rows).admitted.to_pylist()
    for name in ("full_name", "email", "phone", "address", "label"):
        assert full[name].startswith("kb1.")
    assert full["initials"] == "***" and bare["initials"] is None
    assert not {"card", "born_on", "street", "city", "undeclared"} & set(full)
    assert (full["age"], full["email_domain"], bare["email_domain"]) == (36, "example.org", "example.net")
    assert (full["joined_year"], full["country"]) == (2020, "SE")
    assert bare["full_name"] is None and bare["address"] is None, "null stays null"


def test_derived_texts_are_made_before_they_are_encrypted(desk: Desk) -> None:
    admitted = desk.take([{**GOOD, "email": "d@example.org", "street.name": "Elm Road", "city": "Lund"}]).admitted
    assert desk.open(admitted, "address") == ["Elm Road, Lund"] == desk.open(admitted, "label")


def test_a_token_opens_as_its_own_persons_field_of_its_own_dataset_only(desk: Desk) -> None:
    admitted = desk.take([{**GOOD, "email": f"t{n}@example.org", "full_name": f"Name {n}"} for n in range(2)]).admitted
    assert desk.open(admitted, "full_name") == ["Name 0", "Name 1"]
    with pytest.raises(TokenError):
        desk.open(admitted, "email", column="full_name")
    with pytest.raises(TokenError):
        desk.open(admitted, "full_name", dataset="club.visits/visit")
    place = admitted.schema.get_field_index("member_pseudonym")
    swapped = admitted.column(place).take(pa.array([1, 0]))
    with pytest.raises(TokenError):
        desk.open(admitted.set_column(place, "member_pseudonym", swapped), "full_name")


# Whose row it is


def pseudonyms(enforced: Enforced) -> list[str | None]:
    return list(enforced.admitted.column("member_pseudonym").to_pylist())


def test_a_person_has_one_pseudonym_over_batches_and_sources(desk: Desk) -> None:
    email = f"{secrets.token_hex(4)}@example.org"
    (first,) = pseudonyms(desk.take([{**GOOD, "email": email}]))
    (again,) = pseudonyms(desk.take([{**GOOD, "email": f"  {email.upper()} "}], [7]))
    csv = {"Joined": "05-04-2020", "born": "1990-01-02", "email": email}
    (other,) = pseudonyms(desk.take([csv], source="members_csv"))
    assert first is not None and first == again == other


def test_two_who_share_a_phone_stay_two_and_the_phone_names_its_owner(desk: Desk) -> None:
    one, two = ({**GOOD, "email": f"{secrets.token_hex(4)}@example.org", "phone": "+46705550150"} for _ in range(2))
    done = desk.take([one, two])
    first, second = pseudonyms(done)
    assert first != second and done.possible_links == 1
    assert pseudonyms(desk.take([{**GOOD, "phone": "0046 70 555 01 50"}])) == [first]


def test_a_phone_of_a_household_is_no_alias_any_more(desk: Desk) -> None:
    phone = "+46705550160"
    rows = [{**GOOD, "email": f"{secrets.token_hex(4)}@example.org", "phone": phone} for _ in range(5)]
    done = desk.take(rows)
    assert len(set(pseudonyms(done))) == 5 and done.shared_aliases == 1
    alone = desk.take([{**GOOD, "phone": phone}])
    assert outcomes(alone) == {0: ("quarantined", "no_subject_key", "email", None)}
    (carded,) = pseudonyms(desk.take([{**GOOD, "phone": phone, "card": secrets.token_hex(4)}]))
    assert carded is not None, "the next key decides"


def test_a_row_about_nobody_is_admitted_without_a_pseudonym(desk: Desk) -> None:
    """Where no age is asked for: with one, a row that names nobody has no known age and is refused."""
    plan = replace(PLAN, subjects=tuple(replace(s, minimum_age=None) for s in PLAN.subjects))
    nobody = {"joined": "2020-05-04", "level": "full"}
    done = desk.take([nobody, {**nobody, "full_name": "Ann"}, {**nobody, "born": "1990-01-02"}], plan=plan)
    assert {place: what[:2] for place, what in outcomes(done).items()} == {
        0: ("admitted", "full"),
        1: ("quarantined", "no_subject_key"),
        2: ("quarantined", "no_subject_key"),
    }
    assert pseudonyms(done) == [None]
    assert outcomes(desk.take([nobody])) == {0: ("refused", "age_unknown")}


# Quarantine


def test_held_rows_open_again_to_what_the_source_gave(desk: Desk) -> None:
    known: Row = {
        **GOOD,
        "email": "held@example.org",
        "points": "-1",
        "undeclared": "x",
        "note": None,
        "full_name": "Åsa ☂",
    }
    loose: Row = {**GOOD, "full_name": "Bo"}
    held = desk.take([known, loose]).quarantined
    assert held.column("entity").to_pylist() == ["member", None]
    assert held.column("day").to_pylist() == [None, date(2026, 11, 21)]
    given_ = [
        {"member_id": str(n), **{k: v for k, v in row.items() if v is not None}} for n, row in enumerate((known, loose))
    ]
    assert desk.bodies(held) == given_
    again = desk.take([known, loose]).quarantined
    assert again.column("content") == held.column("content") and again.column("sealed") != held.column("sealed")


def test_a_held_row_opens_only_where_it_stood(desk: Desk) -> None:
    (row,) = desk.take([{**GOOD, "full_name": "Bo"}]).quarantined.to_pylist()
    for change in ({"position": 1}, {"part": "other"}, {"source": "members_csv"}):
        with pytest.raises(TokenError):
            desk.bodies(pa.RecordBatch.from_pylist([row | change], schema=desk.take([]).quarantined.schema))
