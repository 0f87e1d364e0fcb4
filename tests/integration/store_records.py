"""A small dataset of made people for the streams' stores: its plan, and documents as messages carry them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from made_rows import column

from governance.enforcement.plan import EnforcementPlan, SubjectPlan
from governance.flows.documents import Documents

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PERSON = SubjectPlan("person", (("email", "email"),), ("email",), "person_pseudonym")


def plan(system: str, **changes: Any) -> EnforcementPlan:
    """People: one column of each type; the system is a test's own."""
    made = EnforcementPlan(
        dataset=f"{system}.people/person",
        contract=f"{system}.people",
        version="1.0.0",
        system=system,
        table="users",
        columns=(
            column("email", protect="encrypt", subject="person"),
            column("email_domain"),
            column("gender"),
            column("nationality"),
            column("age", "int64"),
            column("score", "double"),
            column("active", "bool"),
            column("born_on", "date"),
            column("wakes_at", "time"),
            column("spent", "decimal(12,2)"),
            column("registered_at", "timestamp", required=True),
            column("updated_at", "timestamp", required=True),
        ),
        subjects=(PERSON,),
        row_rules=(),
        set_rules=(),
        sources=(),
        key=("email",),
        version_field="updated_at",
        record_date="registered_at",
        scanned=("email_domain", "gender", "nationality", "age", "score", "active", "born_on", "spent"),
        admit_unscanned=(),
        sinks=("kafka", "cassandra", "mongodb"),
        identity=("person_pseudonym",),
        oldest_days=3650,
    )
    return replace(made, **changes)


def pseudonym(number: int) -> str:
    """Thirty-two hexadecimal digits, told by the number."""
    return f"{number:032x}"


def record(number: int, minute: int = 0, **cells: Any) -> dict[str, Any]:
    """A person as a message tells them, last changed at that minute of a day."""
    made = {
        "email": f"kb1.{number}.{minute}",
        "email_domain": "example.com",
        "gender": "female",
        "nationality": "DE",
        "age": 40,
        "score": 0.5,
        "active": True,
        "born_on": "1986-02-28",
        "wakes_at": "06:30:00.000001",
        "spent": "12.50",
        "registered_at": "2024-05-01T08:00:00.123456Z",
        "updated_at": f"2026-11-20T10:{minute:02}:00.000007Z",
        "person_pseudonym": pseudonym(number),
    }
    return made | cells


def version(minute: int) -> int:
    """The version of a record of that minute."""
    return int(datetime(2026, 11, 20, 10, minute, tzinfo=UTC).timestamp()) * 1_000_000 + 7


def documents(records: Sequence[dict[str, Any] | int]) -> Documents:
    """Records in order; a number stands for that person's tombstone."""
    keys, values, versions, days = [], [], [], []
    for one in records:
        if isinstance(one, int):
            keys.append(pseudonym(one).encode())
            values.append(None)
            versions.append(0)
            days.append(np.datetime64("NaT"))
        else:
            keys.append(one["person_pseudonym"].encode())
            values.append(orjson.dumps(one))
            versions.append(round(datetime.fromisoformat(one["updated_at"]).timestamp() * 1_000_000))
            days.append(np.datetime64(one["registered_at"][:10]))
    return Documents(keys, values, np.array(versions, np.int64), np.array(days, "datetime64[D]"))
