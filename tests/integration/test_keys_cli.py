"""`kasbah keys` as it is called: init, rotate, status; what it says, and what it never says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from governance.adapters.control.database import connect
from governance.adapters.control.epochs import PostgresEpochs
from governance.adapters.control.leases import PostgresLeases
from governance.adapters.control.subjects import PostgresSubjects
from governance.adapters.kms.local import LocalKeyService
from governance.model.clock import system_clock
from governance.protection.epochs import Epochs
from governance.protection.subjects import Subjects


class Kasbah:
    """The command line, on settings of its own."""

    def __init__(self, database: str, folder: Path) -> None:
        self.folder, self.said = folder, ""
        places = {"ANCHOR": "anchor.jsonl", "SIGNING_KEY": "signing.key", "KMS__FOLDER": "keys"}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KASBAH_")},
            **{f"KASBAH_{name}": str(folder / place) for name, place in places.items()},
            "KASBAH_CONTROL": database,
            "KASBAH_ACTOR": "tests",
            "KASBAH_EPOCH_CACHE_SECONDS": "0",
        }

    def __call__(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [Path(sys.executable).with_name("kasbah"), *arguments],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        self.said += done.stdout + done.stderr
        assert done.returncode == expect, done.stderr
        return done.stdout if expect == 0 else done.stderr


@pytest.fixture
def kasbah(database: str, tmp_path: Path) -> Kasbah:
    return Kasbah(database, tmp_path)


def test_from_the_first_epoch_to_the_second(kasbah: Kasbah, database: str, tmp_path: Path) -> None:
    assert "keys init" in kasbah("keys", "status", expect=1)
    assert "first epoch is open" in kasbah("keys", "init")
    assert "nothing was changed" in kasbah("keys", "init")
    assert "DEVELOPMENT ONLY" in kasbah.said, "local keysets are loudly marked"

    engine = connect(database)
    epochs = Epochs(PostgresEpochs(engine), LocalKeyService(tmp_path / "keys"), system_clock)
    people = Subjects(PostgresSubjects(engine), epochs, system_clock)
    resolved = people.resolve("customer", [pa.array(["ann@example.com", "bob@example.com"])], np.ones(2, bool))
    PostgresLeases(engine).begin("ingest 7", 60)

    plan = json.loads(kasbah("keys", "rotate", "--plan", "--json"))
    assert plan == {"current": 1, "closing": None, "rows": {"quarantine day keys": 0, "message keys": 1, "subjects": 2}}
    assert "epoch 2 is open; sealed again: 0 quarantine day keys, 1 message keys, 2 subjects" in kasbah(
        "keys", "rotate"
    )

    status = json.loads(kasbah("keys", "status", "--json"))
    assert status["kms"] == {"name": "local", "development": True}
    assert [(e["epoch"], e["state"], e["subjects"]) for e in status["epochs"]] == [
        (1, "destroyed", {}),
        (2, "open", {"customer": 2}),
    ]
    assert [lease["holder"] for lease in status["leases"]] == ["ingest 7"]
    assert "copies of it" in status["epochs"][0]["note"]
    assert "ingest 7" in kasbah("keys", "status")

    secrets = [resolved.table.reveal().tobytes(), epochs.index_key().reveal(), epochs.current()[1].reveal()]
    assert not any(secret[:32].hex() in kasbah.said for secret in secrets)
    assert "ann@" not in kasbah.said
    with engine.begin() as connection:
        actions = connection.scalar(
            sa.text("SELECT string_agg(convert_from(record, 'UTF8'), '') FROM kasbah_control.ledger_record")
        )
    assert actions.count("keys.init") == 1 and "epoch-1:destroy" in actions
    engine.dispose()
    kasbah("audit", "verify")


def test_a_new_message_key_begins_and_the_earlier_one_stays(kasbah: Kasbah) -> None:
    kasbah("keys", "init")
    first = json.loads(kasbah("keys", "status", "--json"))["messages"]
    assert [(one["epoch"], one["current"]) for one in first] == [(1, True)]
    assert "verifying: 1" in kasbah("keys", "rotate", "--messages", "--plan")
    made = json.loads(kasbah("keys", "rotate", "--messages", "--json"))
    assert made["verifying"] == [first[0]["id"]]
    status = json.loads(kasbah("keys", "status", "--json"))["messages"]
    assert [one["id"] for one in status] == [first[0]["id"], made["message_key"]]
    assert f"message key {made['message_key']}" in kasbah("keys", "status")
    kasbah("audit", "verify")
