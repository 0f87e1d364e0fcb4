"""A collector that is killed at any moment: nothing is lost, held or counted twice, and no sink sees a difference."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from collecting import Noted, Outpost, counted, serving, values
from test_collect import kept, truth

from governance.adapters.kafka.publisher import KafkaPublisher
from governance.errors import StoreUnavailableError
from governance.flows.collect import Collect
from governance.flows.progress import MovedOnError
from governance.model.message import Message
from local.kafka import Kafka
from samples.faults import Fault, Faults

Make = Callable[[str], Outpost]
KASBAH = Path(sys.executable).with_name("kasbah")


@pytest.fixture
def make(kafka: Kafka, database: str, tmp_path: Path) -> Make:
    def made(dataset: str) -> Outpost:
        outpost = Outpost(tmp_path, database, kafka.address, dataset)
        outpost.begin()
        return outpost

    return made


class Dying:
    """A publisher whose process dies at the n-th call, before or behind it."""

    def __init__(self, real: KafkaPublisher, call: int, *, behind: bool) -> None:
        self.real, self.left, self.behind = real, call, behind

    def prepare(self, *given: Any) -> None:
        self.real.prepare(*given)

    def publish(self, messages: Sequence[Message]) -> None:
        self.left -= 1
        if not self.left and not self.behind:
            os.kill(os.getpid(), signal.SIGKILL)
        self.real.publish(messages)
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def _collect_and_die(words: str) -> None:
    given = json.loads(words)
    outpost = Outpost(Path(given["folder"]), given["database"], given["brokers"], given["dataset"])
    outpost.topic, outpost.location = given["topic"], given["location"]
    with outpost.collector() as collector:
        dying = Dying(collector.work.publisher, given["call"], behind=given["behind"])  # type: ignore[arg-type]
        object.__setattr__(collector.work, "publisher", dying)
        collector.run(Event(), once=True)


def kill(outpost: Outpost, call: int, *, behind: bool) -> None:
    """Collect in a process of its own until it dies."""
    words = {"folder": str(outpost.folder), "database": outpost.database, "brokers": outpost.brokers}
    words |= {"dataset": outpost.dataset_name, "topic": outpost.topic, "location": outpost.location}
    done = subprocess.run(
        [sys.executable, __file__, json.dumps(words | {"call": call, "behind": behind})],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path])},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


@pytest.mark.parametrize("behind", [False, True], ids=["before_it_sends", "between_sending_and_counting"])
@pytest.mark.parametrize("dataset", ["store.products", "users.people"])
def test_killed_it_goes_on_where_it_was(make: Make, dataset: str, behind: bool) -> None:
    outpost = make(dataset)
    with serving(outpost, keys=180) as served:
        for call in (1, 2):
            before = outpost.standing().position
            kill(outpost, call, behind=behind)
            assert outpost.standing().position == before + call - 1, "the page in hand counts for nothing yet"
        served.ticks.advance(3)
        outpost.collect()
        outpost.collect()
        rows = served.rows
    assert kept(outpost) == truth(rows)
    assert len(outpost.held()) == sum(n for name, n in truth(rows).items() if name.startswith("quarantined"))
    sent = outpost.sent()
    assert len(sent) == truth(rows)["admitted"] + (_admitted(rows, 50) + _admitted(rows, 50, 100) if behind else 0)
    assert len(versions(sent)) == len({(row.key, row.version) for row in rows if row.outcome.reason is None})


def _admitted(rows: Sequence[Any], end: int, start: int = 0) -> int:
    start, end = (start, end) if start < end else (end, start)
    return sum(row.outcome.reason is None for row in rows[start:end])


def versions(sent: list[Message]) -> set[tuple[bytes | None, str]]:
    """What a sink keeps apart: a record's key and how new it is."""
    return {(one.key, value["updated_at"]) for one, value in zip(sent, values(sent), strict=True)}


def test_of_two_collectors_one_counts(make: Make) -> None:
    """A zombie that wakes up behind another one changes nothing, and says so."""
    outpost = make("store.products")
    with serving(outpost) as served:
        with outpost.collector() as zombie:
            work = zombie.work
            real = work.publisher

            class Slow:
                def prepare(self, *given: Any) -> None:
                    real.prepare(*given)

                def publish(self, messages: Sequence[Message]) -> None:
                    real.publish(messages)
                    outpost.collect()

            object.__setattr__(work, "publisher", Slow())
            with pytest.raises(MovedOnError):
                zombie.run(Event(), once=True)
        rows = served.rows
    assert kept(outpost) == truth(rows)
    assert len(outpost.held()) == truth(rows)["read"] - truth(rows)["admitted"]


