"""`make demo`: the store's batch system, loaded and governed, on real PostgreSQL, with the commands a user would type.

Everything is made in `.state/demo` and made anew each time. Exit code 0 means that every step came out as said.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from local.postgres import Postgres
from local.service import STATE

FOLDER = (STATE / "demo").resolve()
SEED = "7"


def main() -> int:
    """Tell the story; returns the exit code."""
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    shutil.copytree("contracts", FOLDER / "contracts")
    server = Postgres.start(STATE / "postgres")
    api = None
    try:
        addresses = _databases(server)
        api, api_address = _serve("1")
        _samples("1", addresses["shop"])
        _settings(addresses, api_address)
        _story_gate()
        _story_first_month()
        api.terminate()
        api.wait(15)
        api, api_address = _serve("2")
        _samples("2", addresses["shop"])
        _settings(addresses, api_address)
        _story_second_month()
        _show_rows(addresses["warehouse"])
    except _DemoError as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        return 1
    finally:
        if api is not None:
            api.terminate()
            api.wait(15)
        server.stop()
    _say(f"Done in {time.monotonic() - began:.0f} s. What it made is in {FOLDER.relative_to(Path.cwd())}/.")
    return 0


class _DemoError(RuntimeError):
    """A step did not come out as said."""


def _say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def _kasbah(*arguments: str, expect: int = 0) -> None:
    print(f"$ kasbah {' '.join(arguments)}", flush=True)
    environment = {**os.environ, "KASBAH_SETTINGS": str(FOLDER / "kasbah.toml")}
    done = subprocess.run([Path(sys.executable).with_name("kasbah"), *arguments], env=environment, check=False)
    if done.returncode != expect:
        raise _DemoError(f"`kasbah {' '.join(arguments)}` ended with {done.returncode}, expected {expect}")


def _databases(server: Postgres) -> dict[str, str]:
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in ("demo_control", "demo_warehouse", "demo_shop"):
            admin.execute(psycopg.sql.SQL("DROP DATABASE IF EXISTS {}").format(psycopg.sql.Identifier(name)))
    return {name: server.create(f"demo_{name}") for name in ("control", "warehouse", "shop")}


def _samples(wave: str, shop: str) -> None:
    command = [sys.executable, "-m", "samples", "store", "--out", str(FOLDER / "sources"), "--seed", SEED]
    done = subprocess.run([*command, "--wave", wave, "--sql", shop], check=False, capture_output=True, text=True)
    if done.returncode:
        raise _DemoError(f"the sample sources could not be made: {done.stderr[-500:]}")


def _serve(wave: str) -> tuple[subprocess.Popen[str], str]:
    """The shop's API on a free loopback port."""
    command = [sys.executable, "-m", "samples", "serve", "--seed", SEED, "--wave", wave]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = server.stdout.readline().strip() if server.stdout else ""
    if not address.startswith("http://"):
        raise _DemoError("the sample API did not start")
    return server, address


def _settings(addresses: dict[str, str], api: str) -> None:
    """A settings file of its own, open to nobody else."""
    sources = {
        "orders_csv": str(FOLDER / "sources/orders.csv"),
        "orders_json": str(FOLDER / "sources/orders.json"),
        "orders_api": f"{api}/orders",
        "orders_sql": addresses["shop"],
        "stock_csv": str(FOLDER / "sources/stock.csv"),
        "stock_json": str(FOLDER / "sources/stock.json"),
        "stock_api": f"{api}/stock",
        "stock_sql": addresses["shop"],
    }
    lines = [
        f'contracts = "{FOLDER / "contracts"}"',
        f'control = "{addresses["control"]}"',
        f'warehouse = "{addresses["warehouse"]}"',
        f'lake = "{FOLDER / "lake"}"',
        f'anchor = "{FOLDER / "anchor.jsonl"}"',
        f'signing_key = "{FOLDER / "signing.key"}"',
        'actor = "demo"',
        'role = "privacy_officer"',
        "epoch_cache_seconds = 5",
        "[scan]",
        f'names = "{Path("models/names").resolve()}"',
        "[kms]",
        f'folder = "{FOLDER / "keys"}"',
        "[sources]",
        *(f'{name} = "{location}"' for name, location in sources.items()),
    ]
    file = FOLDER / "kasbah.toml"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")


