"""Numbers of people by group, and which of them may be shown: no group under the smallest, nor what tells of one.

A group that is too small is left out. Since the number of all is shown, and sums by one field beside those by two, a
reader could subtract what is shown and have the group that isn't. So what is left out of each sum that is shown is
either nobody, or at least two groups and together at least the smallest: where it would be less, the next smallest
group goes too. It holds for each sum by itself, which suffices as long as the sums form a tree (all > nationality >
nationality and gender); where two sums cross, both are held to it one by one.

Who reads the same numbers before and after a single person comes or goes sees what one person makes: of exact numbers
that are always up to date this can't be kept from a reader. Means are rounded, and those of few are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.enforcement.plan import EnforcementPlan
from governance.errors import SettingsError

Key = tuple[Any, ...]
Record = dict[str, Any]

SMALLEST = 5
_COUNTED = frozenset({"string", "int64", "bool", "date"})
_MEASURED = frozenset({"int64", "double"})
_BARRED = frozenset("$.\0")


@dataclass(frozen=True)
class Aggregate:
    """People counted by the columns `by` (all of them together where it is empty), with the mean of a column.

    `width` is for a histogram: groups of that many whole numbers of the one column in `by`, from a multiple of it on.
    Means are rounded to `digits` places.
    """

    name: str
    by: tuple[str, ...] = ()
    mean: str | None = None
    width: int | None = None
    digits: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs."""
        return (*self.by, *(() if self.mean is None else (self.mean,)))

    def key(self, fields: Mapping[str, Any]) -> Key:
        """The group of somebody, before a histogram puts groups together."""
        return tuple(fields.get(name) for name in self.by)


@dataclass(frozen=True)
class Group:
    """How many people are in a group, how many of them have the measured column, and its sum over those."""

    people: int
    having: int = 0
    total: float = 0

    def __add__(self, other: "Group") -> "Group":
        """Both together."""
        return Group(self.people + other.people, self.having + other.having, self.total + other.total)


Groups = Mapping[Key, Group]


def check(aggregates: Sequence[Aggregate], plan: EnforcementPlan) -> tuple[str, ...]:
    """The columns that the aggregates need, each once. Raises SettingsError for one that can't be counted."""
    stored = {c.name: c for c in plan.columns if c.stored}
    names = [aggregate.name for aggregate in aggregates]
    faults = [f"two are called {name}" for name in dict.fromkeys(names) if names.count(name) > 1]
    for one in aggregates:
        for column in one.columns:
            if column not in stored or not stored[column].in_clear:
                faults.append(f"{one.name} needs the column {column}, which isn't stored in clear")
            elif stored[column].stored_type not in (_MEASURED if column == one.mean else _COUNTED):
                faults.append(f"{one.name} can't use the column {column}, which is of type {stored[column].type}")
            elif _BARRED & set(column):
                faults.append(f"{one.name} can't use the column {column}: no $ or dot in its name")
        faults += _histogram_faults(one, aggregates, stored)
    if faults:
        raise SettingsError(f"the aggregates of {plan.dataset} can't be made: " + "; ".join(faults))
    return tuple(dict.fromkeys(column for one in aggregates for column in one.columns))


def _histogram_faults(one: Aggregate, aggregates: Iterable[Aggregate], stored: Mapping[str, Any]) -> list[str]:
    if one.width is None:
        return []
    if one.width < 1 or len(one.by) != 1 or (one.by[0] in stored and stored[one.by[0]].stored_type != "int64"):
        return [f"{one.name} is a histogram, and needs a width of at least 1 and one column of whole numbers"]
    others = [other.name for other in aggregates if other is not one and one.by[0] in other.by]
    # Wide groups less the narrow ones within them: what is left out of either would show.
    return [f"{one.name} and {other} both count by {one.by[0]}" for other in others]


