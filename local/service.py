"""What every local service is: a folder with its data and log, ports of its own, a start that ends in a real answer."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self, TypeVar

from local import supervise, unprivileged
from local.supervise import GRACE_SECONDS, Child, Launch, Running, ServiceError

STATE = Path(os.environ.get("KASBAH_STATE", ".state"))
"""Where everything is kept that the local services and the demo make."""
_S = TypeVar("_S", bound="Service")
_OWNED: dict[Path, Child] = {}
"""The processes that end with this one, by their service's folder."""


class Service(ABC):
    """A server on this machine. A subclass says what it is called, which ports it wants, how it is launched (`launch`)
    and when it answers (`ready`); the rest is here.

    `folder` holds `log`, `ports.json`, `process.json` and whatever the subclass puts there. The same folder means the
    same data, the same ports and the same process, in any Python process.
    """

    name: ClassVar[str]
    """As on the command line: kafka."""
    title: ClassVar[str]
    """As people call it, with its version: Apache Kafka 4.3.1."""
    roles: ClassVar[tuple[str, ...]]
    """What its ports are for; the first is the one that clients are told."""
    setting: ClassVar[str]
    """The KASBAH_… variable that another one's address would be in."""
    refuses_root: ClassVar[bool] = False
    ready_seconds: ClassVar[float] = 90
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    grace_seconds: ClassVar[float] = GRACE_SECONDS
    """Between that signal and SIGKILL."""

    def __init__(self, folder: Path, ports: Mapping[str, int] | None = None) -> None:
        """`ports` by role; those that aren't given are picked once and remembered."""
        self.folder = unprivileged.reachable(folder) if self.refuses_root else folder.resolve()
        self._asked = dict(ports or {})

    @abstractmethod
    def launch(self) -> Launch:
        """Fetch, unpack, configure and format what is missing; say what to run. Called before each start."""

    @abstractmethod
    def ready(self) -> bool:
        """Do one real operation. True when it worked; False or any exception while it doesn't yet."""

    @property
    @abstractmethod
    def address(self) -> str:
        """As clients want it: host:port, or a URL."""

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The KASBAH_… variables that lead to it."""

    @property
    def product(self) -> str:
        """What really runs, where that may be one thing or another."""
        return self.title

    @property
    def known(self) -> bool:
        """True once its address is certain."""
        return set(self.roles) <= set(self._remembered()) | set(self._asked)

    @property
    def log(self) -> Path:
        """What it printed, of every start."""
        return self.folder / "log"

    @property
    def ports(self) -> dict[str, int]:
        """By role: those asked for, those remembered, and free ones that are picked now and remembered."""
        known = self._remembered()
        missing = [role for role in self.roles if role not in known and role not in self._asked]
        if missing:
            known |= dict(zip(missing, supervise.free_ports(len(missing)), strict=True))
            self._remember(known)
        return known | self._asked

    @property
    def port(self) -> int:
        """The one that clients are told."""
        return self.ports[self.roles[0]]

    def running(self) -> Running | None:
        """The process that runs on this folder, if one does."""
        return Running.read(self.folder / "process.json")

    def answers(self) -> bool:
        """True if the real operation works now."""
        try:
            return self.ready()
        except Exception:  # noqa: BLE001  (clients raise what they like)
            return False

    def start(self, *, kept: bool = False, fleeting: bool = False) -> Self:
        """Start it and return once it answers; at once if it already runs on this folder.

        It ends with this Python process, unless it is `kept`; if it is `fleeting`, and this process is killed, its
        folder goes too. Raises ServiceError.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.refuses_root:
            unprivileged.own(self.folder)
        with self._alone():
            if self.running():
                return self
            self._forget()
            self._claim_ports()
            child = supervise.start(self._order(fleeting), self.log)
            try:
                child.running.write(self.folder / "process.json")
                supervise.await_ready(child, self.ready, self.ready_seconds, self.title, self.log)
            except BaseException:
                child.stop()
                raise
            if kept:
                child.keep()
            else:
                _OWNED[self.folder] = child
        return self

    def stop(self) -> None:
        """SIGTERM (or what it wants) and SIGKILL after the grace, whoever started it. Nothing if it doesn't run."""
        self._end("stop")

    def kill(self) -> None:
        """SIGKILL, as a crash would: for tests."""
        self._end("kill")

    def restart(self) -> Self:
        """On the same data and the same ports."""
        self.stop()
        return self.start()

    def remove(self) -> None:
        """Stop, and delete everything that it kept."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _order(self, fleeting: bool) -> Launch:
        launch = self.launch()
        leavings = [*launch.leavings, self.folder] if fleeting else launch.leavings
        return replace(launch, first_signal=self.stop_signal, grace_seconds=self.grace_seconds, leavings=leavings)

    def _end(self, how: str) -> None:
        running = self.running()
        if running and how == "kill":
            running.kill()
        elif running:
            running.stop(self.stop_signal, self.grace_seconds)
        self._forget()

    def _forget(self) -> None:
        """Let go of a process that has ended."""
        child = _OWNED.pop(self.folder, None)
        if child:
            child.stop()
        (self.folder / "process.json").unlink(missing_ok=True)

    def _remembered(self) -> dict[str, int]:
        file = self.folder / "ports.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def _remember(self, ports: Mapping[str, int]) -> None:
        if self.roles and ports != self._remembered():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "ports.json").write_text(json.dumps(ports))

    def _claim_ports(self) -> None:
        """Once they are known to be free, a port that was asked for is remembered too."""
        for role, port in self.ports.items():
            if supervise.is_busy(port):
                other = "ask for another" if role in self._asked else f"remove {self.folder / 'ports.json'} for another"
                raise ServiceError(
                    f"{self.title} can't start: port {port} on 127.0.0.1 (its {role} port) is in use by another "
                    f"program. Stop that program, or {other}"
                )
        self._remember(self.ports)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two that start the same service: the second waits, and finds it running."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextlib.contextmanager
def using(service: _S) -> Iterator[_S]:
    """The service, running. It is stopped at the end unless it ran before."""
    before = service.running()
    service.start()
    try:
        yield service
    finally:
        if not before:
            service.stop()
