"""`python -m local up | down | status | settings [NAME …]`: real services on this machine, each in a folder of its own.

up starts them (all, or those named), and they run on until down. One that the settings have an address for is
external: it is neither started nor stopped. settings prints the variables that lead to those that run.
"""

import argparse
import sys
import time
from collections.abc import Sequence

from governance.adapters.settings import Settings, load_settings
from governance.errors import SettingsError
from local import table
from local.service import Service
from local.supervise import ServiceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 if what was asked is so."""
    parser = argparse.ArgumentParser(
        prog="python -m local", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=("up", "down", "status", "settings"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(table.NAMES)}; all unless said")
    parser.add_argument(
        "--port", action="append", default=[], metavar="NAME=PORT", type=_port, help="a port for one of them (up)"
    )
    asked = parser.parse_args(arguments)
    unknown = {*asked.names, *(name for name, _ in asked.port)} - set(table.NAMES)
    if unknown:
        parser.error(f"there is no service {', '.join(sorted(unknown))}: choose from {', '.join(table.NAMES)}")
    verbs = {"up": _up, "down": _down, "status": _status, "settings": _settings}
    try:
        settings = load_settings()
        return verbs[asked.verb](table.services(asked.names or table.NAMES, dict(asked.port)), settings)
    except (SettingsError, ServiceError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: what was starting is stopped, what was up before still is", file=sys.stderr)
        return 130


def _port(text: str) -> tuple[str, int]:
    name, _, port = text.partition("=")
    if not port.isdigit() or not 1024 <= int(port) <= 65535 or name == "postgres":
        raise argparse.ArgumentTypeError(
            "wants NAME=PORT with a port from 1024 to 65535; PostgreSQL has a socket instead"
        )
    return name, int(port)


def _up(services: Sequence[Service], settings: Settings) -> int:
    failed = 0
    for service in services:
        if table.is_external(service, settings):
            print(f"{service.product} is external: {service.setting} has its address")
            continue
        began, ran = time.monotonic(), service.running()
        try:
            service.start(kept=True)
        except ServiceError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        how = "runs already" if ran else f"is up after {time.monotonic() - began:.0f} s"
        print(f"{service.product} {how}: {service.address}", flush=True)
    if not failed:
        print("`python -m local settings` prints the variables that lead there; `python -m local down` stops all.")
    return 1 if failed else 0


def _down(services: Sequence[Service], settings: Settings) -> int:
    del settings
    for service in reversed(services):
        if service.running():
            service.stop()
            print(f"{service.product} is stopped.", flush=True)
    return 0


def _status(services: Sequence[Service], settings: Settings) -> int:
    """0 if each of them runs and answers, or is external."""
    states = [(service, _state(service, settings)) for service in services]
    for service, state in states:
        process = service.running()
        place = f"{service.address}  pid {process.pid}, log {service.log}" if process else ""
        print(f"{service.name:14} {state:18} {service.product:26} {place}".rstrip())
    if all(state == "down" for _, state in states):
        print("`make services` starts them, `python -m local up NAME` starts one.")
    return 0 if all(state in ("up", "external") for _, state in states) else 1


def _state(service: Service, settings: Settings) -> str:
    if table.is_external(service, settings):
        return "external"
    if service.running():
        return "up" if service.answers() else "does not answer"
    return "down"


def _settings(services: Sequence[Service], settings: Settings) -> int:
    del settings
    for service in services:
        if service.running():
            for name, value in service.settings().items():
                print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
