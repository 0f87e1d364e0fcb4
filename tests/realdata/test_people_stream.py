"""Real answers of randomuser.me as the users' stream takes them: what becomes of each person is counted here from the
raw file, with the standard library alone. Skips where the files are absent.
"""

import gzip
import json
import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

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
from governance.enforcement.apply import enforce
from governance.enforcement.outcomes import Enforced
from governance.enforcement.plan import compile_plan
from governance.enforcement.reading import with_origin
from governance.flows.keyring import LeasedKeys
from governance.flows.unsealing import unseal
from governance.protection.epochs import Epochs
from governance.protection.leases import Leases
from governance.protection.subjects import Subjects

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("KASBAH_REALDATA", ROOT.parent / "shared" / "data")) / "randomuser"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = NOW.date()
FILES = {
    "br_v1_2_1000_input-backend.json": "results",
    "mixed_v1_2_1000_visData.json.gz": "results",
    "us_v1_1_510.json": "",
}
"""Each file, and where its records are."""

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the real files are not on this machine")


def clock() -> datetime:
    return NOW


def people_in(name: str) -> list[dict[str, Any]]:
    """Every person of a file, in order; the file may be several documents one after another."""
    raw = (DATA / name).read_bytes()
    text, decoder, at = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode(), json.JSONDecoder(), 0
    found: list[dict[str, Any]] = []
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        found += document["results"] if isinstance(document, dict) else document
    return found


def age(person: dict[str, Any]) -> int | None:
    if "dob" not in person:
        return None
    born = date.fromisoformat(person["dob"]["date"][:10])
    return TODAY.year - born.year - ((TODAY.month, TODAY.day) < (born.month, born.day))


def expected(person: dict[str, Any]) -> str:
    """What the contract says must become of a person."""
    years = age(person)
    if years is None:
        return "age_unknown"
    if years < 18:
        return "underage"
    return "admitted" if person.get("login", {}).get("uuid") else "required"


@pytest.fixture
def keyring(control: sa.Engine, tmp_path: Path) -> LeasedKeys:
    epochs = Epochs(PostgresEpochs(control), LocalKeyService(tmp_path / "keys", clock), clock)
    epochs.init()
    subjects = Subjects(PostgresSubjects(control), epochs, clock)
    leases = Leases(PostgresLeases(control), clock)
    return LeasedKeys(subjects, PostgresDayKeys(control, epochs), epochs, leases, 600)


def take(name: str, keyring: LeasedKeys) -> Enforced:
    """The file as if others had put its people onto the raw topic."""
    contract = load_contract(ROOT / "contracts" / "users" / "people.odcs.yaml")
    (dataset,) = contract.datasets
    plan = compile_plan(dataset, contract)
    topic = next(s for s in dataset.sources if s.name == "users_raw")
    (batch,) = open_source(replace(topic, format="json", records=FILES[name]), str(DATA / name)).batches()
    assert not batch.malformed
    with keyring.lease("test") as lease:
        records = with_origin(batch.records, topic.name, batch.part, batch.positions)
        return enforce(records, plan, lease.keys, PresidioScanner(), clock)


@pytest.mark.parametrize("name", FILES)
def test_every_real_person_has_the_one_outcome_that_the_contract_says(name: str, keyring: LeasedKeys) -> None:
    people = people_in(name)
    enforced = take(name, keyring)
    outcome = Counter({"admitted": enforced.admitted.num_rows})
    outcome.update(enforced.quarantined.column("reason").to_pylist())
    outcome.update(enforced.refused.column("reason").to_pylist())
    assert +outcome == Counter(map(expected, people))
    assert outcome.total() == len(people)


def test_real_people_keep_what_statistics_need_and_nothing_else(keyring: LeasedKeys) -> None:
    """A person who never changed is as new as the registration; nobody's password is anywhere."""
    name = "mixed_v1_2_1000_visData.json.gz"
    people = [person for person in people_in(name) if expected(person) == "admitted"]
    enforced = take(name, keyring)
    columns = ["gender", "title", "email_domain", "age", "nationality", "registered_at", "updated_at"]
    rows = [tuple(row.values()) for row in enforced.admitted.select(columns).to_pylist()]
    assert rows == [
        (p["gender"], p["name"]["title"], p["email"].rpartition("@")[2], age(p), p["nat"], moment, moment)
        for p, moment in ((p, datetime.fromisoformat(p["registered"]["date"])) for p in people)
    ]
    assert len(set(enforced.admitted.column("person_pseudonym").to_pylist())) == len(people)
    stored = b"".join(
        buffer.to_pybytes() for column in enforced.admitted.columns for buffer in column.buffers() if buffer is not None
    )
    for person in people:
        login, name_ = person["login"], person["name"]
        secret = (
            person["email"],
            login["sha256"],
            login["username"],
            f"{name_['first']} {name_['last']}",
            person["phone"],
        )
        assert not any(value.encode() in stored for value in secret)


def test_a_held_real_person_is_sealed_without_the_password(keyring: LeasedKeys) -> None:
    """The Brazilian file has no accounts, so all its grown-ups are held: they open to what wasn't dropped unread."""
    enforced = take("br_v1_2_1000_input-backend.json", keyring)
    with keyring.for_reading() as keys:
        bodies = unseal(enforced.quarantined, "users.people/person", keys).bodies
    assert len(bodies) == enforced.quarantined.num_rows > 0
    for body in bodies:
        assert body is not None and b'"email"' in body
        assert b"picture" not in body and b"coordinates" not in body and b"login" not in body
