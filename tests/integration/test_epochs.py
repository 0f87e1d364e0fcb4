"""Epochs' keys: there is one set of them whoever asks first, and none stays in memory for long."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from keys_setup import Keys, SetClock

from governance.adapters.control.epochs import PostgresEpochs
from governance.adapters.kms.local import LocalKeyService
from governance.errors import KeyUnavailableError
from governance.model.secret import Secret
from governance.protection.epochs import Epochs, EpochState


@pytest.fixture
def keys(control: sa.Engine, tmp_path: Path) -> Keys:
    return Keys(control, tmp_path / "keys", SetClock())


def test_init_can_be_repeated(keys: Keys) -> None:
    assert keys.epochs.init()
    number, key = keys.epochs.current()
    index = keys.epochs.index_key()
    assert not keys.again().epochs.init()
    assert keys.again().epochs.current()[0] == number == 1
    assert keys.again().epochs.current()[1].same_as(key)
    assert keys.again().epochs.index_key().same_as(index)
    assert not index.same_as(key) and not keys.epochs.lookup_key(1).same_as(key)


def test_an_init_that_comes_late_makes_nothing(keys: Keys) -> None:
    keys.epochs.init()
    assert PostgresEpochs(keys.engine).begin(first=True) is None, "it may have looked before the first one had opened"
    assert not keys.again().epochs.init()
    assert [e.state for e in keys.epochs.all()] == [EpochState.OPEN]
    keys.epochs.check()


def test_init_from_several_at_once_makes_one_epoch(keys: Keys) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: keys.again().epochs.init(), range(4)))
    assert [e.state for e in keys.epochs.all()] == [EpochState.OPEN]
    keys.epochs.check()


def test_init_goes_on_after_a_crash(keys: Keys) -> None:
    keys.epochs.prepare()
    assert [e.state for e in keys.epochs.all()] == [EpochState.OPENING]
    with pytest.raises(KeyUnavailableError, match="keys init"):
        keys.epochs.current()
    assert keys.epochs.init()
    assert [e.id for e in keys.epochs.all()] == [1]


def test_a_key_is_asked_for_again_after_a_minute(keys: Keys) -> None:
    keys.epochs.init()
    keys.epochs.current()
    for file in keys.folder.iterdir():
        file.unlink()
    keys.clock.forward(59)
    keys.epochs.key(1)
    keys.clock.forward(1)
    with pytest.raises(KeyUnavailableError):
        keys.epochs.key(1)


def test_a_key_is_asked_for_again_when_the_clock_was_set_back(keys: Keys) -> None:
    keys.epochs.init()
    keys.epochs.current()
    for file in keys.folder.iterdir():
        file.unlink()
    keys.clock.forward(-1)
    with pytest.raises(KeyUnavailableError):
        keys.epochs.key(1)


def test_a_process_that_falls_idle_remembers_nothing(control: sa.Engine, tmp_path: Path) -> None:
    clock = SetClock()
    epochs = Epochs(PostgresEpochs(control), LocalKeyService(tmp_path / "keys", clock), clock, cache_seconds=0.2)
    epochs.init()
    epochs.current()
    assert epochs._kept
    deadline = time.monotonic() + 10
    while epochs._kept and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not epochs._kept


def test_nothing_that_is_kept_shows_a_key(keys: Keys) -> None:
    keys.epochs.init()
    secret = keys.epochs.index_key().reveal()
    for epoch in keys.epochs.all():
        assert "wrapped" not in repr(epoch)
    assert secret.hex() not in repr(keys.epochs.__dict__.keys())
    with pytest.raises(TypeError):
        repr(Secret(secret))
