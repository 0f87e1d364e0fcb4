"""Fresh installations for benchmarks of streams: databases, topics and an index that no other measurement has."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pymongo
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster
from psycopg import sql

from local.cassandra import PASSWORD, USER, Cassandra
from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.mongodb import MongoDB
from local.postgres import PostgresServer
from local.service import Service

CONTRACTS = Path(__file__).parents[1] / "contracts"
NAMES = Path(__file__).parents[1] / "models/names"
_HEAP = 1024
"""MB for Elasticsearch. With less it turns away, now and then, what either side sends as fast as it can."""
KASBAH = Path(sys.executable).with_name("kasbah")


@dataclass
class Servers:
    """Real services in a folder of their own, which are stopped and removed at the end."""

    folder: Path
    postgres: PostgresServer
    kafka: Kafka
    others: dict[str, Service] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def running(cls, folder: Path, *names: str) -> Iterator["Servers"]:
        """PostgreSQL, Kafka and the named ones: elasticsearch, cassandra, mongodb."""
        postgres = PostgresServer(folder / "pg", {"min_wal_size": "2GB"}).start()
        kafka = Kafka(folder / "kafka")
        kinds: dict[str, Callable[[Path], Service]] = {
            "elasticsearch": lambda folder: Elasticsearch(folder, heap=_HEAP),
            "cassandra": Cassandra,
            "mongodb": MongoDB,
        }
        others = {name: kinds[name](folder / name) for name in names}
        try:
            for service in (kafka, *others.values()):
                service.start()
            yield cls(folder, postgres, kafka, others)
        finally:
            for service in (kafka, *others.values(), postgres):
                service.remove()

    @contextmanager
    def installation(self, system: str, dataset: str, sources: dict[str, str] | None = None) -> Iterator[Path]:
        """The settings file of a fresh installation with the contract `system/dataset`, whose topics have names of
        their own. Nothing of it is left.
        """
        name = f"bench_{secrets.token_hex(4)}"
        folder, databases = self.folder / name, [f"{name}_{part}" for part in ("control", "warehouse")]
        folder.mkdir()
        try:
            control, warehouse = (self.postgres.create(database) for database in databases)
            _own_contract(folder, system, dataset, name)
            values = {"control": control, "warehouse": warehouse, "contracts": folder / "contracts"}
            values |= {"actor": "benchmark", "lake": folder / "lake", "anchor": folder / "anchor.jsonl"}
            values |= {"signing_key": folder / "signing.key", **self._addresses()}
            tables = {"kms": {"folder": folder / "keys"}, "scan": {"names": NAMES}, "sources": sources or {}}
            settings = write_settings(folder / "kasbah.toml", values, tables | self._address_tables())
            run(settings, KASBAH, "keys", "init")
            yield settings
        finally:
            self._forget(databases)
            shutil.rmtree(folder)

    def _addresses(self) -> dict[str, str]:
        return {"mongodb": self.others["mongodb"].address} if "mongodb" in self.others else {}

    def _address_tables(self) -> dict[str, dict[str, Any]]:
        tables: dict[str, dict[str, Any]] = {"kafka": {"brokers": self.kafka.address}}
        if "elasticsearch" in self.others:
            tables["elasticsearch"] = {"address": self.others["elasticsearch"].address}
        if "cassandra" in self.others:
            where = {"hosts": "127.0.0.1", "port": self.others["cassandra"].port}
            tables["cassandra"] = where | {"user": USER, "password": PASSWORD}
        return tables

    def _forget(self, databases: list[str]) -> None:
        for database in databases:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
            with psycopg.connect(self.postgres.dsn(), autocommit=True) as admin:
                admin.execute(statement)
        if "elasticsearch" in self.others:
            forget_indices(self.others["elasticsearch"].address)
        if "cassandra" in self.others:
            forget_people(self.others["cassandra"], self.others["mongodb"].address)


def forget_indices(address: str) -> None:
    """Remove every index and template of an Elasticsearch."""
    for one in httpx.get(f"{address}/_cat/indices/index_*?format=json&h=index", timeout=60).json():
        httpx.delete(f"{address}/{one['index']}", timeout=60).raise_for_status()
    httpx.delete(f"{address}/_index_template/index_*", timeout=60)


def forget_people(cassandra: Service, mongodb: str) -> None:
    """Drop the tables of a Cassandra, and the databases of a MongoDB, that a stream of people fills."""
    cluster = Cluster(["127.0.0.1"], port=cassandra.port, auth_provider=PlainTextAuthProvider(USER, PASSWORD))
    try:
        cluster.connect().execute("DROP KEYSPACE IF EXISTS users", timeout=60)
    finally:
        cluster.shutdown()
    with pymongo.MongoClient(mongodb) as client:
        client.drop_database("users")


def write_settings(file: Path, values: dict[str, Any], tables: dict[str, dict[str, Any]]) -> Path:
    """A settings file that is open to nobody else."""
    lines = [_line(name, value) for name, value in values.items()]
    for table, entries in tables.items():
        lines += [f"[{table}]", *(_line(name, value) for name, value in entries.items())]
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")
    return file


def run(settings: Path, *command: str | Path) -> str:
    """What a process prints that works with these settings. Its errors end the benchmark, and are shown; but for those
    of making keys, which warns of development keys each time.
    """
    environment = {**os.environ, "KASBAH_SETTINGS": str(settings)}
    shown = subprocess.DEVNULL if "init" in command else None
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=shown, text=True, check=True)
    return done.stdout


def printed(settings: Path, module: str, *arguments: str) -> dict[str, Any]:
    """The line of JSON that a module of ours prints last, in a process of its own."""
    found: dict[str, Any] = json.loads(run(settings, sys.executable, "-m", module, *arguments).splitlines()[-1])
    return found


def _line(name: str, value: Any) -> str:
    return f"{name} = {value if isinstance(value, int) else json.dumps(str(value))}"


def _own_contract(folder: Path, system: str, dataset: str, name: str) -> None:
    """The contract as it is, but for the names of its topics."""
    text = (CONTRACTS / system / f"{dataset}.odcs.yaml").read_text()
    (folder / "contracts" / system).mkdir(parents=True)
    named = text.replace("property: topic, value: ", f"property: topic, value: {name}_")
    if named == text:
        raise ValueError(f"{system}/{dataset} names no topic as this benchmark expects it")
    (folder / "contracts" / system / f"{dataset}.odcs.yaml").write_text(named)
