"""What stands in Elasticsearch under an identity: its version, and its clear fields."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from governance.adapters.elasticsearch.index import IndexPlan, Indices
from governance.adapters.elasticsearch.server import Server
from governance.errors import StoreUnavailableError

_AT_ONCE = 500


@dataclass(frozen=True)
class Held:
    """A document as it stands."""

    version: int
    source: dict[str, Any] = field(repr=False, default_factory=dict)


class Current:
    """Reads documents by identity, also those that no search finds yet."""

    def __init__(self, server: Server, indices: Indices, plan: IndexPlan) -> None:
        self._server, self._indices, self._plan = server, indices, plan

    def versions(self, keys: Sequence[bytes]) -> dict[bytes, dict[str, int]]:
        """The version of each identity in every index that has it."""
        found: dict[bytes, dict[str, int]] = {}
        distinct = sorted(set(keys))
        for index in self._indices.known:
            held = self._read([(index, key) for key in distinct], source=False)
            for (name, key), one in held.items():
                found.setdefault(key, {})[name] = one.version
        return found

    def contents(self, places: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], Held]:
        """Version and clear fields by index and identity; without those that aren't there."""
        return self._read(sorted(set(places)), source=True)

    def _read(self, places: Sequence[tuple[str, bytes]], *, source: bool) -> dict[tuple[str, bytes], Held]:
        wanted: Any = list(self._plan.clear) if source else False
        found: dict[tuple[str, bytes], Held] = {}
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            docs = [{"_index": index, "_id": _name(key), "_source": wanted} for index, key in some]
            answer = self._server.ask("POST", "/_mget", {"docs": docs})
            if answer.kind:
                raise StoreUnavailableError(f"Elasticsearch can't be read back ({answer.kind})")
            for place, one in zip(some, answer.body["docs"], strict=True):
                if one.get("error"):
                    raise StoreUnavailableError("Elasticsearch can't be read back: an index is missing or not ready")
                if one.get("found"):
                    found[place] = Held(one["_version"], one.get("_source") or {})
        return found


def same_content(body: bytes, there: dict[str, Any], clear: Sequence[str]) -> bool:
    """Whether the clear fields are the same; a null is as good as none. Tokens differ each time they are made."""
    mine = orjson.loads(body)
    return all(mine.get(name) == there.get(name) for name in clear)


def _name(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")
