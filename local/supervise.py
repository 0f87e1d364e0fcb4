"""Child processes that are ours alone: started in a session of their own, named by pid and birth, stopped for sure.

Two modes. *Owned*: the service ends with the process that started it, however that ends (`local.keeper` sees to it).
*Kept*: once it is ready it outlives its starter, and the state file beside its data says which process it is.
No signal is ever sent to a pid whose time of birth isn't the one that was noted.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

GRACE_SECONDS = 15.0
"""Between SIGTERM and SIGKILL."""
_LOOPBACK = "127.0.0.1"
# Below the range from which systems take the port of an outgoing connection: no client can sit on a service's port
# while it restarts, nor be connected to itself when it asks for one that nobody serves.
_PORTS = range(12_000, 30_000)
_LOG_BYTES = 20_000_000


class ServiceError(RuntimeError):
    """A service did not start, stop or answer. The message says what to do, and names the log."""


@dataclass(frozen=True)
class Launch:
    """What to run. `user` and `group` are ids for a root caller's services that refuse to run as root; `first_signal`
    asks for the end, and SIGKILL comes after the grace;
    `leavings` are folders that are of no use once it and its owner are gone.
    """

    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    user: int | None = None
    group: int | None = None
    first_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = GRACE_SECONDS
    leavings: Sequence[Path] = ()


@dataclass(frozen=True)
class Running:
    """A process that was started here: `birth` tells it from a later one with the same pid."""

    pid: int
    birth: str

    @classmethod
    def of(cls, pid: int) -> "Running | None":
        """The process as it is now, if there is one that hasn't ended."""
        birth = birth_of(pid)
        return None if birth is None else cls(pid, birth)

    @classmethod
    def read(cls, state: Path) -> "Running | None":
        """The process that the state file names, if it still runs."""
        try:
            noted = cls(**json.loads(state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return noted if noted.alive() else None

    def write(self, state: Path) -> None:
        """Note it, in one step."""
        fresh = state.with_name(state.name + ".new")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(state)

    def alive(self) -> bool:
        """True while this very process runs."""
        return birth_of(self.pid) == self.birth

    def stop(self, first: signal.Signals = signal.SIGTERM, grace: float = GRACE_SECONDS) -> None:
        """The first signal to it, then SIGKILL for it and what it started, where they are left after the grace."""
        family = self.family()
        _signal(family[:1], first)
        if not _await_end(family, grace):
            self._kill(family)

    def kill(self) -> None:
        """SIGKILL to it and all that it started, as a crash would. Returns once they have ended."""
        self._kill(self.family())

    def family(self) -> list["Running"]:
        """This process and those of its session, if it is still this one."""
        if not self.alive():
            return []
        others = [Running.of(pid) for pid in _session(self.pid) if pid != self.pid]
        return [self, *(other for other in others if other)]

    def _kill(self, family: list["Running"]) -> None:
        _signal(family, signal.SIGKILL)
        if not _await_end(family, GRACE_SECONDS):
            raise ServiceError(f"process {self.pid} did not end after SIGKILL: the machine may be out of memory")


class Child:
    """A process under its keeper, until it is kept or stopped."""

    def __init__(self, keeper: "subprocess.Popen[bytes]", running: Running) -> None:
        self._keeper = keeper
        self.running = running

    def keep(self) -> None:
        """Let it outlive this process."""
        if self._keeper.stdin:
            self._keeper.stdin.write(b"keep\n")
        _dismiss(self._keeper)

    def ended(self) -> bool:
        """True once the process is gone."""
        return self._keeper.poll() is not None or not self.running.alive()

    def stop(self) -> None:
        """The end of the process, as its keeper does it, and of the keeper."""
        _dismiss(self._keeper)


def start(launch: Launch, log: Path) -> Child:
    """Start it in a session of its own; what it prints is appended to `log`.

    Raises ServiceError if it can't be run at all.
    """
    _turn_over(log)
    command = [str(part) for part in launch.command]
    order = {
        "command": command,
        "environment": dict(launch.environment),
        "cwd": str(launch.cwd),
        "user": launch.user,
        "group": launch.group,
        "log": str(log),
        "grace": launch.grace_seconds,
        "signal": int(launch.first_signal),
        "leavings": [str(folder) for folder in launch.leavings],
    }
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("keeper.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    )
    assert keeper.stdin and keeper.stdout and keeper.stderr  # noqa: S101
    keeper.stdin.write(json.dumps(order).encode() + b"\n")
    keeper.stdin.flush()
    answer = keeper.stdout.readline().strip()
    running = Running.of(int(answer)) if answer else None
    if running is None:
        why = b"" if answer else (keeper.stderr.read().strip().splitlines() or [b""])[-1]
        _dismiss(keeper)
        raise ServiceError(f"{command[0]} could not be started: {why.decode()[:200]}; its log is {log}")
    return Child(keeper, running)


def await_ready(child: Child, ready: Callable[[], bool], seconds: float, title: str, log: Path) -> None:
    """Return once `ready` says so. It may raise anything until then. Raises ServiceError if the time runs out or the
    process ends; the process is left to the caller.
    """
    deadline = time.monotonic() + seconds
    while True:
        if child.ended():
            raise ServiceError(f"{title} ended at once{_last_words(log)}; its log is {log}")
        try:
            if ready():
                return
        except Exception as error:  # noqa: BLE001  (clients raise what they like while a server comes up)
            told = f" ({type(error).__name__})"
        else:
            told = ""
        if time.monotonic() > deadline:
            raise ServiceError(f"{title} was not ready in {seconds:.0f} s{told}; its log is {log}")
        time.sleep(0.1)


def _dismiss(keeper: "subprocess.Popen[bytes]") -> None:
    for pipe in (keeper.stdin, keeper.stdout, keeper.stderr):
        if pipe and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    keeper.wait(GRACE_SECONDS * 2)


def birth_of(pid: int) -> str | None:
    """When the process was born, as the system says it, with the boot it belongs to; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return _birth_by_ps(pid) if not Path("/proc/self/stat").exists() else None
    if fields[0] in ("Z", "X") and not _has_threads(pid):
        return None
    return f"{fields[19]}@{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"


def _has_threads(pid: int) -> bool:
    """True while threads of a process whose first one has ended still hold its files and ports."""
    try:
        return len(os.listdir(f"/proc/{pid}/task")) > 1  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_ports(count: int) -> list[int]:
    """So many free loopback ports, at random, none twice."""
    found: list[int] = []
    for _ in range(1000):
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        if port not in found and not is_busy(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ServiceError(f"no free loopback port between {_PORTS.start} and {_PORTS.stop}: stop other services first")


def is_busy(port: int) -> bool:
    """True if somebody serves this loopback port, or all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return True
        return False


def _signal(family: list[Running], kind: signal.Signals) -> None:
    for one in family:
        if one.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one.pid, kind)


def _await_end(family: list[Running], seconds: float) -> bool:
    """True if all ended in time."""
    deadline = time.monotonic() + seconds
    while any(one.alive() for one in family):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _session(leader: int) -> list[int]:
    """The pids of a session, which `os.getsid` tells for any process."""
    if Path("/proc/self/stat").exists():
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    else:
        listed = subprocess.run(["ps", "-axo", "pid="], capture_output=True, text=True, check=False).stdout
        pids = [int(pid) for pid in listed.split()]
    return [pid for pid in pids if _session_of(pid) == leader]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _birth_by_ps(pid: int) -> str | None:
    asked = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return None if len(asked) < 2 or asked[0].startswith("Z") else asked[1].strip()


def _turn_over(log: Path) -> None:
    """A long log becomes the old one."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_name(log.name + ".old"))


def _last_words(log: Path) -> str:
    """The last error in the log, which often is the reason; else its last line."""
    lines = log.read_bytes()[-20_000:].decode(errors="replace").splitlines() if log.exists() else []
    written = [line.strip() for line in lines if line.strip()]
    telling = [line for line in written if "rror" in line or "xception" in line or "FATAL" in line]
    last = (telling or written)[-1:]
    return f": {last[0][:300]}" if last else ""
