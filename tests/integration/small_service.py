"""The smallest service there is, for the tests of how services are run. As a script: start one and await the end.

python small_service.py FOLDER owned|fleeting|kept|never-ready   prints the pids of the service and of its child
"""

import os
import sys
import time
from pathlib import Path

import httpx

from local.service import Service
from local.supervise import Launch

_PROGRAM = """
import http.server, os, signal, subprocess, sys
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("child", "w").write(str(child.pid))
print("served here", flush=True)
if "failing" in sys.argv:
    sys.exit("Error: there is no more room")
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


class Small(Service):
    """Serves its folder over HTTP, and has a child."""

    name = "small"
    title = "Small 1.0"
    setting = "KASBAH_SMALL"
    roles = ("http",)
    grace_seconds = 0.5
    words: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/child"

    def settings(self) -> dict[str, str]:
        return {self.setting: self.address}

    def launch(self) -> Launch:
        command = [sys.executable, "-c", _PROGRAM, str(self.port), *self.words]
        return Launch(command, dict(os.environ), self.folder)

    def ready(self) -> bool:
        return bool(httpx.get(self.address, timeout=2).text)

    def pids(self) -> tuple[int, int]:
        """Of the service and of its child."""
        process = self.running()
        assert process
        return process.pid, int((self.folder / "child").read_text())

    def say_pids(self) -> None:
        """To whoever started this script."""
        sys.stdout.write("{} {}\n".format(*self.pids()))
        sys.stdout.flush()


class NeverReady(Small):
    """Starts, and doesn't answer."""

    def ready(self) -> bool:
        if (self.folder / "child").exists():
            self.say_pids()
        return False


if __name__ == "__main__":
    how = sys.argv[2]
    if how == "never-ready":
        NeverReady(Path(sys.argv[1])).start(kept=True)
    service = Small(Path(sys.argv[1])).start(kept=how == "kept", fleeting=how == "fleeting")
    service.say_pids()
    time.sleep(600)
