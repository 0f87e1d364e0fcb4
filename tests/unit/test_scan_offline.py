"""A scan asks nothing of the network and writes no file, proven in a process that can do neither."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCAN = """
import sys

import urllib3  # as it is imported it makes a socket, to see whether there is IPv6, and connects it to nothing

asked = []


def watch(event, arguments):
    if event.startswith("socket."):
        asked.append(event)
        raise PermissionError("a scan asked for the network")


sys.addaudithook(watch)

import pyarrow as pa
from governance.adapters.presidio import PresidioScanner
from governance.pii.scanner import ScanPlan

texts = ["jane@example.com", "jane@mail.example.co.uk", "see https://www.example.net/a", "x@example.org\u200b"]
answer = PresidioScanner().scan({"note": pa.array(texts)}, ScanPlan(), {})["note"]
print(answer.undeclared.tolist(), asked)

import tldextract
try:
    tldextract.TLDExtract(cache_dir=None, fallback_to_snapshot=False)("example.com")
except Exception:
    print(len(asked) > 0)
"""


def test_a_scan_opens_no_socket_and_keeps_no_cache(tmp_path: Path) -> None:
    """The last line shows that the very same process would be caught asking."""
    away = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "TLDEXTRACT_CACHE": str(tmp_path / "tld")}
    numba = {"NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(ROOT / "governance/pii/__pycache__"))}
    answer = subprocess.run(
        [sys.executable, "-c", SCAN],
        env=os.environ | away | numba,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert answer.stdout.splitlines() == ["[True, True, True, True] []", "True"]
    assert list(tmp_path.rglob("*")) == []
