"""Stored data opened again with the installation's own keys, for a comparison with what the sources meant."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

import numpy as np
import orjson
import pyarrow as pa
from feed_truth import Shape, shape, unread
from stacks import Stack

from governance.bootstrap import Services
from governance.flows.unsealing import unseal
from governance.protection import cells
from governance.quarantine.store import Selection


@contextmanager
def services_of(stack: Stack) -> Iterator[Services]:
    """The installation's services, within this process."""
    with mock.patch.dict(os.environ, stack.environment), Services.open() as services:
        yield services


def held_records(services: Services, dataset: str) -> Counter[tuple[str, Shape]]:
    """Every record in a dataset's quarantine with its reason, opened; one without a body is an empty record."""
    found: Counter[tuple[str, Shape]] = Counter()
    with services.keyring.for_reading() as keys:
        for rows in services.quarantine.sealed_rows(dataset, Selection(dataset=dataset)):
            opened = unseal(rows, dataset, keys)
            assert not opened.lost.any(), "a row's key is gone"
            for reason, body in zip(rows.column("reason").to_pylist(), opened.bodies, strict=True):
                found[reason, _shape(reason, body)] += 1
    return found


def _shape(reason: str, body: bytes | None) -> Shape:
    if body is None:
        return frozenset()
    return unread(body) if reason == "malformed" else shape(orjson.loads(body))


def opened(
    services: Services, dataset: str, field: str, pseudonyms: Sequence[str], tokens: Sequence[str | None]
) -> list[str | None]:
    """The plain texts of one person's cell each; `field` is the field's id."""
    with services.keyring.for_reading() as keys:
        index, table = keys.of_pseudonyms("person", pa.array(pseudonyms, pa.string()))
        assert (index >= 0).all(), "a pseudonym stands for nobody"
        found = cells.open(pa.array(tokens, pa.string()), index.astype(np.int32), table, dataset, field)
    return list(found.to_pylist())
