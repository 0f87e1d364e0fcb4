"""Real, dirty files through their contracts: every row ends admitted, quarantined or refused, and for the right reason.

What is expected is counted here from the raw file, with the standard library alone. Skips where the files are absent.
"""

import csv
import gzip
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from governance.adapters.control.day_keys import PostgresDayKeys
from governance.adapters.control.epochs import PostgresEpochs
from governance.adapters.control.leases import PostgresLeases
from governance.adapters.control.subjects import PostgresSubjects
from governance.adapters.kms.local import LocalKeyService
from governance.adapters.presidio.scanner import PresidioScanner
from governance.adapters.sources import open_source
from governance.contracts.load import load_contract
from governance.contracts.types import Protect
from governance.enforcement.apply import enforce
from governance.enforcement.plan import compile_plan
from governance.enforcement.reading import with_origin
from governance.flows.keyring import LeasedKeys
from governance.protection.epochs import Epochs
from governance.protection.leases import Leases
from governance.protection.subjects import Subjects

CONTRACTS = Path(__file__).parent / "contracts"
DATA = Path(os.environ.get("KASBAH_REALDATA", Path(__file__).parents[3] / "shared" / "data"))
TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real files are not on this machine")

Outcome = Counter[str]


def clock() -> datetime:
    return NOW


def _bytes(name: str) -> bytes:
    raw = (DATA / name).read_bytes()
    return gzip.decompress(raw) if name.endswith(".gz") else raw


def _csv(name: str, encoding: str = "utf-8-sig") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(_bytes(name).decode(encoding), newline="")))


def _documents(name: str) -> Iterator[object]:
    """One JSON document after another, whatever stands between them."""
    text, decoder, at = _bytes(name).decode("utf-8"), json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        yield document


def _adult(born: date) -> bool:
    years = TODAY.year - born.year - ((TODAY.month, TODAY.day) < (born.month, born.day))
    return years >= 18


def retail() -> Outcome:
    """Two corrections carry a negative price; a quarter of the rows has no customer, and is admitted without one."""
    rows = _csv("retail/online_retail_all.csv.gz")
    return Counter("admitted" if float(row["UnitPrice"]) >= 0 else "rule" for row in rows)


def adventureworks() -> Outcome:
    born = [row["BirthDate"].split("/") for row in _csv("adventureworks/AdventureWorks_Customers.csv.gz", "cp1252")]
    return Counter("admitted" if _adult(date(int(y), int(m), int(d))) else "underage" for m, d, y in born)


def northwind_csv() -> Outcome:
    """Unquoted commas split addresses."""
    header, *lines = _bytes("northwind/customers.csv").decode("utf-8").splitlines()
    return Counter("admitted" if line.count(",") == header.count(",") else "malformed" for line in lines if line)


def _people(name: str) -> Outcome:
    (document,) = _documents(name)
    people = document["results"]  # type: ignore[index]
    return Counter("admitted" if _adult(date.fromisoformat(p["dob"]["date"][:10])) else "underage" for p in people)


def br_csv() -> Outcome:
    born = [row["dob__date"][:10] for row in _csv("randomuser/br_v1_2_1000_input-backend.csv")]
    return Counter("admitted" if _adult(date.fromisoformat(day)) else "underage" for day in born)


def us_json() -> Outcome:
    """Three lists one after another, and no birth date in any record: nobody can be admitted."""
    people = [person for document in _documents("randomuser/us_v1_1_510.json") for person in document]  # type: ignore[attr-defined]
    return Counter("admitted" if "dob" in person else "age_unknown" for person in people)


def _all_of(name: str) -> Callable[[], Outcome]:
    """A clean list of records, or one record a line."""

    def count() -> Outcome:
        documents = list(_documents(name))
        rows = documents[0] if len(documents) == 1 and isinstance(documents[0], list) else documents
        return Counter({"admitted": len(rows)})  # type: ignore[arg-type]

    return count


def _rows_of(name: str) -> Callable[[], Outcome]:
    return lambda: Counter({"admitted": len(_csv(name))})


@dataclass(frozen=True)
class File:
    """A contract, one of its sources, and what a count of the raw file says."""

    contract: str
    source: str
    expected: Callable[[], Outcome]


