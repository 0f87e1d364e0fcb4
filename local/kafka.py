"""Real Apache Kafka: one node that is broker and controller (KRaft), as a process on loopback."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from confluent_kafka.admin import AdminClient

from local import download, java
from local.service import Service
from local.supervise import Launch, ServiceError

_ONE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "num.partitions": "1",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    # So long a killed broker's successor waits before it is let in.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # A topic that nobody made has no retention: producing to one is a mistake.
    "auto.create.topics.enable": "false",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "log.cleaner.backoff.ms": "1000",
    "log.retention.check.interval.ms": "5000",
}
# What lets a tombstone and what it deletes vanish from the segments within seconds, given further writes.
QUICK_COMPACTION = {
    "log.segment.bytes": "1048576",
    "log.roll.ms": "1000",
    "log.cleaner.min.cleanable.ratio": "0.01",
    "log.cleaner.delete.retention.ms": "1000",
    "log.cleaner.max.compaction.lag.ms": "2000",
}
_JVM = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
_FORMAT_SECONDS = 60


class Kafka(Service):
    """A running or stopped broker. `options` are lines for its server.properties, over ours; they are read anew at
    each start.
    """

    name: ClassVar[str] = "kafka"
    setting: ClassVar[str] = "KASBAH_KAFKA__BROKERS"
    title: ClassVar[str] = "Apache Kafka 4.3.1"
    roles: ClassVar[tuple[str, ...]] = ("broker", "controller")

    def __init__(
        self, folder: Path, ports: Mapping[str, int] | None = None, options: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(folder, ports)
        self.options = dict(options or {})

    @property
    def address(self) -> str:
        """For bootstrap.servers."""
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The folder with the topics' segments."""
        return self.folder / "data"

    def settings(self) -> dict[str, str]:
        return {"KASBAH_KAFKA__BROKERS": self.address}

    def launch(self) -> Launch:
        jars = download.fetch(download.pinned("kafka"), self.title)
        runtime = java.pick(self.title, 17, 25)
        program: list[str | Path] = [runtime.executable, *_JVM, "-cp", ":".join(map(str, jars))]
        self._configure()
        if not (self.data / "meta.properties").exists():
            self._format([*program, "kafka.tools.StorageTool"], runtime.environment())
        return Launch([*program, "kafka.Kafka", self._properties], runtime.environment(), self.folder)

    def ready(self) -> bool:
        """The broker lists its topics, which it does once the controller has let it in, and leads all of them."""
        admin = AdminClient({"bootstrap.servers": self.address, "socket.timeout.ms": 2000, "log_level": 0})
        listed = admin.list_topics(timeout=2)
        led = all(partition.leader >= 0 for topic in listed.topics.values() for partition in topic.partitions.values())
        return bool(listed.brokers) and led

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _configure(self) -> None:
        controller = f"127.0.0.1:{self.ports['controller']}"
        listeners = f"PLAINTEXT://{self.address},CONTROLLER://{controller}"
        lines = _ONE_NODE | {
            "controller.quorum.bootstrap.servers": controller,
            "listeners": listeners,
            "advertised.listeners": listeners,
            "log.dirs": str(self.data),
        }
        text = "".join(f"{name}={value}\n" for name, value in (lines | self.options).items())
        self._properties.write_text(text)

    def _format(self, tool: list[str | Path], environment: Mapping[str, str]) -> None:
        cluster = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "_")
        done = subprocess.run(
            [*tool, "format", "--standalone", "-t", cluster, "-c", self._properties],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=_FORMAT_SECONDS,
        )
        with self.log.open("a") as log:
            log.write(done.stdout + done.stderr)
        if done.returncode:
            raise ServiceError(f"{self.title}: its data folder could not be set up; its log is {self.log}")
