"""Subjects on a real PostgreSQL: who a row belongs to, whatever the order, the batches and the other writers."""

import multiprocessing
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keys_setup import Keys, SetClock, open_keys

from governance.adapters.control.subjects import aliases, possible_links, subjects, tombstones
from governance.errors import KeyUnavailableError
from governance.protection.keytable import KeyTable


def _count(keys: Keys, table: sa.Table) -> int:
    with keys.engine.begin() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_the_same_person_gets_the_same_key_again(keys: Keys) -> None:
    first = keys.resolve(["a@example.com", "b@example.com", "a@example.com"])
    assert first.created == 2 and len(first.table) == 2
    assert first.index[0] == first.index[2] != first.index[1]
    again = keys.again().resolve(["b@example.com", "a@example.com"])
    assert again.created == 0
    known, now = first.table, again.table
    assert (known.reveal()[first.index[:2]] == now.reveal()[again.index[::-1]]).all()
    assert (known.pseudonyms[first.index[:2]] == now.pseudonyms[again.index[::-1]]).all()


def test_any_key_of_a_person_finds_the_person(keys: Keys) -> None:
    (person,) = keys.pseudonyms(["a@example.com"], ["+12125550100"], create=True)
    assert keys.pseudonyms([None], ["+12125550100"]) == [person]
    assert keys.pseudonyms(["a@example.com"], [None]) == [person]


def test_a_row_without_a_key_has_no_subject(keys: Keys) -> None:
    resolved = keys.resolve([None, "a@example.com"], [None, None])
    assert resolved.index[0] == -1 and resolved.created == 1
    nobody = keys.resolve([None], [None])
    assert nobody.index.tolist() == [-1] and len(nobody.table) == 0
    empty = keys.resolve([], [])
    assert len(empty.index) == 0


def test_a_refused_row_leaves_nothing(keys: Keys) -> None:
    refused = keys.resolve(["a@example.com", "b@example.com"], ["+12125550100", None], create=[False, True])
    assert refused.index[0] == -1 and refused.created == 1
    assert _count(keys, subjects) == _count(keys, aliases) == 1
    # Nor does it attach a key to somebody who is known, or link people.
    keys.resolve(["b@example.com"], ["+12125550101"], create=False)
    assert _count(keys, aliases) == 1


def test_two_people_who_share_a_phone_never_become_one(keys: Keys) -> None:
    one, two = keys.pseudonyms(["a@example.com", "b@example.com"], ["+12125550100"] * 2, create=True)
    assert one != two
    again = keys.resolve(["a@example.com", "b@example.com", None], ["+12125550100"] * 3)
    assert again.possible_links == 0, "the link was noted the first time"
    assert keys.pseudonyms([None], ["+12125550100"]) == [one], "the lowest row has it"
    assert _count(keys, possible_links) == 1


def test_a_value_that_several_new_people_bring_goes_to_the_lowest_row(keys: Keys) -> None:
    """Whichever of their keys it is."""
    resolved = keys.resolve(["a@example.com", "b@example.com"], [None, "x@example.com"], ["x@example.com", None])
    assert resolved.possible_links == 1
    assert keys.pseudonyms([None], ["x@example.com"]) == keys.pseudonyms(["a@example.com"], [None])


def test_a_phone_of_more_than_three_people_is_no_alias(keys: Keys) -> None:
    people = [f"p{i}@example.com" for i in range(5)]
    first = keys.resolve(people[:3], ["+12125550100"] * 3)
    assert (first.created, first.possible_links, first.shared) == (3, 2, 0)
    assert keys.pseudonyms([None], ["+12125550100"]) != [None]
    last = keys.resolve(people[3:], ["+12125550100"] * 2)
    assert (last.created, last.possible_links, last.shared) == (2, 1, 1)
    assert keys.pseudonyms([None], ["+12125550100"]) == [None]
    alone = keys.resolve([None], ["+12125550100"])
    assert (alone.created, alone.shared) == (0, 1)
    assert keys.pseudonyms([None], ["+12125550100"], ["c-17"], create=True) != [None], "the next key decides"


def test_a_suppressed_person_is_refused_until_the_tombstone_ends(keys: Keys) -> None:
    keys.resolve(["x@example.com"])
    gone = {"entity": "customer", "digest": keys.digest("gone@example.com"), "suppress": True}
    with keys.engine.begin() as connection:
        connection.execute(sa.insert(tombstones).values(**gone, expires_at=sa.func.now() + timedelta(days=9_000)))
    resolved = keys.resolve(["gone@example.com", "x@example.com"], ["+12125550100"] * 2)
    assert resolved.suppressed.tolist() == [True, False]
    assert resolved.index[0] == -1 and resolved.created == 0
    assert keys.pseudonyms(["new@example.com"], ["gone@example.com"], create=True) != [None]
    assert keys.resolve([None], ["gone@example.com"]).suppressed.tolist() == [True], "and nobody else got the alias"
    with keys.engine.begin() as connection:
        connection.execute(sa.update(tombstones).values(expires_at=keys.clock.now - timedelta(seconds=1)))
    back = keys.resolve(["gone@example.com"])
    assert back.suppressed.tolist() == [False] and back.created == 1


