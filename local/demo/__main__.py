"""`make demo`: the store's batch system and two streams, loaded and governed, on real services.

Everything is made in `.state/demo` and made anew each time. Exit code 0 means that every step came out as said.
"""

import shutil
import sys
import time
from pathlib import Path

from local.demo import proof, shop, streams
from local.demo.stage import FOLDER, DemoError, say
from local.postgres import PostgresServer
from local.service import STATE
from local.supervise import ServiceError


def main() -> int:
    """Tell the story; returns the exit code."""
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    shutil.copytree("contracts", FOLDER / "contracts")
    server = PostgresServer(STATE / "postgres")
    try:
        server.start()
        with streams.starting() as services:
            addresses = shop.tell(server)
            streams.tell(addresses, services)
            proof.tell(addresses)
    except (DemoError, ServiceError) as error:
        print(f"\nThe demo stopped: {error}", file=sys.stderr)
        return 1
    finally:
        server.stop()
    say(f"Done in {time.monotonic() - began:.0f} s. What it made is in {FOLDER.relative_to(Path.cwd())}/.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
