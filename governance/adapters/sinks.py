"""The stores that a stream fills, by the words of a contract's `sinks`."""

from collections.abc import Callable
from dataclasses import asdict

from governance.adapters.settings import Settings
from governance.enforcement.plan import EnforcementPlan
from governance.errors import UserError
from governance.flows.aggregates import Aggregate
from governance.flows.documents import DocumentSink
from governance.flows.every_sink import EverySink
from governance.model.clock import Clock


def open_sinks(settings: Settings, plan: EnforcementPlan, clock: Clock) -> DocumentSink:
    """All of a dataset's as one. Their clients are imported when they are used. Raises UserError where it has none."""
    makers: dict[str, Callable[[], DocumentSink]] = {
        "elasticsearch": lambda: _elasticsearch(settings, plan),
        "cassandra": lambda: _cassandra(settings, plan, clock),
        "mongodb": lambda: _mongodb(settings, plan, clock),
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


def _mongodb(settings: Settings, plan: EnforcementPlan, clock: Clock) -> DocumentSink:
    from governance.adapters.mongodb import MongoSink, Server

    aggregates = [Aggregate(**asdict(one)) for one in plan.aggregates]
    return MongoSink(Server(settings.mongodb.get_secret_value()), plan, aggregates, clock, plan.smallest_group)