def test_a_forgotten_person_may_come_back_as_somebody_new(keys: Keys) -> None:
    gone = {"entity": "customer", "digest": keys.digest("gone@example.com"), "suppress": False}
    with keys.engine.begin() as connection:
        connection.execute(sa.insert(tombstones).values(**gone, expires_at=sa.func.now() + timedelta(days=9_000)))
    assert keys.resolve(["gone@example.com"]).created == 1


def test_whether_a_pseudonym_is_alive_takes_the_lookup_key_alone(keys: Keys, tmp_path: Path) -> None:
    resolved = keys.resolve(["a@example.com", "b@example.com"])
    unknown = KeyTable.random(1).pseudonyms
    asked = np.concatenate([resolved.table.pseudonyms, unknown])
    for file in (keys.folder).glob("*seal*"):
        file.unlink()
    consumer = keys.again()
    assert consumer.subjects.alive(asked).tolist() == [True, True, False]
    with pytest.raises(KeyUnavailableError):
        consumer.subjects.by_pseudonym("customer", asked)


def test_keys_are_found_by_pseudonym(keys: Keys) -> None:
    resolved = keys.resolve([f"p{i}@example.com" for i in range(4)])
    asked = np.concatenate([KeyTable.random(1).pseudonyms, resolved.table.pseudonyms[::-1]])
    index, table = keys.again().subjects.by_pseudonym("customer", asked)
    assert index[0] == -1
    assert (table.pseudonyms[index[1:]] == asked[1:]).all()
    assert (table.reveal()[index[1:]] == resolved.table.reveal()[::-1]).all()
    index, table = keys.subjects.by_pseudonym("supplier", asked)
    assert (index == -1).all() and len(table) == 0


def test_a_value_of_another_entity_is_another_alias(keys: Keys) -> None:
    customer = keys.resolve(["a@example.com"])
    supplier = keys.subjects.resolve("supplier", [pa.array(["a@example.com"])], np.ones(1, bool))
    assert supplier.created == 1
    assert (customer.table.pseudonyms != supplier.table.pseudonyms).any()


def test_nothing_is_resolved_before_the_first_epoch(control: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match="keys init"):
        Keys(control, tmp_path / "keys", SetClock()).resolve(["a@example.com"])


# The rules, told one row and one key after the other.


@dataclass
class Told:
    """The alias rules as a sequence, in plain Python: a value's owner, and whom else it was met with."""

    owner: dict[str, int] = field(default_factory=dict)
    links: dict[str, list[int]] = field(default_factory=dict)
    people: int = 0

    def shared(self, value: str) -> bool:
        return len(self.links.get(value, [])) >= 3

    def batch(self, rows: list[tuple[str | None, ...]], create: list[bool]) -> list[int | None]:
        subject: list[int | None] = [None] * len(rows)
        undecided = set(range(len(rows)))
        for rank in range(len(rows[0]) if rows else 0):
            deciding = [
                (i, rows[i][rank]) for i in sorted(undecided) if rows[i][rank] and not self.shared(rows[i][rank] or "")
            ]
            undecided -= {i for i, _ in deciding}
            for i, value in deciding:
                if value not in self.owner and create[i]:
                    self.owner[value or ""] = self.people
                    self.people += 1
            for i, value in deciding:
                subject[i] = self.owner.get(value or "")
            for i, _ in deciding:
                if create[i]:
                    self.attach(subject[i], rows[i][rank + 1 :])
        return subject

    def attach(self, subject: int | None, later: tuple[str | None, ...]) -> None:
        for value in later:
            if value and not self.shared(value):
                if value not in self.owner:
                    self.owner[value] = subject if subject is not None else -1
                elif self.owner[value] != subject and subject not in self.links.get(value, []):
                    self.links.setdefault(value, []).append(subject if subject is not None else -1)


_VALUE = st.none() | st.sampled_from([f"v{i}" for i in range(7)])
_ROWS = st.lists(st.tuples(st.tuples(_VALUE, _VALUE, _VALUE), st.booleans()), max_size=12)


