"""A load that is killed with SIGKILL, again and again, comes to what an unkilled twin comes to once it is resumed."""

import csv
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, Self

import psycopg
import pytest
from psycopg import sql
from stacks import Make, Stack, api, deliver

from samples.store import history

RUN = "20260201T000000-00ab01"
CONTRACTS = Path(__file__).parent / "contracts"
MEMBERS = 12_000
COLUMNS = ("member_id", "full_name", "email", "born_on", "joined_on", "updated_at", "visits")
SLOWEST = 120


class Killer:
    """Starts one run of one dataset as often as it takes, and kills it."""

    def __init__(self, stack: Stack, dataset: str) -> None:
        self.stack, self.dataset, self.kills = stack, dataset, 0
        self._control = psycopg.connect(stack.control, autocommit=True)
        self._warehouse = psycopg.connect(stack.warehouse, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._warehouse.close()

    def kill_when(self, ready: Callable[[], bool], delay: float = 0) -> bool:
        """Start or resume the run and SIGKILL it `delay` seconds after `ready` first holds. Returns whether it was
        alive then."""
        process = self.stack.start("ingest", self.dataset, "--run", RUN, "--json")
        deadline = time.monotonic() + SLOWEST
        try:
            while process.poll() is None and not ready():
                assert time.monotonic() < deadline, "the run never came that far"
                time.sleep(0.002)
            if process.poll() is None:
                time.sleep(delay)
        finally:
            alive = process.poll() is None
            process.kill()
            _, errors = process.communicate()
        assert "Traceback" not in errors
        assert alive or process.returncode == 0, errors[-2000:]
        self.kills += alive
        return alive

    def finish(self) -> dict[str, Any]:
        """Resume the run to its end, and its report."""
        return self.stack.load(self.dataset, "--run", RUN)

    def batches(self) -> int:
        """Batches on record."""
        return int(self._one("SELECT count(*) FROM kasbah_control.run_batch WHERE run = %s") or 0)

    def staged(self) -> int:
        """Batches that stand in the warehouse's staging."""
        query = "SELECT count(*) FROM kasbah.stage_batch WHERE run = %s"
        return int(self._one(query, on=self._warehouse) or 0)

    def published(self) -> bool:
        """Whether the warehouse has published the run."""
        return self._one("SELECT 1 FROM kasbah.publication WHERE run = %s", on=self._warehouse) is not None

    def state(self, step: str) -> str:
        """A step's state on record."""
        query = "SELECT state FROM kasbah_control.run_step WHERE run = %s AND step = %s"
        return str(self._one(query, step) or "unknown")

    def _one(self, query: LiteralString, *more: str, on: "psycopg.Connection[Any] | None" = None) -> Any:
        try:
            row = (on or self._control).execute(query, (RUN, *more)).fetchone()
        except psycopg.errors.UndefinedTable:  # nobody has prepared the warehouse yet
            return None
        return row[0] if row else None


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Counter[str]]:
    """A file of members and what must become of its rows. People come several times; their rows spread over it."""
    chance = random.Random(11)  # noqa: S311, no secret
    path = tmp_path_factory.mktemp("members") / "members.csv"
    truth: Counter[str] = Counter()
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for number in range(MEMBERS):
            lines.writerow(_member(number, chance, truth))
    return path, truth


def _member(number: int, chance: random.Random, truth: Counter[str]) -> list[str]:
    person = chance.randrange(3000)
    cells = {
        "member_id": str(number),
        "full_name": f"Member {person}",
        "email": f"member{person}@example.com",
        "born_on": str(date(1950, 1, 1) + timedelta(days=person)),
        "joined_on": "2025-06-01",
        "updated_at": f"{datetime(2025, 6, 1, tzinfo=UTC) + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}",
        "visits": str(chance.randrange(100)),
    }
    fate = chance.choices(("admitted", "type", "rule", "underage", "age_unknown"), (90, 3, 2, 3, 2))[0]
    spoilt = {
        "type": ("visits", "many"),
        "rule": ("visits", "-1"),
        "underage": ("born_on", "2015-05-05"),
        "age_unknown": ("born_on", ""),
    }
    if fate in spoilt:
        name, value = spoilt[fate]
        cells[name] = value
    truth[fate] += 1
    return list(cells.values())


