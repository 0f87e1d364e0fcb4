"""A Java is found or comes along. The second half hides every installed one: all services run on the wheel alone."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, Producer
from services import make_topic, running

from local import java, module_info
from local.cassandra import Cassandra
from local.elasticsearch import Elasticsearch
from local.java import Java
from local.kafka import Kafka
from local.mongodb import MongoDB
from local.service import Service
from local.supervise import ServiceError


def made_java(folder: Path, version: str, modules: str = "") -> Path:
    """A program that answers as Java does."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    listed = "".join(f"echo {name}@{version}\n" for name in ("java.base", *modules.split()))
    program.write_text(f"#!/bin/sh\n{listed}")
    program.chmod(0o755)
    return folder


def without_java(folder: Path) -> str:
    """A PATH with all programs of the real one, but Java's."""
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*") if Path(place).is_dir() else ():
            link = folder / program.name
            if program.name != "java" and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


@pytest.fixture(scope="module")
def hidden() -> Iterator[None]:
    """No Java is installed."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # Elasticsearch looks for its programs there, and may do so as a user without rights.
        Path(folder).chmod(0o755)
        patch.setenv("PATH", without_java(Path(folder)))
        patch.delenv("JAVA_HOME", raising=False)
        patch.setattr(java, "USUAL_FOLDERS", ())
        yield


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Java 8, 11, 17, 21 and 25, and one that doesn't work; 25 is whole."""
    for version in ("11.0.2", "17.0.9", "21"):
        made_java(tmp_path / "jvm" / version, version)
    made_java(tmp_path / "jvm" / "25", "25.0.1", "jdk.jlink jdk.jdi jdk.incubator.vector")
    for name, answer in (("8", "echo Unrecognized option: --list-modules; exit 1"), ("broken", "exit 139")):
        program = made_java(tmp_path / "jvm" / name, name) / "bin" / "java"
        program.write_text(f"#!/bin/sh\n{answer}\n")
    monkeypatch.setattr(java, "USUAL_FOLDERS", (f"{tmp_path}/jvm/*",))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    return tmp_path / "jvm"


def test_each_service_gets_the_lowest_installed_java_that_fits(several: Path) -> None:
    assert {found.major for found in java.installed()} == {11, 17, 21, 25}
    assert java.pick("Kafka", 17, 25).home == several / "17.0.9"
    assert java.pick("Kafka", 18, 25).home == several / "21"
    whole = java.pick("Elasticsearch", 21, 25, {"jdk.jlink", "jdk.jdi"})
    assert whole.home == several / "25" and not whole.wheel


def test_java_home_and_the_path_are_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, on_path = made_java(tmp_path / "home", "17.0.1"), made_java(tmp_path / "on_path", "21.0.1")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs" / "java").symlink_to(on_path / "bin" / "java")
    monkeypatch.setattr(java, "USUAL_FOLDERS", (f"{tmp_path}/h*",))
    found = java.installed({"JAVA_HOME": str(home), "PATH": str(tmp_path / "programs")})
    assert [one.home for one in found] == [home, on_path]


@pytest.mark.usefixtures("hidden")
def test_where_none_is_installed_the_wheel_is_taken_and_where_that_is_too_old_it_is_said() -> None:
    assert java.installed() == []
    taken = java.pick("Kafka", 17, 25)
    assert taken.wheel and taken.major == 21 and taken.executable.exists()
    with pytest.raises(ServiceError, match="Example needs Java 22 to 25, and none was found: run `make setup`"):
        java.pick("Example", 22, 25)


@pytest.mark.usefixtures("several")
def test_a_java_that_lacks_modules_is_not_taken_for_who_needs_them() -> None:
    assert java.pick("Elasticsearch", 21, 21, {"jdk.jlink"}).wheel


