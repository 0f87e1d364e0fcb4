"""`kasbah contract`: exit codes and what is printed."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from governance.cli.contract import app
from governance.contracts.load import ContractFaultsError
from governance.errors import ContractError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STORE = str(ROOT / "contracts")
ORDERS = ROOT / "contracts/store/orders.odcs.yaml"


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_check_says_that_all_is_well():
    done = run("check", STORE)
    assert done.exit_code == 0
    assert "no faults" in done.output


def test_check_names_file_line_field_and_nearest_word():
    path = HERE / "bad_contracts/unknown_protection.odcs.yaml"
    done = run("check", path)
    assert done.exit_code == 1
    assert f"{path.as_posix()}:44: field name:" in done.output
    assert "Did you mean 'encrypt'?" in done.output


def test_check_prints_json_for_programs():
    done = run("check", HERE / "bad_contracts/unknown_protection.odcs.yaml", "--json")
    (fault,) = json.loads(done.stdout)
    assert (fault["line"], fault["code"], fault["field"], fault["nearest"]) == (44, "unknown-word", "name", "encrypt")
    assert fault["kind"] == "fault"
    assert [row for row in json.loads(run("check", STORE, "--json").stdout) if row["kind"] == "fault"] == []


def test_check_names_each_field_that_is_searched_less_than_it_could_be(tmp_path):
    text = (HERE / "good_contracts/visits.odcs.yaml").read_text()
    said = {
        "spent": "scan, value: none }",
        "seen": "onCannotTell, value: admit }",
        "remark": "scan, value: pattern }",
    }
    for name, value in said.items():
        type_line = f"        name: {name}\n"
        own = f"        customProperties:\n          - {{ property: {value}\n"
        assert type_line in text
        text = text.replace(type_line, f"{type_line}{own}          - {{ property: reason, value: Why {name} }}\n")
    path = tmp_path / "visits.odcs.yaml"
    path.write_text(text)
    done = run("check", path)
    assert done.exit_code == 0
    line = 1 + next(n for n, one in enumerate(text.splitlines()) if "value: none" in one)
    assert f"{path.as_posix()}:{line}: field spent: stored in clear and not searched: Why spent" in done.output
    assert "field seen: stored also where nobody can tell what a cell holds: Why seen" in done.output
    assert "field remark: a free text, searched for patterns only: Why remark" in done.output
    rows = json.loads(run("check", path, "--json").stdout)
    assert [(row["kind"], row["code"], row["field"], row["reason"]) for row in rows] == [
        ("exception", "cannot-tell-admitted", "seen", "Why seen"),
        ("exception", "not-scanned", "spent", "Why spent"),
        ("exception", "patterns-only", "remark", "Why remark"),
    ]


def test_check_excepts_nothing_that_is_searched_in_full():
    done = run("check", HERE / "good_contracts")
    assert (done.exit_code, done.output.count("\n")) == (0, 1)


def test_check_of_nothing_is_no_success(tmp_path):
    done = run("check", tmp_path)
    assert done.exit_code == 1
    assert isinstance(done.exception, ContractError)


def test_plan_prints_what_enforcement_will_know():
    done = run("plan", "store.orders", "--contracts", STORE)
    assert done.exit_code == 0
    assert "customer_email" in done.output and "encrypt of customer" in done.output
    assert "searched for: " in done.output and "not searched: " in done.output
    plan = json.loads(run("plan", "store.orders", "--contracts", STORE, "--json").stdout)
    assert plan["dataset"] == "store.orders/order_line"
    assert plan["key"] == ["order_id"]


def test_plan_prints_what_a_stream_needs():
    said = run("plan", "users.people", "--contracts", STORE).output
    for line in (
        "sinks: kafka, cassandra, mongodb; a record is named by person_pseudonym",
        "governed topic: users, 3 partition(s), compacted, kept for P30Y",
        "raw topics: users_raw",
        "refused: records older than 10950 days by registered_at",
        "held: records over 300 s ahead of the clock by updated_at",
    ):
        assert f"\n{line}\n" in said
    assert "dropped unread from users_raw: login.password, " in said
    assert "full_name      string, encrypt of person, concat of first_name, last_name" in said
    assert "raw topics" not in run("plan", "store.orders", "--contracts", STORE).output


def test_plan_of_a_misspelt_dataset_helps():
    done = run("plan", "store.order", "--contracts", STORE)
    assert "Did you mean 'store.orders'" in str(done.exception)


def test_diff_exits_with_1_on_what_breaks_or_weakens(tmp_path):
    assert run("diff", ORDERS, ORDERS).exit_code == 0
    new = tmp_path / "orders.odcs.yaml"
    text = ORDERS.read_text().replace("version: 1.0.0", "version: 1.1.0")
    new.write_text(text.replace("value: 7, unit: y", "value: 9, unit: y"))
    done = run("diff", ORDERS, new)
    assert done.exit_code == 1
    assert "weakening: the data is kept for P9Y instead of P7Y." in done.output
    (change,) = json.loads(run("diff", ORDERS, new, "--json").stdout)
    assert (change["kind"], change["code"], change["dataset"]) == ("weakening", "retention-lengthened", "order_line")
    new.write_text(text.replace("[Standard, Express, Pickup]", "[Standard, Express, Pickup, Drone]"))
    assert run("diff", ORDERS, new).exit_code == 0


def test_diff_of_a_bad_contract_is_refused():
    done = run("diff", ORDERS, HERE / "bad_contracts/no_erasure.odcs.yaml")
    assert isinstance(done.exception, ContractFaultsError)


@pytest.mark.parametrize("verb", ["check", "plan", "diff"])
def test_every_verb_explains_itself(verb):
    assert run(verb, "--help").exit_code == 0
