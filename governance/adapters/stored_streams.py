"""What a scan reads of the stores that streams fill: those that a dataset's contract names as its sinks."""

from collections.abc import Callable, Iterator
from functools import cached_property

from governance.adapters.settings import Settings
from governance.enforcement.plan import EnforcementPlan
from governance.flows.stored import Copy, Piece, StoredCells

Brokers = Callable[[EnforcementPlan], str]


class OfSink:
    """A store, for the datasets that have it as a sink. It is opened when it is first needed."""

    def __init__(self, sink: str, opened: Callable[[], StoredCells]) -> None:
        self._sink, self._opened = sink, opened

    def copies(self, plan: EnforcementPlan) -> tuple[Copy, ...]:
        """See `StoredCells.copies`."""
        return self._cells.copies(plan) if self._sink in plan.sinks else ()

    def pieces(self, plan: EnforcementPlan, copy: Copy, leave: frozenset[str], position: int = 0) -> Iterator[Piece]:
        """See `StoredCells.pieces`."""
        return self._cells.pieces(plan, copy, leave, position)

    @cached_property
    def _cells(self) -> StoredCells:
        return self._opened()


def stored_streams(settings: Settings, brokers: Brokers) -> tuple[StoredCells, ...]:
    """Topics, indices, tables and collections. `brokers` says where a dataset's topic is. Clients are imported when
    they are used.
    """
    makers = {
        "kafka": lambda: _topics(settings, brokers),
        "elasticsearch": lambda: _indices(settings),
        "cassandra": lambda: _tables(settings),
        "mongodb": lambda: _collections(settings),
    }
    return tuple(OfSink(sink, opened) for sink, opened in makers.items())


def _topics(settings: Settings, brokers: Brokers) -> StoredCells:
    from governance.adapters.kafka.cells import TopicCells

    return TopicCells(brokers, {name: secret.get_secret_value() for name, secret in settings.kafka.options.items()})


def _indices(settings: Settings) -> StoredCells:
    from governance.adapters.elasticsearch import Server
    from governance.adapters.elasticsearch.cells import IndexCells

    return IndexCells(Server(settings.elasticsearch))


def _tables(settings: Settings) -> StoredCells:
    from governance.adapters.cassandra import Server
    from governance.adapters.cassandra.cells import CassandraCells

    return CassandraCells(Server(settings.cassandra))


def _collections(settings: Settings) -> StoredCells:
    from governance.adapters.mongodb import Server
    from governance.adapters.mongodb.cells import MongoCells

    return MongoCells(Server(settings.mongodb.get_secret_value()))