@pytest.mark.usefixtures("hidden")
def test_spark_gets_a_home_whose_java_drops_what_the_wheel_lacks(tmp_path: Path) -> None:
    home = java.home_for_spark(tmp_path)
    asked = [home / "bin" / "java", "--add-modules=jdk.incubator.vector", "-Dword=two words", "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "21." in done.stdout
    assert java.home_for_spark(tmp_path) == home


def test_a_descriptor_that_is_none_is_left_alone() -> None:
    with pytest.raises(ValueError, match="not the descriptor"):
        # A class with one interface: magic, version, empty pool, flags, names, one interface, no fields.
        module_info.relaxed(bytes.fromhex("cafebabe 00000041 0001 0000 0000 0000 0001 0000 0000"), frozenset({"a"}))


def executable_of(service: Service) -> set[str]:
    """What the service's processes run."""
    process = service.running()
    assert process
    family = [one.pid for one in process.family()]
    if sys.platform == "darwin":
        listed = subprocess.run(
            ["ps", "-o", "comm=", "-p", ",".join(map(str, family))], capture_output=True, check=True
        )
        return set(listed.stdout.decode().split())
    return {str(Path(f"/proc/{pid}/exe").readlink()) for pid in family}


def runs_on_the_wheel(service: Service) -> bool:
    wheel = java.of_wheel()
    assert wheel
    homes = (str(wheel.home), str(wheel.for_everybody().home))
    return all(program.startswith(homes) for program in executable_of(service))


@pytest.mark.usefixtures("hidden")
def test_kafka_runs_on_the_wheel_and_keeps_what_it_acknowledged_through_a_crash() -> None:
    with running(lambda folder: Kafka(folder, options={"log.segment.bytes": "1048576"})) as kafka:
        assert runs_on_the_wheel(kafka)
        name = make_topic(kafka)
        producer = Producer({"bootstrap.servers": kafka.address, "enable.idempotence": True})
        for number in range(1000):
            producer.produce(name, str(number).encode(), str(number))
        assert producer.flush(30) == 0
        address = kafka.address
        kafka.kill()
        kafka.start()
        assert kafka.address == address
        assert "log.segment.bytes = 1048576" in kafka.log.read_text()
        consumer = Consumer(
            {"bootstrap.servers": address, "group.id": "g", "auto.offset.reset": "earliest", "log_level": 0}
        )
        consumer.subscribe([name])
        values = []
        while len(values) < 1000:
            got = consumer.consume(1000, 20)
            assert got
            values += [int(message.value()) for message in got if not message.error()]
        consumer.close()
    assert values == list(range(1000))


@pytest.mark.usefixtures("hidden")
def test_elasticsearch_runs_on_the_wheel_says_what_was_changed_and_keeps_documents_through_a_crash() -> None:
    full = {f"cluster.routing.allocation.disk.watermark.{level}": "1b" for level in ("low", "high", "flood_stage")}
    with running(lambda folder: Elasticsearch(folder, options=full, quick=True)) as node:
        assert runs_on_the_wheel(node)
        assert "has no jdk.jdi and no jdk.jlink" in node.log.read_text()
        url = f"{node.address}/kept"
        httpx.put(f"{url}/_doc/1?refresh=true", json={"name": "one"}, timeout=60).raise_for_status()
        node.kill()
        node.start()
        assert httpx.get(f"{url}/_doc/1", timeout=60).json()["_source"] == {"name": "one"}
        asked = httpx.get(f"{node.address}/_nodes/_local/settings?flat_settings=true", timeout=60).json()
        (only,) = asked["nodes"].values()
        assert full.items() <= only["settings"].items()


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    "kind", [Cassandra, lambda folder: MongoDB(folder, mongod=False)], ids=["cassandra", "mongodb"]
)
def test_the_others_run_on_the_wheel_too(kind: type[Service]) -> None:
    with running(kind) as service:
        assert service.answers() and runs_on_the_wheel(service)


def test_a_java_says_what_it_is() -> None:
    """The real thing: the wheel's."""
    wheel = java.of_wheel()
    assert isinstance(wheel, Java) and wheel.major == 21 and "java.base" in wheel.modules
