"""Message keys on a real PostgreSQL: made once, changed on request, verifying for as long as they are there."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from keys_setup import Keys, Records, SetClock

from governance.adapters.control.message_keys import PostgresMessageKeys, message_keys
from governance.adapters.control.rotation import open_rotation
from governance.errors import KeyUnavailableError, StoreUnavailableError, TokenError
from governance.model.message import Message
from governance.protection.messages import KEY_ID, Forgery, Verified, sign, verify
from governance.protection.rotation import Rotated, StillSealedError

MESSAGE = Message("users", b"k", b"v")


class Seconds:
    """A monotonic clock that is put forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def of(keys: Keys, seconds: Seconds | None = None) -> PostgresMessageKeys:
    """The message keys as one more process has them."""
    return PostgresMessageKeys(keys.engine, keys.again().epochs, monotonic=seconds or Seconds())


def settle(keys: Keys) -> None:
    """Let a minute pass for the keys that there are."""
    with keys.engine.begin() as connection:
        connection.execute(sa.update(message_keys).values(made_at=message_keys.c.made_at - timedelta(minutes=1)))


def signed(by: PostgresMessageKeys) -> Message:
    return sign(MESSAGE, "users.people", "1.0.0", *by.current())


def rotate(keys: Keys) -> Rotated:
    return open_rotation(
        keys.engine, keys.epochs, keys.subjects, Records(), keys.clock, "tests", sleep=keys.clock.forward
    ).run()


GENUINE = [Verified("users.people", "1.0.0")]


def test_the_first_key_is_made_on_first_use_and_is_the_same_for_all(keys: Keys) -> None:
    one, other = of(keys), of(keys)
    name, key = one.current()
    assert KEY_ID.fullmatch(name) and len(key) == 32
    again, same = other.current()
    assert again == name and same.same_as(key)
    assert verify([signed(one)], other) == GENUINE


def test_processes_that_begin_at_once_agree(keys: Keys) -> None:
    found = []
    start = threading.Barrier(4)

    def begin() -> None:
        mine = of(keys)
        start.wait()
        found.append(mine.current()[0])

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(of(keys).all()) == 1


def test_no_key_is_made_before_the_first_epoch(control: sa.Engine, tmp_path: Path) -> None:
    keys = Keys(control, tmp_path / "keys", SetClock())
    with pytest.raises(KeyUnavailableError, match="keys init"):
        of(keys).current()


def test_a_new_key_signs_once_it_has_settled_and_the_earlier_one_still_verifies(keys: Keys) -> None:
    signer = of(keys)
    first = signer.current()[0]
    before = signed(signer)
    second = signer.begin()
    assert of(keys).current()[0] == first, "others may not have read the new one yet"
    settle(keys)
    assert of(keys).current()[0] == second
    assert verify([before, signed(of(keys))], of(keys)) == GENUINE * 2
    assert [(one.id, one.current) for one in of(keys).all()] == [(first, False), (second, True)]


def test_who_verifies_meets_a_new_key_without_being_told(keys: Keys) -> None:
    """It has read the keys a moment before the new one was made; a message under it comes after the settling."""
    seconds = Seconds()
    reader = of(keys, seconds)
    assert verify([signed(of(keys))], reader) == GENUINE
    of(keys).begin()
    settle(keys)
    seconds.now += 10
    assert verify([signed(of(keys))], reader) == GENUINE


def test_forged_key_ids_are_not_looked_up_each_time(keys: Keys) -> None:
    reader = of(keys)
    name = reader.current()[0]
    reads = []
    sa.event.listen(keys.engine, "before_cursor_execute", lambda *call: reads.append(call[2]))
    assert [reader.key(f"m-{n:08x}") for n in range(50)] == [None] * 50
    assert reader.key(name) is not None
    assert reads == []


def test_a_message_under_a_key_that_is_not_there_is_forged(keys: Keys) -> None:
    message = signed(of(keys))
    with keys.engine.begin() as connection:
        connection.execute(sa.delete(message_keys))
    assert verify([message], of(keys)) == [Forgery.UNKNOWN_KEY]


def test_keys_live_on_through_a_rotation_of_epochs(keys: Keys) -> None:
    before, idle = of(keys), of(keys)
    message = signed(before)
    name, key = idle.current()
    done = rotate(keys)
    assert done.rows["message keys"] == 1
    assert [one.epoch for one in of(keys).all()] == [2]
    again, same = of(keys).current()
    assert again == name and same.same_as(key)
    assert verify([message], of(keys)) == GENUINE


def test_nothing_is_destroyed_while_a_message_key_is_left(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    of(keys).current()
    monkeypatch.setattr(PostgresMessageKeys, "reseal", lambda _self, _limit: 0)
    with pytest.raises(StillSealedError, match="message_key"):
        rotate(keys)


def test_no_key_can_be_added_under_an_old_epoch(keys: Keys) -> None:
    """A process with the old epoch in its memory is barred, and makes its key under the new one."""
    late = of(keys)
    late._epochs.current()
    rotate(keys)
    assert late.begin()
    assert {one.epoch for one in of(keys).all()} == {2}
    row = {"id": "m-00000000", "epoch": 1, "sealed": b"", "made_at": keys.clock()}
    with keys.engine.connect() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(sa.insert(message_keys).values(row))


def test_a_sealed_key_opens_only_in_its_place(keys: Keys) -> None:
    of(keys).current()
    with keys.engine.begin() as connection:
        connection.execute(sa.update(message_keys).values(id="m-00000000"))
    with pytest.raises(TokenError):
        of(keys).current()


def test_the_key_itself_stands_nowhere_in_the_database(keys: Keys) -> None:
    key = of(keys).current()[1].reveal()
    with keys.engine.begin() as connection:
        (row,) = connection.execute(sa.select(message_keys)).all()
    assert key not in row.sealed and key[:8] not in row.sealed
    assert row.id.encode() not in row.sealed


def test_a_database_that_is_away_is_said(keys: Keys) -> None:
    known = of(keys)
    keys.engine.dispose()
    away = sa.create_engine("postgresql+psycopg://127.0.0.1:1/nothing", connect_args={"connect_timeout": 1})
    with pytest.raises(StoreUnavailableError):
        PostgresMessageKeys(away, keys.epochs).key("m-00000000")
    assert known.current()
