"""A server that speaks MongoDB's protocol: `mongod` where one is installed, else mongo-java-server, a stand-in.

The stand-in keeps everything in memory: its data is gone when it stops, and it has no files. `real` says which it is.
"""

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pymongo

from local import download, java
from local.service import Service
from local.supervise import Launch, ServiceError

_STAND_IN = "mongo-java-server 1.47.0, a stand-in for MongoDB that keeps everything in memory"
_SOURCE = Path(__file__).with_name("java_sources") / "MongoStandIn.java"
_COMPILE_SECONDS = 60
_LOWEST_JAVA, _HIGHEST_JAVA = 17, 25


class MongoDB(Service):
    """A running or stopped server. `mongod` is looked for on PATH unless it is given; False takes the stand-in."""

    name: ClassVar[str] = "mongodb"
    setting: ClassVar[str] = "KASBAH_MONGODB"
    title: ClassVar[str] = "MongoDB"
    roles: ClassVar[tuple[str, ...]] = ("mongodb",)

    def __init__(self, folder: Path, ports: Mapping[str, int] | None = None, mongod: Path | bool | None = None) -> None:
        super().__init__(folder, ports)
        found = shutil.which("mongod") if mongod is None or mongod is True else mongod
        self._mongod = Path(found) if found else None

    @property
    def real(self) -> bool:
        """Whether it is MongoDB itself."""
        return self._mongod is not None

    @property
    def product(self) -> str:
        """What it is, for status and log."""
        return f"MongoDB ({self._mongod})" if self.real else _STAND_IN

    @property
    def address(self) -> str:
        """A mongodb:// address."""
        return f"mongodb://127.0.0.1:{self.port}/"

    @property
    def data(self) -> Path:
        """The folder with the collections' files; empty under the stand-in."""
        return self.folder / "data"

    def settings(self) -> dict[str, str]:
        return {"KASBAH_MONGODB": self.address}

    def launch(self) -> Launch:
        self.data.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            log.write(f"This is {self.product}\n")
        if self._mongod:
            options = ["--bind_ip", "127.0.0.1", "--port", str(self.port), "--nounixsocket"]
            cache = ["--wiredTigerCacheSizeGB", "0.25"]
            return Launch([self._mongod, "--dbpath", self.data, *options, *cache], cwd=self.folder)
        jars = download.fetch(download.pinned("mongodb"), _STAND_IN)
        runtime = java.pick(_STAND_IN, _LOWEST_JAVA, _HIGHEST_JAVA)
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]
        path = ":".join(map(str, (_compiled(jars, runtime), *jars)))
        command = [runtime.executable, *options, "-cp", path, _SOURCE.stem, "127.0.0.1", str(self.port)]
        return Launch(command, runtime.environment(), self.folder)

    def ready(self) -> bool:
        """A document is written and read back."""
        with pymongo.MongoClient(self.address, serverSelectionTimeoutMS=1000) as client:
            collection = client["kasbah_ready"]["ready"]
            collection.replace_one({"_id": 1}, {"_id": 1}, upsert=True)
            found = collection.find_one({"_id": 1})
            client.drop_database("kasbah_ready")
        return found is not None


def _compiled(jars: list[Path], runtime: java.Java) -> Path:
    """The folder with the class that starts the stand-in, compiled once: by Eclipse's compiler, since a Java that is
    there to run programs has none.
    """
    name = hashlib.sha256(_SOURCE.read_bytes() + "".join(jar.name for jar in jars).encode()).hexdigest()[:16]
    folder = download.cache() / f"mongo-stand-in-{name}"
    if (folder / f"{_SOURCE.stem}.class").exists():
        return folder
    path = ":".join(map(str, jars))
    compiler = "org.eclipse.jdt.internal.compiler.batch.Main"
    done = subprocess.run(
        [runtime.executable, "-cp", path, compiler, "-17", "-cp", path, "-d", folder, _SOURCE],
        env=runtime.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMPILE_SECONDS,
    )
    if done.returncode:
        raise ServiceError(f"{_SOURCE.name} could not be compiled: {(done.stderr or done.stdout).strip()[-300:]}")
    return folder
