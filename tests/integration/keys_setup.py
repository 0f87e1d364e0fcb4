"""What the tests of keys share: a clock that stands where it is put, and a control database with its first epoch."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from governance.adapters.control.database import connect
from governance.adapters.control.epochs import PostgresEpochs
from governance.adapters.control.rotation import open_rotation
from governance.adapters.control.subjects import PostgresSubjects
from governance.adapters.kms.local import LocalKeyService
from governance.audit.records import Record
from governance.protection.epochs import Epochs
from governance.protection.keyservice import KeyService
from governance.protection.rotation import Rotation
from governance.protection.subjects import Resolved, Subjects

PEOPLE = [f"p{i}@example.com" for i in range(40)]
PHONES = [f"+1212555{i:04}" for i in range(40)]


class SetClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class Records:
    """An audit ledger that only remembers."""

    kept: list[Record] = field(default_factory=list)

    def append(self, records: Sequence[Record]) -> None:
        self.kept += records


@dataclass
class Keys:
    """Epochs and subjects on one control database and one folder of keysets, as one process has them."""

    engine: sa.Engine
    folder: Path
    clock: SetClock

    def __post_init__(self) -> None:
        self.use(LocalKeyService(self.folder, self.clock))

    def use(self, service: KeyService) -> None:
        """Work with another key service."""
        self.service = service
        self.epochs = Epochs(PostgresEpochs(self.engine), self.service, self.clock)
        self.store = PostgresSubjects(self.engine)
        self.subjects = Subjects(self.store, self.epochs, self.clock)

    def again(self) -> "Keys":
        """Another process on the same database and folder."""
        return Keys(self.engine, self.folder, self.clock)

    def resolve(self, *keys: Sequence[str | None], create: bool | Sequence[bool] = True) -> Resolved:
        """The subjects of entity `customer` with these key columns."""
        mask = np.broadcast_to(np.asarray(create), len(keys[0])).copy()
        return self.subjects.resolve("customer", [pa.array(list(key), pa.string()) for key in keys], mask)

    def pseudonyms(self, *keys: Sequence[str | None], create: bool = False) -> list[str | None]:
        """Each row's pseudonym, None where it has no subject."""
        resolved = self.resolve(*keys, create=create)
        return [resolved.table.pseudonyms[i].tobytes().hex() if i >= 0 else None for i in resolved.index]

    def digest(self, value: str) -> bytes:
        """An alias's digest, by the standard library."""
        key = self.epochs.index_key().reveal()
        return hashlib.blake2b(value.encode(), key=key, digest_size=32, person=b"customer".ljust(16, b"\0")).digest()


def open_keys(dsn: str, folder: str | os.PathLike[str]) -> Keys:
    """The same from a database's address, as another process has it."""
    return Keys(connect(dsn), Path(folder), SetClock())


def rotation_of(keys: Keys, records: Records | None = None, **options: object) -> Rotation:
    """A rotation whose waiting moves the clock."""
    return open_rotation(
        keys.engine,
        keys.epochs,
        keys.subjects,
        records or Records(),
        keys.clock,
        "tests",
        sleep=keys.clock.forward,
        **options,  # type: ignore[arg-type]
    )
