"""The collections of a dataset as a scan reads them (`governance.flows.stored.StoredCells`), by their identities.

The state is read by the first two digits of its pseudonyms, what is called otherwise last. What we keep beside a
dataset's columns (versions, dates, numbers of people) isn't searched as long as it is that.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from governance.adapters.mongodb.server import Document, Server, translated
from governance.enforcement.plan import EnforcementPlan
from governance.flows.stored import Copy, Piece
from governance.flows.stored_records import rows_of

STORE = "mongodb"

_PARTS = 256
_ROWS = 2_000
_OURS: Mapping[str, type | tuple[type, ...]] = {
    "version": int,
    "expires": datetime,
    "pending": bool,
    "gone": bool,
    "number": int,
    "last": int,
    "people": (int, type(None)),
    "having": int,
    "total": (int, float),
    "rest": (int, type(None)),
    "at": datetime,
    "smallest_group": int,
    "from": (int, type(None)),
    "to": (int, type(None)),
}
_DIGEST = re.compile(r"[0-9a-f]{32}")
_SEQUENCE = "sequence"


class MongoCells:
    """The collections of one server. Errors are those of `Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def copies(self, plan: EnforcementPlan) -> tuple[Copy, ...]:
        """Those of the dataset's collections that are there."""
        database = self._server.database(plan.system)
        with translated():
            there = {one["name"]: one for one in database.list_collections()}
            names = [f"{plan.table}_{kind}" for kind in _READERS if f"{plan.table}_{kind}" in there]
            return tuple(
                Copy(STORE, f"{plan.system}.{name}", _version(there[name]), database[name].estimated_document_count())
                for name in names
            )

    def pieces(self, plan: EnforcementPlan, copy: Copy, leave: frozenset[str], position: int = 0) -> Iterator[Piece]:
        """All documents from the part `position` on."""
        name = copy.name.removeprefix(f"{plan.system}.")
        read = _READERS[name.removeprefix(f"{plan.table}_")]
        collection = self._server.database(plan.system)[name]
        for part in range(position, _PARTS + 1):
            with translated():
                cursor = collection.find(_part(part)).batch_size(_ROWS)
            for documents in _batches(cursor):
                rows = [row for one in documents for row in read(one, plan)]
                yield Piece(rows_of(rows, plan, leave), None)
            yield Piece(pa.record_batch({}), part + 1)


def _version(about: Mapping[str, Any]) -> str:
    """MongoDB's own id of the collection, where the server has one."""
    found = about.get("info", {}).get("uuid")
    return found.hex() if isinstance(found, bytes) else str(found or "1")


def _part(part: int) -> Document:
    """The identities that begin with these two digits; in the end all others."""
    if part < _PARTS:
        return {"_id": {"$regex": f"^{part:02x}"}}
    return {"_id": {"$not": re.compile("^[0-9a-f]{2}")}}


def _batches(cursor: Any) -> Iterator[list[Document]]:
    while True:
        batch: list[Document] = []
        with translated():
            for document in cursor:
                batch.append(document)
                if len(batch) == _ROWS:
                    break
        if not batch:
            return
        yield batch


def _state(document: Document, plan: EnforcementPlan) -> list[Document]:
    """Somebody's columns as they are and, until that has been counted, as they were."""
    row = {**_strange(document, ("_id", "fields", "was")), **_inner(document.get("fields"), "fields")}
    row[plan.identity[0]] = document["_id"]
    was = document.get("was", [])
    return [row, *(_inner(one, "was") for one in (was if isinstance(was, list) else [was]))]


def _gone(document: Document, plan: EnforcementPlan) -> list[Document]:
    del plan
    name = document["_id"]
    known = isinstance(name, str) and _DIGEST.fullmatch(name)
    return [_strange(document, ("_id",) if known else ())]


def _groups(document: Document, plan: EnforcementPlan) -> list[Document]:
    """A group's values, by the columns that it is of. Its name repeats them."""
    by = _columns_of(plan).get(document.get("aggregate", ""))
    key = document.get("key")
    if by is None or not isinstance(key, list) or len(key) != len(by):
        return [_strange(document, ("_id",) if document["_id"] == _SEQUENCE else ())]
    return [{**_strange(document, ("_id", "aggregate", "key")), **dict(zip(by, key, strict=True))}]


def _aggregates(document: Document, plan: EnforcementPlan) -> list[Document]:
    declared = document["_id"] in _columns_of(plan)
    lines = document.get("groups", [])
    beside = _strange(document, ("_id", "groups") if declared else ("groups",))
    return [beside, *(_line(one) for one in (lines if isinstance(lines, list) else [lines]))]


def _line(line: Any) -> Document:
    """A group that is shown: its columns, without the numbers."""
    row = _strange(_inner(line, "groups"), ())
    means = [name for name, cell in row.items() if name.startswith("mean_") and isinstance(cell, float | None)]
    return {name: cell for name, cell in row.items() if name not in means}


def _inner(part: Any, name: str) -> Document:
    """What stands in a part of a document; as it is under its name if that is no document."""
    if part is None:
        return {}
    return dict(part) if isinstance(part, Mapping) else {name: part}


def _strange(document: Document, known: tuple[str, ...]) -> Document:
    """What of a document is neither known nor of ours."""
    return {
        name: cell
        for name, cell in document.items()
        if name not in known and not (name in _OURS and isinstance(cell, _OURS[name]))
    }


def _columns_of(plan: EnforcementPlan) -> dict[str, tuple[str, ...]]:
    return {one.name: tuple(one.by) for one in plan.aggregates}


_READERS: dict[str, Callable[[Document, EnforcementPlan], list[Document]]] = {
    "state": _state,
    "gone": _gone,
    "groups": _groups,
    "aggregates": _aggregates,
}