@given(batches=st.lists(_ROWS, min_size=1, max_size=4))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_follow_the_alias_rules(keys: Keys, batches: list[list[tuple[tuple[str | None, ...], bool]]]) -> None:
    """Against the rules told row by row: the same rows have the same subject, the same values are shared."""
    with keys.engine.begin() as connection:
        connection.execute(sa.delete(subjects))
    told, names = Told(), dict[str, int | None]()
    for batch in batches:
        rows, create = [row for row, _ in batch], [flag for _, flag in batch]
        expected, links = told.batch(rows, create), sum(map(len, told.links.values()))
        resolved = keys.resolve(*([row[k] for row in rows] for k in range(3)), create=create)
        for want, index in zip(expected, resolved.index, strict=True):
            assert (want is None) == (index < 0)
            if want is not None:
                name = resolved.table.pseudonyms[index].tobytes().hex()
                assert names.setdefault(name, want) == want
        assert len(set(names.values())) == len(names), "one person has one pseudonym"
        assert resolved.shared == sum(told.shared(value) for value in {v for row in rows for v in row if v})
        assert _count(keys, possible_links) == links
    assert _count(keys, subjects) == told.people
    assert _count(keys, aliases) == len(told.owner)


def test_a_writer_that_is_overtaken_takes_what_the_faster_one_made(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its look and its write, another process has met one of the same people, and given away a phone."""
    other, find, races = keys.again(), keys.store.find, list[int]()

    def overtaken(*asked: object) -> object:
        found = find(*asked)  # type: ignore[arg-type]
        if not races:
            races.append(other.resolve(["a@example.com", "z@example.com"], ["+12125550100", "+12125550101"]).created)
        return found

    monkeypatch.setattr(keys.store, "find", overtaken)
    resolved = keys.resolve(["a@example.com", "b@example.com"], ["+12125550102", "+12125550101"])
    assert races == [2] and resolved.created == 1 and resolved.possible_links == 1
    known = other.resolve(["a@example.com", "b@example.com"], create=False)
    assert (resolved.table.reveal()[resolved.index] == known.table.reveal()[known.index]).all()
    assert _count(keys, subjects) == 3 and _orphans(keys) == 0
    assert keys.pseudonyms([None] * 3, ["+12125550102", "+12125550100", "+12125550101"])[:2] == [
        *keys.pseudonyms(["a@example.com"]) * 2
    ]


def test_a_subject_that_is_erased_meanwhile_gets_no_alias(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.resolve(["a@example.com"])
    find, erased = keys.store.find, list[bool]()

    def erase_after_looking(*asked: object) -> object:
        found = find(*asked)  # type: ignore[arg-type]
        if not erased:
            erased.append(True)
            with keys.engine.begin() as connection:
                connection.execute(sa.delete(subjects))
        return found

    monkeypatch.setattr(keys.store, "find", erase_after_looking)
    resolved = keys.resolve(["a@example.com"], ["+12125550100"])
    assert resolved.created == 1, "somebody new"
    assert (_count(keys, subjects), _count(keys, aliases)) == (1, 2)


def _orphans(keys: Keys) -> int:
    found = sa.select(sa.func.count()).where(~sa.exists().where(aliases.c.subject == subjects.c.id))
    with keys.engine.begin() as connection:
        return connection.scalar(found) or 0


def _write(dsn: str, folder: str, seed: int, together: "Barrier", out: "Queue[dict[str, str]]") -> None:
    """A process that meets the same new people at the same time as others do, in an order of its own."""
    keys, random = open_keys(dsn, folder), np.random.default_rng(seed)
    met: dict[str, str] = {}
    for part in np.split(np.arange(600), 6):
        people = random.permutation(part)
        emails: list[str | None] = [f"p{i}@example.com" for i in people]
        phones = [f"+1212555{i:04}" if random.random() < 0.7 else None for i in people]
        # A few are known by their phone alone.
        emails += [None] * 20
        phones += [f"+1212555{i:04}" for i in people[:20]]
        together.wait(60)
        resolved = keys.resolve(emails, phones)
        for email, index in zip(emails, resolved.index, strict=True):
            if email:
                met[email] = resolved.table.reveal()[index].tobytes().hex()
    out.put(met)


def test_writers_that_meet_the_same_new_people_agree_on_their_keys(keys: Keys, database: str) -> None:
    context = multiprocessing.get_context("spawn")
    out: Queue[dict[str, str]] = context.Queue()
    together = context.Barrier(4)
    shared = (together, out)
    writers = [context.Process(target=_write, args=(database, str(keys.folder), seed, *shared)) for seed in range(4)]
    for writer in writers:
        writer.start()
    met = [out.get(timeout=120) for _ in writers]
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert all(one == met[0] for one in met[1:])
    assert len(set(met[0].values())) == len(met[0]) == 600
    assert _orphans(keys) == 0
