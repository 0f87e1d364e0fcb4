"""The composition root: settings -> adapters -> services. Everything is made when it is first asked for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from threading import Event

import sqlalchemy as sa

from governance.adapters.anchor_file import FileAnchor
from governance.adapters.control.collected import PostgresCollected
from governance.adapters.control.database import check_revision, connect
from governance.adapters.control.day_keys import PostgresDayKeys
from governance.adapters.control.epochs import PostgresEpochs
from governance.adapters.control.leases import PostgresLeases
from governance.adapters.control.ledger import PostgresLedger
from governance.adapters.control.message_keys import PostgresMessageKeys
from governance.adapters.control.progress import PostgresProgress
from governance.adapters.control.quarantine import PostgresQuarantine
from governance.adapters.control.runs import PostgresRuns
from governance.adapters.control.scans import PostgresScans
from governance.adapters.control.subjects import PostgresSubjects
from governance.adapters.gate import GreatExpectationsGate
from governance.adapters.kafka.monitor import KafkaMonitor
from governance.adapters.kafka.publisher import KafkaPublisher
from governance.adapters.kafka.raw_values import read_values
from governance.adapters.kafka.subscriber import KafkaSubscriber
from governance.adapters.kms.choice import open_key_service
from governance.adapters.lake import ParquetLake
from governance.adapters.lake_cells import LakeCells
from governance.adapters.settings import Settings, load_settings
from governance.adapters.signing import load_signing_key
from governance.adapters.sinks import open_sinks
from governance.adapters.sources import open_source
from governance.adapters.sources.polling import open_polling
from governance.adapters.sources.retrying import Patience as ApiPatience
from governance.adapters.stored_streams import stored_streams
from governance.adapters.warehouse import PostgresWarehouse
from governance.adapters.warehouse.cells import WarehouseCells
from governance.audit.ledger import check_not_rolled_back
from governance.contracts.load import Datasets, load_folder
from governance.contracts.types import Dataset, Role, Source, Topic
from governance.enforcement.plan import EnforcementPlan, compile_plan
from governance.errors import SettingsError, UserError
from governance.flows.collect import Collect, CollectWatch
from governance.flows.collect_replay import CollectReplay
from governance.flows.collecting import Collecting
from governance.flows.consuming import Consuming
from governance.flows.decoding import GovernedReader
from governance.flows.enforcing import Enforcing
from governance.flows.ingest import Ingest, Report
from governance.flows.keyring import LeasedKeys
from governance.flows.polling import until_stopped
from governance.flows.progress import Flow
from governance.flows.raw import RawReader
from governance.flows.replay import ReplayReader
from governance.flows.review import Review
from governance.flows.scan import StoredScan
from governance.flows.source import SourceReader
from governance.flows.standing import PartStanding, standings_of
from governance.flows.stream import Stream, Watch
from governance.flows.stream_replay import Replayed, StreamReplay
from governance.model.clock import Clock, system_clock
from governance.pii.scanner import Scanner
from governance.protection.epochs import Epochs
from governance.protection.keyservice import KeyService
from governance.protection.leases import Leases
from governance.protection.subjects import Subjects
from governance.quarantine.store import Selection


class Services:
    """What the command line works with."""

    def __init__(self, settings: Settings, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.clock = clock

    @classmethod
    @contextmanager
    def open(cls, settings: Settings | None = None, clock: Clock = system_clock) -> Iterator["Services"]:
        """Services on a control database that is of this release and not older than its anchor."""
        services = cls(settings or load_settings(), clock)
        try:
            check_revision(services.control)
            check_not_rolled_back(services.ledger, services.anchor)
            yield services
        finally:
            services.close()

    def close(self) -> None:
        """Let go of the databases."""
        if "control" in self.__dict__:
            self.control.dispose()

    @cached_property
    def control(self) -> sa.Engine:
        """The control database."""
        return connect(self._address("control"))

    @cached_property
    def contracts(self) -> Datasets:
        """Every dataset of the contracts folder, checked."""
        return load_folder(self.settings.contracts)

    def plan(self, dataset: Dataset) -> EnforcementPlan:
        """The dataset's compiled plan."""
        contract, found = self.contracts[dataset.id]
        return compile_plan(found, contract)

    @cached_property
    def anchor(self) -> FileAnchor:
        """Where signed heads are kept outside the database."""
        return FileAnchor(self.settings.anchor)

    @cached_property
    def ledger(self) -> PostgresLedger:
        """The audit ledger."""
        return PostgresLedger(self.control, self.clock, load_signing_key(self.settings.signing_key), self.anchor)

    @cached_property
    def key_service(self) -> KeyService:
        """Where epochs' keys are kept."""
        return open_key_service(self.settings.kms, self.clock)

    @cached_property
    def epochs(self) -> Epochs:
        """The epochs' keys."""
        return Epochs(PostgresEpochs(self.control), self.key_service, self.clock, self.settings.epoch_cache_seconds)

    @cached_property
    def subjects(self) -> Subjects:
        """Whose rows they are."""
        return Subjects(PostgresSubjects(self.control), self.epochs, self.clock, self.settings.threads)

    def subject_counts(self) -> dict[int, dict[str, int]]:
        """How many subjects stand under each epoch, by entity."""
        return PostgresSubjects(self.control).counts()

    @cached_property
    def day_keys(self) -> PostgresDayKeys:
        """The keys of quarantine's days."""
        return PostgresDayKeys(self.control, self.epochs)

    @cached_property
    def message_keys(self) -> PostgresMessageKeys:
        """The keys under which messages are signed."""
        return PostgresMessageKeys(self.control, self.epochs, self.settings.epoch_cache_seconds)

    @cached_property
    def leases(self) -> Leases:
        """Who may be holding keys."""
        return Leases(PostgresLeases(self.control), self.clock)

    @cached_property
    def keyring(self) -> LeasedKeys:
        """The keys of a batch, under a lease."""
        return LeasedKeys(self.subjects, self.day_keys, self.epochs, self.leases, self.settings.lease_seconds)

    @cached_property
    def quarantine(self) -> PostgresQuarantine:
        """Rows that a gate held back."""
        return PostgresQuarantine(self.control, self._retention_days)

    @cached_property
    def runs(self) -> PostgresRuns:
        """Runs and what became of their batches."""
        return PostgresRuns(self.control, self.quarantine, self.clock)

    @cached_property
    def progress(self) -> PostgresProgress:
        """How far collectors and consumers have come."""
        return PostgresProgress(self.control, self.quarantine, self.clock)

    @cached_property
    def warehouse(self) -> PostgresWarehouse:
        """The relational store."""
        return PostgresWarehouse(self._address("warehouse"))

    @cached_property
    def lake(self) -> ParquetLake:
        """The Parquet lake."""
        return ParquetLake(self.settings.lake)

    @cached_property
    def scanner(self) -> Scanner:
        """What looks for undeclared personal data. Its libraries take seconds to import, so that happens at the first
        use, and commands that scan nothing stay quick.
        """
        from governance.adapters.names.spacy import SpacyNames
        from governance.adapters.presidio.scanner import PresidioScanner

        scan = self.settings.scan
        return PresidioScanner(scan.seconds, SpacyNames(scan.names) if scan.names else None)

    @cached_property
    def review(self) -> Review:
        """What people do with quarantined rows."""
        return Review(
            store=self.quarantine,
            day_keys=self.day_keys,
            ledger=self.ledger,
            keys=self.keyring.for_reading,
            roles=self._roles,
            clock=self.clock,
            actor=self.settings.actor,
            role=self.settings.role,
        )

    def replay(self, dataset: Dataset, selection: Selection) -> Report:
        """Enforce held rows again, under today's contract; what is admitted is gated and published."""
        chosen = [s for s in dataset.sources if selection.source in (None, s.name)]
        if not chosen:
            raise UserError(f"{dataset.id} has no source {selection.source}: there is nothing to replay from it")

        def held(source: Source) -> SourceReader:
            rows = replace(selection, source=source.name)
            return ReplayReader(source.name, dataset.id, self.quarantine, rows, self.keyring.for_reading)

        return self._ingest(held).load(dataset, self.plan(dataset), chosen, lambda _name, _rows: None)

    @cached_property
    def ingest(self) -> Ingest:
        """The batch load."""
        return self._ingest(self.open_source)

    def _ingest(self, reader: Callable[[Source], SourceReader]) -> Ingest:
        enforcing = Enforcing(
            runs=self.runs,
            warehouse=self.warehouse,
            keyring=self.keyring,
            scanner=self.scanner,
            clock=self.clock,
            open_source=reader,
            threads=self.settings.threads,
        )
        return Ingest(
            enforcing=enforcing,
            runs=self.runs,
            warehouse=self.warehouse,
            lake=self.lake,
            gate=GreatExpectationsGate(self._address("warehouse")),
            ledger=self.ledger,
            clock=self.clock,
            actor=self.settings.actor,
        )

    @property
    def scan(self) -> StoredScan:
        """The scan of what is stored."""
        return StoredScan(
            stores=(
                WarehouseCells(self._address("warehouse")),
                LakeCells(self.lake, self.warehouse.manifest),
                *stored_streams(
                    self.settings, lambda plan: self._brokers(self.contracts[plan.dataset][1].governed_topic)
                ),
            ),
            scanner=self.scanner,
            scans=PostgresScans(self.control, self.clock),
            ledger=self.ledger,
            actor=self.settings.actor,
        )

    def consuming(
        self, dataset: Dataset, topic: Topic, flow: Flow = Flow.STREAM, *, counting: bool = True
    ) -> Consuming:
        """What batches of one of a dataset's topics need on their way into its sinks (`counting`: see `open_sinks`)."""
        plan = self.plan(dataset)
        reader: GovernedReader | RawReader
        if topic.raw:
            threads = self.settings.threads
            reader = RawReader(plan, topic.name, read_values, self.scanner, self.clock, threads)
        else:
            reader = GovernedReader(plan, self.message_keys, self.subjects.alive, self.clock)
        return Consuming(
            plan=plan,
            source=topic.name,
            topic=topic.topic,
            reader=reader,
            sink=open_sinks(self.settings, plan, self.clock, counting=counting),
            progress=self.progress,
            keyring=self.keyring,
            clock=self.clock,
            flow=flow,
        )

    def stream(self, dataset: Dataset, topic: Topic, watch: Watch, batch_rows: int) -> Stream:
        """The consumer of one of a dataset's topics. Members of one group share its partitions."""
        group = f"kasbah-stream-{dataset.id.replace('/', '.')}-{topic.name}"

        def member() -> KafkaSubscriber:
            return KafkaSubscriber(self._brokers(topic), group, self._kafka_options())

        return Stream(self.consuming(dataset, topic), member, watch, batch_rows)

    @cached_property
    def collected(self) -> PostgresCollected:
        """What collectors have met, beside how far they have come."""
        return PostgresCollected(self.control, self.progress)

    def publisher(self, topic: Topic) -> KafkaPublisher:
        """What appends to a topic."""
        return KafkaPublisher(self._brokers(topic), self._kafka_options())

    @contextmanager
    def collect(
        self,
        dataset: Dataset,
        sources: Sequence[Source],
        watch: CollectWatch,
        stop: Event,
        every: float,
        patience: ApiPatience = ApiPatience(),  # noqa: B008  frozen
    ) -> Iterator[Collect]:
        """The collector of a dataset, from these of its sources. While it waits, it listens for `stop`."""
        places = {s.name: self.settings.sources.get(s.name, s.location) for s in sources}
        patience = replace(patience, sleep=until_stopped(stop))
        with ExitStack() as held:
            polled = [held.enter_context(closing(open_polling(s, places[s.name], patience=patience))) for s in sources]
            work = held.enter_context(self._collecting(dataset))
            yield Collect(work, polled, work.topic.partitions, watch, self.ledger, self.settings.actor, every)

    @contextmanager
    def _collecting(self, dataset: Dataset) -> Iterator[Collecting]:
        """What pages of a dataset's APIs need on their way to its topic."""
        plan, topic = self.plan(dataset), dataset.governed_topic
        if topic is None or plan.topic is None:
            raise UserError(f"{dataset.id} has no governed topic: declare a server of type kafka that isn't raw")
        with closing(self.publisher(topic)) as publisher:
            yield Collecting(
                plan=plan,
                topic=replace(topic, retention=plan.topic.retention),
                overlap=timedelta(hours=dataset.overlap_hours),
                store=self.collected,
                publisher=publisher,
                keyring=self.keyring,
                message_keys=self.message_keys,
                scanner=self.scanner,
                clock=self.clock,
                threads=self.settings.threads,
            )

    def replay_stream(self, dataset: Dataset, selection: Selection) -> Replayed:
        """Send held rows of a dataset's topics, and of the APIs that its collector reads, again."""
        flow = Flow.SPARK if "cassandra" in dataset.sinks else Flow.STREAM
        total = Replayed()
        for topic in dataset.topics:
            if selection.source not in (None, topic.name):
                continue
            work = self.consuming(dataset, topic, flow)
            reader = GovernedReader(work.plan, self.message_keys, self.subjects.alive, self.clock)
            replay = StreamReplay(work, reader, self.quarantine, self.keyring.for_reading)
            total += replay.run(replace(selection, source=topic.name))
        apis = [s.name for s in dataset.sources if s.format == "api" and selection.source in (None, s.name)]
        for name in apis if dataset.governed_topic is not None else ():
            with self._collecting(dataset) as collecting:
                again = CollectReplay(collecting, name, self.quarantine, self.keyring.for_reading)
                total += again.run(replace(selection, source=name))
        return total

    def standings(self, dataset: Dataset, flow: Flow = Flow.STREAM) -> tuple[PartStanding, ...]:
        """How far each partition of a dataset's topics was read, and how much is left."""
        return standings_of(dataset, flow, self.progress, self.monitor, self.clock)

    @cached_property
    def monitor(self) -> KafkaMonitor:
        """What there is in topics."""
        return KafkaMonitor(self._brokers(None), self._kafka_options())

    def _brokers(self, topic: Topic | None) -> str:
        """Those of the settings, or else of the contract."""
        return self.settings.kafka.brokers or (topic.host if topic else "")

    def _kafka_options(self) -> dict[str, str]:
        return {name: secret.get_secret_value() for name, secret in self.settings.kafka.options.items()}

    def open_source(self, source: Source) -> SourceReader:
        """The reader of a source, at the address of the settings or else of the contract."""
        location = self.settings.sources.get(source.name, source.location)
        return open_source(source, location, batch_rows=self.settings.batch_rows)

    def _roles(self, dataset: str) -> tuple[Role, ...]:
        return self.contracts[dataset][0].roles

    def _retention_days(self, dataset: str) -> int:
        return self.contracts[dataset][1].quarantine_retention_days

    def _address(self, name: str) -> str:
        address: str = getattr(self.settings, name).get_secret_value()
        if not address:
            raise SettingsError(f"the address of the {name} database is not set: KASBAH_{name.upper()} or kasbah.toml")
        return address
