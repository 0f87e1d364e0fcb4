"""`kasbah stream DATASET`: a dataset's topics into its stores; `kasbah stream status`: how far they have come."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from threading import Event
from typing import Annotated, Any

import orjson
import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from governance.adapters.metrics import StreamWatch, outcomes, serving
from governance.bootstrap import Services
from governance.cli.stopping import told_to_stop
from governance.cli.terminal import console
from governance.contracts.types import Dataset, Topic
from governance.errors import UserError
from governance.flows.progress import Counts, Flow
from governance.flows.standing import PartStanding

_BATCH = 5_000
_RATE_SECONDS = 1.0


class _RunUnlessNamed(TyperGroup):
    """`kasbah stream DATASET` is `kasbah stream run DATASET`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in where none is said."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunUnlessNamed,
    no_args_is_help=True,
    help="Move a dataset's topics into its stores: `kasbah stream DATASET`. See how far they are: `status`.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("run")
def run_command(
    dataset: Annotated[str, typer.Argument(help="A dataset, such as store.products.")],
    source: Annotated[
        list[str] | None, typer.Option(help="Only this topic's server of the contract (repeatable).")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Answer /metrics and /healthz there.")] = None,
    host: Annotated[str, typer.Option(help="The address to answer at.")] = "127.0.0.1",
    batch_size: Annotated[int, typer.Option(min=1, max=100_000, help="The most records of a batch.")] = _BATCH,
    once: Annotated[bool, typer.Option("--once", help="Read to the end of the topics, then stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Verify (or, on a raw topic, enforce) a dataset's records and write them into its store, until told to stop.

    SIGTERM and Ctrl-C let the batch in hand end. What was begun and not counted is read again next time.
    """
    with Services.open() as services, ExitStack() as held:
        found = services.contracts.find(dataset)[1]
        topics = _chosen(found, source or [])
        watch = StreamWatch(found.id, lambda: services.standings(found))
        if port is not None:
            typer.echo(
                f"/metrics and /healthz: http://{host}:{held.enter_context(serving(watch, host, port))}", err=True
            )
        stop = held.enter_context(told_to_stop())
        streams = [services.stream(found, topic, watch, batch_size) for topic in topics]
        with ThreadPoolExecutor(len(streams), "kasbah-stream") as pool:
            running = [pool.submit(_run, stream, stop, once) for stream in streams]
            total = sum((one.result() for one in running), Counts())
    if as_json:
        typer.echo(orjson.dumps({"dataset": found.id, **asdict(total)}, option=orjson.OPT_INDENT_2).decode())
    else:
        typer.echo(described(total))


def _run(stream: Any, stop: Event, once: bool) -> Counts:
    """One topic; when it fails the others end too."""
    try:
        counts: Counts = stream.run(stop, once=once)
    except BaseException:
        stop.set()
        raise
    return counts


@app.command("status")
def status_command(
    dataset: Annotated[str | None, typer.Argument(help="A dataset; all that have topics if absent.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="With --watch: seconds between.")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Lag, rate, outcomes and the age of the oldest unprocessed record of each partition; no consumer need be alive."""
    with Services.open() as services:
        chosen = _streamed(services, dataset)
        if watch:
            _watch(services, chosen, every)
        else:
            now, rates = next(_looks(services, chosen, _RATE_SECONDS))
            typer.echo(_as_json(now, rates)) if as_json else console().print(table_of(now, rates))


def _chosen(dataset: Dataset, names: list[str]) -> tuple[Topic, ...]:
    known = {topic.name: topic for topic in dataset.topics}
    if not known:
        raise UserError(f"{dataset.id} has no topic: only datasets with a kafka server are streamed")
    if "elasticsearch" not in dataset.sinks:
        raise UserError(f"{dataset.id}: its stores ({', '.join(dataset.sinks)}) are filled by a Spark application")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"{dataset.id} has no topic server {unknown[0]}; it has {', '.join(known)}")
    return tuple(known[name] for name in names) if names else dataset.topics


def _streamed(services: Services, name: str | None) -> list[Dataset]:
    if name is not None:
        return [services.contracts.find(name)[1]]
    return [one for _, one in services.contracts.values() if one.topics]


def _all(services: Services, datasets: list[Dataset]) -> list[PartStanding]:
    flows = {one.id: Flow.STREAM if "elasticsearch" in one.sinks else Flow.SPARK for one in datasets}
    return [part for one in datasets for part in services.standings(one, flows[one.id])]


def _looks(
    services: Services, datasets: list[Dataset], every: float
) -> Iterator[tuple[list[PartStanding], dict[Any, float]]]:
    """How it stands, and how fast it goes, again and again."""
    before, at = _all(services, datasets), time.monotonic()
    while True:
        time.sleep(every)
        now, then = _all(services, datasets), time.monotonic()
        yield now, _rates(before, now, then - at)
        before, at = now, then


def _watch(services: Services, datasets: list[Dataset], every: float) -> None:
    """On a terminal in one place; elsewhere one table after another."""
    out = console()
    with ExitStack() as held:
        live = held.enter_context(Live(console=out, auto_refresh=False)) if out.is_terminal else None
        for now, rates in _looks(services, datasets, every):
            table = table_of(now, rates)
            live.update(table, refresh=True) if live else out.print(table)


def _rates(before: list[PartStanding], now: list[PartStanding], seconds: float) -> dict[Any, float]:
    read = {one.place: one.counts.read for one in before}
    return {one.place: (one.counts.read - read.get(one.place, 0)) / max(seconds, 0.001) for one in now}


def _as_json(parts: list[PartStanding], rates: dict[Any, float]) -> str:
    rows = [asdict(one) | {"rate": round(rates.get(one.place, 0.0), 1)} for one in parts]
    return orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode()


def table_of(parts: list[PartStanding], rates: dict[Any, float]) -> Table:
    """A line a partition, and one for what became of its records."""
    table = Table("dataset", "source", "part", "position", "lag", "oldest", "records/s", "read", "outcomes")
    for one in parts:
        said = ", ".join(f"{outcome}{f' ({why})' if why else ''} {n:,}" for outcome, why, n in outcomes(one) if n)
        lag = "?" if one.lag is None else f"{one.lag:,}"
        age = "?" if one.age is None else _seconds(one.age) if one.lag else ""
        rate = f"{rates.get(one.place, 0.0):,.0f}"
        cells = (one.place.dataset, one.place.source, one.place.part, f"{one.position:,}", lag, age, rate)
        table.add_row(*(Text(cell) for cell in (*cells, f"{one.counts.read:,}", said)))
    return table


def _seconds(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def described(total: Counts) -> str:
    """What became of what was read, as one line."""
    parts = [f"read {total.read:,}", f"admitted {total.admitted:,}"]
    parts += [f"tombstones {total.tombstones:,}"] if total.tombstones else []
    for outcome, by_reason in (("quarantined", total.quarantined), ("refused", total.refused)):
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(by_reason.items()))
        parts.append(f"{outcome} {sum(by_reason.values()):,}" + (f" ({reasons})" if reasons else ""))
    return ", ".join(parts)
