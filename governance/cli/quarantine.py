"""`kasbah quarantine list | show | replay | purge`: rows that a gate held back."""

import sys
from itertools import islice
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from governance.bootstrap import Services
from governance.cli.ingest import show as show_report
from governance.cli.terminal import console
from governance.errors import UserError
from governance.flows.stream_replay import Replayed
from governance.quarantine.store import HeldRow, Place, Purged, QuarantineStore, Selection

app = typer.Typer(no_args_is_help=True, help="See, open, replay and purge the rows that a gate held back.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Dataset = Annotated[str, typer.Argument(help="A dataset, such as store.orders.")]
OneDataset = Annotated[str | None, typer.Argument(help="A dataset, such as store.orders; all of them if absent.")]
Reason = Annotated[str | None, typer.Option(help="Only rows held for this reason.")]
FieldId = Annotated[str | None, typer.Option("--field", help="Only rows held because of this field.")]
SourceName = Annotated[str | None, typer.Option("--source", help="Only rows of this source.")]


@app.command("list")
def list_command(
    dataset: OneDataset = None,
    reason: Reason = None,
    field: FieldId = None,
    source: SourceName = None,
    rows: Annotated[bool, typer.Option("--rows", help="Where each row stood, instead of counts.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="With --rows: at most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Count what is held by dataset, reason and field; never a value."""
    with Services.open() as services:
        chosen = Selection(_id(services, dataset), reason, field, source)
        if rows:
            _list_rows(services.quarantine, chosen, limit, as_json)
        else:
            _list_counts(services.quarantine, chosen, as_json)


@app.command("show")
def show_command(
    dataset: Dataset,
    source: Annotated[str, typer.Argument(help="The source's name, as `list --rows` prints it.")],
    part: Annotated[str, typer.Argument(help="The file, page or table.")],
    position: Annotated[int, typer.Argument(min=0, help="The row's position there, from 0.")],
) -> None:
    """Open one row, on a terminal only. Takes a role that may reveal, and is on record."""
    if not sys.stdout.isatty():
        raise UserError("a row's content is shown on a terminal only, never to a file or pipe: nothing was opened")
    with Services.open() as services:
        found = services.contracts.find(dataset)[1].id
        shown = services.review.show(found, Place(source, part, position))
    for name, value in _described(shown.row).items():
        typer.echo(f"{name:17} {printable(str(value))}")
    typer.echo()
    typer.echo("\n".join(lines_of(shown.body)))


@app.command("replay")
def replay_command(
    dataset: Dataset, reason: Reason = None, field: FieldId = None, source: SourceName = None, as_json: AsJson = False
) -> None:
    """Enforce held rows again under today's contract; what is admitted goes through gate and publication, and of a
    stream straight into its store.
    """
    with Services.open() as services:
        found = services.contracts.find(dataset)[1]
        chosen = Selection(found.id, reason, field, source)
        if services.plan(found).is_stream:
            _show_replayed(services.replay_stream(found, chosen), as_json)
            return
        report = services.replay(found, chosen)
    if as_json:
        typer.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        show_report(report)


@app.command("purge")
def purge_command(
    dataset: OneDataset = None,
    reason: Reason = None,
    field: FieldId = None,
    source: SourceName = None,
    expired: Annotated[bool, typer.Option("--expired/--all", help="Rows whose retention has ended, or all.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this, only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete held rows for good, and destroy the keys of days that are over. Says what would go unless --yes."""
    if not expired and dataset is None:
        raise UserError("purge --all takes a dataset: rows that nobody has looked at would go")
    with Services.open() as services:
        chosen = Selection(_id(services, dataset), reason, field, source)
        act = services.review.purge if yes else services.review.would_purge
        purged = act(chosen, expired=expired)
    if as_json:
        _print_json(_purged(purged) | {"done": yes})
    else:
        verb = "deleted" if yes else "would delete"
        typer.echo(
            f"{verb} {purged.rows:,} row(s), {purged.unopenable:,} of them unopenable since their day's key is gone, "
            f"and {purged.day_keys:,} day key(s)" + ("" if yes else ". Nothing was done: --yes does it")
        )


def printable(text: str) -> str:
    r"""The text with everything that a terminal could obey, such as an escape sequence, written as `\x…` or `\u…`."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _show_replayed(done: Replayed, as_json: bool) -> None:
    if as_json:
        _print_json(done)
        return
    typer.echo(
        f"sent {done.rows:,} held row(s) again: {done.admitted:,} admitted, {sum(done.quarantined.values()):,} held "
        f"again, {sum(done.refused.values()):,} refused, {done.passed_over:,} left where they are"
    )


def _id(services: Services, dataset: str | None) -> str | None:
    return None if dataset is None else services.contracts.find(dataset)[1].id


def _list_counts(store: QuarantineStore, chosen: Selection, as_json: bool) -> None:
    counts = store.counts(chosen)
    if as_json:
        names = ("dataset", "reason", "field", "detail", "rows", "held_since", "first_expiry")
        _print_json([{name: getattr(count, name) for name in names} for count in counts])
        return
    table = Table("dataset", "reason", "field", "rule", "rows", "held since", "first goes")
    for c in counts:
        since, until = f"{c.held_since:%Y-%m-%d}", f"{c.first_expiry:%Y-%m-%d}"
        table.add_row(*_cells(c.dataset, c.reason, c.field, c.detail, f"{c.rows:,}", since, until))
    console().print(table)
    typer.echo(f"{sum(count.rows for count in counts):,} row(s) held.")


def _list_rows(store: QuarantineStore, chosen: Selection, limit: int, as_json: bool) -> None:
    found = list(islice(store.rows(chosen), limit + 1))
    rows, more = found[:limit], len(found) > limit
    if as_json:
        _print_json([_described(row) for row in rows])
        return
    table = Table("dataset", "source", "part", "position", "reason", "field", "rule", "contract", "goes")
    for row in rows:
        place = (row.place.source, row.place.part, str(row.place.position))
        why = (row.reason, row.field, row.detail, row.contract_version, f"{row.expires_at:%Y-%m-%d}")
        table.add_row(*_cells(row.dataset, *place, *why))
    console().print(table)
    if more:
        typer.echo(f"There are more than {limit}: --limit shows more.")


def _cells(*words: str | None) -> list[Text]:
    """Plain cells: no markup is obeyed."""
    return [Text(printable(word or "")) for word in words]


def _described(row: HeldRow) -> dict[str, Any]:
    """What may be said of a row to anyone."""
    place = {"source": row.place.source, "part": row.place.part, "position": row.place.position}
    names = ("run", "reason", "field", "detail", "contract_version", "length", "held_at", "expires_at")
    key = {"sealed_under": row.entity or row.day or "nothing"}
    return {"dataset": row.dataset} | place | {name: getattr(row, name) for name in names} | key


def lines_of(body: bytes | None) -> list[str]:
    """A record field by field, an unreadable one as it is."""
    if body is None:
        return ["No body was kept of this row."]
    try:
        record = orjson.loads(body)
    except orjson.JSONDecodeError:
        record = None
    if not isinstance(record, dict):
        return [printable(body.decode(errors="backslashreplace"))]
    return [printable(f"{name}: {value}") for name, value in record.items()]


def _purged(purged: Purged) -> dict[str, Any]:
    return {"rows": purged.rows, "unopenable": purged.unopenable, "day_keys": purged.day_keys}


def _print_json(value: object) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
