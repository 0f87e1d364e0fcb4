"""What is to be counted of each person: one document each, in the newest version.

`<table>_state` has `{_id: pseudonym, version, fields, expires}`; while an aggregate may still count somebody by what
the document said before, it also has `pending` and `was`, written in the same step as the change. So whoever comes
next, after whatever crash, knows which groups to count again.

A deleted person's document goes. That an older record can't bring it back is seen to by `<table>_gone`, which has the
version of the deletion under a digest of the pseudonym: nothing there, or anywhere here, says any more that this
pseudonym was ever known. It is kept for `GUARD`, which is longer than a topic that deletes keeps what comes before a
tombstone; a person's dead pseudonym is refused before that by whoever reads the topic.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import orjson
import pymongo

from governance.adapters.mongodb.server import Document, Operation, Server, bulk, moment, translated
from governance.enforcement.plan import EnforcementPlan
from governance.errors import StoreUnavailableError
from governance.flows.documents import Codes, Documents, Taken
from governance.flows.superseding import Final, Held, resolve, settle
from governance.model.clock import Clock

GUARD = timedelta(days=30)
_NET = timedelta(days=1)
"""After this the server itself deletes a document whose time is over, if nobody has swept."""
_TRIES = 20
_LONGEST = 8_192
_AT_ONCE = 5_000


class State:
    """The documents of one dataset. `columns` are the stored columns that are counted, by name."""

    def __init__(self, server: Server, plan: EnforcementPlan, columns: Sequence[str], clock: Clock) -> None:
        database = server.database(plan.system)
        self.people = database[f"{plan.table}_state"]
        self.gone = database[f"{plan.table}_gone"]
        self._plan, self._columns, self._clock = plan, tuple(columns), clock

    def prepare(self) -> None:
        """Make the indexes unless they are there."""
        with translated():
            net = int(_NET.total_seconds())
            self.people.create_index("expires", name="retention", expireAfterSeconds=net)
            self.people.create_index("pending", name="pending", sparse=True)
            # Every change asks for both. A stand-in looks through all documents for what has no index of just that.
            self.people.create_index([("_id", 1), ("version", 1)], name="version", unique=True)
            self.gone.create_index("expires", name="retention", expireAfterSeconds=0)

    def write(self, documents: Documents) -> Codes:
        """What becomes of each document. The aggregates are told by `pending`.

        Raises StoreUnavailableError where the server is away; then any of the changes may be there.
        """
        large = [place for place in range(len(documents)) if self._is_too_large(documents, place)]
        if large:
            taken = np.full(len(documents), Taken.REFUSED, np.int8)
            fitting = np.setdiff1d(np.arange(len(documents)), large)
            taken[fitting] = self.write(documents.take(fitting.tolist()))
            return taken
        answer: Codes | None = None
        with translated():
            for _ in range(_TRIES):
                there = self._there(documents)
                found = resolve(documents, {key: held for key, (held, _) in there.items()})
                if answer is None:
                    answer = settle(found, partial(self._differs, documents, there))
                refused = self._apply(documents, found.writes, there)
                if refused is not None:
                    answer[sorted(refused)] = Taken.REFUSED
                    return answer
        raise StoreUnavailableError("MongoDB: others change the same people all the time")

    def sweep(self) -> int:
        """Let go of everybody whose retention has ended; returns how many."""
        now = self._clock()
        swept = 0
        with translated():
            overdue = self.people.find({"expires": {"$lte": now}, "gone": {"$exists": False}})
            for some in _portions(overdue):
                done, _ = bulk(self.people, [_replace(one, _farewell(one, one["version"] + 1)) for one in some])
                swept += done
        return swept

    def pending(self) -> list[Document]:
        """Up to some thousands of those whose groups must be counted again; of the revived none is left alive."""
        with translated():
            found = list(self.people.find({"pending": True}).limit(_AT_ONCE))
            alive = {digest(one["_id"]): one for one in found if "gone" not in one}
            guards = {one["_id"]: one["version"] for one in self.gone.find({"_id": {"$in": list(alive)}})}
            revived = [(alive[name], version) for name, version in guards.items() if alive[name]["version"] <= version]
            if revived:
                bulk(self.people, [_replace(one, _farewell(one, version)) for one, version in revived])
                found = list(self.people.find({"_id": {"$in": [one["_id"] for one in found]}, "pending": True}))
        return found

    def counted(self, pending: Sequence[Document]) -> None:
        """The groups of these have been counted again. Who has changed since stays pending."""
        operations: list[Operation] = []
        for one in pending:
            same = {"_id": one["_id"], "version": one["version"]}
            if "gone" in one:
                operations.append(pymongo.DeleteOne(same))
            else:
                operations.append(pymongo.UpdateOne(same, {"$unset": {"pending": "", "was": ""}}))
        with translated():
            bulk(self.people, operations)

    def _there(self, documents: Documents) -> dict[bytes, tuple[Held, Document | None]]:
        """What is held of each identity: by its document, or by what guards against its return."""
        names = {key.decode("utf-8", "backslashreplace"): key for key in dict.fromkeys(documents.keys)}
        digests = {digest(name): key for name, key in names.items()}
        found: dict[bytes, tuple[Held, Document | None]] = {}
        for some in _portions(names):
            for one in self.people.find({"_id": {"$in": some}}):
                found[names[one["_id"]]] = (Held(one["version"], "gone" in one), one)
        for some in _portions(digests):
            for one in self.gone.find({"_id": {"$in": some}}):
                key = digests[one["_id"]]
                held, document = found.get(key, (None, None))
                if held is None or held.version <= one["version"]:
                    found[key] = (Held(one["version"], deleted=True), document)
        return found

    def _apply(
        self,
        documents: Documents,
        writes: Mapping[bytes, Final],
        there: Mapping[bytes, tuple[Held, Document | None]],
    ) -> set[int] | None:
        """Write them where nobody has written since; None if somebody has. Else the places of those refused."""
        guards = {key: final.version for key, final in writes.items() if final.place is None}
        self._guard(guards)
        operations, places = [], []
        for key, final in writes.items():
            _, old = there.get(key, (None, None))
            if final.place is None and old is None:
                continue
            new = _farewell(old or {}, final.version) if final.place is None else self._new(documents, final, old, key)
            operations.append(_replace(old, new) if old is not None else pymongo.InsertOne(new))
            places.append(final.place)
        done, errors = bulk(self.people, operations)
        if done + len(errors) < len(operations):
            return None
        return {place for at, place in enumerate(places) if at in errors and place is not None}

    def _guard(self, versions: Mapping[bytes, int]) -> None:
        """Before a document goes, so that at no moment an older record could bring it back for good."""
        until = moment(self._clock() + GUARD)
        operations = [
            pymongo.UpdateOne(
                {"_id": digest(key.decode("utf-8", "backslashreplace"))},
                {"$max": {"version": version, "expires": until}},
                upsert=True,
            )
            for key, version in versions.items()
        ]
        done, _ = bulk(self.gone, operations)
        if done < len(operations):
            raise StoreUnavailableError("MongoDB: another process deletes the same people")

    def _new(self, documents: Documents, final: Final, old: Document | None, key: bytes) -> Document:
        place = final.place or 0
        was = [] if old is None else [*old.get("was", ()), *((old["fields"],) if "fields" in old else ())]
        new: Document = {
            "_id": key.decode("utf-8", "backslashreplace"),
            "version": final.version,
            "fields": self._fields(documents, place),
            "pending": True,
            "was": was,
        }
        ends = self._expires(documents.days[place])
        return new if ends is None else {**new, "expires": ends}

    def _fields(self, documents: Documents, place: int) -> Document:
        """Every counted column, null where it is: MongoDB leaves out a group's cell that isn't there."""
        cells = orjson.loads(documents.values[place] or b"{}")
        return {name: cells.get(name) for name in self._columns}

    def _is_too_large(self, documents: Documents, place: int) -> bool:
        """No group is called by a text of pages."""
        body = documents.values[place]
        if body is None or len(body) <= _LONGEST:
            return False
        return len(orjson.dumps(self._fields(documents, place))) > _LONGEST

    def _expires(self, day: np.datetime64) -> datetime | None:
        """The end of the day on which the record's retention ends."""
        if self._plan.oldest_days is None or np.isnat(day):
            return None
        begun: datetime = day.astype("datetime64[s]").item().replace(tzinfo=UTC)
        return begun + timedelta(days=self._plan.oldest_days + 1)

    def _differs(
        self,
        documents: Documents,
        there: Mapping[bytes, tuple[Held, Document | None]],
        place: int,
        other: int | None,
    ) -> bool:
        """Of a person who comes in a version that is there: only what is counted is known here."""
        mine = self._fields(documents, place)
        if other is not None:
            return mine != self._fields(documents, other)
        _, held = there[documents.keys[place]]
        return held is not None and held.get("fields", mine) != mine


def digest(pseudonym: str) -> str:
    """What a pseudonym is known by once it must not stand here. It is random, so it can't be guessed."""
    return hashlib.blake2b(pseudonym.encode(), digest_size=16, person=b"kasbah gone").hexdigest()


def _farewell(old: Document, version: int) -> Document:
    """A document in place of a person's, until nothing counts him: then it is deleted."""
    was = [*old.get("was", ()), *((old["fields"],) if "fields" in old else ())]
    return {"_id": old["_id"], "version": version, "gone": True, "pending": True, "was": was}


def _replace(old: Document, new: Document) -> Operation:
    """Only if it is still what was read: each change has another version, but that counting takes `was` away."""
    return pymongo.ReplaceOne({"_id": old["_id"], "version": old["version"]}, new)


def _portions(some: Any) -> Iterator[list[Any]]:
    portion: list[Any] = []
    for one in some:
        portion.append(one)
        if len(portion) == _AT_ONCE:
            yield portion
            portion = []
    if portion:
        yield portion
