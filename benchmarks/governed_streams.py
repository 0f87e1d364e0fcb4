"""Each stream beside itself with enforcement off: from an API through a topic into its stores.

Real Kafka, Elasticsearch, Cassandra, PostgreSQL and Spark on one machine (a stand-in for MongoDB), each measurement in
processes, databases and topics of its own, by turns after an uncounted one. The records have no defects, so that both
sides store the same ones.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Result, figure, say
from benchmarks.installation import Servers, printed
from local.spark import environment_for

LISTINGS, PEOPLE = 30_000, 10_000
REPEATS = 3
GOVERNED = 1.3
_ROOT = Path(__file__).parents[1]


def run() -> Iterator[Result]:
    """The figures `governed_products` and `governed_users`."""
    with tempfile.TemporaryDirectory(prefix="kb") as folder:
        with Servers.running(Path(folder) / "listings", "elasticsearch") as servers:
            yield _beside_itself(Products(servers))
        with Servers.running(Path(folder) / "people", "cassandra", "mongodb") as servers:
            yield _beside_itself(Users(servers))


@dataclass
class Products:
    """The listings' stream: an API, the topic, Elasticsearch."""

    servers: Servers
    name: str = "governed_products"

    def seconds(self, mode: str) -> float:
        """From the API to the index, in a fresh installation."""
        with (
            _served("--products", str(LISTINGS)) as api,
            self.servers.installation("store", "products", {"products_api": f"{api}/products"}) as settings,
        ):
            collected = printed(settings, "benchmarks.flow", "collect", mode, "store.products")
            streamed = printed(settings, "benchmarks.flow", "stream", mode, "store.products")
        say(mode, f"collect {collected['seconds']:.1f} s, stream {streamed['seconds']:.1f} s")
        return float(collected["seconds"] + streamed["seconds"])


@dataclass
class Users:
    """The people's stream: an API, the topic, Spark, Cassandra and MongoDB."""

    servers: Servers
    name: str = "governed_users"

    def seconds(self, mode: str) -> float:
        """From the API to the stores, in a fresh installation. What Spark takes to come up and find nothing is taken
        off.
        """
        with (
            _served("--people", str(PEOPLE)) as api,
            self.servers.installation("users", "people", {"users_api": f"{api}/api"}) as settings,
        ):
            collected = printed(settings, "benchmarks.flow", "collect", mode, "users.people")
            whole = _spark(settings, mode)
            idle = _spark(settings, mode)
        say(mode, f"collect {collected['seconds']:.1f} s, Spark {whole - idle:.1f} s and {idle:.1f} s to come up")
        return float(collected["seconds"]) + whole - idle


def _beside_itself(stream: Products | Users) -> Result:
    seconds: dict[str, list[float]] = {"governed": [], "ungoverned": []}
    for turn in range(REPEATS + 1):
        for mode, seen in seconds.items():
            took = stream.seconds(mode)
            if turn:
                seen.append(took)
    ours, off = (statistics.median(seconds[mode]) for mode in seconds)
    pairs = sorted(one / other for one, other in zip(*seconds.values(), strict=True))
    say(stream.name, f"by pairs {pairs[0]:.2f} to {pairs[-1]:.2f}")
    peer = f"the same stream, enforcement off: {off:.1f} s"
    return figure(stream.name, round(ours, 1), "s", peer, ours / off, GOVERNED)


def _spark(settings: Path, mode: str) -> float:
    scratch = settings.parent / "spark"
    environment = environment_for("users_stream", scratch) | {"KASBAH_SETTINGS": str(settings)}
    environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), environment["PYTHONPATH"]])
    program = _ROOT / ("spark-apps/users_stream/main.py" if mode == "governed" else "benchmarks/spark_users.py")
    command = [sys.executable, program, "--once", "--checkpoint", scratch / "checkpoint"]
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


@contextmanager
def _served(*options: str) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.served", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.wait(15)
