"""Where a dataset's documents are: an alias on one backing index, or on one a month or day of the record's own date.

The mapping is the plan's, and strict: a field that nobody declared is refused. Codes are keywords; free text is
searched as text and has a keyword beside it; tokens are kept and neither searched nor sorted. A decimal is indexed as
a double, so that every server can range over it and add it up, and stands in the document as the exact text; a moment
is indexed to the millisecond, and stands there to the microsecond. The contract and its version are in `_meta`.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from governance.adapters.elasticsearch.server import Server
from governance.contracts.types import Protect
from governance.enforcement.plan import ColumnPlan, EnforcementPlan
from governance.errors import StoreUnavailableError, UserError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_SHORT_DAYS = 92
"""Up to so many days of retention there is an index a day, else one a month: what is too old goes as whole indices."""
_LONGEST_KEYWORD = 256
_PRIORITY = 200

_SIMPLE: dict[str, dict[str, Any]] = {
    "int64": {"type": "long"},
    "double": {"type": "double"},
    "bool": {"type": "boolean"},
    "date": {"type": "date", "format": "strict_date"},
    "timestamp": {"type": "date", "format": "strict_date_optional_time"},
    "time": {"type": "keyword"},
}
_TOKEN = {"type": "keyword", "index": False, "doc_values": False}
_TEXT = {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": _LONGEST_KEYWORD}}}
_CODE = {"type": "keyword"}


@dataclass(frozen=True)
class IndexPlan:
    """What a dataset has in Elasticsearch. `every` is how long a backing index lasts: `month`, `day` or nothing.

    `clear` are the names of the fields that are stored as they are.
    """

    alias: str
    dataset: str
    version: str
    properties: dict[str, dict[str, Any]]
    clear: tuple[str, ...]
    every: str = ""

    def backing(self, day: np.datetime64) -> str:
        """The index of a record of that date."""
        if not self.every:
            return f"{self.alias}-000001"
        if np.isnat(day):
            return f"{self.alias}-undated"
        return f"{self.alias}-{str(day)[:7] if self.every == 'month' else str(day)}"

    @property
    def mapping(self) -> dict[str, Any]:
        """The mapping of each backing index."""
        meta = {"dataset": self.dataset, "contract_version": self.version, "made_by": "kasbah"}
        return {"dynamic": "strict", "_meta": meta, "properties": self.properties}


def index_of(plan: EnforcementPlan) -> IndexPlan:
    """What a plan comes to in Elasticsearch. Raises UserError where the dataset's name can't be part of an index's."""
    alias = f"index_{plan.table}"
    if not _NAME.fullmatch(alias):
        raise UserError(f"{plan.dataset}: an index can't be called {alias}: a-z, 0-9 and _ only, up to 100")
    properties = {column.name: _type_of(column, plan) for column in plan.columns if column.stored}
    properties |= {subject.pseudonym_column: dict(_CODE) for subject in plan.subjects}
    every = ""
    if plan.record_date is not None:
        every = "day" if plan.oldest_days is not None and plan.oldest_days <= _SHORT_DAYS else "month"
    clear = tuple(column.name for column in plan.columns if column.in_clear)
    return IndexPlan(alias, plan.dataset, plan.version, properties, clear, every)


def _type_of(column: ColumnPlan, plan: EnforcementPlan) -> dict[str, Any]:
    if column.protect == Protect.ENCRYPT:
        return dict(_TOKEN)
    if column.stored_type != "string":
        return dict(_SIMPLE.get(column.stored_type, {"type": "double"}))
    rules = {rule.rule for rule in plan.row_rules if rule.fields == (column.field,)}
    derived = (column.derive or {}).get("kind")
    coded = rules & {"in_set", "matches"} or column.field in plan.key or derived in ("constant", "band")
    return dict(_CODE) if coded or column.protect == Protect.MASK else dict(_TEXT)


@dataclass
class Indices:
    """The backing indices of a dataset, made as they are needed."""

    server: Server
    plan: IndexPlan

    def __post_init__(self) -> None:
        self._known: set[str] = set()

    @property
    def known(self) -> tuple[str, ...]:
        """Every backing index there is, as far as `prepare` and `ensure` know."""
        return tuple(sorted(self._known))

    def prepare(self) -> None:
        """Put the template, bring the indices that are there to the mapping, make the one that is always there.

        Raises UserError where the name is another's, or the mapping can't become the contract's.
        """
        self._own()
        self._put_template()
        found = self.server.ask("GET", f"/{self.plan.alias}-*/_mapping").body
        self._known = set(found)
        for name in self._known:
            self._bring(name)
        if not self.plan.every:
            self.ensure(self.plan.backing(np.datetime64("NaT")))

    def ensure(self, name: str) -> None:
        """Make a backing index unless it is there. It gets mapping and alias by the template."""
        if name in self._known:
            return
        made = self.server.ask("PUT", f"/{name}")
        if made.kind and made.kind != "resource_already_exists_exception":
            raise StoreUnavailableError(f"Elasticsearch makes no index {name} ({made.kind})")
        self._known.add(name)

    def forget(self) -> None:
        """Indices have gone: make them again when they are needed."""
        self._known.clear()

    def _own(self) -> None:
        """Raise UserError if the name is taken."""
        alias = self.plan.alias
        template = self.server.ask("GET", f"/_index_template/{alias}")
        for one in template.body.get("index_templates", ()) if not template.kind else ():
            held = one["index_template"].get("_meta", {}).get("dataset")
            if held != self.plan.dataset:
                raise UserError(
                    f"the index template {alias} is not of {self.plan.dataset} but of {held or 'somebody else'}: "
                    "rename one of the datasets"
                )
        here = self.server.ask("GET", f"/{alias}")
        if not here.kind and alias in here.body:
            raise UserError(f"an index, not an alias, is called {alias}: move it out of the way")

    def _put_template(self) -> None:
        plan = self.plan
        settings = {"auto_expand_replicas": "0-1", "number_of_shards": 1}
        template = {"settings": {"index": settings}, "mappings": plan.mapping, "aliases": {plan.alias: {}}}
        body = {
            "index_patterns": [f"{plan.alias}-*"],
            "priority": _PRIORITY,
            "template": template,
            "_meta": plan.mapping["_meta"],
        }
        answer = self.server.ask("PUT", f"/_index_template/{plan.alias}", body)
        if answer.kind:
            raise UserError(
                f"Elasticsearch refuses the index template {plan.alias} ({answer.kind}): another template may claim "
                f"{plan.alias}-*, or a type of the contract be unknown to it"
            )

    def _bring(self, name: str) -> None:
        plan = self.plan
        answer = self.server.ask("PUT", f"/{name}/_mapping", plan.mapping)
        if answer.kind:
            raise UserError(
                f"the mapping of {name} can't become that of {plan.dataset} {plan.version} ({answer.kind}): a field "
                "has changed its type. Remove the index and read the topic again, or take the change back"
            )
        aliases = {"actions": [{"add": {"index": name, "alias": plan.alias}}]}
        if self.server.ask("POST", "/_aliases", aliases).kind:
            raise StoreUnavailableError(f"Elasticsearch gives {name} no alias")
