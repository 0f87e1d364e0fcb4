"""`kasbah collect DATASET`: poll a dataset's API, govern what it gives, and send it to its topic."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import orjson
import structlog
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from governance.bootstrap import Services
from governance.cli.stopping import told_to_stop
from governance.cli.stream import described
from governance.cli.terminal import console
from governance.contracts.types import Dataset, Source
from governance.errors import UserError
from governance.flows.collect import Collected, CollectWatch
from governance.flows.collect_state import CollectState, Trouble
from governance.flows.collecting import Taken
from governance.flows.progress import Counts, Flow, Place, Standing


def collect(
    dataset: Annotated[str, typer.Argument(help="A dataset, such as store.products.")],
    source: Annotated[list[str] | None, typer.Option(help="Only this API of the contract (repeatable).")] = None,
    every: Annotated[float, typer.Option(min=0.05, max=86_400, help="Seconds between two polls.")] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Read to the end of the API, then stop.")] = False,
    pages: Annotated[int | None, typer.Option(min=1, help="With --once: the most pages of an API.")] = None,
    status: Annotated[bool, typer.Option("--status", help="Say how far it is, and poll nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Poll a dataset's APIs page by page; enforce each page before it is sent to the governed topic.

    SIGTERM and Ctrl-C let the page in hand end. Killed at any moment, it goes on where it was; nothing counts twice.
    """
    if pages is not None and not once:
        raise UserError("--pages goes with --once")
    with Services.open() as services:
        found = services.contracts.find(dataset)[1]
        if status:
            _show_status(services, found, as_json)
            return
        chosen = _chosen(found, source or [])
        with (
            told_to_stop() as stop,
            _watching(found.id, quiet=as_json) as watch,
            services.collect(found, chosen, watch, stop, every) as collector,
        ):
            done = collector.run(stop, once=once, most_pages=pages)
    if as_json:
        typer.echo(_as_json({"dataset": found.id, **_plain(done)}))
    else:
        typer.echo(_said(done))


def _chosen(dataset: Dataset, names: list[str]) -> tuple[Source, ...]:
    known = {s.name: s for s in dataset.sources if s.format == "api"}
    if not known:
        raise UserError(f"{dataset.id} has no source of type api: there is nothing to poll")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"{dataset.id} has no API {unknown[0]}; it has {', '.join(known)}")
    return tuple(known[name] for name in names) if names else tuple(known.values())


def _plain(done: Collected) -> dict[str, Any]:
    counts = {name: value for name, value in asdict(done.counts).items() if name not in _OF_SINKS}
    rest = {"pages": done.pages, "met_again": done.met_again, "unknown_columns": done.unknown_columns}
    return counts | rest


def _said(done: Collected) -> str:
    again = f", met again {done.met_again:,}" if done.met_again else ""
    dropped = f"\nundeclared columns, dropped: {', '.join(done.unknown_columns)}" if done.unknown_columns else ""
    return f"{done.pages:,} pages: {described(done.counts)}{again}{dropped}"


_OF_SINKS = ("applied", "unchanged", "superseded", "tombstones")


@contextmanager
def _watching(dataset: str, *, quiet: bool) -> Iterator[CollectWatch]:
    """A line that grows on a terminal, structured logs elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield _Logged(dataset)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Shown(bars)


class _Logged:
    """A structured line a page; what is being waited for once, and again when it changes."""

    def __init__(self, dataset: str) -> None:
        self._log = structlog.get_logger().bind(dataset=dataset)
        self._waiting: dict[str, str] = {}

    def waits(self, source: str, what: str | None) -> None:
        """See `CollectWatch.waits`."""
        if what is None:
            if self._waiting.pop(source, None) is not None:
                self._log.info("goes on", source=source)
        elif self._waiting.get(source) != what:
            self._waiting[source] = what
            self._log.warning("waits", source=source, what=what)

    def took(self, source: str, taken: Taken) -> None:
        """See `CollectWatch.took`."""
        counts = taken.counts
        held, refused = sum(counts.quarantined.values()), sum(counts.refused.values())
        self._log.info(
            "collected",
            source=source,
            read=counts.read,
            admitted=counts.admitted,
            quarantined=held,
            refused=refused,
            met_again=taken.met_again,
        )

    def passed(self, source: str) -> None:
        """See `CollectWatch.passed`."""


class _Shown:
    """A line a source, with its sums."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._sums: dict[str, Counts] = {}

    def waits(self, source: str, what: str | None) -> None:
        """See `CollectWatch.waits`."""
        if what is not None:
            self._say(source, f"waits: {what}")

    def took(self, source: str, taken: Taken) -> None:
        """See `CollectWatch.took`."""
        self._sums[source] = self._sums.get(source, Counts()) + taken.counts
        self._say(source, described(self._sums[source]))

    def passed(self, source: str) -> None:
        """See `CollectWatch.passed`."""
        self._say(source, f"{described(self._sums.get(source, Counts()))}; nothing more for now")

    def _say(self, source: str, what: str) -> None:
        if source not in self._tasks:
            self._tasks[source] = self._bars.add_task(source, total=None)
        self._bars.update(self._tasks[source], description=f"{source}: {what}".replace("[", r"\["))


def _show_status(services: Services, dataset: Dataset, as_json: bool) -> None:
    found = [(p, standing) for p, standing in services.progress.standings(dataset.id) if p.flow is Flow.COLLECT]
    if as_json:
        typer.echo(_as_json([_row(place, standing) for place, standing in found]))
        return
    table = Table("source", "pages", "last moved", "newest record", "outcomes", title=dataset.id)
    troubles = []
    for place, standing in found:
        state = CollectState.of(standing.state)
        moments = [f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "" for moment in (standing.at, state.newest)]
        cells = (place.source, f"{standing.position:,}", *moments, described(standing.counts))
        table.add_row(*(Text(cell) for cell in cells))
        troubles += [_wrong(state.trouble)] if state.trouble else []
    out = console()
    out.print(table)
    for trouble in troubles:
        out.print(Text(trouble), soft_wrap=True)


def _row(place: Place, standing: Standing) -> dict[str, Any]:
    state = CollectState.of(standing.state)
    trouble = None if state.trouble is None else asdict(state.trouble)
    how = {"pages": standing.position, "poll": state.poll, "at": standing.at, "newest": state.newest}
    return {"source": place.source} | how | {"trouble": trouble, "counts": asdict(standing.counts)}


def _wrong(trouble: Trouble) -> str:
    return f"stands still since {trouble.since:%Y-%m-%d %H:%M}, {trouble.polls:,} polls: {trouble.what}"


def _as_json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode()
