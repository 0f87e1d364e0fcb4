"""What the users stream promises of its rows before and after Spark, without Spark."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from kafka_options import kafka_options
from resuming import finished
from transform import REPORT, REPORT_DDL, report, slices

from governance.errors import SettingsError
from governance.flows.progress import Counts
from governance.model.message import Message

KAFKA = pa.schema(
    [
        pa.field("topic", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
        pa.field("timestamp", pa.int64()),
    ]
)
"""As Spark hands the columns over."""


def rows(*messages: Message) -> pa.RecordBatch:
    """Messages as Spark has them."""
    return pa.RecordBatch.from_pylist([_row(message) for message in messages], schema=KAFKA)


def _row(one: Message) -> dict[str, Any]:
    headers = [{"key": name, "value": value} for name, value in one.headers] or None
    return {name: getattr(one, name) for name in KAFKA.names} | {"headers": headers}


def message(partition: int, offset: int, **changes: Any) -> Message:
    """One of topic `users`."""
    given = {"key": b"k", "value": b"{}", "headers": (("a", b"1"), ("b", b"")), "timestamp": 1_700_000_000_000}
    return Message("users", partition=partition, offset=offset, **(given | changes))


def test_a_message_comes_out_of_spark_as_it_stood_in_the_topic() -> None:
    sent = (
        message(0, 5),
        message(0, 6, value=None, headers=()),
        message(0, 7, key=None, headers=(("a", b"1"), ("a", b"2"), ("a", None))),
        message(0, 9, value=b"\xff\x00", timestamp=None),
    )
    (one,) = slices(rows(*sent))
    assert one.messages == sent
    assert (one.part, one.after) == ("users/0", 10)


def test_each_partition_is_dealt_with_alone_and_in_the_order_of_its_offsets() -> None:
    sent = [message(1, 3), message(0, 8), message(1, 2), message(0, 4), message(1, 7)]
    parts = {one.part: [m.offset for m in one.messages] for one in slices(rows(*sent))}
    assert parts == {"users/0": [4, 8], "users/1": [2, 3, 7]}
    assert all(m.headers == (("a", b"1"), ("b", b"")) for one in slices(rows(*sent)) for m in one.messages)


def test_nothing_comes_of_an_empty_batch() -> None:
    assert list(slices(rows())) == []


@pytest.mark.parametrize(
    ("position", "left"), [(0, [3, 4, 9]), (3, [3, 4, 9]), (4, [4, 9]), (5, [9]), (9, [9]), (10, [])]
)
def test_a_batch_that_comes_again_is_cut_to_what_is_new(position: int, left: list[int]) -> None:
    (one,) = slices(rows(*[message(0, offset) for offset in (3, 4, 9)]))
    assert [m.offset for m in one.since(position).messages] == left


def test_a_report_has_counts_and_nothing_of_a_record() -> None:
    counts = Counts(9, 4, 2, 1, 1, 2, {"forged": 1, "sink": 1}, {"underage": 1})
    said = report("users/2", 17, counts)
    assert said.schema == REPORT
    assert said.to_pylist() == [
        {"part": "users/2", "position": 17, "read": 9, "admitted": 4, "tombstones": 2, "quarantined": 2, "refused": 1}
    ]
    assert REPORT_DDL.startswith("part string, position long, read long")


# Settings


def test_the_settings_of_kafka_are_said_in_javas_words() -> None:
    given = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "SCRAM-SHA-256",
        "sasl.username": "users",
        "sasl.password": 'a"b\\c',
        "ssl.ca.location": "/certificates/ca.pem",
    }
    assert kafka_options("one:9092", given) == {
        "kafka.bootstrap.servers": "one:9092",
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": "SCRAM-SHA-256",
        "kafka.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="users" password="a\\"b\\\\c";',
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.location": "/certificates/ca.pem",
    }


@pytest.mark.parametrize(
    ("brokers", "options"),
    [("", {}), ("one:9092", {"ssl.cipher.suites": "X"}), ("one:9092", {"sasl.username": "u", "sasl.mechanism": "GSS"})],
)
def test_a_setting_that_cant_be_said_is_refused_and_not_left_out(brokers: str, options: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        kafka_options(brokers, options)


# Checkpoints


class OnDisk:
    """A checkpoint's folder, read without Spark."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self, below: str) -> list[str]:
        place = self.folder / below
        return [one.name for one in place.iterdir()] if place.exists() else []

    def text(self, below: str) -> str:
        return (self.folder / below).read_text()

    def note(self, batch: int, topic: str, offsets: dict[str, int], *, done: bool) -> None:
        for name, text in (
            ("offsets", f'v1\n{{"batchWatermarkMs":0}}\n{json.dumps({topic: offsets})}'),
            ("commits", ""),
        ):
            (self.folder / name).mkdir(exist_ok=True)
            if name == "offsets" or done:
                (self.folder / name / str(batch)).write_text(text)


def test_a_checkpoint_stands_where_its_last_finished_batch_ended(tmp_path: Path) -> None:
    checkpoint = OnDisk(tmp_path)
    assert finished(checkpoint, "users") is None
    checkpoint.note(8, "users", {"0": 5, "1": 0}, done=True)
    checkpoint.note(9, "users", {"0": 9, "1": 1}, done=True)
    checkpoint.note(10, "users", {"0": 12, "1": 1}, done=False)
    assert finished(checkpoint, "users") == {0: 9, 1: 1}
    assert finished(checkpoint, "users_raw") is None


# On Kubernetes

APPLICATION = yaml.safe_load((Path(__file__).parents[2] / "spark-apps/users_stream/application.yaml").read_text())[
    "spec"
]


@pytest.mark.parametrize("who", ["driver", "executor"])
def test_no_process_on_kubernetes_has_rights_or_secrets_that_it_doesnt_need(who: str) -> None:
    pod = APPLICATION[who]
    containers = [pod["securityContext"], *(one["securityContext"] for one in pod["initContainers"])]
    for one in containers:
        assert one["runAsNonRoot"] and one["readOnlyRootFilesystem"] and not one["allowPrivilegeEscalation"]
        assert one["capabilities"] == {"drop": ["ALL"]}
    assert all("value" in one and "://" not in one["value"] for one in pod["env"])
    mounted = {one["name"] for one in pod["volumeMounts"]}
    assert "settings" in mounted and "secret" not in mounted


def test_what_spark_writes_or_sends_on_kubernetes_is_encrypted() -> None:
    for setting in ("spark.io.encryption.enabled", "spark.authenticate", "spark.network.crypto.enabled"):
        assert APPLICATION["sparkConf"][setting] == "true"
    assert not APPLICATION["image"].endswith((":latest", "/spark"))
