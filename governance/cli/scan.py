"""`kasbah scan DATASET | --all`: search what is stored for undeclared personal data."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import orjson
import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from governance.adapters.scan_page import page
from governance.bootstrap import Services
from governance.cli.ingest import show_findings
from governance.cli.terminal import console
from governance.contracts.types import Dataset
from governance.errors import UserError
from governance.flows import scan as flow
from governance.flows.scan import ScanReport
from governance.flows.stored import Copy

FOUND, CANNOT_TELL = 1, 3
"""Exit codes: undeclared data is stored; none was found, and of some cells nobody can tell."""
_TOLD_SECONDS = 5.0
"""Between two lines of the log."""


def scan(
    dataset: Annotated[str | None, typer.Argument(help="A dataset, such as store.orders.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dataset of the contracts.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="From the start, not where a scan was stopped.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the report into this file, as a page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Search all stores of a dataset for undeclared personal data; a stopped scan goes on where it was.

    Exits with 1 if undeclared data is stored, with 3 if none was found and of some cells nobody can tell.
    """
    if (dataset is None) != every:
        raise UserError("name one dataset, or scan --all of them")
    if html is not None:
        _check_writable(html)
    with Services.open() as services:
        chosen = _chosen(services, dataset)
        with _progress(quiet=as_json) as advance:
            reports = services.scan.run([services.plan(one) for one in chosen], advance, restart=restart)
    if html is not None:
        _write(html, page(reports))
    if as_json:
        typer.echo(orjson.dumps([report.as_json() for report in reports], option=orjson.OPT_INDENT_2).decode())
    else:
        _show(reports)
    raise typer.Exit(_code(reports))


def _chosen(services: Services, dataset: str | None) -> Sequence[Dataset]:
    if dataset is not None:
        return [services.contracts.find(dataset)[1]]
    return [found for _, found in services.contracts.values()]


def _code(reports: Sequence[ScanReport]) -> int:
    if any(report.found for report in reports):
        return FOUND
    return CANNOT_TELL if any(report.unknown for report in reports) else 0


@contextmanager
def _progress(*, quiet: bool) -> Iterator[flow.Progress]:
    """A bar a copy on a terminal, a structured log line now and then elsewhere."""
    if quiet or not sys.stderr.isatty():
        log, told = structlog.get_logger(), {"at": time.monotonic()}

        def write(copy: Copy, rows: int) -> None:
            if not quiet and time.monotonic() - told["at"] >= _TOLD_SECONDS:
                told["at"] = time.monotonic()
                log.info("scanned", store=copy.store, copy=copy.name, rows=rows)

        yield write
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=None)

        def show(copy: Copy, rows: int) -> None:
            total = None if copy.rows is None else max(copy.rows, rows)
            bars.update(task, description=f"{copy.store} {copy.name}", completed=rows, total=total)

        yield show


def _show(reports: Sequence[ScanReport]) -> None:
    out = console()
    for report in reports:
        out.print(Text(f"{report.dataset} · contract {report.contract_version} · scan {report.scan}", style="bold"))
        if not report.stores:
            out.print("  nothing of it is stored")
        for store in report.stores:
            cells, found = sum(c.cells for c in store.columns), sum(c.undeclared for c in store.columns)
            told = (
                f"  {store.store}, {store.where}: {store.rows:,} rows, {cells:,} cells searched, {found:,} undeclared"
            )
            out.print(Text(told))
            show_findings(out, store.columns, title=f"{store.store}: found")
        for field, reason in report.exempt.items():
            out.print(Text(f"  not searched, as the contract says: {field} ({reason or 'no reason given'})"))
        if report.admitted:
            out.print(Text(f"  nobody can tell, and the contract lets them pass: {', '.join(report.admitted)}"))
    for limit in dict.fromkeys(limit for report in reports for limit in report.limits):
        out.print(Text(limit))
    out.print(_answer(reports))


def _answer(reports: Sequence[ScanReport]) -> str:
    code = _code(reports)
    if code == FOUND:
        names = [report.dataset for report in reports if report.found]
        return f"undeclared personal data is stored in {', '.join(names)}"
    if code == CANNOT_TELL:
        return "no undeclared personal data was found; of the cells named above nobody can tell"
    return "no undeclared personal data was found"


def _check_writable(file: Path) -> None:
    """Before the work begins, not after it."""
    if file.is_dir() or not os.access(file.parent, os.W_OK):
        raise UserError(f"the report can't be written to {file}: name a file in a folder that is yours to write")


def _write(file: Path, text: str) -> None:
    """Whole or not at all."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".kasbah-scan-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except OSError as error:
        with suppress(OSError):
            Path(name).unlink()
        raise UserError(f"the report can't be written to {file} ({type(error).__name__})") from None
