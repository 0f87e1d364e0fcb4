"""Real Elasticsearch: one node on loopback. It is the distribution that its publisher makes for integration tests, the
same engine with fewer modules, so it lacks what only full ones have (SQL, scripts, ILM, `_reindex` and the like).
"""

import functools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import httpx

from local import download, java, module_info, unprivileged
from local.java import Java
from local.service import Service
from local.supervise import Launch

_VERSION = "9.5.3"
_VECTORS = "jdk.incubator.vector"
_DEBUGGING = frozenset({"jdk.jdi", "jdk.jlink"})
"""Modules that the server's descriptor requires and that this distribution doesn't use."""
_ONE_NODE = {
    "cluster.name": "kasbah-local",
    "node.name": "local",
    "discovery.type": "single-node",
    "http.host": "127.0.0.1",
    "transport.host": "127.0.0.1",
    "xpack.security.enabled": "false",
    # Sizes instead of shares of the disk: a laptop whose disk is nearly full should still run a small index.
    "cluster.routing.allocation.disk.watermark.low": "500mb",
    "cluster.routing.allocation.disk.watermark.high": "400mb",
    "cluster.routing.allocation.disk.watermark.flood_stage": "300mb",
}
# No dump of the heap when memory runs out: it would hold documents.
_DROPPED = ("-Xlog:gc", "-XX:+HeapDumpOnOutOfMemoryError", "-XX:HeapDumpPath", "-XX:+UseG1GC")
_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""


class Elasticsearch(Service):
    """A running or stopped node. `options` are lines for its elasticsearch.yml, over ours, such as the disk's
    watermarks; they are read anew at each start. `heap` is in MB. A `quick` one is up in half the time and indexes
    more slowly: for tests, never for benchmarks.
    """

    name: ClassVar[str] = "elasticsearch"
    setting: ClassVar[str] = "KASBAH_ELASTICSEARCH__ADDRESS"
    title: ClassVar[str] = f"Elasticsearch {_VERSION}"
    roles: ClassVar[tuple[str, ...]] = ("http", "transport")
    refuses_root: ClassVar[bool] = True
    ready_seconds: ClassVar[float] = 300

    def __init__(
        self,
        folder: Path,
        ports: Mapping[str, int] | None = None,
        options: Mapping[str, str] | None = None,
        heap: int = 512,
        *,
        quick: bool = False,
    ) -> None:
        super().__init__(folder, ports)
        self.options = dict(options or {})
        self.heap = heap
        self.quick = quick

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The folder with the indices' files."""
        return self.folder / "data"

    def settings(self) -> dict[str, str]:
        return {"KASBAH_ELASTICSEARCH__ADDRESS": self.address}

    def launch(self) -> Launch:
        (archive,) = download.fetch(download.pinned("elasticsearch"), self.title)
        runtime = java.pick(self.title, 21, 25, {*_DEBUGGING, _VECTORS}).for_everybody()
        home = self._unpack(archive, runtime)
        self._configure(home, runtime)
        environment = {
            **{name: value for name, value in runtime.environment().items() if name != "JAVA_HOME"},
            "ES_JAVA_HOME": str(runtime.home),
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "HOME": str(self.folder),
        }
        user, group = unprivileged.user(), unprivileged.group()
        return Launch([home / "bin" / "elasticsearch"], environment, self.folder, user, group)

    def ready(self) -> bool:
        """The cluster says that every primary shard is served."""
        asked = httpx.get(f"{self.address}/_cluster/health?wait_for_status=yellow&timeout=1s", timeout=5)
        return asked.status_code == 200 and not asked.json()["timed_out"]

    def _unpack(self, archive: Path, runtime: Java) -> Path:
        into = unprivileged.reachable(download.cache() / "unpacked")
        missing = _DEBUGGING - runtime.modules
        name = f"elasticsearch-{_VERSION}" + ("-optional-modules" if missing else "")
        adapt = functools.partial(_make_optional, missing) if missing else None
        home = download.unpacked(archive, name, into, adapt)
        if missing:
            with self.log.open("a") as log:
                log.write(
                    f"This Java ({runtime.home}) has no {' and no '.join(sorted(missing))}: the unpacked copy's "
                    f"elasticsearch-entitlement-{_VERSION}.jar was changed so that they are optional\n"
                )
        return home / f"elasticsearch-{_VERSION}"

    def _configure(self, home: Path, runtime: Java) -> None:
        config = self.folder / "config"
        if not config.exists():
            shutil.copytree(home / "config", config)
        lines = _ONE_NODE | {
            "http.port": str(self.ports["http"]),
            "transport.port": str(self.ports["transport"]),
            "path.data": str(self.data),
            "path.logs": str(self.folder / "logs"),
        }
        text = "".join(f"{name}: {value}\n" for name, value in (lines | self.options).items())
        (config / "elasticsearch.yml").write_text(text)
        (config / "log4j2.properties").write_text(_LOGGING)
        ours = [f"-Xms{self.heap}m", f"-Xmx{self.heap}m", "-XX:+UseSerialGC"]
        ours += ["-XX:TieredStopAtLevel=1"] if self.quick else []
        theirs = [line for line in (home / "config" / "jvm.options").read_text().splitlines() if _wanted(line, runtime)]
        (config / "jvm.options").write_text("\n".join([*theirs, *ours]) + "\n")
        for name in ("data", "logs", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
            unprivileged.own(self.folder / name)
        unprivileged.own_all(config)


def _wanted(line: str, runtime: Java) -> bool:
    if line.startswith("#") or line.startswith(_DROPPED):
        return False
    return _VECTORS not in line or _VECTORS in runtime.modules


def _make_optional(names: frozenset[str], unpacked: Path) -> None:
    (jar,) = unpacked.glob("*/lib/elasticsearch-entitlement-*.jar")
    module_info.make_optional(jar, names)
