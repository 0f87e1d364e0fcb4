"""A dataset's indices as a scan reads them (`governance.flows.stored.StoredCells`): by the number of each write.

Elasticsearch numbers the writes of a shard; a document that changes meanwhile is numbered anew, and met again later.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from governance.adapters.elasticsearch.index import index_of
from governance.adapters.elasticsearch.server import Answer, Server
from governance.enforcement.plan import EnforcementPlan
from governance.errors import UserError
from governance.flows.stored import Copy, Piece
from governance.flows.stored_records import rows_of, stray_identity

STORE = "elasticsearch"

_WINDOW = 4_000
_MOST = 10_000
"""What Elasticsearch gives at once."""


class IndexCells:
    """The indices of one Elasticsearch. Errors are those of `Server`."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def copies(self, plan: EnforcementPlan) -> tuple[Copy, ...]:
        """The backing indices of the dataset's alias."""
        alias = index_of(plan).alias
        answer = self._server.ask("GET", f"/{alias}/_settings?filter_path=*.settings.index.uuid")
        if answer.status == 404:
            return ()
        found = _sound(answer, alias).body
        rows = self._rows(alias)
        versions = {name: about["settings"]["index"]["uuid"] for name, about in found.items()}
        return tuple(Copy(STORE, name, versions[name], rows.get(name)) for name in sorted(versions))

    def pieces(self, plan: EnforcementPlan, copy: Copy, leave: frozenset[str], position: int = 0) -> Iterator[Piece]:
        """All documents from the write `position` on, as searches find them."""
        _sound(self._server.ask("POST", f"/{quote(copy.name)}/_refresh"), copy.name)
        # The names of records are held against what they are made of, also where that isn't searched.
        identity = [*plan.identity, *(plan.column(field).name for field in plan.key)]
        shards, last = self._numbers(copy.name)
        window = max(1, min(_WINDOW, _MOST // shards))
        while position <= last:
            span = {"gte": position, "lt": position + window}
            body = {
                "size": min(_MOST, window * shards),
                "query": {"range": {"_seq_no": span}},
                "_source": {"excludes": sorted(leave - set(identity))},
                "sort": ["_doc"],
                "track_total_hits": False,
            }
            answer = _sound(self._server.ask("POST", f"/{quote(copy.name)}/_search", body), copy.name)
            _whole(answer, copy.name)
            position += window
            yield Piece(rows_of([_record(hit, plan) for hit in answer.body["hits"]["hits"]], plan, leave), position)

    def _rows(self, alias: str) -> dict[str, int]:
        answer = _sound(self._server.ask("GET", f"/{alias}/_stats/docs?filter_path=indices.*.primaries.docs"), alias)
        return {name: about["primaries"]["docs"]["count"] for name, about in answer.body.get("indices", {}).items()}

    def _numbers(self, index: str) -> tuple[int, int]:
        """How many shards the index has, and the highest number of a write in any."""
        path = f"/{quote(index)}/_stats?level=shards&filter_path=indices.*.shards.*.seq_no.max_seq_no"
        indices = _sound(self._server.ask("GET", path), index).body.get("indices", {})
        shards = [shard for about in indices.values() for shard in about["shards"].values()]
        highest = max((copy["seq_no"]["max_seq_no"] for shard in shards for copy in shard), default=-1)
        return max(1, len(shards)), highest


def _record(hit: dict[str, Any], plan: EnforcementPlan) -> dict[str, Any]:
    source = hit.get("_source") or {}
    return {**source, **stray_identity("_id", hit["_id"], source, plan)}


def _sound(answer: Answer, name: str) -> Answer:
    if answer.kind:
        raise UserError(f"{name} can't be read in Elasticsearch ({answer.kind}): scan again, or look at the server")
    return answer


def _whole(answer: Answer, name: str) -> None:
    if answer.body.get("timed_out") or answer.body["_shards"]["failed"]:
        raise UserError(f"{name}: Elasticsearch answers from a part of its shards only: scan again when all are there")
