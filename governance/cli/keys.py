"""`kasbah keys init | rotate | status`: the epochs, the message keys, and where they are kept. Never key material."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from governance.adapters.control.database import migrate
from governance.adapters.control.message_keys import SETTLING
from governance.adapters.control.rotation import open_rotation
from governance.adapters.settings import load_settings
from governance.adapters.signing import create_signing_key
from governance.audit.records import Record
from governance.bootstrap import Services
from governance.cli.terminal import console
from governance.protection.epochs import Epoch
from governance.protection.leases import Running
from governance.protection.rotation import Plan, Rotated, Rotation
from governance.protection.rotation import Progress as Advance

app = typer.Typer(no_args_is_help=True, help="Make, rotate and show the keys of the epochs.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@app.command("init")
def init() -> None:
    """Make the control database's schema, the signing key, the index key, the first epoch and the first message key.
    Repeating changes nothing.
    """
    services = Services(load_settings())
    try:
        migrate(services.control)
        if not services.settings.signing_key.exists():
            create_signing_key(services.settings.signing_key)
        opened = services.epochs.init()
        made = services.message_keys.ensure()
        if opened or made:
            services.ledger.append([Record("keys.init", services.settings.actor, item=services.key_service.name)])
            services.ledger.publish_head()
    finally:
        services.close()
    if opened:
        typer.echo("The first epoch is open.")
    else:
        typer.echo("The first message key is made." if made else "Keys are there already: nothing was changed.")
    _warn(services)


@app.command("rotate")
def rotate(
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done, and do nothing.")] = False,
    messages: Annotated[bool, typer.Option("--messages", help="Begin a new message key instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Open a new epoch, seal everything again, and destroy the old epoch's keys: no copy of the control database from
    before opens anything afterwards. Interrupted, the same command goes on where it was.

    With --messages, messages are signed with a new key from now on; those signed with earlier ones still verify.
    """
    with Services.open() as services:
        if messages:
            _rotate_messages(services, only_plan=plan, as_json=as_json)
            return
        rotation = _rotation(services)
        if plan:
            _show_plan(rotation.plan(), as_json)
            return
        with _progress(quiet=as_json) as advance:
            done = rotation.run(advance)
        services.ledger.publish_head()
    _show_rotated(done, as_json)


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Show the epochs, what stands under each, what the key service says, and who may hold keys at this moment."""
    with Services.open() as services:
        epochs, counts, leases = services.epochs.all(), services.subject_counts(), services.leases.running()
        signing = services.message_keys.all()
    rows = [_row(epoch, counts.get(epoch.id, {})) for epoch in epochs]
    if as_json:
        kms = {"name": services.key_service.name, "development": services.key_service.development}
        known = {"epochs": rows, "messages": [asdict(one) for one in signing], "leases": [_lease(o) for o in leases]}
        _print_json({"kms": kms} | known)
        return
    table = Table("epoch", "state", "subjects", "opened", "destroyed", "the key service says")
    for row in rows:
        moments = [f"{row[n]:%Y-%m-%d %H:%M}" if row[n] else "" for n in ("opened_at", "destroyed_at")]
        said = ": ".join(text for text in (row["destruction"], row["note"]) if text)
        table.add_row(str(row["epoch"]), row["state"], f"{sum(row['subjects'].values()):,}", *moments, said)
    out = console()
    out.print(table)
    for key in signing:
        state = "signs and verifies" if key.current else "verifies"
        out.print(f"message key {key.id}: {state}, made {key.made_at:%Y-%m-%d %H:%M}, under epoch {key.epoch}")
    out.print(f"keys are kept by: {services.key_service.name}")
    for one in leases:
        out.print(f"keys in use: {one.holder}, until {one.expires_at:%H:%M:%S} at the latest", markup=False)
    _warn(services)


def _rotation(services: Services) -> Rotation:
    return open_rotation(
        services.control,
        services.epochs,
        services.subjects,
        services.ledger,
        services.clock,
        services.settings.actor,
        services.settings.epoch_cache_seconds,
    )


def _rotate_messages(services: Services, *, only_plan: bool, as_json: bool) -> None:
    """Begin a new message key, or say what there is."""
    known = services.message_keys.all()
    if only_plan:
        if as_json:
            _print_json({"messages": [asdict(one) for one in known]})
        else:
            typer.echo(f"a new message key would be made; those there are would go on verifying: {len(known):,}")
        return
    made = services.message_keys.begin()
    services.ledger.append([Record("keys.rotate.messages", services.settings.actor, item=made)])
    services.ledger.publish_head()
    if as_json:
        _print_json({"message_key": made, "verifying": [one.id for one in known]})
    else:
        typer.echo(f"messages are signed with key {made} from {SETTLING} s from now; {len(known):,} earlier verify")


def _show_plan(plan: Plan, as_json: bool) -> None:
    if as_json:
        _print_json({"current": plan.current, "closing": plan.closing, "rows": plan.rows})
        return
    if plan.closing is None:
        typer.echo(f"epoch {plan.current} would close and epoch {plan.current + 1} open; to be sealed again:")
    else:
        typer.echo(f"the rotation from epoch {plan.closing} to {plan.current} would be finished; to be sealed again:")
    for name, count in plan.rows.items():
        typer.echo(f"  {name}: {count:,}")


def _show_rotated(done: Rotated, as_json: bool) -> None:
    report = done.destruction
    if as_json:
        destruction = {"state": str(report.state), "at": report.at, "note": report.note}
        _print_json({"old": done.old, "new": done.new, "rows": done.rows, "destruction": destruction})
        return
    typer.echo(f"epoch {done.new} is open; sealed again: {', '.join(f'{n:,} {name}' for name, n in done.rows.items())}")
    moment = f" at {report.at:%Y-%m-%d %H:%M} UTC" if report.at else ""
    typer.echo(f"the keys of epoch {done.old} are {report.state}{moment}: {report.note}")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Advance]:
    """A bar for each kind of row, and for the wait, on a terminal; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda _what, _done, _of: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=of)
            bars.update(tasks[what], completed=done, total=of)

        yield advance


def _row(epoch: Epoch, subjects: dict[str, int]) -> dict[str, Any]:
    report = epoch.destruction
    return {
        "epoch": epoch.id,
        "state": str(epoch.state),
        "subjects": subjects,
        "opened_at": epoch.opened_at,
        "closed_at": epoch.closed_at,
        "proven_at": epoch.proven_at,
        "destroyed_at": epoch.destroyed_at,
        "destruction": str(report.state) if report else "",
        "destruction_at": report.at if report else None,
        "note": report.note if report else "",
    }


def _lease(one: Running) -> dict[str, Any]:
    return {"holder": one.holder, "began_at": one.began_at, "expires_at": one.expires_at}


def _print_json(value: object) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


def _warn(services: Services) -> None:
    for warning in _warnings(services):
        typer.echo(f"DEVELOPMENT ONLY: {warning}", err=True)


def _warnings(services: Services) -> list[str]:
    warnings = [services.anchor.warning] if services.anchor.warning else []
    if services.key_service.development:
        warnings.append(
            "epochs' keys are files of this machine's user: whoever reads them reads everybody. "
            "Use OpenBao/Vault or Google Cloud KMS for real people's data"
        )
    return warnings
