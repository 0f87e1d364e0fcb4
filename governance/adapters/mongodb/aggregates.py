"""The numbers by group: counted anew from the state, for the groups that have changed, and shown.

`<table>_groups` has every group as it is, for us alone; `<table>_aggregates` has one document an aggregate, replaced as
a whole, with what may be shown of it. Nothing is added to or taken off a number: each is counted. Every count has a
number of its own, taken before the state is read, and only a later one replaces what an earlier one wrote; so of
several who count at once the last to begin, who has seen the most, is right in the end.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import pymongo
from pymongo import ReturnDocument

from governance.adapters.mongodb.server import Document, Server, bulk, moment, translated
from governance.adapters.mongodb.state import State
from governance.enforcement.plan import EnforcementPlan
from governance.flows.aggregates import SMALLEST, Aggregate, Group, Key, shown
from governance.model.clock import Clock

_SEQUENCE = "sequence"


class Aggregates:
    """The aggregates of one dataset, and the state that they are counted from."""

    def __init__(
        self,
        server: Server,
        plan: EnforcementPlan,
        aggregates: Sequence[Aggregate],
        state: State,
        clock: Clock,
        smallest: int = SMALLEST,
    ) -> None:
        database = server.database(plan.system)
        self.groups = database[f"{plan.table}_groups"]
        self.shown = database[f"{plan.table}_aggregates"]
        self._aggregates, self._state, self._clock, self._smallest = tuple(aggregates), state, clock, smallest
        self._readings = _readings(self._aggregates)

    def settle(self) -> int:
        """Count again all groups of people who have changed, and show them; returns how many changes that were.

        Raises StoreUnavailableError; the changes stay noted until this has succeeded.
        """
        settled = 0
        self._state.sweep()
        while pending := self._state.pending():
            changed = [fields for one in pending for fields in (one.get("fields"), *one.get("was", ())) if fields]
            with translated():
                number = self._number()
                for one, groups in self._counted().items():
                    self._keep(one, number, groups, {one.key(fields) for fields in changed})
                self._show()
            self._state.counted(pending)
            settled += len(pending)
        return settled

    def rebuild(self) -> None:
        """Count everything: at the start, and whenever documents went without us, as by MongoDB's own expiry."""
        with translated():
            number = self._number()
            for one, groups in self._counted().items():
                self._keep(one, number, groups, None)
            self._forget_undeclared()
            self._show()

    def _counted(self) -> dict[Aggregate, dict[Key, Group]]:
        """Every group of every aggregate, from the state: one reading of it gives all sums of what it counts by."""
        found = {}
        for widest, members in self._readings:
            cells = self._read(widest, tuple(dict.fromkeys(one.mean for one in members if one.mean is not None)))
            for one in members:
                groups: dict[Key, Group] = {}
                places = [widest.index(name) for name in one.by]
                for cell, by_mean in cells.items():
                    key = tuple(cell[place] for place in places)
                    groups[key] = groups.get(key, Group(0)) + by_mean[one.mean]
                found[one] = groups
        return found

    def _read(self, by: tuple[str, ...], means: tuple[str, ...]) -> dict[Key, dict[str | None, Group]]:
        """People by these columns; with each of the means' columns, how many have it, and its sum."""
        names = {f"k{place}": f"$fields.{name}" for place, name in enumerate(by)}
        group: Document = {"_id": names or None, "people": {"$sum": 1}}
        for place, name in enumerate(means):
            measured = f"$fields.{name}"
            group[f"total{place}"] = {"$sum": measured}
            group[f"having{place}"] = {"$sum": {"$cond": [{"$eq": [{"$ifNull": [measured, "none"]}, "none"]}, 0, 1]}}
        found = {}
        for line in self._state.people.aggregate([{"$match": {"gone": {"$exists": False}}}, {"$group": group}]):
            key = tuple((line["_id"] or {}).get(name) for name in names)
            people = line["people"]
            by_mean: dict[str | None, Group] = {None: Group(people)}
            for place, name in enumerate(means):
                by_mean[name] = Group(people, line[f"having{place}"], line[f"total{place}"])
            found[key] = by_mean
        return found

    def _keep(self, one: Aggregate, number: int, found: Mapping[Key, Group], keys: set[Key] | None) -> None:
        """Write the groups with these keys, nobody's too; all there are if None."""
        operations = [
            pymongo.UpdateOne(
                {"_id": _name(one, key), "number": {"$lt": number}},
                {"$set": {"aggregate": one.name, "key": list(key), "number": number, **_numbers(group)}},
                upsert=True,
            )
            for key in (found if keys is None else keys)
            for group in (found.get(key, Group(0)),)
        ]
        bulk(self.groups, operations)
        if keys is None:
            older = {"aggregate": one.name, "number": {"$lt": number}}
            self.groups.update_many(older, {"$set": {"number": number, **_numbers(Group(0))}})

    def _show(self) -> None:
        """Put what may be shown where it is seen, each aggregate as a whole."""
        number = self._number()
        counted: dict[str, dict[Key, Group]] = {}
        for line in self.groups.find({"people": {"$gt": 0}}):
            group = Group(line["people"], line["having"], line["total"])
            counted.setdefault(line["aggregate"], {})[tuple(line["key"])] = group
        views = shown(self._aggregates, counted, self._smallest)
        at = moment(self._clock())
        about = {"version": number, "at": at, "smallest_group": self._smallest}
        operations = [
            pymongo.ReplaceOne({"_id": one.name, "version": {"$lt": number}}, {**about, **view}, upsert=True)
            for one, view in zip(self._aggregates, views, strict=True)
        ]
        bulk(self.shown, operations)

    def _forget_undeclared(self) -> None:
        declared = [one.name for one in self._aggregates]
        self.shown.delete_many({"_id": {"$nin": declared}})
        self.groups.delete_many({"aggregate": {"$nin": declared}, "_id": {"$ne": _SEQUENCE}})

    def _number(self) -> int:
        """A number that nobody else has, higher than all before."""
        found = self.groups.find_one_and_update(
            {"_id": _SEQUENCE}, {"$inc": {"last": 1}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        return int((found or {})["last"])


def _readings(aggregates: Iterable[Aggregate]) -> list[tuple[tuple[str, ...], list[Aggregate]]]:
    """By which columns the state is read, and what comes of each reading: who counts by some of its columns."""
    found: list[tuple[tuple[str, ...], list[Aggregate]]] = []
    for one in sorted(aggregates, key=lambda aggregate: -len(aggregate.by)):
        members = next((some for by, some in found if set(one.by) <= set(by)), None)
        if members is None:
            found.append((one.by, [one]))
        else:
            members.append(one)
    return found


def _numbers(group: Group) -> Mapping[str, Any]:
    return {"people": group.people, "having": group.having, "total": group.total}


def _name(one: Aggregate, key: Iterable[Any]) -> str:
    return orjson.dumps([one.name, *key]).decode()
