"""`kasbah keys init | rotate | status`: the epochs and where their keys are kept. Never key material."""

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from governance.adapters.control.database import migrate
from governance.adapters.settings import load_settings
from governance.adapters.signing import create_signing_key
from governance.audit.records import Record
from governance.bootstrap import Services

app = typer.Typer(no_args_is_help=True, help="Make, rotate and show the keys of the epochs.")


@app.command("init")
def init() -> None:
    """Make the control database's schema, the signing key, the index key and the first epoch. Repeating changes
    nothing.
    """
    services = Services(load_settings())
    try:
        migrate(services.control)
        if not services.settings.signing_key.exists():
            create_signing_key(services.settings.signing_key)
        made = services.epochs.init()
        if made:
            services.ledger.append([Record("keys.init", services.settings.actor, item=services.key_service.name)])
            services.ledger.publish_head()
    finally:
        services.close()
    typer.echo("The first epoch is open." if made else "Keys are there already: nothing was changed.")
    for warning in _warnings(services):
        typer.echo(f"DEVELOPMENT ONLY: {warning}", err=True)


@app.command("status")
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False) -> None:
    """Show the epochs, what stands under each, and what the key service says."""
    with Services.open() as services:
        epochs, counts = services.epochs.all(), services.subject_counts()
    rows = [
        {
            "epoch": epoch.id,
            "state": str(epoch.state),
            "subjects": sum(counts.get(epoch.id, {}).values()),
            "opened_at": epoch.opened_at,
            "closed_at": epoch.closed_at,
            "destroyed_at": epoch.destroyed_at,
            "note": epoch.destruction.note if epoch.destruction else "",
        }
        for epoch in epochs
    ]
    if as_json:
        typer.echo(
            orjson.dumps({"kms": services.key_service.name, "epochs": rows}, option=orjson.OPT_INDENT_2).decode()
        )
        return
    table = Table("epoch", "state", "subjects", "opened", "destroyed", "the key service says")
    for row in rows:
        moments = [f"{row[n]:%Y-%m-%d %H:%M}" if row[n] else "" for n in ("opened_at", "destroyed_at")]
        table.add_row(str(row["epoch"]), str(row["state"]), f"{row['subjects']:,}", *moments, str(row["note"]))
    Console().print(table)
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
