"""The shop's batch system: two months of orders and stock, a gate, quarantine, an amended contract."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg

from local.demo.stage import FOLDER, SEED, DemoError, kasbah, say, serving, write_settings
from local.postgres import PostgresServer


def tell(server: PostgresServer) -> dict[str, str]:
    """Tell the first part of the story; returns the settings of its databases."""
    addresses = _databases(server)
    with serving("--wave", "1") as api:
        _deliver("1", addresses, api)
        _gate()
        _first_month()
    with serving("--wave", "2") as api:
        _deliver("2", addresses, api)
        _second_month()
    return {f"KASBAH_{name.upper()}": addresses[name] for name in ("control", "warehouse")}


def _databases(server: PostgresServer) -> dict[str, str]:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in ("demo_control", "demo_warehouse", "demo_shop"):
            admin.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {}").format(psycopg.sql.Identifier(name)))
    return {name: server.create(f"demo_{name}") for name in ("control", "warehouse", "shop")}


def _deliver(wave: str, addresses: dict[str, str], api: str) -> None:
    """The month's files and tables, and settings that say where everything is."""
    command = [sys.executable, "-m", "samples", "store", "--out", str(FOLDER / "sources"), "--seed", SEED]
    command += ["--wave", wave, "--sql", addresses["shop"]]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise DemoError(f"the sample sources could not be made: {done.stderr[-500:]}")
    sources = {}
    for name in ("orders", "stock"):
        sources |= {f"{name}_{kind}": str(FOLDER / f"sources/{name}.{kind}") for kind in ("csv", "json")}
        sources |= {f"{name}_api": f"{api}/{name}", f"{name}_sql": addresses["shop"]}
    databases = {f"KASBAH_{name.upper()}": addresses[name] for name in ("control", "warehouse")}
    write_settings(databases, sources)


def _gate() -> None:
    say("1. The promises: contracts are checked before anything runs")
    kasbah("contract", "check")
    say("2. Keys: an index key, an epoch with a key of its own in the KMS (here a local keyset: development only)")
    kasbah("keys", "init")
    say("3. A gate blocks: the file came with a header and no rows; the contract says orders are never empty")
    delivered = FOLDER / "sources/orders.csv"
    whole = delivered.read_bytes()
    delivered.write_bytes(whole.splitlines(keepends=True)[0])
    kasbah("ingest", "store.orders", "--source", "orders_csv", expect=1)
    delivered.write_bytes(whole)


def _first_month() -> None:
    say("4. The first month: orders from an API, a CSV, a JSON file and a database, every row accounted for")
    kasbah("ingest", "store.orders")
    kasbah("ingest", "store.stock")
    say("5. What was quarantined, by reason (sealed; no value is shown). Three kinds of it nobody had declared:")
    print("an e-mail, the customer's own name or somebody else's in a product note; a card number where pieces are")
    print("counted; a phone number in a column that is in no contract", flush=True)
    kasbah("quarantine", "list")
    say("6. Again: loading the same month changes nothing")
    kasbah("ingest", "store.orders")


def _second_month() -> None:
    say("7. The second month: new, changed and late rows; the shop has mended the card numbers, which stay held")
    kasbah("ingest", "store.orders")
    kasbah("ingest", "store.stock")
    say("8. The contract is amended, and says so: returns count, so negative totals are allowed; what is found in a")
    print(
        "note is redacted and the rest kept; the column that nobody declared is the customer's, and encrypted",
        flush=True,
    )
    before = FOLDER / "orders-before.odcs.yaml"
    contract = FOLDER / "contracts/store/orders.odcs.yaml"
    shutil.copy(contract, before)
    contract.write_text(_amended(contract.read_text()))
    kasbah("contract", "diff", str(before.relative_to(Path.cwd())), str(contract.relative_to(Path.cwd())), expect=1)
    say("9. Held rows are replayed under the amended contract")
    kasbah("quarantine", "replay", "store.orders", "--reason", "rule")
    kasbah("quarantine", "replay", "store.orders", "--reason", "finding")
    kasbah("quarantine", "list")


def _amended(contract: str) -> str:
    """A new major version: no rule against negative totals, notes redacted, the customer's column declared."""
    changes = (
        (r"      - name: negative_total\n(?:        .*\n)+", ""),
        (r"(      - id: product_note\n(?:        .*\n)+)", rf"\1{_REDACTED}"),
        (r"fields: \[customer_name, ", "fields: [loyalty_note, customer_name, "),
        (r"(?m)^      - id: customer_segment$", f"{_LOYALTY}      - id: customer_segment"),
        (r"version: 1\.0\.0", "version: 2.0.0"),
    )
    for pattern, replacement in changes:
        contract, count = re.subn(pattern, replacement, contract)
        if count != 1:
            raise DemoError(f"the orders' contract has {count} places to amend by {pattern[:30]}")
    return contract


_REDACTED = "          - { property: onFinding, value: redact }\n"
_LOYALTY = """\
      - id: loyalty_note
        name: loyalty_note
        description: What the counter noted about the customer
        logicalType: string
        classification: restricted
        customProperties:
          - { property: sourceNames, value: { orders_csv: LoyaltyNote, "*": loyalty_note } }
          - { property: pii, value: PHONE_NUMBER }
          - { property: protect, value: encrypt }
"""
