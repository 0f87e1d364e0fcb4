"""`python -m samples store | serve | truth | wide`: write the sources, serve the APIs, say what must come of the feeds,
write the benchmark's table."""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import FrameType

import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from samples.faults import Faults, parse_faults
from samples.feed import START, Feed
from samples.feed_truth import Source, truth
from samples.files import write_files
from samples.products import ProductSource
from samples.products.api import ProductApi
from samples.server import StoreServer
from samples.store import history
from samples.tables import write_tables
from samples.ticks import Ticks
from samples.users import UserSource
from samples.users.api import UserApi
from samples.wide import write_csv

Report = Callable[[str, int], None]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. Says what is wrong in one sentence."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except ValueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except psycopg.Error as error:
        print(f"{parser.prog}: the database can't be written ({type(error).__name__})", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{parser.prog}: {error.strerror}: {error.filename or ''}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m samples", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shop = argparse.ArgumentParser(add_help=False)
    shop.add_argument("--scale", type=float, default=1.0, help="1 is about 5,000 order rows")
    shop.add_argument("--seed", type=int, default=7)
    shop.add_argument("--wave", type=int, default=1, help="1 is the year 2025, each later one the next month")

    feeds = argparse.ArgumentParser(add_help=False)
    feeds.add_argument("--products", type=int, default=1000, help="listings of the product API at first")
    feeds.add_argument("--people", type=int, default=1000, help="people of the users API at first")
    feeds.add_argument("--tick-seconds", type=float, default=0, help="how often both change; 0 is on POST /tick only")
    feeds.add_argument("--start", type=_moment, default=START, metavar="TIME", help="of both; ISO 8601, or now")

    store = commands.add_parser("store", parents=[shop], help="write the files, truth.json, and the SQL tables")
    store.add_argument("--out", type=Path, required=True, metavar="DIR")
    store.add_argument("--sql", metavar="DSN", help="also fill shop.order_lines and shop.stock_levels there")
    store.set_defaults(run=_store)

    serve = commands.add_parser("serve", parents=[shop, feeds], help="serve the APIs until SIGTERM or SIGINT")
    serve.add_argument("--port", type=int, default=0, help="0 takes a free one")
    serve.add_argument("--rate", type=int, default=100, help="requests a second before 429; 0 is no limit")
    serve.add_argument("--fault", action="append", default=[], metavar="3=error", help="or every7=html; repeatable")
    serve.set_defaults(run=_serve)

    known = commands.add_parser("truth", parents=[feeds], help="say what a right pipeline counts of a feed, as JSON")
    known.add_argument("feed", choices=("products", "users"))
    known.add_argument("--seed", type=int, default=7)
    known.add_argument("--tick", type=int, default=0, help="the last tick counted; 0 is the feed's beginning")
    known.add_argument("--today", type=date.fromisoformat, metavar="DAY", help="on which ages are judged")
    known.set_defaults(run=_truth)

    wide = commands.add_parser("wide", help="write the benchmark's table of 20 columns as CSV")
    wide.add_argument("--out", type=Path, required=True, metavar="FILE")
    wide.add_argument("--rows", type=int, default=1_000_000)
    wide.add_argument("--customers", type=int, default=100_000)
    wide.add_argument("--seed", type=int, default=7)
    wide.set_defaults(run=_wide)
    return parser


def _store(options: argparse.Namespace) -> int:
    wave = history(options.seed, options.scale, options.wave)[-1]
    files = ("csv", "json", "sql") if options.sql else ("csv", "json")
    total = sum(len(rows[source]) for rows in wave.rows.values() for source in files)
    with _progress(total) as report:
        paths = write_files(wave, options.out, report)
        tables = write_tables(wave, options.sql, report) if options.sql else {}
    for path in paths:
        print(path)
    for table, rows in tables.items():
        print(f"{table}: {rows} rows added")
    return 0


def _serve(options: argparse.Namespace) -> int:
    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    faults: Faults = parse_faults(options.fault)
    waves = history(options.seed, options.scale, options.wave)
    ticks = Ticks(options.tick_seconds)
    products, people = _sources(options)
    apis = (ProductApi(products, ticks), UserApi(people, ticks))
    with StoreServer(waves, beside=apis, port=options.port, faults=faults, rate=options.rate, ticks=ticks) as server:
        print(server.url, flush=True)
        stop.wait()
    return 0


def _truth(options: argparse.Namespace) -> int:
    products, people = _sources(options, options.today)
    source: Source = products if options.feed == "products" else people
    print(json.dumps(truth(source, options.tick), indent=1))
    return 0


def _sources(options: argparse.Namespace, today: date | None = None) -> tuple[ProductSource, UserSource]:
    """The two feeds. They tick in their own time as often as the server does, or once a minute."""
    every = timedelta(seconds=options.tick_seconds or 60)
    products = Feed(options.seed, options.products, start=options.start, every=every)
    people = Feed(options.seed, options.people, start=options.start, every=every)
    return ProductSource(products), UserSource(people, today=today)


def _moment(text: str) -> datetime:
    """A time in ISO 8601 (without a zone: UTC), or `now`. Raises ValueError."""
    found = datetime.now(UTC) if text == "now" else datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _wide(options: argparse.Namespace) -> int:
    with _progress(options.rows) as report:
        write_csv(options.out, options.rows, options.customers, options.seed, report)
    print(options.out)
    return 0


@contextmanager
def _progress(total: int) -> Iterator[Report]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task: TaskID = bar.add_task("rows", total=total)
        yield lambda what, done: bar.update(task, description=what, advance=done)


if __name__ == "__main__":
    sys.exit(main())
