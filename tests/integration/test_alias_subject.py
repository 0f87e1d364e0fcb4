"""No alias ever stands without its subject, whoever writes what at the same time."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa
from keys_setup import Keys, SetClock

from governance.adapters.control.subjects import aliases, possible_links, subjects

EMAILS = ["a@example.com", "b@example.com"]
SOON = sa.text("SET LOCAL lock_timeout = '300ms'")


@pytest.fixture
def keys(control: sa.Engine, tmp_path: Path) -> Keys:
    keys = Keys(control, tmp_path / "keys", SetClock())
    keys.epochs.init()
    keys.resolve(EMAILS, ["+12125550100", "+12125550100"])
    return keys


@pytest.fixture
def other(keys: Keys) -> Iterator[sa.Connection]:
    """A second writer, in a transaction of its own."""
    with keys.engine.connect() as connection:
        yield connection


def _subject(keys: Keys, email: str) -> bytes:
    with keys.engine.begin() as connection:
        found = sa.select(aliases.c.subject).where(aliases.c.digest == keys.digest(email))
        return bytes(connection.execute(found).scalar_one())


def _add(connection: sa.Connection, subject: bytes, digest: bytes = b"d" * 32) -> None:
    connection.execute(sa.insert(aliases).values(digest=digest, subject=subject))


def _delete(keys: Keys, subject: bytes) -> None:
    with keys.engine.begin() as connection:
        connection.execute(SOON)
        connection.execute(sa.delete(subjects).where(subjects.c.id == subject))


def _count(keys: Keys, table: sa.Table) -> int:
    with keys.engine.begin() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def test_an_alias_of_nobody_is_refused(keys: Keys) -> None:
    with pytest.raises(sa.exc.IntegrityError), keys.engine.begin() as connection:
        _add(connection, b"n" * 16)
    with pytest.raises(sa.exc.IntegrityError), keys.engine.begin() as connection:
        connection.execute(sa.update(aliases).values(subject=b"n" * 16))
    assert _count(keys, aliases) == 3


def test_a_subject_takes_its_aliases_and_links_along(keys: Keys) -> None:
    assert _count(keys, possible_links) == 1, "the phone that both brought"
    gone = _subject(keys, EMAILS[0])
    _delete(keys, gone)
    assert _count(keys, aliases) == 1 and _count(keys, possible_links) == 0
    assert _subject(keys, EMAILS[1]) != gone


def test_a_subject_that_gets_an_alias_cannot_go_meanwhile(keys: Keys, other: sa.Connection) -> None:
    wanted = _subject(keys, EMAILS[0])
    _add(other, wanted)
    with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
        _delete(keys, wanted)
    other.commit()
    _delete(keys, wanted)
    assert _count(keys, aliases) == 1


def test_a_subject_that_is_going_gets_no_alias(keys: Keys, other: sa.Connection) -> None:
    going = _subject(keys, EMAILS[0])
    other.execute(sa.delete(subjects).where(subjects.c.id == going))
    refused: list[Exception] = []

    def add() -> None:
        try:
            with keys.engine.begin() as connection:
                _add(connection, going)
        except sa.exc.IntegrityError as error:
            refused.append(error)

    adding = Thread(target=add)
    adding.start()
    adding.join(0.3)
    assert adding.is_alive(), "it waits for the deletion's end"
    other.commit()
    adding.join(10)
    assert len(refused) == 1 and _count(keys, aliases) == 1


def test_subjects_are_not_truncated(keys: Keys) -> None:
    with pytest.raises(sa.exc.NotSupportedError), keys.engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE kasbah_control.subject CASCADE"))
    assert _count(keys, aliases) == 3
