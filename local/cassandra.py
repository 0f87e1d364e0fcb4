"""Real Apache Cassandra: one node, as a process on loopback, small enough for a laptop."""

import subprocess
from pathlib import Path
from typing import ClassVar

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy

from local import download, java, supervise
from local.service import Service
from local.supervise import Launch, ServiceError

USER, PASSWORD = "cassandra", "cassandra"
_LOWEST_JAVA, _HIGHEST_JAVA = 17, 21
_PROTOCOL = 5
_TOOL_SECONDS = 120

# Cassandra reaches into these packages (its own jvm17-server.options), by module.
_OPENED = {
    "java.base": "sun.nio.ch java.io java.lang java.lang.reflect java.lang.module java.net java.util "
    "java.util.concurrent java.util.concurrent.atomic java.nio jdk.internal.loader jdk.internal.ref "
    "jdk.internal.reflect jdk.internal.math jdk.internal.module jdk.internal.util.jar jdk.internal.misc "
    "sun.security.action",
    "java.management": "com.sun.jmx.mbeanserver",
    "java.rmi": "sun.rmi.transport.tcp sun.rmi.registry sun.rmi.server",
    "java.management.rmi": "javax.management.remote.rmi",
    "java.sql": "java.sql",
    "jdk.management": "com.sun.management.internal",
    "jdk.compiler": "com.sun.tools.javac.file",
    "jdk.management.jfr": "jdk.management.jfr",
}
_JVM = (
    "-Xms256m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djava.awt.headless=true",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djdk.attach.allowAttachSelf=true",
    "-Dcassandra-foreground=yes",
    # A ring of one has nobody to wait for.
    "-Dcassandra.ring_delay_ms=0",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.superuser_setup_delay_ms=0",
)
_CONFIGURATION = """\
cluster_name: kasbah
num_tokens: 1
allocate_tokens_for_local_replication_factor: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
role_manager: CassandraRoleManager
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{ seeds: "127.0.0.1:{storage}" }}]
endpoint_snitch: SimpleSnitch
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: {storage}
start_native_transport: true
native_transport_port: {native}
data_file_directories: ["{data}/tables"]
commitlog_directory: "{data}/commitlog"
saved_caches_directory: "{data}/saved_caches"
hints_directory: "{data}/hints"
cdc_raw_directory: "{data}/cdc_raw"
hinted_handoff_enabled: false
auto_bootstrap: false
auto_snapshot: false
# What is acknowledged is on the disk: under `periodic` even the end of this process takes the last moments with it.
commitlog_sync: batch
commitlog_segment_size: 8MiB
commitlog_total_space: 64MiB
commitlog_disk_access_mode: mmap
disk_failure_policy: stop
commit_failure_policy: stop
memtable_heap_space: 64MiB
memtable_offheap_space: 32MiB
key_cache_size: 8MiB
row_cache_size: 0MiB
counter_cache_size: 2MiB
file_cache_size: 32MiB
concurrent_reads: 8
# Each waits for the disk, and all that wait share one sync.
concurrent_writes: 64
concurrent_counter_writes: 2
concurrent_compactors: 1
materialized_views_enabled: false
# Rows may expire after 2038.
storage_compatibility_mode: NONE
"""
_LOGGING = """\
<configuration>
  <appender name="STDOUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level %logger{20} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="STDOUT"/></root>
</configuration>
"""


class Cassandra(Service):
    """A running or stopped node. It asks for a password, as one that others can reach must."""

    name: ClassVar[str] = "cassandra"
    setting: ClassVar[str] = "KASBAH_CASSANDRA__HOSTS"
    title: ClassVar[str] = "Apache Cassandra 5.0.9"
    roles: ClassVar[tuple[str, ...]] = ("native", "storage", "jmx")
    ready_seconds: ClassVar[float] = 180

    @property
    def address(self) -> str:
        """Host and port of the native protocol."""
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The folder with the SSTables (`tables`) and the commit log."""
        return self.folder / "data"

    def settings(self) -> dict[str, str]:
        return {
            "KASBAH_CASSANDRA__HOSTS": "127.0.0.1",
            "KASBAH_CASSANDRA__PORT": str(self.port),
            "KASBAH_CASSANDRA__USER": USER,
            "KASBAH_CASSANDRA__PASSWORD": PASSWORD,
        }

    def launch(self) -> Launch:
        jars, runtime = self._program()
        configuration, logging = self.folder / "cassandra.yaml", self.folder / "logback.xml"
        self.data.mkdir(parents=True, exist_ok=True)
        configuration.write_text(_CONFIGURATION.format(data=self.data, native=self.port, storage=self.ports["storage"]))
        logging.write_text(_LOGGING)
        (agent,) = (jar for jar in jars if jar.name.startswith("jamm-"))
        command = [
            runtime.executable,
            *_JVM,
            # Versions of Java after 17 ask for this before a security manager may be installed.
            *(("-Djava.security.manager=allow",) if runtime.major > 17 else ()),
            *_opened(runtime),
            f"-javaagent:{agent}",
            f"-Dcassandra.config={configuration.as_uri()}",
            f"-Dcassandra.storagedir={self.data}",
            f"-Dcassandra.jmx.local.port={self.ports['jmx']}",
            f"-Dlogback.configurationFile={logging}",
            f"-Djava.io.tmpdir={self._temporary()}",
            "-cp",
            ":".join(map(str, jars)),
            "org.apache.cassandra.service.CassandraDaemon",
        ]
        return Launch(command, runtime.environment(), self.folder)

    def ready(self) -> bool:
        """A query is answered, and the first user may log in."""
        if not supervise.is_busy(self.port):
            return False  # nobody listens yet, and the driver would log a page about it
        cluster = Cluster(
            ["127.0.0.1"],
            port=self.port,
            protocol_version=_PROTOCOL,
            auth_provider=PlainTextAuthProvider(USER, PASSWORD),
            execution_profiles={EXEC_PROFILE_DEFAULT: ExecutionProfile(load_balancing_policy=RoundRobinPolicy())},
        )
        try:
            return cluster.connect().execute("SELECT release_version FROM system.local").one() is not None
        finally:
            cluster.shutdown()

    def tool(self, *arguments: str) -> str:
        """Run `nodetool` (flush, compact, …) and return what it prints. Raises ServiceError if it fails."""
        jars, runtime = self._program()
        command = [
            runtime.executable,
            "-Xmx96m",
            *_opened(runtime),
            f"-Duser.home={self.folder}",
            f"-Dlogback.configurationFile={self.folder / 'logback.xml'}",
            "-cp",
            ":".join(map(str, jars)),
            "org.apache.cassandra.tools.NodeTool",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.ports["jmx"]),
            *arguments,
        ]
        done = subprocess.run(
            [str(part) for part in command],
            env=runtime.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TOOL_SECONDS,
        )
        if done.returncode:
            raise ServiceError(f"nodetool {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout

    def _program(self) -> tuple[list[Path], java.Java]:
        jars = download.fetch(download.pinned("cassandra"), self.title)
        return jars, java.pick(self.title, _LOWEST_JAVA, _HIGHEST_JAVA)

    def _temporary(self) -> Path:
        """Native libraries are unpacked here, and go with the folder."""
        folder = self.folder / "tmp"
        folder.mkdir(exist_ok=True)
        return folder


def _opened(runtime: java.Java) -> list[str]:
    """Of the modules that this Java has."""
    places = [
        f"{module}/{package}=ALL-UNNAMED"
        for module, packages in _OPENED.items()
        if module in runtime.modules
        for package in packages.split()
    ]
    return [word for place in places for word in ("--add-opens", place, "--add-exports", place)]
