"""Several consumers of one topic: partitions move, nobody counts twice, and who is told to stop stops."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from confluent_kafka import Consumer, TopicPartition
from services import make_topic
from streaming import Noted, Premises, Shop, eventually, listing, running

from governance.flows.documents import Codes, Documents, DocumentSink
from governance.flows.progress import Counts, Standing
from local.kafka import Kafka


@pytest.fixture
def wide(kafka: Kafka, premises: Premises, tmp_path: Path) -> Iterator[Shop]:
    """A shop whose topic has four partitions."""
    made = Shop(tmp_path, premises)
    make_topic(kafka, made.topic, partitions=4)
    yield made
    made.close()


class Slow:
    """A sink that lets somebody do something in the middle of its first write."""

    def __init__(self, sink: DocumentSink) -> None:
        self._sink, self.name = sink, sink.name
        self.writing, self.go_on = Event(), Event()

    def prepare(self) -> None:
        self._sink.prepare()

    def write(self, documents: Documents) -> Codes:
        taken = self._sink.write(documents)
        if not self.writing.is_set() and len(documents):
            self.writing.set()
            assert self.go_on.wait(60)
        return taken


def test_two_consumers_share_the_partitions_and_count_everything_once(wide: Shop) -> None:
    sent = 0

    def more() -> bool:
        nonlocal sent
        wide.send(wide.messages([listing(n) for n in range(sent, sent + 2_000)]))
        sent += 2_000
        return bool(second.stored)

    first, second = Noted(), Noted()
    with running(wide.stream(watch=first)):
        more()
        eventually(lambda: wide.counted().read >= 500)
        with running(wide.stream(watch=second)):
            eventually(more)  # the second has some of the partitions by now
            eventually(lambda: wide.counted().read == sent)
            theirs = {partition for stored in second.stored for partition in stored.positions}
            assert 1 <= len(theirs) < 4
        more()  # and now the first has them all again
        eventually(lambda: wide.counted().read == sent)
    counts = wide.counted()
    assert (counts.read, counts.admitted, counts.quarantined) == (sent, sent, {})
    assert wide.count() == sent


def test_who_comes_after_one_that_left_begins_where_it_ended(wide: Shop) -> None:
    wide.send(wide.messages([listing(n) for n in range(3_000)]))
    with running(wide.stream()):
        eventually(lambda: wide.counted().read >= 500)
    wide.run()
    assert wide.counted().admitted == wide.count() == 3_000


def test_who_has_lost_a_partition_drops_its_batch(shop: Shop) -> None:
    shop.send(shop.messages([listing(n) for n in range(100)]))
    stream = shop.stream()
    sink = Slow(stream.work.sink)
    zombie = shop.stream(sink=sink)
    with running(zombie):
        assert sink.writing.wait(60)
        place = zombie.work.place(0)
        shop.services.progress.advance(place, 0, Standing(60, {}, Counts(read=60, admitted=60, applied=60)))
        sink.go_on.set()
        shop.send(shop.messages([listing(n) for n in range(100, 130)]))
        eventually(lambda: shop.counted().read == 130)
    counts = shop.counted()
    assert (counts.read, counts.admitted) == (130, 130)
    assert shop.count() == 130


def test_the_group_learns_how_far_it_is_but_is_not_believed(shop: Shop) -> None:
    shop.send(shop.messages([listing(n) for n in range(10)]))
    shop.run()
    group = {"bootstrap.servers": shop.brokers, "group.id": f"kasbah-stream-{shop.topic}"}
    consumer = Consumer(group)
    (told,) = consumer.committed([TopicPartition(shop.topic, 0)], timeout=30)
    assert told.offset == 10
    consumer.commit(offsets=[TopicPartition(shop.topic, 0, 3)], asynchronous=False)
    consumer.close()
    shop.send(shop.messages([listing(11)]))
    assert shop.run().read == 1


def test_a_topic_that_was_made_anew_is_not_read_as_the_old_one(shop: Shop) -> None:
    shop.services.progress.advance(shop.stream().work.place(0), 0, Standing(500))
    shop.send(shop.messages([listing(1)]))
    with pytest.raises(Exception, match="isn't the topic it was"):
        shop.run()


def test_a_restart_of_kafka_in_between_changes_nothing(shop: Shop, kafka: Kafka) -> None:
    watch = Noted()
    with running(shop.stream(watch=watch)):
        shop.send(shop.messages([listing(n) for n in range(1_000)]))
        eventually(lambda: shop.counted().read == 1_000)
        kafka.kill()
        eventually(lambda: watch.now and "Kafka" in watch.now)
        kafka.start()
        eventually(lambda: watch.now is None, 120)
        shop.send(shop.messages([listing(n) for n in range(1_000, 2_000)]))
        eventually(lambda: shop.counted().read == 2_000, 120)
    assert shop.count() == shop.counted().admitted == 2_000


def test_a_topic_that_is_not_there_yet_is_waited_for(premises: Premises, kafka: Kafka, tmp_path: Path) -> None:
    shop = Shop(tmp_path, premises)
    assert shop.run().read == 0  # to the end of nothing
    watch = Noted()
    with running(shop.stream(watch=watch)):
        assert shop.topic in eventually(lambda: watch.now)
        make_topic(kafka, shop.topic)
        shop.send(shop.messages([listing(1)]))
        eventually(lambda: shop.counted().read == 1)
        assert eventually(lambda: watch.now is None)
    shop.close()


def command(shop: Shop, *arguments: str) -> "subprocess.Popen[str]":
    """`kasbah …` as a process of its own."""
    given = {
        "KASBAH_CONTROL": shop.settings.control.get_secret_value(),
        "KASBAH_CONTRACTS": str(shop.settings.contracts),
        "KASBAH_ANCHOR": str(shop.settings.anchor),
        "KASBAH_SIGNING_KEY": str(shop.settings.signing_key),
        "KASBAH_KMS__FOLDER": str(shop.settings.kms.folder),
        "KASBAH_KAFKA__BROKERS": shop.brokers,
        "KASBAH_ELASTICSEARCH__ADDRESS": shop.search,
        "KASBAH_ACTOR": "tester",
        "COLUMNS": "300",
    }
    program = "from governance.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_ends_the_batch_in_hand_and_exits_with_0(shop: Shop, number: int) -> None:
    shop.send(shop.messages([listing(n) for n in range(20_000)]))
    process = command(shop, "stream", "store.products", "--source", "products", "--batch-size", "500")
    eventually(lambda: shop.counted().read >= 1_000)
    process.send_signal(number)
    said, complained = process.communicate(timeout=60)
    assert process.returncode == 0, complained
    counts = shop.counted()
    assert counts.read == counts.admitted
    assert 1_000 <= counts.read == shop.count()
    assert f"read {counts.read:,}" in said


def test_the_status_tells_of_a_consumer_that_is_dead(shop: Shop) -> None:
    shop.send(shop.messages([listing(n) for n in range(40)]))
    shop.run()
    shop.send(shop.messages([listing(n) for n in range(40, 47)]))
    (one,) = [part for part in shop.services.standings(shop.dataset) if part.place.source == "products"]
    assert (one.position, one.end, one.lag) == (40, 47, 7)
    assert one.age is not None
    assert one.counts.applied == 40
    process = command(shop, "stream", "status", "store.products", "--json")
    said, complained = process.communicate(timeout=120)
    assert process.returncode == 0, complained
    assert '"lag": 7' in said
    assert '"applied": 40' in said


def test_the_status_can_be_watched_until_ctrl_c(shop: Shop) -> None:
    shop.send(shop.messages([listing(n) for n in range(3)]))
    shop.run()
    process = command(shop, "stream", "status", "--watch", "--every", "0.2")
    assert process.stdout is not None
    shown = 0
    while shown < 2:  # two tables, one after the other
        line = process.stdout.readline()
        assert line, "it has ended by itself"
        shown += "applied 3" in line
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in complained


def test_one_read_to_the_end_says_what_became_of_it(shop: Shop) -> None:
    shop.send([*shop.messages([listing(n) for n in range(5)]), *shop.messages([listing(9, category="x" * 40_000)])])
    process = command(shop, "stream", "store.products", "--once", "--json")
    said, complained = process.communicate(timeout=120)
    assert process.returncode == 0, complained
    assert '"read": 6' in said and '"sink": 1' in said
    assert "x" * 100 not in said + complained
    assert shop.count() == 5
