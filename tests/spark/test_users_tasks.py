"""What a task of the users stream does when something goes wrong: it waits, or ends without a word of any record."""

import traceback
from collections.abc import Callable

import main
import pytest
import worker

from governance.errors import ContractError, KasbahError, LeaseExpiredError, StoreUnavailableError

SECRET = "ann@example.org"


def failing(*errors: Exception) -> Callable[[], str]:
    """Raises these, one a call, and then answers."""
    left = list(errors)

    def act() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return act


def test_a_store_that_is_away_is_waited_for_and_said_once() -> None:
    away = StoreUnavailableError("Cassandra doesn't answer")
    waits: list[float] = []
    ended: list[int] = []
    act = failing(away, away, LeaseExpiredError("too slow"))
    assert worker.patiently(act, lambda: ended.append(1), waits.append) == "done"
    assert len(waits) == len(ended) == 3 and all(0 < seconds <= 15 for seconds in waits)


def test_what_waiting_doesnt_mend_ends_the_task() -> None:
    with pytest.raises(ContractError):
        worker.patiently(failing(ContractError("no rule")), sleep=lambda _: pytest.fail("it waited"))


def test_a_task_that_fails_says_nothing_of_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ValueError(f"could not convert {SECRET}")

    monkeypatch.setattr(worker, "_consuming", breaks)
    with pytest.raises(KasbahError) as told:
        list(worker.deal([], "users.people/person", raw=False))
    assert "ValueError" in str(told.value)
    assert SECRET not in "".join(traceback.format_exception(told.value))


def test_of_a_failed_query_one_sentence_of_ours_is_told() -> None:
    told = (
        "[STREAM_FAILED] Query [id = 1] terminated with exception: Job aborted. SQLSTATE: XXKST\n"
        "Traceback (most recent call last):\n"
        f'  File "x.py", line 3, in f\n    {SECRET}\n'
        "governance.errors.ContractError: users.people/person: nothing is stored\n"
    )
    assert main._cause(told) == "ContractError: users.people/person: nothing is stored"
    assert main._cause(told.replace("governance.errors", "somebody")) == "STREAM_FAILED"
