"""A whole installation for a test: databases, sources, the shop's API, settings, and the command line itself."""

import io
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from psycopg import sql

from governance.cli.main import main
from local.postgres import Postgres
from local.supervise import ServiceError
from samples.faults import Faults
from samples.files import write_files
from samples.server import StoreServer
from samples.store import Wave
from samples.tables import write_tables

ROOT = Path(__file__).parents[2]
KASBAH = Path(sys.executable).with_name("kasbah")
TABLES = {"orders": ("store", "orders"), "stock": ("store", "stock")}
KEYS = {"orders": ("order_id",), "stock": ("stock_date", "product_name", "supplier_name")}


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def said(self) -> str:
        """Everything, on one line, as a terminal's width doesn't matter."""
        return " ".join((self.stdout + self.stderr).split())


@dataclass
class Stack:
    """One installation. A run may write below `folder` and into the databases `control` and `warehouse`, nowhere else;
    what it reads lies in `origin` and in the database `shop`."""

    folder: Path
    origin: Path
    control: str
    warehouse: str
    shop: str
    api: str = "http://127.0.0.1:9"
    contracts: Path = ROOT / "contracts"
    batch_rows: int = 1000
    actor: str = "tester"
    locations: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def settings_file(self) -> Path:
        """Where `settings()` writes."""
        return self.folder / "kasbah.toml"

    @property
    def lake(self) -> Path:
        """The lake's folder."""
        return self.folder / "lake"

    def at(self, source: str, location: object) -> None:
        """Read a source from somewhere else."""
        self.locations[source] = str(location)
        self.settings()

    def settings(self, **changes: str) -> None:
        """Write the settings file. `changes` replace a line's value, as TOML."""
        values = {
            "control": _text(self.control),
            "warehouse": _text(self.warehouse),
            "lake": _text(self.lake),
            "contracts": _text(self.contracts),
            "anchor": _text(self.folder / "anchor.jsonl"),
            "signing_key": _text(self.folder / "signing.key"),
            "actor": _text(self.actor),
            "role": _text("privacy_officer"),
            "batch_rows": str(self.batch_rows),
            "epoch_cache_seconds": "1",
            "scan": f"{{ names = {_text(ROOT / 'models' / 'names')} }}",
            **changes,
        }
        lines = [f"{name} = {value}" for name, value in values.items()]
        lines += ["[kms]", f"folder = {_text(self.folder / 'keys')}", "[sources]"]
        lines += [f"{name} = {_text(place)}" for name, place in (self._sources() | self.locations).items()]
        self.settings_file.touch(mode=0o600)
        self.settings_file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _sources(self) -> dict[str, str]:
        found = {}
        for name in ("orders", "stock"):
            found[f"{name}_csv"] = str(self.origin / f"{name}.csv")
            found[f"{name}_json"] = str(self.origin / f"{name}.json")
            found[f"{name}_api"] = f"{self.api}/{name}"
            found[f"{name}_sql"] = self.shop
        return found

    @property
    def environment(self) -> dict[str, str]:
        """The caller's, with every folder that a program may write to on its own moved below `folder`."""
        home, temporary = self.folder / "home", self.folder / "tmp"
        for place in (home, temporary):
            place.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("KASBAH_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process compiles its libraries anew, for seconds
        return (
            kept
            | self.variables
            | {
                "KASBAH_SETTINGS": str(self.settings_file),
                "HOME": str(home),
                "XDG_CACHE_HOME": str(home),
                "TMPDIR": str(temporary),
                "COLUMNS": "200",
            }
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`kasbah …` as a process of its own, with both outputs piped."""
        pipe = subprocess.PIPE
        command = [str(KASBAH), *arguments]
        return subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def kasbah(self, *arguments: str, expect: int | None = 0, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """`kasbah …`, to its end. Never shows a stack trace, and ends with the expected code (None: any)."""
        done = subprocess.run(
            [str(KASBAH), *arguments],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr[-3000:]
        if expect is not None:
            assert done.returncode == expect, f"ended with {done.returncode}: {done.stderr[-2000:]}"
        return done

    def here(self, *arguments: str) -> "Ended":
        """`kasbah …` within this process, which spares seconds: for tests of many commands. Same promise."""
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with ExitStack() as held:
            held.enter_context(redirect_stdout(out))
            held.enter_context(redirect_stderr(err))
            held.enter_context(mock.patch.object(sys, "argv", ["kasbah", *arguments]))
            held.enter_context(mock.patch.dict(os.environ, self.environment))
            try:
                main()
            except SystemExit as ending:
                code = int(ending.code or 0)
        assert "Traceback" not in err.getvalue() + out.getvalue(), err.getvalue()[-3000:]
        return Ended(code, out.getvalue(), err.getvalue())

    def load(self, dataset: str, *arguments: str) -> dict[str, Any]:
        """`kasbah ingest store.… --json`, and its report."""
        done = self.here("ingest", _full(dataset), "--json", *arguments)
        assert done.returncode == 0, done.said
        return dict(json.loads(done.stdout))

    def quarantine(self, dataset: str, *arguments: str) -> list[dict[str, Any]]:
        """`kasbah quarantine list --rows --json`."""
        listed = self.here("quarantine", "list", _full(dataset), "--rows", "--limit", "100000", "--json", *arguments)
        return list(json.loads(listed.stdout))

    def published(self, dataset: str, *columns: str) -> list[tuple[Any, ...]]:
        """The columns of the published rows, in the key's order; none where there is no table."""
        keys = KEYS.get(dataset, (columns[0],))
        table = sql.Identifier(*TABLES.get(dataset, tuple(dataset.split("."))))
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        ordered = sql.SQL(", ").join(map(sql.Identifier, keys))
        with psycopg.connect(self.warehouse) as connection:
            found = connection.execute("SELECT to_regclass(%s)", (table.as_string(connection),)).fetchone()
            if not found or found[0] is None:
                return []
            query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(listed, table, ordered)
            return connection.execute(query).fetchall()

    def versions(self, dataset: str) -> list[tuple[Any, ...]]:
        """Which transaction wrote each published row: equal lists mean that no row was touched."""
        return self.published(dataset, *KEYS.get(dataset, ()), "xmin", "ctid")

    def lake_files(self) -> set[str]:
        """Every file below the lake's folder."""
        return {str(path.relative_to(self.lake)) for path in self.lake.rglob("*") if path.is_file()}


def _text(value: object) -> str:
    return json.dumps(str(value))


def _full(dataset: str) -> str:
    return dataset if "." in dataset else f"store.{dataset}"


Make = Callable[..., Stack]


@contextmanager
def installations(server: Postgres, sources: Postgres) -> Iterator[Make]:
    """A maker of stacks: fresh databases on `server` (and the shop's on `sources`), folders of their own. Each stack
    has its keys already. The databases go with their server: to drop them one by one takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="kbe2e"))

    def create(on: Postgres, kind: str) -> str:
        return on.create(f"e_{kind}_{secrets.token_hex(4)}")

    def make(**changes: Any) -> Stack:
        place = folder / secrets.token_hex(4)
        (place / "state").mkdir(parents=True)
        (place / "origin").mkdir()
        stack = Stack(
            folder=place / "state",
            origin=place / "origin",
            control=create(server, "control"),
            warehouse=create(server, "warehouse"),
            shop=create(sources, "shop"),
        )
        stack = replace(stack, **changes)
        stack.settings()
        made = stack.here("keys", "init")
        assert made.returncode == 0, made.said
        return stack

    try:
        yield make
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def deliver(stack: Stack, wave: Wave) -> None:
    """Put a wave's files and tables where the stack reads them."""
    write_files(wave, stack.origin)
    write_tables(wave, stack.shop)


@contextmanager
def api(stack: Stack, waves: list[Wave], **options: Any) -> Iterator[StoreServer]:
    """The shop's API, known to the stack's settings while it runs."""
    faults, rate = options.pop("faults", Faults()), options.pop("rate", 0)
    with (
        mock.patch.object(ThreadingHTTPServer, "handle_error"),  # it would print a stack trace where a client hangs up
        StoreServer(waves, faults=faults, rate=rate, **options) as server,
    ):
        stack.api = server.url
        stack.settings()
        yield server


def restart(folder: Path, settings: dict[str, str] | None = None) -> Postgres:
    """Start a server that was killed. Its children leave in their own time, and until then it can't be started."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return Postgres.start(folder, settings)
        except ServiceError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
