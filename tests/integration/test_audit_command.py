"""`kasbah audit verify | show | head`, as somebody would call them."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from audit_ledger import make, records
from typer.testing import CliRunner

from governance.adapters.anchor_file import FileAnchor
from governance.adapters.control.ledger import PostgresLedger
from governance.adapters.signing import create_signing_key, public_path
from governance.cli.audit import app
from governance.errors import AuditError, RolledBackError, UserError
from governance.model.clock import system_clock

RUNNER = CliRunner()


@pytest.fixture
def ledger(control: sa.Engine, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PostgresLedger:
    """A ledger of ten records under a head, and the settings that name it."""
    monkeypatch.chdir(tmp_path)
    signer = create_signing_key(tmp_path / "signing.key")
    made = PostgresLedger(control, system_clock, signer, FileAnchor(tmp_path / "anchor.jsonl"))
    monkeypatch.setenv("KASBAH_CONTROL", database)
    monkeypatch.setenv("KASBAH_SIGNING_KEY", str(tmp_path / "signing.key"))
    monkeypatch.setenv("KASBAH_ANCHOR", str(tmp_path / "anchor.jsonl"))
    made.append(records(10))
    made.publish_head()
    return made


def flip(ledger: PostgresLedger, dsn: str, tmp_path: Path) -> None:
    with make(ledger._engine, dsn, tmp_path).attacker() as attacker:
        attacker.execute("UPDATE ledger_record SET record = set_bit(record, 9, 1 - get_bit(record, 9)) WHERE index = 4")


def test_verify_says_how_much_is_proven_and_that_the_anchor_is_for_development(ledger: PostgresLedger) -> None:
    done = RUNNER.invoke(app, ["verify"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "verified: 10 records, 1 signed heads; 10 records are proven" in done.output
    assert "DEVELOPMENT ANCHOR" in done.output


def test_verify_names_the_record_and_fails(ledger: PostgresLedger, database: str, tmp_path: Path) -> None:
    flip(ledger, database, tmp_path)
    done = RUNNER.invoke(app, ["verify"])
    assert isinstance(done.exception, AuditError)
    assert "FOUND record altered" in done.output
    assert "record 4" in done.output
    report = json.loads(RUNNER.invoke(app, ["verify", "--json"]).stdout)
    assert report["ok"] is False
    assert (4, 4) in [(finding["first"], finding["last"]) for finding in report["findings"]]


def test_a_head_taken_away_verifies_later_without_this_side_s_key(ledger: PostgresLedger, tmp_path: Path) -> None:
    taken = RUNNER.invoke(app, ["head"], catch_exceptions=False)
    (tmp_path / "kept.json").write_text(taken.stdout)
    public = public_path(tmp_path / "signing.key").rename(tmp_path / "mine.pub")
    (tmp_path / "signing.key").unlink()
    ledger.append(records(3))
    arguments = ["verify", "--head", str(tmp_path / "kept.json"), "--key", str(public)]
    done = RUNNER.invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "verified: 13 records" in done.output


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"size": 3}', "\x00"])
def test_a_head_file_that_is_no_head_is_refused(ledger: PostgresLedger, tmp_path: Path, content: str) -> None:
    (tmp_path / "kept.json").write_text(content)
    done = RUNNER.invoke(app, ["verify", "--head", str(tmp_path / "kept.json")])
    assert isinstance(done.exception, UserError | AuditError)


def test_a_head_of_another_key_is_refused(ledger: PostgresLedger, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(RUNNER.invoke(app, ["head"]).stdout)
    create_signing_key(tmp_path / "other.key")
    arguments = ["verify", "--head", str(tmp_path / "kept.json"), "--key", str(tmp_path / "other.key.pub")]
    done = RUNNER.invoke(app, arguments)
    assert isinstance(done.exception, UserError)
    assert "another key" in str(done.exception)


def test_verify_explains_a_rollback_that_other_commands_refuse(
    ledger: PostgresLedger, database: str, tmp_path: Path
) -> None:
    with make(ledger._engine, database, tmp_path).attacker() as attacker:
        attacker.execute("DELETE FROM ledger_record")
        attacker.execute("DELETE FROM ledger_head")
        attacker.execute("UPDATE ledger_state SET size = 0, peaks = ''")
    assert isinstance(RUNNER.invoke(app, ["head"]).exception, RolledBackError)
    done = RUNNER.invoke(app, ["verify"])
    assert "FOUND database rolled back: the database ends at 0 records" in done.output


def test_show_prints_the_newest_records(ledger: PostgresLedger) -> None:
    lines = RUNNER.invoke(app, ["show", "--last", "2", "--json"], catch_exceptions=False).stdout.splitlines()
    assert [json.loads(line)["index"] for line in lines] == [8, 9]
    assert json.loads(lines[1])["counts"] == {"admitted": 9, "refused": 1}
    table = RUNNER.invoke(app, ["show"], catch_exceptions=False, env={"COLUMNS": "200"}).output
    assert "ingest.batch" in table
    assert "admitted 9, refused 1" in table