def _story_gate() -> None:
    _say("1. The promises: contracts are checked before anything runs")
    _kasbah("contract", "check")
    _say("2. Keys: an index key, an epoch with a key of its own in the KMS (here a local keyset: development only)")
    _kasbah("keys", "init")
    _say("3. A gate blocks: the file came with a header and no rows; the contract says orders are never empty")
    delivered = FOLDER / "sources/orders.csv"
    whole = delivered.read_bytes()
    delivered.write_bytes(whole.splitlines(keepends=True)[0])
    _kasbah("ingest", "store.orders", "--source", "orders_csv", expect=1)
    delivered.write_bytes(whole)


def _story_first_month() -> None:
    _say("4. The first month: orders from an API, a CSV, a JSON file and a database, every row accounted for")
    _kasbah("ingest", "store.orders")
    _kasbah("ingest", "store.stock")
    _say("5. What was quarantined, by reason (sealed; no value is shown). Three kinds of it nobody had declared:")
    print("an e-mail, the customer's own name or somebody else's in a product note; a card number where pieces are")
    print("counted; a phone number in a column that is in no contract", flush=True)
    _kasbah("quarantine", "list")
    _say("6. Again: loading the same month changes nothing")
    _kasbah("ingest", "store.orders")


def _story_second_month() -> None:
    _say("7. The second month: new, changed and late rows; the shop has mended the card numbers, which stay held")
    _kasbah("ingest", "store.orders")
    _kasbah("ingest", "store.stock")
    _say("8. The contract is amended, and says so: returns count, so negative totals are allowed; what is found in a")
    print(
        "note is redacted and the rest kept; the column that nobody declared is the customer's, and encrypted",
        flush=True,
    )
    before = FOLDER / "orders-before.odcs.yaml"
    contract = FOLDER / "contracts/store/orders.odcs.yaml"
    shutil.copy(contract, before)
    contract.write_text(_amended(contract.read_text()))
    _kasbah("contract", "diff", str(before.relative_to(Path.cwd())), str(contract.relative_to(Path.cwd())), expect=1)
    _say("9. Held rows are replayed under the amended contract")
    _kasbah("quarantine", "replay", "store.orders", "--reason", "rule")
    _kasbah("quarantine", "replay", "store.orders", "--reason", "finding")
    _kasbah("quarantine", "list")
    _say("10. What is stored, in the warehouse and in the lake, is searched again: nothing that nobody declared")
    _kasbah("scan", "--all", "--html", str((FOLDER / "scan.html").relative_to(Path.cwd())))
    _say("11. Keys are rotated: what a copy of the key store from before holds opens nothing any more")
    _kasbah("keys", "rotate")
    _kasbah("keys", "status")
    _say("12. The audit log is whole")
    _kasbah("audit", "verify")


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
            raise _DemoError(f"the orders' contract has {count} places to amend by {pattern[:30]}")
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


def _show_rows(warehouse: str) -> None:
    """What an analyst sees: tokens and pseudonyms."""
    _say("13. What the warehouse holds")
    with psycopg.connect(warehouse) as connection:
        for table in ("orders", "stock"):
            query = psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier("store", table))
            row = connection.execute(query).fetchone()
            print(f"store.{table}: {row[0] if row else 0} rows")
        cursor = connection.execute(
            "SELECT order_id, order_date, product_name, net_amount, customer_pseudonym, customer_email, customer_name "
            "FROM store.orders WHERE customer_email IS NOT NULL ORDER BY order_id LIMIT 3"
        )
        names = [column.name for column in cursor.description or ()]
        for values in cursor:
            for name, value in zip(names, values, strict=True):
                print(f"  {name:20} {str(value)[:60]}")
            print()
        noted = connection.execute(
            "(SELECT DISTINCT product_note, NULL FROM store.orders WHERE product_note LIKE '%<%' LIMIT 3) UNION ALL "
            "(SELECT product_note, loyalty_note FROM store.orders WHERE loyalty_note IS NOT NULL LIMIT 1)"
        )
        print("Notes with what was found replaced, and the column that was declared afterwards:")
        for note, loyalty in noted:
            print(f"  {note!s:60} {str(loyalty or '')[:24]}")


if __name__ == "__main__":
    sys.exit(main())
