"""A dataset's people in MongoDB: what is counted of each, and the numbers."""

from collections.abc import Sequence
from contextlib import suppress

from governance.adapters.mongodb.aggregates import Aggregates
from governance.adapters.mongodb.server import Server
from governance.adapters.mongodb.settling import Settling
from governance.adapters.mongodb.state import State
from governance.enforcement.plan import EnforcementPlan
from governance.errors import TransientError
from governance.flows.aggregates import SMALLEST, Aggregate, check
from governance.flows.documents import Codes, Documents
from governance.model.clock import Clock, system_clock


class MongoSink:
    """`DocumentSink` that keeps aggregates. Once `write` has returned they count what it wrote; only where counting
    takes seconds, as it does of very many people, they follow soon after (`settling`), or when the sink is closed.
    Unless it is `counting`, somebody else settles them, for several who write.
    """

    def __init__(
        self,
        server: Server,
        plan: EnforcementPlan,
        aggregates: Sequence[Aggregate],
        clock: Clock = system_clock,
        smallest: int = SMALLEST,
        *,
        counting: bool = True,
    ) -> None:
        """Raises SettingsError for an aggregate of what can't be counted."""
        self._server, self._plan, self._counting = server, plan, counting
        self.state = State(server, plan, check(aggregates, plan), clock)
        self.aggregates = Aggregates(server, plan, aggregates, self.state, clock, smallest)
        self._settling = Settling(self.aggregates.settle)

    @property
    def name(self) -> str:
        """See `DocumentSink.name`."""
        return f"MongoDB database {self._plan.system}, collections {self._plan.table}_*"

    def prepare(self) -> None:
        """See `DocumentSink.prepare`. What a crash left to be counted is counted, and everything else again too."""
        self.state.prepare()
        self.aggregates.settle()
        self.aggregates.rebuild()

    def write(self, documents: Documents) -> Codes:
        """See `DocumentSink.write`."""
        taken = self.state.write(documents)
        if self._counting:
            self.settle()
        return taken

    def settle(self) -> None:
        """Count the groups of everybody who has changed, now or soon."""
        self._settling.due()

    def close(self) -> None:
        """Count what still waits, and let go of connections. What can't be counted now is counted at the next start."""
        with suppress(TransientError):
            self._settling.close()
        self._server.close()
