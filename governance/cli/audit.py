"""`kasbah audit verify | show | head`: prove the ledger, read it, and take a signed head away."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from governance.adapters.control.history import PostgresHistory
from governance.adapters.settings import Settings, load_settings
from governance.adapters.signing import load_verifying_key, public_path
from governance.audit.findings import Report
from governance.audit.heads import SignedHead, VerifyingKey
from governance.audit.ledger import Anchor, History
from governance.audit.records import Entry, canonical, stamp
from governance.audit.verify import verify as verify_ledger
from governance.bootstrap import Services
from governance.cli.terminal import console
from governance.errors import AuditError, UserError

_MAX_HEAD_BYTES = 1 << 16

app = typer.Typer(no_args_is_help=True, help="The audit ledger: prove it, read it, take a signed head away.")


@app.command()
def verify(
    head: Annotated[Path | None, typer.Option(help="A head that you hold, as `kasbah audit head` printed it.")] = None,
    key: Annotated[Path | None, typer.Option(help="The public key to verify with (PEM), from your own side.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Read the whole ledger and name any tampering. Exits 1 when something is found.

    Works on a database that is older than its anchor too, so that the difference can be seen.
    """
    settings = load_settings()
    verifying_key = load_verifying_key(key or _verifying_key(settings))
    held = read_head(head) if head else None
    with _unopened(settings) as services, _progress(quiet=as_json) as advance:
        history = PostgresHistory(services.control)
        report = check(history, services.anchor, verifying_key, held, advance)
    if as_json:
        typer.echo(orjson.dumps(report_json(report), option=orjson.OPT_INDENT_2).decode())
    else:
        show_report(report)
    if not report.ok:
        count = len(report.findings) + report.more
        raise AuditError(f"the ledger doesn't verify: {count} {'finding' if count == 1 else 'findings'}")


@app.command()
def show(
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many of the newest records.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as stored.")] = False,
) -> None:
    """Show the newest records, oldest first. They hold no personal data."""
    with _unopened(load_settings()) as services:
        entries = PostgresHistory(services.control).last(last)
    if as_json:
        for entry in entries:
            typer.echo(orjson.dumps(entry_json(entry), option=orjson.OPT_SORT_KEYS).decode())
    else:
        show_entries(entries)


@app.command()
def head() -> None:
    """Sign and publish the ledger as it is, and print the head for somebody else to keep."""
    with Services.open() as services:
        signed = services.ledger.publish_head()
    typer.echo(canonical(signed.to_fields()).decode())


def check(
    history: History,
    anchor: Anchor,
    key: VerifyingKey,
    head: SignedHead | None,
    advance: Callable[[int], None] = lambda rows: None,
) -> Report:
    """Verify against the anchor, and a head in hand where there is one, which must itself hold under the key."""
    fault = head.fault(key) if head else None
    if fault:
        raise UserError(f"the head that was handed in: {fault}")
    return verify_ledger(history, anchor, key, head, advance)


def read_head(path: Path) -> SignedHead:
    """A head from a file. Raises UserError where it can't be read, AuditError where it is no head."""
    try:
        with path.open("rb") as file:
            fields = orjson.loads(file.read(_MAX_HEAD_BYTES))
    except OSError as error:
        raise UserError(f"the head {path} can't be read: {type(error).__name__}") from None
    except orjson.JSONDecodeError:
        raise UserError(f"the head {path} is not JSON, as `kasbah audit head` prints it") from None
    if not isinstance(fields, dict):
        raise UserError(f"the head {path} is not a JSON object, as `kasbah audit head` prints it")
    return SignedHead.from_fields(fields)


def show_report(report: Report) -> None:
    """The report for people: what is proven first, then each finding."""
    console = Console(soft_wrap=True, highlight=False)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    for finding in report.findings:
        console.print(f"FOUND {finding}", markup=False)
    if report.more:
        console.print(f"and {report.more} more", markup=False)
    if report.ok:
        console.print(
            f"verified: {report.size:,} records, {report.heads:,} signed heads; "
            f"{report.proven:,} records are proven by a head that you hold",
            markup=False,
        )


def report_json(report: Report) -> dict[str, object]:
    """The report for programs."""
    return {
        "ok": report.ok,
        "records": report.size,
        "heads": report.heads,
        "proven": report.proven,
        "findings": [
            {
                "fault": finding.fault.name.lower(),
                "first": finding.first,
                "last": finding.last,
                "message": finding.message,
            }
            for finding in report.findings
        ],
        "more": report.more,
        "notes": list(report.notes),
    }


def show_entries(entries: list[Entry]) -> None:
    """A table for people."""
    table = Table("record", "at", "action", "actor", "dataset", "run or request", "outcome", "counts")
    for entry in entries:
        record = entry.record
        counts = {**record.counts, **{f"reason {name}": number for name, number in record.reasons.items()}}
        table.add_row(
            str(entry.index),
            stamp(entry.at)[:19] + "Z",
            record.action,
            record.actor,
            " ".join(filter(None, (record.dataset, record.contract, record.item))),
            " ".join(filter(None, (record.run, record.request))),
            {True: "ok", False: "FAILED", None: ""}[record.ok],
            ", ".join(f"{name} {number:,}" for name, number in counts.items()),
        )
    console().print(table)


def entry_json(entry: Entry) -> dict[str, object]:
    """One record for programs: the fields that are set."""
    record = entry.record
    names = ("action", "actor", "dataset", "contract", "run", "request", "item", "ok", "counts", "reasons")
    fields = {name: getattr(record, name) for name in names}
    kept = {name: value for name, value in fields.items() if value is not None and value != {}}
    return {"index": entry.index, "at": stamp(entry.at), **kept}


def _verifying_key(settings: Settings) -> Path:
    """The verifier's own file; without one, the public half beside the signing key, which suits development."""
    return settings.verifying_key or public_path(settings.signing_key)


@contextmanager
def _unopened(settings: Settings) -> Iterator[Services]:
    """Services that were not asked whether the database is older than its anchor, for reading alone."""
    services = Services(settings)
    try:
        yield services
    finally:
        services.close()


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A counter on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda rows: None
        return
    columns = (SpinnerColumn(), TextColumn("records verified"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("verify", total=None)
        yield lambda rows: bars.update(task, completed=rows)
