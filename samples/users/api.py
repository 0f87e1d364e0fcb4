"""The users API, as randomuser's: GET /api/?results=N&page=P&seed=S.

It answers {"results": [records], "info": {seed, results, page, version}}; a page beyond the last has no records.
Another seed has other people. Beyond randomuser's, each record says in `updated` when it last changed, and
`updated_since` (ISO 8601, included) leaves out those that changed before. A page that is full stays as it is for ever.
"""

from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b

import orjson

from samples.paging import BadRequestError, Page, Query, moment, whole
from samples.ticks import Ticks
from samples.users.source import UserSource

LARGEST_RESULTS = 5000
_LAST_PAGE = 10**6
_LONGEST_SEED = 64
VERSION = "1.4"


class UserApi:
    """The people of a source, as many as it has at the tick that it is."""

    path = "api"

    def __init__(self, source: UserSource, ticks: Ticks) -> None:
        self.source = source
        self._ticks = ticks
        self._others = lru_cache(maxsize=8)(self._other)

    def check(self, query: Query) -> None:
        """Raise BadRequestError for a request that can't be answered."""
        whole(query, "results", 1, LARGEST_RESULTS)
        whole(query, "page", 1, _LAST_PAGE)
        moment(query.get("updated_since"))
        if len(query.get("seed", "")) > _LONGEST_SEED:
            raise BadRequestError(f"a seed has {_LONGEST_SEED} characters at most")

    def page(self, query: Query) -> Page:
        """The page that is asked for."""
        results, page = whole(query, "results", 1, LARGEST_RESULTS), whole(query, "page", 1, _LAST_PAGE)
        source = self._others(query["seed"]) if "seed" in query else self.source
        since = moment(query.get("updated_since"))
        there = source.feed.rows(self._ticks.now())
        first = (page - 1) * results + (source.feed.since(since, there) if since else 0)
        rows = source.rows(first, min(first + results, there))
        records = [orjson.dumps(row.record).decode() for row in rows]
        seed = query.get("seed", str(self.source.feed.seed))
        info = {"seed": seed, "results": len(records), "page": page, "version": VERSION}
        tail = f'], "info": {orjson.dumps(info).decode()}}}'
        return Page(records, '{"results": [', tail, tail)

    def _other(self, seed: str) -> UserSource:
        """The people of another seed; any text is one."""
        number = int(seed) if seed.isdecimal() else int.from_bytes(blake2b(seed.encode(), digest_size=7).digest())
        return self.source.sown(replace(self.source.feed, seed=number))
