"""`python -m local up | down | status`: the services on this machine, PostgreSQL so far."""

import argparse
import os
import sys
from pathlib import Path

from local.postgres import Postgres, PostgresError

STATE = Path(os.environ.get("KASBAH_STATE", ".state"))
DATABASES = ("control", "warehouse", "shop")


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("verb", choices=("up", "down", "status"))
    verb = parser.parse_args().verb
    folder = STATE / "postgres"
    try:
        if verb == "up":
            server = Postgres.start(folder)
            for name in DATABASES:
                server.create(name)
            _show(server)
        elif verb == "down":
            running = Postgres.running(folder)
            if running:
                running.stop()
            print("PostgreSQL is stopped.")
        else:
            running = Postgres.running(folder)
            if running is None:
                print("PostgreSQL is not running: `make services` starts it.")
                return 1
            _show(running)
    except PostgresError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _show(server: Postgres) -> None:
    print(f"PostgreSQL runs (pid {server.pid}); its log is {server.folder / 'log'}")
    for name in DATABASES:
        print(f"  {name:10} {server.dsn(name)}")


if __name__ == "__main__":
    sys.exit(main())
