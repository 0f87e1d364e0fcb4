"""`python -m local up | down | status | settings`: what people type."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pymongo
import pytest

from local import table
from local.__main__ import main
from local.mongodb import MongoDB
from local.postgres import PostgresServer

NAMES = ("postgres", "mongodb")


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    """`up postgres mongodb`, typed by somebody who then went away."""
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        # PostgreSQL may run as a user without rights.
        Path(folder).chmod(0o755)
        state = Path(folder) / "state"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KASBAH_")}
        done = command(environment | {"KASBAH_STATE": str(state)}, "up", *NAMES)
        try:
            assert done.returncode == 0, done.stderr
            assert "PostgreSQL 18.6 is up after" in done.stdout
            yield state
        finally:
            assert command(environment | {"KASBAH_STATE": str(state)}, "down").returncode == 0
            assert not any(
                service.running() for service in (PostgresServer(state / "postgres"), MongoDB(state / "mongodb"))
            )


@pytest.fixture(autouse=True)
def in_that_state(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "STATE", state)
    for name in [name for name in os.environ if name.startswith("KASBAH_")]:
        monkeypatch.delenv(name)


def command(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments], env=environment, capture_output=True, text=True, check=False
    )


def rows(text: str) -> dict[str, str]:
    """Each service's state, by name."""
    return {line.split()[0]: line[15:33].strip() for line in text.splitlines()}


def variables(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert main(["settings"]) == 0
    return dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())


def test_status_says_which_run_and_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", *NAMES]) == 0
    out = capsys.readouterr().out
    assert rows(out) == {"postgres": "up", "mongodb": "up"}
    assert all(f"log {table.STATE / name / 'log'}" in out for name in NAMES)
    assert main(["status"]) == 1
    assert rows(capsys.readouterr().out)["cassandra"] == "down"


def test_the_settings_that_it_prints_lead_to_the_services(capsys: pytest.CaptureFixture[str]) -> None:
    said = variables(capsys)
    assert set(said) == {"KASBAH_CONTROL", "KASBAH_WAREHOUSE", "KASBAH_MONGODB"}
    with psycopg.connect(said["KASBAH_CONTROL"]) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("control",)
    with pymongo.MongoClient(said["KASBAH_MONGODB"]) as client:
        assert client.server_info()["ok"] == 1


def test_a_stand_in_says_that_it_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    main(["status", "mongodb"])
    service = MongoDB(table.STATE / "mongodb")
    assert service.product in capsys.readouterr().out
    assert service.real or "stand-in" in service.product


def test_up_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = MongoDB(table.STATE / "mongodb").running()
    assert main(["up", "mongodb"]) == 0
    assert "runs already" in capsys.readouterr().out
    assert MongoDB(table.STATE / "mongodb").running() == before


def test_one_that_the_settings_have_elsewhere_is_external_and_not_started(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KASBAH_KAFKA__BROKERS", "kafka.example:9092")
    monkeypatch.setenv("KASBAH_CONTROL", "postgresql://db.example/control")
    assert main(["up", "kafka", "postgres"]) == 0
    assert "Apache Kafka 4.3.1 is external: KASBAH_KAFKA__BROKERS has its address" in capsys.readouterr().out
    assert main(["status", "kafka", "postgres"]) == 0
    assert rows(capsys.readouterr().out) == {"kafka": "external", "postgres": "external"}
    assert not (table.STATE / "kafka").exists()


def test_settings_that_lead_to_the_local_ones_do_not_make_them_external(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables(capsys).items():
        monkeypatch.setenv(name, value)
    assert main(["status", *NAMES]) == 0
    assert rows(capsys.readouterr().out) == {"postgres": "up", "mongodb": "up"}


def test_a_busy_port_is_one_sentence_and_the_others_start(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        assert main(["up", "mongodb", "kafka", "--port", f"kafka={port}"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"Apache Kafka 4.3.1 can't start: port {port} on 127.0.0.1 (its broker port) is in use")
    assert said.err.count("\n") == 1 and "runs already" in said.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["up", "kafak"], "there is no service kafak: choose from postgres, kafka"),
        (["up", "--port", "kafka=no"], "wants NAME=PORT"),
        (["up", "--port", "kafka=80"], "a port from 1024 to 65535"),
        (["up", "--port", "redis=8000"], "there is no service redis"),
    ],
)
def test_a_slip_is_said(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert sentence in capsys.readouterr().err
