"""A dataset's `aggregates`: what is counted of its people, and by which fields."""

from collections.abc import Iterator

from governance.contracts.faults import at
from governance.contracts.node import Node
from governance.contracts.types import Aggregate, Dataset, Fault, Field, LogicalType, Protect
from governance.contracts.words import AGGREGATE_TERMS, nearest

_MOST_DIGITS = 6
_WIDEST = 1_000_000
_SINK = "mongodb"


def read_aggregates(node: Node | None) -> tuple[Aggregate, ...]:
    """A list of {name, by, mean, width, digits}; only the name must be there."""
    if node is None:
        return ()
    if not isinstance(node.value, list):
        node.wrong("a list of aggregates, each with a name")
        return ()
    return tuple(made for one in node.items() if (made := _aggregate(one)) is not None)


def _aggregate(node: Node) -> Aggregate | None:
    given = node.mapping(AGGREGATE_TERMS)
    name = given["name"].text() if "name" in given else None
    if name is None:
        if "name" not in given:
            node.fault("missing-term", "the aggregate has no 'name'.")
        return None
    digits = given["digits"].count(0, _MOST_DIGITS) if "digits" in given else None
    return Aggregate(
        name=name,
        where=node.document.line(node.place),
        by=given["by"].texts() if "by" in given else (),
        mean=given["mean"].text() if "mean" in given else None,
        width=given["width"].count(1, _WIDEST) if "width" in given else None,
        digits=Aggregate.digits if digits is None else digits,
    )


def aggregate_refusals(dataset: Dataset) -> Iterator[Fault]:
    """Every refusal about what is counted."""
    if _SINK in dataset.sinks and not dataset.aggregates:
        message = f"the sink '{_SINK}' keeps numbers of people: say which in 'aggregates'."
        yield Fault(at(dataset, "sinks"), "aggregates-missing", message)
    if dataset.aggregates and _SINK not in dataset.sinks:
        message = f"nobody keeps these numbers: add '{_SINK}' to the sinks, or leave them out."
        yield Fault(at(dataset, "aggregates"), "aggregates-unused", message)
    seen: set[str] = set()
    for one in dataset.aggregates:
        if one.name in seen:
            yield Fault(one.where, "duplicate-id", f"the aggregate '{one.name}' stands here twice: keep one.")
        seen.add(one.name)
        yield from _fields(one, dataset)
        if one.width is not None and len(one.by) != 1:
            message = f"the aggregate '{one.name}' has a width, and needs one field of whole numbers in 'by' for it."
            yield Fault(one.where, "aggregate-width", message)


def _fields(one: Aggregate, dataset: Dataset) -> Iterator[Fault]:
    fields = {field.id: field for field in dataset.fields}
    for name in (*one.by, *([one.mean] if one.mean else [])):
        if name not in fields:
            message = f"the aggregate '{one.name}' needs '{name}', which is no field of this dataset."
            yield Fault(one.where, "unknown-field", message, None, nearest(name, tuple(fields)))
        elif not _in_clear(fields[name]):
            message = f"the aggregate '{one.name}' needs '{name}', which isn't stored in clear and can't be counted."
            yield Fault(one.where, "aggregate-of-tokens", message)
    measured = fields.get(one.mean or "")
    if measured is not None and measured.logical_type not in (LogicalType.INTEGER, LogicalType.NUMBER):
        yield Fault(one.where, "aggregate-mean", f"the aggregate '{one.name}' needs a mean of '{one.mean}', no number.")
    ranged = fields.get(one.by[0]) if one.width is not None and len(one.by) == 1 else None
    if ranged is not None and ranged.logical_type is not LogicalType.INTEGER:
        message = f"the aggregate '{one.name}' has a width, and '{ranged.id}' holds no whole numbers."
        yield Fault(one.where, "aggregate-width", message)


def _in_clear(field: Field) -> bool:
    return field.protect is Protect.CLEAR or (field.protect is None and field.pii is None)
