"""A real OpenBao on a free loopback port, for the tests: a development server that keeps everything in memory."""

import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hvac


@dataclass(frozen=True)
class OpenBao:
    """A running server."""

    address: str
    token: str

    def client(self) -> hvac.Client:
        return hvac.Client(url=self.address, token=self.token, timeout=10)


@contextmanager
def running_openbao(folder: Path) -> Iterator[OpenBao]:
    """Start it with a transit engine, stop it at the end. Its log is in the folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = OpenBao(f"http://127.0.0.1:{port}", secrets.token_hex(16))
    command = [
        Path(sys.executable).with_name("bao"),
        "server",
        "-dev",
        f"-dev-root-token-id={server.token}",
        f"-dev-listen-address=127.0.0.1:{port}",
        "-dev-no-store-token",
    ]
    with (folder / "bao.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder)
    try:
        _await_ready(server, process, folder)
        server.client().sys.enable_secrets_engine("transit")
        yield server
    finally:
        process.terminate()
        process.wait(15)


def _await_ready(server: OpenBao, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "bao.log").read_text()
        try:
            if server.client().sys.is_initialized() and not server.client().sys.is_sealed():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("OpenBao was not ready in 30 s: " + (folder / "bao.log").read_text())
