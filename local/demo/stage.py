"""What every scene of the demo works with: its folder, its settings, and the commands a user would type."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.service import STATE

FOLDER = (STATE / "demo").resolve()
SETTINGS = FOLDER / "kasbah.toml"
SEED = "7"


class DemoError(RuntimeError):
    """A step did not come out as said."""


def say(text: str) -> None:
    """A heading."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def kasbah(*arguments: str, expect: int = 0) -> None:
    """Run `kasbah …` and show what it prints. Raises DemoError unless it ends as expected."""
    print(f"$ kasbah {' '.join(arguments)}", flush=True)
    done = subprocess.run([_KASBAH, *arguments], env=_environment(), check=False)
    if done.returncode != expect:
        raise DemoError(f"`kasbah {' '.join(arguments)}` ended with {done.returncode}, expected {expect}")


def standings() -> list[dict[str, Any]]:
    """What `kasbah stream status --json` says."""
    asked = subprocess.run(
        [_KASBAH, "stream", "status", "--json"], env=_environment(), capture_output=True, check=False
    )
    found: list[dict[str, Any]] = json.loads(asked.stdout) if asked.returncode == 0 else []
    return found


@contextmanager
def background(*command: str | Path, log: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside the story; what it prints goes to a log of the demo's folder. At the end it is asked to
    stop. Raises DemoError if it hasn't ended well.
    """
    shown = " ".join(Path(str(word)).name if Path(str(word)).is_absolute() else str(word) for word in command)
    print(f"$ {shown} &", flush=True)
    file = FOLDER / f"{log}.log"
    with file.open("wb") as out:
        process = subprocess.Popen(command, env=_environment(), stdout=out, stderr=out)
    try:
        yield process
        process.terminate()
        if process.wait(60) != 0:
            raise DemoError(f"`{shown}` ended with {process.returncode}; its log is {file}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def kasbah_beside(*arguments: str, log: str) -> Iterator[subprocess.Popen[bytes]]:
    """`kasbah …` in the background."""
    with background(_KASBAH, *arguments, log=log) as process:
        yield process


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """The sample APIs, as a process; where they listen."""
    command = [sys.executable, "-m", "samples", "serve", "--seed", SEED, *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = server.stdout.readline().strip() if server.stdout else ""
        if not address.startswith("http://"):
            raise DemoError("the sample APIs did not start")
        yield address
    finally:
        server.terminate()
        server.wait(15)


def write_settings(variables: Mapping[str, str], sources: Mapping[str, str]) -> None:
    """A settings file of the demo's own, open to nobody else. `variables` are called as in the environment."""
    tables: dict[str, dict[str, str]] = {
        "": {
            "contracts": str(FOLDER / "contracts"),
            "lake": str(FOLDER / "lake"),
            "anchor": str(FOLDER / "anchor.jsonl"),
            "signing_key": str(FOLDER / "signing.key"),
            "actor": "demo",
            "role": "privacy_officer",
            "epoch_cache_seconds": "5",
        },
        "scan": {"names": str(Path("models/names").resolve())},
        "kms": {"folder": str(FOLDER / "keys")},
        "sources": dict(sources),
    }
    for variable, value in variables.items():
        *table, name = variable.removeprefix("KASBAH_").lower().split("__")
        tables.setdefault("".join(table), {})[name] = value
    lines = [
        line
        for table, entries in tables.items()
        for line in ([f"[{table}]"] if table else [])
        + [f"{name} = {json.dumps(value)}" for name, value in entries.items()]
    ]
    SETTINGS.touch(mode=0o600)
    SETTINGS.write_text("\n".join(lines) + "\n")


_KASBAH = Path(sys.executable).with_name("kasbah")


def _environment() -> dict[str, str]:
    return {**os.environ, "KASBAH_SETTINGS": str(SETTINGS)}
