"""A local service is started once, stopped for sure, found again, and never outlives whom it belongs to."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_service import NeverReady, Small

from local.service import using
from local.supervise import Running, ServiceError, birth_of, free_ports

_SCRIPT = Path(__file__).with_name("small_service.py")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    service = Small(tmp_path / "small")
    yield service
    service.stop()


def starter(folder: Path, how: str) -> tuple["subprocess.Popen[str]", list[int]]:
    """Another program that starts the service; and the pids of the service and its child."""
    program = subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(folder), how],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert program.stdout
    pids = [int(pid) for pid in program.stdout.readline().split()]
    assert len(pids) == 2 and all(birth_of(pid) for pid in pids)
    return program, pids


def kill(program: "subprocess.Popen[str]") -> None:
    program.kill()
    program.wait()
    assert program.stdout
    program.stdout.close()


def gone(pids: list[int], seconds: float = 10) -> bool:
    return eventually(lambda: not any(birth_of(pid) for pid in pids), seconds)


def eventually(so: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_service_answers_when_it_is_started_and_leaves_nothing_when_it_is_stopped(small: Small) -> None:
    small.start()
    assert small.answers()
    pids = small.pids()
    small.stop()
    assert gone([*pids], 0.1) and small.running() is None


def test_a_crash_of_the_parent_leaves_no_process_and_the_log(tmp_path: Path) -> None:
    program, pids = starter(tmp_path / "small", "owned")
    kill(program)
    assert gone(pids)
    assert (tmp_path / "small" / "log").exists()


def test_a_crash_of_a_test_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    program, pids = starter(tmp_path / "small", "fleeting")
    kill(program)
    assert gone(pids)
    assert eventually(lambda: not (tmp_path / "small").exists())


def test_a_crash_of_the_command_that_is_still_starting_it_leaves_nothing_behind(tmp_path: Path) -> None:
    program, pids = starter(tmp_path / "small", "never-ready")
    kill(program)
    assert gone(pids)


def test_a_kept_service_outlives_its_starter_and_is_stopped_by_another(small: Small) -> None:
    program, pids = starter(small.folder, "kept")
    kill(program)
    assert not gone(pids, 1)
    assert small.pids() == tuple(pids) and small.answers()
    small.stop()
    assert gone(pids, 0.1)


def test_a_service_that_runs_already_is_not_started_again_and_not_stopped_by_who_only_uses_it(small: Small) -> None:
    small.start()
    pids = small.pids()
    with using(Small(small.folder)) as same:
        assert same.pids() == pids and same.address == small.address
    assert small.pids() == pids


def test_two_that_start_the_same_service_at_once_get_the_same_one(small: Small) -> None:
    threads = [threading.Thread(target=Small(small.folder).start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert small.log.read_text().count("served here") == 1


def test_one_that_does_not_listen_is_killed_after_its_grace(small: Small) -> None:
    small.words = ("stubborn",)
    small.start()
    pids = small.pids()
    began = time.monotonic()
    small.stop()
    assert gone([*pids], 0.1) and 0.5 <= time.monotonic() - began < 10


def test_a_killed_service_starts_again_on_the_same_port(small: Small) -> None:
    address = small.start().address
    for _ in range(3):
        pids = small.pids()
        small.kill()
        assert gone([*pids], 0.1)
        assert small.start().address == address and small.answers()


def test_a_process_that_has_the_noted_pid_by_chance_is_left_alone(small: Small) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        small.folder.mkdir()
        Running(other.pid, "another birth").write(small.folder / "process.json")
        assert small.running() is None
        small.stop()
        small.kill()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_busy_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        asked = Small(tmp_path / "asked", {"http": port})
        with pytest.raises(ServiceError) as raised:
            asked.start()
    assert str(raised.value) == (
        f"Small 1.0 can't start: port {port} on 127.0.0.1 (its http port) is in use by another program. "
        "Stop that program, or ask for another"
    )
    assert asked.running() is None
    assert Small(asked.folder).port != port


def test_a_port_that_was_asked_for_is_remembered(small: Small) -> None:
    (port,) = free_ports(1)
    asked = Small(small.folder, {"http": port}).start()
    assert asked.answers() and small.address == asked.address and str(port) in small.address


def test_one_that_ends_at_once_says_why_and_where_its_log_is(small: Small) -> None:
    small.words = ("failing",)
    with pytest.raises(ServiceError) as raised:
        small.start()
    assert str(raised.value) == f"Small 1.0 ended at once: Error: there is no more room; its log is {small.log}"


def test_one_that_never_answers_is_stopped_and_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NeverReady, "ready_seconds", 1)
    service = NeverReady(tmp_path / "small")
    with pytest.raises(ServiceError, match=re.escape(f"was not ready in 1 s; its log is {service.log}")):
        service.start()
    assert service.running() is None


def test_ports_are_none_that_a_client_may_be_given() -> None:
    """A client that asks for a port that nobody serves, of those the system gives out, may be connected to itself."""
    lowest = 32768
    ports = free_ports(20)
    assert len(set(ports)) == 20 and all(1024 < port < lowest for port in ports)


def test_signals_of_the_terminal_do_not_reach_a_service(tmp_path: Path) -> None:
    """Ctrl-C goes to the foreground's group; the service ends in its own order, after its starter."""
    program, pids = starter(tmp_path / "small", "owned")
    assert all(os.getpgid(pid) != os.getpgid(program.pid) for pid in pids)
    program.send_signal(signal.SIGINT)
    program.wait(10)
    kill(program)
    assert gone(pids)