@pytest.fixture(scope="module")
def twins(make_stack: Make, members: tuple[Path, Counter[str]]) -> tuple[Stack, Stack]:
    """Two installations that read the same file of members."""
    pair = make_stack(contracts=CONTRACTS), make_stack(contracts=CONTRACTS)
    for stack in pair:
        stack.at("members_csv", members[0])
    return pair


def test_kills_at_each_step_lose_and_repeat_nothing(
    twins: tuple[Stack, Stack], members: tuple[Path, Counter[str]]
) -> None:
    killed, whole = twins
    with Killer(killed, "club.members") as killer:
        _kill_everywhere(killer)
        report = killer.finish()
    assert killer.kills >= 7
    twin = whole.load("club.members")
    truth = members[1]
    assert report["totals"] == twin["totals"]
    assert report["totals"]["members_csv"] == {
        "rows": MEMBERS,
        "admitted": truth["admitted"],
        "quarantined": truth["type"] + truth["rule"],
        "quarantined.type": truth["type"],
        "quarantined.rule": truth["rule"],
        "refused": truth["underage"] + truth["age_unknown"],
        "refused.underage": truth["underage"],
        "refused.age_unknown": truth["age_unknown"],
    }
    assert report["publication"]["merged"] == twin["publication"]["merged"]
    _assert_twins(killed, whole, "club.members", "member_id")
    for stack in (killed, whole):
        _assert_refused_once(stack, truth)


def _kill_everywhere(killer: Killer) -> None:
    """Between batches; with a batch staged and not on record; in every later step; with the lake written and nothing
    published; with all published and nothing of it on record; and after each step."""
    run_batch, watermark = ("kasbah_control", "run_batch"), ("kasbah_control", "watermark")
    for number in (1, 4):
        assert killer.kill_when(lambda n=number: killer.batches() >= n), f"killed after batch {number}"
        with _held_up(killer.stack.control, *run_batch):
            assert killer.kill_when(lambda: killer.staged() > killer.batches())
        assert killer.staged() > killer.batches()
    assert killer.kill_when(lambda: killer.state("quality_gate") == "running")
    with _held_up(killer.stack.warehouse, "kasbah", "publication"):
        assert killer.kill_when(lambda: any(f.endswith(".parquet") for f in killer.stack.lake_files()), 0.1)
    assert not killer.published()
    with _held_up(killer.stack.control, *watermark):
        assert killer.kill_when(killer.published)
    assert killer.state("publish") == "running"
    killer.kill_when(lambda: killer.state("publish") == "done")
    killer.kill_when(lambda: killer.state("purge") == "done")


@contextmanager
def _held_up(database: str, *table: str) -> Iterator[None]:
    """Nobody else writes the table meanwhile, so that a run stands still just before it would. All may read it."""
    with psycopg.connect(database) as connection:
        connection.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(*table)))
        yield
        connection.rollback()


def _assert_refused_once(stack: Stack, truth: Counter[str]) -> None:
    """A refused row is counted once, and leaves nothing in quarantine or in the table."""
    with psycopg.connect(stack.control) as connection:
        counted = connection.execute("SELECT reason, count(*) FROM kasbah_control.refused_position GROUP BY reason")
        assert dict(counted.fetchall()) == {r: truth[r] for r in ("underage", "age_unknown")}
    held = {row["position"] for row in stack.quarantine("club.members")}
    kept = {row[0] for row in stack.published("club.members", "member_id")}
    assert not held & kept
    assert len(held) + len(kept) == MEMBERS - truth["underage"] - truth["age_unknown"]