def shown(aggregates: Sequence[Aggregate], counted: Mapping[str, Groups], smallest: int = SMALLEST) -> list[Record]:
    """What may be shown of each aggregate, in their order: `people` altogether (None if they are too few), `groups`,
    and `rest`: how many people are in none that is shown.
    """
    cells = {one.name: _cells(one, counted.get(one.name, {})) for one in aggregates}
    hidden: dict[str, set[Key]] = {}
    for one in sorted(aggregates, key=lambda aggregate: len(aggregate.by)):
        sums = [(other, hidden[other.name]) for other in aggregates if _is_sum_of(other, one)]
        hidden[one.name] = _hidden(one, cells[one.name], sums, smallest)
    return [_view(one, cells[one.name], hidden[one.name], smallest) for one in aggregates]


def _cells(one: Aggregate, groups: Groups) -> dict[Key, Group]:
    """The groups that have somebody in them; those of a histogram put together."""
    found: dict[Key, Group] = {}
    for key, group in groups.items():
        if group.people < 1:
            continue
        cell: Key = key
        if one.width is not None and key[0] is not None:
            cell = (key[0] // one.width * one.width,)
        found[cell] = found[cell] + group if cell in found else group
    return found


def _is_sum_of(other: Aggregate, one: Aggregate) -> bool:
    return other.width is None and one.width is None and set(other.by) < set(one.by)


def _hidden(
    one: Aggregate, cells: Mapping[Key, Group], sums: Sequence[tuple[Aggregate, set[Key]]], smallest: int
) -> set[Key]:
    """The cells that aren't shown. `sums` are the aggregates by some of its columns, with what is hidden of them: all
    that such a group consists of is hidden too.
    """
    total = sum(group.people for group in cells.values())
    if total < smallest:
        return set(cells)
    hidden = {key for key, group in cells.items() if group.people < smallest}
    lines: dict[tuple[str, Key], list[Key]] = {}
    for other, gone in sorted(sums, key=lambda pair: -len(pair[0].by)):
        for key in cells:
            above = tuple(key[one.by.index(name)] for name in other.by)
            lines.setdefault((other.name, above), []).append(key)
            if above in gone:
                hidden.add(key)
    # The small sums first: what is enough for each of them is enough for the large one.
    narrow_to_wide = [*lines.values(), list(cells)]
    while (more := _next_telling(narrow_to_wide, hidden, cells, smallest)) is not None:
        hidden.add(more)
    return hidden


def _next_telling(
    lines: Iterable[Sequence[Key]], hidden: set[Key], cells: Mapping[Key, Group], smallest: int
) -> Key | None:
    """The next cell that must go, for the first sum that tells too much; None once there is none."""
    found = (_too_telling([key for key in line if key in hidden], line, cells, smallest) for line in lines)
    return next((key for key in found if key is not None), None)


def _too_telling(hidden: Sequence[Key], line: Sequence[Key], cells: Mapping[Key, Group], smallest: int) -> Key | None:
    """The next cell of a sum that must go, if those of it that are hidden could be told by subtracting."""
    if not hidden or (len(hidden) > 1 and sum(cells[key].people for key in hidden) >= smallest):
        return None
    rest = [key for key in line if key not in set(hidden)]
    return min(rest, key=lambda key: (cells[key].people, _sortable(key)), default=None)


def _view(one: Aggregate, cells: Mapping[Key, Group], hidden: set[Key], smallest: int) -> Record:
    total = sum(group.people for group in cells.values())
    if total < smallest:
        return {"people": None, "groups": [], "rest": None}
    visible = sorted((key for key in cells if key not in hidden), key=_sortable)
    rest = total - sum(cells[key].people for key in visible)
    return {"people": total, "groups": [_line(one, key, cells[key], smallest) for key in visible], "rest": rest}


def _line(one: Aggregate, key: Key, group: Group, smallest: int) -> Record:
    line: Record = dict(zip(one.by, key, strict=True))
    if one.width is not None:
        line = {"from": key[0], "to": None if key[0] is None else key[0] + one.width - 1}
    line["people"] = group.people
    if one.mean is not None:
        line[f"mean_{one.mean}"] = round(group.total / group.having, one.digits) if group.having >= smallest else None
    return line


def _sortable(key: Key) -> list[tuple[bool, Any]]:
    """Nulls last."""
    return [(cell is None, "" if cell is None else cell) for cell in key]
