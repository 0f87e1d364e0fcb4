"""`kasbah ingest DATASET`: load a dataset from its sources, governed."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import orjson
import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from governance.bootstrap import Services
from governance.cli.terminal import console
from governance.contracts.types import Dataset, Source
from governance.contracts.words import STREAM_SINKS
from governance.errors import UserError
from governance.flows.findings import percent
from governance.flows.ingest import Report
from governance.flows.runs import STEPS
from governance.pii.counts import ColumnCounts
from governance.pii.scanner import Finding, ScanOutcome

_NAMES = 20
_OUTCOMES = ("rows", "admitted", "quarantined", "refused")


def ingest(
    dataset: Annotated[str, typer.Argument(help="A dataset, such as store.orders.")],
    source: Annotated[list[str] | None, typer.Option(help="Only this source of the contract (repeatable).")] = None,
    run: Annotated[str | None, typer.Option(help="Resume this run instead of beginning one.")] = None,
    step: Annotated[str | None, typer.Option(help=f"Only this step: {', '.join(STEPS)}.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Read, enforce, stage, gate and publish a dataset. A gate that blocks leaves the last version readable."""
    with Services.open() as services:
        contract, found = services.contracts.find(dataset)
        del contract
        sources = _chosen(found, source or [])
        with _progress([s.name for s in sources], quiet=as_json) as advance:
            report = services.ingest.load(found, services.plan(found), sources, advance, run_id=run, step=step)
    if as_json:
        typer.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        show(report)


def _chosen(dataset: Dataset, names: list[str]) -> tuple[Source, ...]:
    if set(STREAM_SINKS).issuperset(dataset.sinks):
        goes = " and ".join(dataset.sinks)
        raise UserError(f"{dataset.id} goes to {goes}: load it with `kasbah collect` and `kasbah stream`")
    known = {s.name: s for s in dataset.batch_sources}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"{dataset.id} has no source {unknown[0]}; it has {', '.join(known)}")
    return tuple(known[name] for name in names) if names else dataset.batch_sources


@contextmanager
def _progress(names: list[str], *, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """A bar a source on a terminal, one structured log line a batch elsewhere."""
    if quiet or not sys.stderr.isatty():
        log = structlog.get_logger()

        def write(name: str, rows: int) -> None:
            if not quiet:
                log.info("enforced", source=name, rows=rows)

        yield write
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {name: bars.add_task(name, total=None) for name in names}
        yield lambda name, rows: bars.advance(tasks[name], rows)


def show(report: Report) -> None:
    """The report for people."""
    out = console()
    table = Table(
        "source", *_OUTCOMES, title=f"{report.dataset} · contract {report.contract_version} · run {report.run}"
    )
    for source, counts in report.totals.items():
        table.add_row(source, *(f"{counts.get(name, 0):,}" for name in _OUTCOMES))
    sums = [sum(counts.get(name, 0) for counts in report.totals.values()) for name in _OUTCOMES]
    table.add_section()
    table.add_row("together", *(f"{value:,}" for value in sums))
    out.print(table)
    _show_reasons(out, report)
    show_findings(out, report.scanned)
    _show_gate(out, report)
    _show_publication(out, report)
    if report.not_scanned:
        out.print(f"not scanned: {len(report.not_scanned)} columns ({_some(report.not_scanned)})")
    if report.unknown_columns:
        out.print(f"undeclared columns, dropped: {_some(report.unknown_columns)}")


def _some(names: tuple[str, ...]) -> str:
    """The first of them: a source can have thousands of columns that nobody declared."""
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _show_reasons(out: Console, report: Report) -> None:
    reasons: dict[str, int] = {}
    for counts in report.totals.values():
        for name, value in counts.items():
            if "." in name:
                reasons[name] = reasons.get(name, 0) + value
    for name, value in sorted(reasons.items(), key=lambda item: -item[1]):
        outcome, _, reason = name.partition(".")
        out.print(f"  {outcome} for {reason}: {value:,}")


def show_findings(out: Console, columns: Sequence[ColumnCounts], title: str = "scan") -> None:
    """What a scan found, a line a column and entity; nothing where nothing was found."""
    table = Table("column", "cells", "undeclared", "share", "found", "band", "cells with it", title=title)
    for one in columns:
        for n, found in enumerate(one.findings):
            shared = (f"{one.cells:,}", f"{one.undeclared:,}", percent(one.share)) if n == 0 else ("", "", "")
            name = one.field if one.declared else f"{one.field} (nobody declared it)"
            words = (_found(one, found), found.band, f"{found.count:,}")
            table.add_row(Text(name if n == 0 else ""), *shared, *map(Text, words))
    if table.row_count:
        out.print(table)


def _found(column: ColumnCounts, found: Finding) -> str:
    if found.outcome is ScanOutcome.DECLARED:
        return f"{found.entity} (declared)"
    redacted = found.outcome is ScanOutcome.UNDECLARED and not column.undeclared
    return (found.entity or str(found.outcome)) + (" (redacted)" if redacted else "")


def _show_gate(out: Console, report: Report) -> None:
    if report.rules:
        passed = sum(rule.success for rule in report.rules)
        out.print(f"quality gate: {passed} of {len(report.rules)} rules hold")


def _show_publication(out: Console, report: Report) -> None:
    if report.publication is None:
        out.print("not published")
        return
    merged = report.publication.merged
    out.print(
        f"published: {merged.new:,} new, {merged.changed:,} changed, {merged.unchanged:,} unchanged, "
        f"{merged.superseded:,} superseded, {merged.duplicates:,} duplicates"
    )
