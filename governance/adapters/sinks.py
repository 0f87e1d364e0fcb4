"""The stores that a stream fills, by the words of a contract's `sinks`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from governance.adapters.settings import Settings
from governance.enforcement.plan import EnforcementPlan
from governance.errors import UserError
from governance.flows.aggregates import Aggregate
from governance.flows.documents import DocumentSink
from governance.flows.every_sink import EverySink
from governance.model.clock import Clock

if TYPE_CHECKING:
    from governance.adapters.mongodb import MongoSink


def open_sinks(settings: Settings, plan: EnforcementPlan, clock: Clock, *, counting: bool = True) -> DocumentSink:
    """All of a dataset's as one. Their clients are imported when they are used. Raises UserError where it has none.

    Unless they are `counting`, `open_aggregates` brings up to date what is counted of the documents.
    """
    makers: dict[str, Callable[[], DocumentSink]] = {
        "elasticsearch": lambda: _elasticsearch(settings, plan),
        "cassandra": lambda: _cassandra(settings, plan, clock),
        "mongodb": lambda: _mongodb(settings, plan, clock, counting=counting),
    }
    sinks = [makers[name]() for name in plan.sinks if name in makers]
    if not sinks:
        raise UserError(f"{plan.dataset} has no sink that a stream fills: name one in its contract's `sinks`")
    return sinks[0] if len(sinks) == 1 else EverySink(sinks)


def _elasticsearch(settings: Settings, plan: EnforcementPlan) -> DocumentSink:
    from governance.adapters.elasticsearch import ElasticsearchSink, Server, index_of

    return ElasticsearchSink(Server(settings.elasticsearch), index_of(plan))


def _cassandra(settings: Settings, plan: EnforcementPlan, clock: Clock) -> DocumentSink:
    from governance.adapters.cassandra import CassandraSink, Server

    return CassandraSink(Server(settings.cassandra), plan, clock)


@contextmanager
def open_aggregates(settings: Settings, plan: EnforcementPlan, clock: Clock) -> Iterator[Callable[[], None]]:
    """What counts the documents that have changed; it does nothing where the dataset has no such sink."""
    if "mongodb" not in plan.sinks:
        yield lambda: None
        return
    sink = _mongodb(settings, plan, clock)
    try:
        yield sink.settle
    finally:
        sink.close()


def _mongodb(settings: Settings, plan: EnforcementPlan, clock: Clock, *, counting: bool = True) -> "MongoSink":
    from governance.adapters.mongodb import MongoSink, Server

    aggregates = [Aggregate(**asdict(one)) for one in plan.aggregates]
    server = Server(settings.mongodb.get_secret_value())
    return MongoSink(server, plan, aggregates, clock, plan.smallest_group, counting=counting)