def test_kills_at_random_moments_over_all_four_sources(make_stack: Make) -> None:
    waves = history(seed=13, scale=1.0)
    killed, whole = make_stack(), make_stack()
    for stack in (killed, whole):
        deliver(stack, waves[0])
    chance = random.Random(5)  # noqa: S311, no secret
    with api(whole, waves):
        began = time.monotonic()
        twin = whole.load("orders")
        length = time.monotonic() - began
    with api(killed, waves), Killer(killed, "store.orders") as killer:
        for _ in range(6):
            begun = time.monotonic()
            moment = chance.uniform(0.3, 0.95) * length
            killer.kill_when(lambda at=begun + moment: time.monotonic() >= at)
        report = killer.finish()
    assert killer.kills >= 2
    assert report["totals"] == twin["totals"]
    assert report["publication"]["merged"] == twin["publication"]["merged"]
    _assert_twins(killed, whole, "store.orders", "order_id")


def _assert_twins(killed: Stack, whole: Stack, dataset: str, key: str) -> None:
    """The same rows by key and position, the same persons, the same quarantine, once each, and the same lake."""
    entity = {"club.members": "member", "store.orders": "customer"}[dataset]
    columns = (key, "updated_at", "kasbah_source", "kasbah_position")
    assert killed.published(dataset, *columns) == whole.published(dataset, *columns)
    assert _groups(killed, dataset, key, entity) == _groups(whole, dataset, key, entity)
    assert _held(killed, dataset) == _held(whole, dataset)
    assert _count(killed, "SELECT count(*) FROM kasbah_control.subject") == _count(
        whole, "SELECT count(*) FROM kasbah_control.subject"
    )
    for stack in (killed, whole):
        listed = "SELECT count(*), COALESCE(sum(rows), 0) FROM kasbah.lake_file"
        files, rows = _count(stack, listed, stack.warehouse)
        assert rows == len(stack.published(dataset, key))
        assert files == len([f for f in stack.lake_files() if f.endswith(".parquet")])
        staging = "SELECT count(*) FROM pg_tables WHERE schemaname = 'kasbah_staging'"
        assert _count(stack, staging, stack.warehouse) == (0,)


def _groups(stack: Stack, dataset: str, key: str, entity: str) -> set[frozenset[Any]]:
    """Rows by person: pseudonyms differ between installations, who belongs together doesn't."""
    people: dict[Any, set[Any]] = {}
    for number, pseudonym in stack.published(dataset, key, f"{entity}_pseudonym"):
        people.setdefault(pseudonym, set()).add(number)
    return set(map(frozenset, people.values()))


def _held(stack: Stack, dataset: str) -> list[tuple[Any, ...]]:
    """Where each held row stood, and why it is held. When a file was written is left out: twins have one each."""
    names = ("source", "position", "reason", "field", "detail")
    rows = stack.quarantine(dataset)
    return sorted((row["part"].partition("@")[0], *(str(row[name]) for name in names)) for row in rows)


def _count(stack: Stack, query: LiteralString, database: str | None = None) -> tuple[int, ...]:
    with psycopg.connect(database or stack.control) as connection:
        return tuple(int(value) for value in connection.execute(query).fetchone() or ())


def test_two_loads_at_once_do_not_mix(make_stack: Make, members: tuple[Path, Counter[str]]) -> None:
    """The second says who is at work, and the first is not disturbed."""
    stack = make_stack(contracts=CONTRACTS)
    stack.at("members_csv", members[0])
    first: subprocess.Popen[str] = stack.start("ingest", "club.members", "--run", RUN, "--json")
    with Killer(stack, "club.members") as watch:
        while watch.state("enforce") != "running":
            assert first.poll() is None
            time.sleep(0.01)
    second = stack.kasbah("ingest", "club.members", expect=None)
    output, errors = first.communicate(timeout=SLOWEST)
    assert first.returncode == 0, errors[-2000:]
    assert (second.returncode, RUN in second.stderr, "at work" in second.stderr) == (1, True, True)
    assert '"published_at"' in output
    assert len(stack.published("club.members", "member_id")) == members[1]["admitted"]