FILES = [
    File("retail", "retail_csv", retail),
    File("storefront_users", "users_json", _all_of("storefront/users.json.gz")),
    File("storefront_users", "cstore_users_json", _all_of("storefront/cstore_users.json.gz")),
    File("adventureworks_customers", "customers_csv", adventureworks),
    File("northwind_customers", "customers_csv", northwind_csv),
    File("northwind_customers", "customers_json", _all_of("northwind/customers.json")),
    File("northwind_orders", "orders_json", _all_of("northwind/orders.json")),
    File("randomuser", "br_csv", br_csv),
    File("randomuser", "br_json", lambda: _people("randomuser/br_v1_2_1000_input-backend.json")),
    File("randomuser", "mixed_json", lambda: _people("randomuser/mixed_v1_2_1000_visData.json.gz")),
    File("randomuser", "us_json", us_json),
    File("mongodb_customers", "customers_ndjson", _all_of("mongodb/customers.json")),
    File("olist_customers", "customers_csv", _rows_of("olist/olist_customers_dataset.csv")),
    File("olist_orders", "orders_csv", _rows_of("olist/olist_orders_dataset.csv.gz")),
]


@pytest.fixture
def keyring(control: sa.Engine, tmp_path: Path) -> LeasedKeys:
    epochs = Epochs(PostgresEpochs(control), LocalKeyService(tmp_path / "keys", clock), clock)
    epochs.init()
    subjects = Subjects(PostgresSubjects(control), epochs, clock)
    leases = Leases(PostgresLeases(control), clock)
    return LeasedKeys(subjects, PostgresDayKeys(control, epochs), epochs, leases, 600)


@pytest.fixture(scope="module")
def presidio() -> PresidioScanner:
    return PresidioScanner()


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.contract}-{f.source}")
def test_every_row_of_a_real_file_has_its_one_outcome(
    file: File, keyring: LeasedKeys, presidio: PresidioScanner
) -> None:
    contract = load_contract(CONTRACTS / f"{file.contract}.odcs.yaml")
    (dataset,) = contract.datasets
    plan = compile_plan(dataset, contract)
    source = next(s for s in dataset.sources if s.name == file.source)
    outcome: Outcome = Counter()
    read = 0
    clear: set[str] = set()
    for batch in open_source(source, str(DATA / source.location)).batches():
        with keyring.lease("test") as lease:
            records = with_origin(batch.records, source.name, batch.part, batch.positions)
            enforced = enforce(records, plan, lease.keys, presidio, clock)
        read += batch.records_read
        outcome["admitted"] += enforced.admitted.num_rows
        outcome["malformed"] += len(batch.malformed)
        outcome.update(enforced.quarantined.column("reason").to_pylist())
        outcome.update(enforced.refused.column("reason").to_pylist())
        clear |= _clear_personal_values(enforced.admitted, plan)
    expected = file.expected()
    assert +outcome == +expected
    assert read == sum(expected.values())
    assert not clear


def _clear_personal_values(admitted: pa.RecordBatch, plan) -> set[str]:
    """Columns about a person that hold anything but tokens, masks or pseudonyms without a declared reason."""
    found = set()
    for column in plan.columns:
        if column.stored and column.subject and column.protect == Protect.ENCRYPT:
            values = [v for v in admitted.column(column.name).to_pylist() if v is not None]
            if not all(value.startswith("kb1.") for value in values):
                found.add(column.name)
        elif column.stored and column.subject and column.protect == Protect.CLEAR and not column.reason:
            found.add(column.name)
    return found


def test_people_are_counted_not_rows(keyring: LeasedKeys, presidio: PresidioScanner) -> None:
    """Olist gives a person a new customer_id with each order; the person is customer_unique_id."""
    contract = load_contract(CONTRACTS / "olist_customers.odcs.yaml")
    (dataset,) = contract.datasets
    plan = compile_plan(dataset, contract)
    pseudonyms: set[str] = set()
    for batch in open_source(dataset.sources[0], str(DATA / dataset.sources[0].location)).batches():
        with keyring.lease("test") as lease:
            records = with_origin(batch.records, "customers_csv", batch.part, batch.positions)
            admitted = enforce(records, plan, lease.keys, presidio, clock).admitted
        pseudonyms |= set(admitted.column(plan.subjects[0].pseudonym_column).to_pylist())
    people = {row["customer_unique_id"] for row in _csv("olist/olist_customers_dataset.csv")}
    assert len(pseudonyms) == len(people)
