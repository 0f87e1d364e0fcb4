"""Starts one service and sees to it that the service doesn't outlive the process that wanted it.

Run as a script by `local.supervise`, with nothing but the standard library. The first line of standard input is JSON:
command, environment, cwd, user and group (or null), log, signal, grace (seconds), leavings: folders that go with the
service where its parent has gone. The answer on standard output is the service's pid. After that a line `keep` lets
the service live on, and the keeper goes. The end of the input, or of the parent, without that line stops the service
by its signal, and all that it started by SIGKILL after the grace. So the parent may be killed at any moment.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

LOOK_SECONDS = 0.25
"""How often the parent is looked at. The input's end says it at once, unless a forked child holds the other end."""


def main() -> int:
    """Returns the service's exit code (negative for a signal), or 0 once it is kept."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    parent = os.getppid()
    order: dict[str, Any] = json.loads(sys.stdin.buffer.raw.readline())  # type: ignore[union-attr]
    with open(order["log"], "ab") as log:  # noqa: PTH123
        service = subprocess.Popen(
            order["command"],
            env=order["environment"],
            cwd=order["cwd"],
            user=order["user"],
            group=order["group"],
            extra_groups=[] if order["user"] is not None else None,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            restore_signals=True,
            preexec_fn=_default_signals,  # noqa: PLW1509
        )
    print(service.pid, flush=True)
    while not _ended(service.pid):
        word = _word()
        if word == b"keep\n":
            return 0
        if word == b"" or os.getppid() != parent:
            _stop(service.pid, order["signal"], float(order["grace"]))
            break
    # The leader is a zombie until it is waited for, so its number is still ours and the group can be killed safely.
    _signal_group(service.pid, signal.SIGKILL)
    code = service.wait()
    if os.getppid() != parent:
        for folder in order["leavings"]:
            shutil.rmtree(folder, ignore_errors=True)
    return code


def _default_signals() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)


def _word() -> bytes | None:
    """A line of the parent, b"" at the input's end, or None if nothing was said in time."""
    ready, _, _ = select.select([sys.stdin.buffer.raw], [], [], LOOK_SECONDS)  # type: ignore[union-attr]
    return sys.stdin.buffer.raw.readline() if ready else None  # type: ignore[union-attr]


def _ended(pid: int) -> bool:
    """True once the service has ended; it stays a zombie."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _stop(pid: int, first: int, grace: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, first)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and not _ended(pid):
        time.sleep(0.05)


def _signal_group(pid: int, kind: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, kind)


if __name__ == "__main__":
    sys.exit(abs(main()))
