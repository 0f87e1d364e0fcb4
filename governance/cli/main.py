"""`kasbah`: collects the verbs, and turns errors into one sentence and an exit code."""

import logging
import sys

import structlog
import typer

from governance.cli import audit, collect, contract, ingest, keys, quarantine, scan, stream
from governance.errors import KasbahError, TransientError, UserError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Nothing is stored unless its contract's promises hold and can be proven.",
)
app.add_typer(contract.app, name="contract")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(quarantine.app, name="quarantine")
app.command("ingest")(ingest.ingest)
app.command("collect")(collect.collect)
app.command("scan")(scan.scan)
app.add_typer(stream.app, name="stream")

USER, INTERNAL, TRANSIENT, INTERRUPTED = 1, 70, 75, 130
"""Exit codes: what you can mend, what is wrong with us, what may work later (sysexits.h), Ctrl-C."""


def main() -> None:
    """Run the command line. Never shows a stack trace for what a user can mend, never a local or a data value."""
    _quiet_logs()
    try:
        ending = app(standalone_mode=False)  # the code of a typer.Exit, else None
    except typer.Abort:
        _say("stopped")
        sys.exit(INTERRUPTED)
    except KeyboardInterrupt:
        ending = INTERRUPTED
    except UserError as error:
        _say(str(error))
        sys.exit(USER)
    except TransientError as error:
        _say(f"{error}. Trying again later may succeed")
        sys.exit(TRANSIENT)
    except KasbahError as error:
        _say(f"{type(error).__name__}: {error}")
        sys.exit(USER)
    except Exception as error:  # noqa: BLE001  the last net: a class name is said, a value never
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # a usage error of the command line
            _say(error.format_message())
            sys.exit(error.exit_code)
        _say(f"internal error ({type(error).__name__} at {_place(error)}). Please report it")
        sys.exit(INTERNAL)
    if ending == INTERRUPTED:  # the library makes this of Ctrl-C, mostly
        _say("stopped; the same command goes on where it was")
    sys.exit(ending if isinstance(ending, int) else 0)


def _say(text: str) -> None:
    typer.echo(f"kasbah: {text}", err=True)


def _place(error: BaseException) -> str:
    """Module and line of the innermost frame: code, not data."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}" if trace else "?"


def _quiet_logs() -> None:
    """Structured logs go to standard error; libraries only warn."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)  # a library may lower its own logger's level
    logging.basicConfig(level=logging.WARNING, handlers=[handler], format="%(levelname)s %(name)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
