"""An installation that loads a club's visits: what the tests of steps and of replays share."""

import csv
import io
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from psycopg import sql

from governance.adapters.control.database import migrate
from governance.adapters.settings import KmsSettings, Settings
from governance.adapters.signing import create_signing_key
from governance.adapters.sources import open_source
from governance.audit.records import Record, decode
from governance.bootstrap import Services
from governance.cli.main import main
from governance.contracts.types import Source
from governance.flows.ingest import Report
from governance.flows.source import SourceReader
from governance.quarantine.store import HeldRow, Selection
from local.postgres import Postgres

DATASET = "club.visits/visit"
CONTRACT = Path(__file__).parent / "contracts" / "visits.odcs.yaml"
NAMES = ("visit_id", "seen_on", "updated_at", "full_name", "email", "sport", "ticket")

Row = dict[str, str | None]


def visit(number: int, **changes: str | None) -> Row:
    """A good row; `changes` replace cells."""
    row: Row = {"visit_id": f"V{number}", "seen_on": "2026-11-01", "updated_at": f"2026-11-01T10:{number % 60:02}:00Z"}
    row |= {"full_name": f"Name {number}", "email": f"m{number}@example.org", "sport": "walk", "ticket": f"T{number}"}
    return row | changes


@dataclass
class Club:
    """One installation and its sources, with a clock that stands where it is put. `batch_rows` may be small here. All
    is in one database, each part in a schema of its own: to make and remove databases takes most of a test's time.
    """

    folder: Path
    database: str
    now: datetime = datetime(2026, 11, 21, 10, tzinfo=UTC)
    batch_rows: int = 1000
    opened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "contracts").mkdir(parents=True)
        self.file = self.folder / "visits.csv"
        self.contract = self.folder / "contracts" / "visits.odcs.yaml"
        self.contract.write_text(CONTRACT.read_text())
        self.settings = Settings(
            control=self.database,
            warehouse=self.database,
            lake=str(self.folder / "lake"),
            contracts=self.folder / "contracts",
            anchor=self.folder / "anchor.jsonl",
            signing_key=self.folder / "signing.key",
            sources={"visits_csv": str(self.file), "visits_sql": self.database},
            kms=KmsSettings(folder=self.folder / "keys"),
            actor="tester",
            threads=1,
        )
        self.services = self.restart()
        migrate(self.services.control)
        create_signing_key(self.settings.signing_key)
        self.services.epochs.init()
        self.services.ledger.publish_head()

    def restart(self) -> Services:
        """As another process, under the contract as it stands."""
        if "services" in self.__dict__:
            self.services.close()
        self.services = Services(self.settings, lambda: self.now)
        self.reads(self._open)
        return self.services

    def reads(self, reader: Any) -> None:
        """Read sources in this way."""
        self.services.open_source = reader  # type: ignore[method-assign]
        self.services.__dict__.pop("ingest", None)

    def _open(self, source: Source) -> SourceReader:
        self.opened.append(source.name)
        return open_source(source, self.settings.sources[source.name], batch_rows=self.batch_rows)

    def amend(self, old: str, new: str, version: str | None = "1.1.0") -> None:
        """Amend the contract, and start again under it."""
        text = self.contract.read_text()
        assert old in text
        text = text.replace(old, new)
        self.contract.write_text(text.replace("version: 1.0.0", f"version: {version}") if version else text)
        self.restart()

    def write(self, *rows: Row, raw: str = "") -> None:
        """The file, as the club writes it, later than before."""
        text = io.StringIO()
        writer = csv.DictWriter(text, NAMES)
        writer.writeheader()
        writer.writerows(rows)
        self.file.write_text(text.getvalue() + raw)
        self._written = getattr(self, "_written", 1_790_000_000) + 60
        os.utime(self.file, (self._written, self._written))

    def insert(self, *rows: Row) -> None:
        """Into the club's own database, or over what stands there."""
        with psycopg.connect(self.database) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS public.visits (visit_id text PRIMARY KEY, seen_on date, "
                "updated_at timestamptz, full_name text, email text, sport text, ticket text)"
            )
            for row in rows:
                cells = [row[name] for name in NAMES]
                connection.execute("DELETE FROM public.visits WHERE visit_id = %s", cells[:1])
                connection.execute("INSERT INTO public.visits VALUES (%s, %s, %s, %s, %s, %s, %s)", cells)

    def load(self, source: str = "visits_csv", run: str | None = None, step: str | None = None) -> Report:
        """`kasbah ingest --source …`."""
        contract, dataset = self.services.contracts[DATASET]
        del contract
        chosen = [s for s in dataset.sources if s.name == source]
        plan = self.services.plan(dataset)
        return self.services.ingest.load(dataset, plan, chosen, lambda _name, _rows: None, run_id=run, step=step)

    def replay(self, reason: str | None = None, source: str | None = None) -> Report:
        """`kasbah quarantine replay`."""
        dataset = self.services.contracts[DATASET][1]
        return self.services.replay(dataset, Selection(dataset.id, reason, None, source))

    def held(self) -> list[HeldRow]:
        """What is in quarantine."""
        return list(self.services.quarantine.rows(Selection(DATASET)))

    def reasons(self) -> list[tuple[int, str, str | None]]:
        """Position, reason and field of what is in quarantine."""
        return [(row.place.position, row.reason, row.field) for row in self.held()]

    def table(self, *columns: str) -> list[tuple[Any, ...]]:
        """The published rows by their key; none where there is no table."""
        return self._rows("club", "visits", ("visit_id", *columns))

    def rows_as_written(self) -> list[tuple[Any, ...]]:
        """Equal where no published row was touched in between."""
        return self._rows("club", "visits", ("visit_id", "xmin", "ctid"))

    def audited(self) -> list[Record]:
        """What the ledger holds, in its order."""
        with psycopg.connect(self.database) as connection:
            rows = connection.execute('SELECT record FROM kasbah_control.ledger_record ORDER BY "index"').fetchall()
        return [decode(bytes(row[0])).record for row in rows]

    def staged(self, run: str) -> int:
        """Rows in the staging tables of a run."""
        with psycopg.connect(self.database) as connection:
            told = connection.execute("SELECT coalesce(sum(rows), 0) FROM kasbah.stage_batch WHERE run = %s", (run,))
            row = told.fetchone()
        return int(row[0]) if row else 0

    def lose_staging(self) -> None:
        """What a crash of the server does to unlogged tables."""
        with psycopg.connect(self.database) as connection:
            names = connection.execute(
                "SELECT oid::regclass::text FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'"
            ).fetchall()
            for (name,) in names:
                connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(*name.replace('"', "").split("."))))

    def _rows(self, schema: str, table: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        with psycopg.connect(self.database) as connection:
            found = connection.execute("SELECT to_regclass(%s)", (f"{schema}.{table}",)).fetchone()
            if not found or found[0] is None:
                return []
            query = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(listed, sql.Identifier(schema, table))
            return connection.execute(query).fetchall()

    def kasbah(self, *arguments: str) -> tuple[int, str]:
        """The command line in this process: its exit code, and what it said on one line."""
        file = self.folder / "kasbah.toml"
        values = {name: str(getattr(self.settings, name)) for name in ("lake", "contracts", "anchor", "signing_key")}
        values |= {"control": self.database, "warehouse": self.database, "actor": "tester"}
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        lines += ["[kms]", f"folder = {json.dumps(str(self.settings.kms.folder))}", "[sources]"]
        lines += [f"{name} = {json.dumps(place)}" for name, place in self.settings.sources.items()]
        file.touch(mode=0o600)
        file.write_text("\n".join(lines))
        said, code = io.StringIO(), 0
        with ExitStack() as held:
            held.enter_context(redirect_stdout(said))
            held.enter_context(redirect_stderr(said))
            held.enter_context(mock.patch.object(sys, "argv", ["kasbah", *arguments]))
            held.enter_context(mock.patch.dict(os.environ, {"KASBAH_SETTINGS": str(file)}))
            try:
                main()
            except SystemExit as ending:
                code = int(ending.code or 0)
        return code, " ".join(said.getvalue().split())


@contextmanager
def a_club(server: Postgres, folder: Path) -> Iterator[Club]:
    """A fresh one, with its keys."""
    name = secrets.token_hex(4)
    made = Club(folder / name, server.create(f"club_{name}"))
    try:
        yield made
    finally:
        made.services.close()
