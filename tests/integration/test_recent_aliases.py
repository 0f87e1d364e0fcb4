"""What a process remembers of aliases spares it asking again, and is never believed once it may be wrong."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from keys_setup import Keys, SetClock

from governance.adapters.control.subjects import aliases, subject_change, subjects, tombstones
from governance.protection import recent

EMAILS = ["a@example.com", "b@example.com", "c@example.com"]
PHONES = ["+12125550100", "+12125550101", "+12125550102"]


@pytest.fixture
def keys(control: sa.Engine, tmp_path: Path) -> Keys:
    keys = Keys(control, tmp_path / "keys", SetClock())
    keys.epochs.init()
    keys.resolve(EMAILS, PHONES)
    keys.resolve(EMAILS, PHONES)
    return keys


@pytest.fixture
def asked(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many digests the database was asked for, look-up by look-up."""
    counts: list[int] = []
    find = keys.store.find

    def counted(entity: str, digests: np.ndarray, *rest: object) -> object:
        counts.append(len(digests))
        return find(entity, digests, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(keys.store, "find", counted)
    return counts


def _change(keys: Keys) -> int:
    with keys.engine.begin() as connection:
        return int(connection.execute(sa.select(subject_change.c.number)).scalar_one())


def test_only_what_is_new_is_asked_for(keys: Keys, asked: list[int]) -> None:
    before = keys.pseudonyms(EMAILS, PHONES)
    assert keys.pseudonyms([*EMAILS, "d@example.com"], [*PHONES, None])[:3] == before
    assert asked == [0, 1]


def test_what_is_remembered_opens_to_the_same_keys(keys: Keys) -> None:
    remembered, looked_up = keys.resolve(EMAILS[::-1], PHONES[::-1]), keys.again().resolve(EMAILS[::-1], PHONES[::-1])
    assert (remembered.table.reveal()[remembered.index] == looked_up.table.reveal()[looked_up.index]).all()


def test_a_key_that_did_not_decide_before_can_decide_now(keys: Keys) -> None:
    assert keys.pseudonyms([None] * 3, PHONES) == keys.pseudonyms(EMAILS, PHONES)
    assert keys.pseudonyms([None] * 3, PHONES) == keys.again().pseudonyms(EMAILS)


def test_somebody_who_was_erased_elsewhere_is_known_no_more(keys: Keys) -> None:
    gone, *others = keys.pseudonyms(EMAILS, PHONES)
    with keys.engine.begin() as connection:
        erased = sa.select(aliases.c.subject).where(aliases.c.digest == keys.digest(EMAILS[0]))
        connection.execute(sa.delete(subjects).where(subjects.c.id.in_(erased)))
    assert keys.pseudonyms(EMAILS, PHONES) == [None, *others]
    assert keys.pseudonyms(EMAILS, PHONES, create=True)[0] not in (None, gone)


def test_an_erasure_that_was_undone_changes_nothing(keys: Keys, asked: list[int]) -> None:
    before = _change(keys)
    with keys.engine.connect() as connection:
        connection.execute(sa.delete(subjects))
        assert keys.pseudonyms(EMAILS) == keys.pseudonyms(EMAILS)
        connection.rollback()
    assert _change(keys) == before and asked == [0, 0]


def test_a_phone_that_became_shared_elsewhere_decides_nothing(keys: Keys) -> None:
    assert keys.pseudonyms([None], PHONES[:1]) != [None]
    keys.again().resolve(["d@example.com", "e@example.com", "f@example.com"], PHONES[:1] * 3)
    resolved = keys.resolve([None], PHONES[:1])
    assert resolved.index.tolist() == [-1] and resolved.shared == 1


def test_somebody_suppressed_elsewhere_is_suppressed(keys: Keys) -> None:
    with keys.engine.begin() as connection:
        digest, until = keys.digest(EMAILS[0]), keys.clock() + timedelta(days=1)
        connection.execute(sa.delete(subjects))
        connection.execute(
            sa.insert(tombstones).values(entity="customer", digest=digest, suppress=True, expires_at=until)
        )
    assert keys.resolve(EMAILS, PHONES).suppressed.tolist() == [True, False, False]


def test_values_sealed_again_elsewhere_are_fetched_again(keys: Keys, asked: list[int]) -> None:
    before, elsewhere = keys.pseudonyms(EMAILS), keys.again()
    elsewhere.epochs.open(elsewhere.epochs.prepare())
    assert elsewhere.subjects.reseal(100) == 3
    assert keys.pseudonyms(EMAILS) == before
    assert asked == [0, 0, 3]


def test_a_possible_link_forgets_nothing(keys: Keys, asked: list[int]) -> None:
    before = _change(keys)
    assert keys.again().resolve(["d@example.com"], PHONES[:1]).possible_links == 1
    keys.resolve(EMAILS, PHONES)
    assert _change(keys) == before and asked == [0]


def test_many_who_go_at_once_move_the_number_once(keys: Keys) -> None:
    before = _change(keys)
    with keys.engine.begin() as connection:
        connection.execute(sa.delete(subjects))
    assert _change(keys) == before + 1


@pytest.mark.parametrize("seconds", [60, -1])
def test_nothing_is_remembered_for_longer_than_a_minute(keys: Keys, asked: list[int], seconds: float) -> None:
    keys.clock.forward(seconds)
    keys.resolve(EMAILS, PHONES)
    assert asked == [6]


def test_more_than_may_be_remembered_is_still_right(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST", 4)
    for start in range(0, 40, 5):
        people = [f"p{n}@example.com" for n in range(start, start + 10)]
        made = keys.pseudonyms(people, create=True)
        assert keys.pseudonyms(people) == keys.again().pseudonyms(people) == made
        assert len(keys.subjects._recent._memory) <= 4
