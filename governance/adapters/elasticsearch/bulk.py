"""Bulk writes: a document's identity is its `_id`, its version the external one, so that a replay changes nothing.

Bodies are sent as they came, unless one has lines, which would end its action: nothing is parsed on the way. Two
requests are under way at a time, and all documents of one identity are in the same one, in their order.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from governance.adapters.elasticsearch.index import IndexPlan, Indices
from governance.adapters.elasticsearch.readback import Current, same_content
from governance.adapters.elasticsearch.server import BLOCKED, Answer, Server, blocked
from governance.errors import StoreUnavailableError
from governance.flows.documents import Codes, Documents, Taken

LANES = 2
_BYTES = 5 * 1024 * 1024
_COUNT = 2_500
_FEW = 400
"""Documents that aren't worth a second request."""
_MANY = 100
"""If so many are refused in a row and none is taken, it isn't the documents."""
_TRIES = 6
_BUSY = frozenset({429, 503})
_FILTER = "filter_path=errors,items.*.status,items.*.error.type"


@dataclass(frozen=True)
class _Item:
    """One action of a bulk request: the place of its document, and its lines."""

    place: int
    lines: bytes = field(repr=False)


class ElasticsearchSink:
    """`DocumentSink` on one Elasticsearch. `sleep` and `chance` (0 to 1) are arguments for the tests' sake."""

    def __init__(
        self,
        server: Server,
        plan: IndexPlan,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._server, self._plan = server, plan
        self._indices = Indices(server, plan)
        self._current = Current(server, self._indices, plan)
        self._lanes = [ThreadPoolExecutor(1, f"kasbah-bulk-{lane}") for lane in range(LANES)]
        self._sleep, self._chance = sleep, chance
        self._refused_in_a_row = 0

    @property
    def name(self) -> str:
        """See `DocumentSink.name`."""
        return f"Elasticsearch index {self._plan.alias}"

    def prepare(self) -> None:
        """See `DocumentSink.prepare`."""
        self._indices.prepare()

    def close(self) -> None:
        """Let go of threads and connections."""
        for lane in self._lanes:
            lane.shutdown()
        self._server.close()

    def write(self, documents: Documents) -> Codes:
        """See `DocumentSink.write`."""
        return self.begin(documents)()

    def begin(self, documents: Documents) -> Callable[[], Codes]:
        """See `QueuingSink.begin`. Each lane sends its requests one after the other."""
        taken = np.full(len(documents), Taken.APPLIED, np.int8)
        work = _Write(documents, taken, self._homes(documents))
        shares = _shares(self._items(work), documents)
        sent = [lane.submit(self._send_all, work, share) for lane, share in zip(self._lanes, shares, strict=False)]

        def end() -> Codes:
            wait(sent)  # all of them, so that nothing is on its way any more when one raises
            for one in sent:
                one.result()
            self._look_at(taken)
            if work.conflicts:
                self._settle(work)
            return taken

        return end

    def _look_at(self, taken: Codes) -> None:
        """Raise StoreUnavailableError if nothing has been taken for a while: one record is at fault, or ten, but not
        each.
        """
        refused = int((taken == Taken.REFUSED).sum())
        if refused < len(taken):
            self._refused_in_a_row = 0
        elif self._refused_in_a_row + refused >= _MANY:
            raise StoreUnavailableError(f"{self.name} refuses every record: its mapping may not be the contract's")
        else:
            self._refused_in_a_row += refused

    def _homes(self, documents: Documents) -> list[str]:
        """The backing index of each document, made if it isn't there."""
        days = documents.days
        if not self._plan.every:
            home = self._plan.backing(np.datetime64("NaT"))
            self._indices.ensure(home)
            return [home] * len(documents)
        names = {day: self._plan.backing(day) for day in np.unique(days)}
        homes = [names[day] if not np.isnat(day) else self._plan.backing(day) for day in days]
        written = {home for home, value in zip(homes, documents.values, strict=True) if value is not None}
        for home in sorted(written):
            self._indices.ensure(home)
        return homes

    def _items(self, work: "_Write") -> list[_Item]:
        """An action for each document, and one for each place a tombstone's document stands."""
        documents, items = work.documents, []
        deletes = self._deletions(work) if None in documents.values else {}
        single = not self._plan.every
        rows = zip(documents.keys, documents.values, documents.versions.tolist(), work.homes, strict=True)
        for place, (key, value, version, home) in enumerate(rows):
            if value is None:
                items += [_Item(place, _action(b"delete", key, at, index)) for index, at in deletes[place]]
                work.taken[place] = Taken.DELETED
            else:
                lines = _action(b"index", key, version, "" if single else home)
                line = value if b"\n" not in value else orjson.dumps(orjson.loads(value))
                items.append(_Item(place, b"".join((lines, line, b"\n"))))
        return items

    def _deletions(self, work: "_Write") -> dict[int, list[tuple[str, int]]]:
        """Where the document of each tombstone stands, and the version that goes: one above what it has, or will have
        when the documents before it in this batch are written.
        """
        documents = work.documents
        graves = [place for place, value in enumerate(documents.values) if value is None]
        there = self._current.versions([documents.keys[place] for place in graves])
        before: dict[bytes, dict[str, int]] = {documents.keys[place]: {} for place in graves}
        found: dict[int, list[tuple[str, int]]] = {}
        for place, (key, value) in enumerate(zip(documents.keys, documents.values, strict=True)):
            if key not in before:
                continue
            if value is not None:
                held = before[key]
                held[work.homes[place]] = max(held.get(work.homes[place], 0), int(documents.versions[place]))
                continue
            places = dict(there.get(key, {}))
            for index, version in before[key].items():
                places[index] = max(places.get(index, 0), version)
            found[place] = [(index, version + 1) for index, version in sorted(places.items())]
            before[key] = {index: version + 1 for index, version in places.items()}
        return found

    def _send_all(self, work: "_Write", items: list[_Item]) -> None:
        for request in _requests(items):
            self._send(work, request)

    def _send(self, work: "_Write", items: list[_Item], failed: int = 0) -> None:
        """One request; again for those of its documents for which the server was too busy."""
        answer = self._server.ask("POST", self._path, b"".join(item.lines for item in items), lines=True)
        if answer.kind:
            self._halve(work, items, answer)
            return
        if not answer.body.get("errors"):
            return
        again = self._judge(work, items, answer.body["items"])
        if again:
            if failed + 1 >= _TRIES:
                raise StoreUnavailableError(f"{self.name} has been too busy for {_TRIES} tries")
            self._sleep(self._chance() * min(10.0, 0.2 * 2.0**failed))
            self._send(work, again, failed + 1)

    @property
    def _path(self) -> str:
        if self._plan.every:
            return f"/_bulk?{_FILTER}"
        return f"/{self._plan.backing(np.datetime64('NaT'))}/_bulk?{_FILTER}"

    def _halve(self, work: "_Write", items: list[_Item], answer: Answer) -> None:
        """A request that is refused as a whole: too large, or one of its documents can't even be taken apart."""
        if answer.kind == "index_not_found_exception":
            self._indices.forget()
            raise StoreUnavailableError(f"{self.name} has gone; it is made again")
        if len(items) == 1:
            work.taken[items[0].place] = Taken.REFUSED
            return
        middle = len(items) // 2
        self._send(work, items[:middle])
        self._send(work, items[middle:])

    def _judge(self, work: "_Write", items: list[_Item], answers: Sequence[dict[str, Any]]) -> list[_Item]:
        """Note what became of each; returns those to send again."""
        again = []
        for item, answer in zip(items, answers, strict=True):
            (verb, said), *_ = answer.items()
            status, kind = said["status"], said.get("error", {}).get("type", "")
            if status < 300 or (verb == "delete" and status == 404 and not kind):
                continue
            if status == 409:
                if verb == "index":
                    work.conflicts.append(item.place)
            elif kind == BLOCKED:
                raise StoreUnavailableError(blocked())
            elif status in _BUSY or status >= 500:
                again.append(item)
            elif kind == "index_not_found_exception":
                self._indices.forget()
                raise StoreUnavailableError(f"{self.name} has gone; it is made again")
            else:
                work.taken[item.place] = Taken.REFUSED
        return again

    def _settle(self, work: "_Write") -> None:
        """What is there of the documents that came too late, and whether it is the same."""
        documents = work.documents
        places = sorted(set(work.conflicts))
        held = self._current.contents([(work.homes[p], documents.keys[p]) for p in places])
        for place in places:
            found = held.get((work.homes[place], documents.keys[place]))
            mine = int(documents.versions[place])
            if found is None or found.version > mine:
                work.taken[place] = Taken.SUPERSEDED
            elif found.version < mine:
                raise StoreUnavailableError(f"{self.name} changed meanwhile")
            else:
                same = same_content(documents.values[place] or b"{}", found.source, self._plan.clear)
                work.taken[place] = Taken.UNCHANGED if same else Taken.CONFLICT


@dataclass
class _Write:
    """One call of `write`: the documents, what became of them, and the index of each."""

    documents: Documents
    taken: Codes
    homes: list[str]
    conflicts: list[int] = field(default_factory=list)


def _action(verb: bytes, key: bytes, version: int, index: str) -> bytes:
    """The first line of an action. `_id` is the identity, as text."""
    where = b'"_index":"%s",' % index.encode() if index else b""
    name = orjson.dumps(key.decode("utf-8", "backslashreplace"))
    return b'{"%s":{%s"_id":%s,"version":%d,"version_type":"external"}}\n' % (verb, where, name, version)


def _shares(items: list[_Item], documents: Documents) -> list[list[_Item]]:
    """What each lane sends, shared out by identity; few stay together."""
    if len(items) < _FEW:
        return [items] if items else []
    shares: list[list[_Item]] = [[] for _ in range(LANES)]
    for item in items:
        shares[hash(documents.keys[item.place]) % LANES].append(item)
    return shares


def _requests(items: list[_Item]) -> list[list[_Item]]:
    """Cut where a request would be too large. One document alone may be larger."""
    requests: list[list[_Item]] = [[]]
    size = 0
    for item in items:
        if requests[-1] and (size + len(item.lines) > _BYTES or len(requests[-1]) >= _COUNT):
            requests.append([])
            size = 0
        requests[-1].append(item)
        size += len(item.lines)
    return requests