def test_brokers_that_go_away_are_waited_for(make: Make) -> None:
    outpost = make("store.products")
    stop = Event()
    with serving(outpost) as served, outpost.collector(stop) as collector:
        real, calls = collector.work.publisher, Counter[str]()

        class Away:
            def prepare(self, *given: Any) -> None:
                real.prepare(*given)

            def publish(self, messages: Sequence[Message]) -> None:
                calls["tried"] += 1
                if calls["tried"] in (2, 3, 4):
                    raise StoreUnavailableError("Kafka doesn't answer")
                real.publish(messages)

        object.__setattr__(collector.work, "publisher", Away())
        done = collector.run(stop, once=True)
        rows = served.rows
    assert outpost.watch.waited == ["Kafka doesn't answer"] * 3
    assert counted(done.counts) == kept(outpost) == truth(rows)


def test_it_polls_until_it_is_told_to_stop(make: Make) -> None:
    outpost = make("users.people")
    stop = Event()
    with serving(outpost, keys=60) as served, outpost.collector(stop) as collector:
        running = Thread(target=collector.run, args=(stop,))
        running.start()
        for _ in range(3):
            served.ticks.advance(4)
            wanted = len(served.rows)
            until(lambda: kept(outpost).get("read") == wanted)  # noqa: B023  asked at once
        stop.set()
        running.join(20)
        assert not running.is_alive()
        assert kept(outpost) == truth(served.rows)


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_collector_that_waits_stops_at_once(make: Make) -> None:
    outpost = make("store.products")
    outpost.location = "http://127.0.0.1:9/products"
    stop = Event()
    with outpost.collector(stop) as collector:
        running = Thread(target=collector.run, args=(stop,))
        running.start()
        until(lambda: bool(outpost.watch.waited))
        stop.set()
        running.join(20)
        assert not running.is_alive()
    assert isinstance(outpost.watch, Noted) and isinstance(collector, Collect)


# As a command.


def command(outpost: Outpost, *words: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KASBAH_")}
    environment = kept | outpost.environment()
    line = [str(KASBAH), "collect", outpost.dataset_name, *words]
    return subprocess.Popen(line, env=environment, cwd=outpost.folder, stdout=pipe, stderr=pipe, text=True)


def test_the_command_reads_to_the_end_and_says_what_came_of_it(make: Make) -> None:
    outpost = make("store.products")
    with serving(outpost) as served:
        process = command(outpost, "--once", "--json")
        said, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        again = command(outpost, "--status", "--json")
        status = json.loads(again.communicate(timeout=300)[0])
        rows = served.rows
    report, wanted = json.loads(said), truth(rows)
    assert (report["read"], report["admitted"], report["pages"]) == (wanted["read"], wanted["admitted"], 3)
    assert status[0]["counts"]["read"] == wanted["read"] and status[0]["trouble"] is None
    assert "Traceback" not in errors


def test_the_command_ends_well_when_told_to_stop_and_logs_each_page(make: Make) -> None:
    outpost = make("store.products")
    with serving(outpost) as served:
        process = command(outpost, "--every", "0.2")
        until_read = len(served.rows)
        until(lambda: kept(outpost).get("read") == until_read or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=120)
        rows = served.rows
    assert process.returncode == 0, errors
    assert kept(outpost) == truth(rows)
    pages = [json.loads(line) for line in errors.splitlines() if '"collected"' in line]
    assert sum(page["read"] for page in pages) == len(rows)
    assert "pages" in said


def test_the_command_says_what_is_wrong_with_a_page_and_may_be_called_again(make: Make) -> None:
    outpost = make("store.products")
    with serving(outpost, faults=Faults(every={1: Fault.REDIRECT})):
        process = command(outpost, "--once")
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 1 and "another host" in errors
        status = command(outpost, "--status").communicate(timeout=300)[0]
    assert "another host" in " ".join(status.split())


if __name__ == "__main__":
    _collect_and_die(sys.argv[1])
