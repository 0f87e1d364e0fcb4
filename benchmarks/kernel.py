"""The protection kernel beside a Python loop over the same primitives, in one run, turn by turn.

Ours works from an Arrow column to an Arrow column. The loops start from a list of bytes and end in a list, so they
are spared the conversion. A loop over cells does the same job a cell: a key object, `os.urandom` nonce, padding, the
row's pseudonym in the associated data, base64 text. Cells: 1 M by 100 k people for ours, the first 200 k of the same
mix for the loop, compared per cell. Two cores: two threads of ours beside two processes of the loop, which are started
and hold their data before the clock runs.
"""

import base64
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.model.secret import Secret
from governance.protection import cells, choice, digests
from governance.protection.framing import frame
from governance.protection.keytable import KeyTable

ROWS = 1_000_000
PEOPLE = 100_000
PEER_ROWS = 200_000
REPEATS = 7
KEY = bytes(range(32))
ENTITY = "customer"
PERSON = ENTITY.encode().ljust(16, b"\x00")
PLACE = ("store.orders", "customer_email")
ORIGIN = frame("kb1", *PLACE) + (16).to_bytes(4, "big")
GOALS = {"digest": 2.5, "digest_2core": 2.5, "encrypt": 9.0, "encrypt_2core": 8.0, "open": 9.0}


@dataclass
class Data:
    """Made-up cells (names, e-mails, phones and addresses, 8 to 40 bytes, 21 on average), their subjects and keys."""

    values: list[bytes]
    subject: np.ndarray
    keys: np.ndarray
    names: np.ndarray

    @classmethod
    def make(cls, rows: int) -> "Data":
        """The same for every process; the first rows of a longer one are those of a shorter one."""
        random = np.random.default_rng(20)
        keys = random.integers(0, 256, (PEOPLE, 32), dtype=np.uint8)
        names = random.integers(0, 256, (PEOPLE, 16), dtype=np.uint8)
        subject = random.integers(0, PEOPLE, rows).astype(np.int32)
        return cls([_value(i, int(who)) for i, who in enumerate(subject)], subject, keys, names)


def _value(row: int, who: int) -> bytes:
    forms = (
        f"c{who:06}@example.com",
        f"+1 202-555-01{who % 100:02}",
        f"Person {who}",
        f"{who} Example Street, Town {row % 97}",
    )
    return forms[row % 4].encode()


def loop_digest(values: list[bytes]) -> list[bytes]:
    """The peer of index digests."""
    return [hashlib.blake2b(value, key=KEY, digest_size=32, person=PERSON).digest() for value in values]


def loop_encrypt(values: list[bytes], subject: list[int], keys: list[bytes], names: list[bytes]) -> list[str]:
    """The peer of encryption."""
    tokens = []
    for value, who in zip(values, subject, strict=True):
        nonce = os.urandom(12)
        padded = value + b"\x80" + bytes(15 - len(value) % 16)
        sealed = nonce + AESGCM(keys[who]).encrypt(nonce, padded, ORIGIN + names[who])
        tokens.append("kb1." + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode())
    return tokens


def loop_open(tokens: list[str], subject: list[int], keys: list[bytes], names: list[bytes]) -> list[bytes]:
    """The peer of opening."""
    values = []
    for token, who in zip(tokens, subject, strict=True):
        body = token[4:]
        sealed = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        padded = AESGCM(keys[who]).decrypt(sealed[:12], sealed[12:], ORIGIN + names[who])
        values.append(padded.rstrip(b"\x00")[:-1])
    return values


class Loops:
    """The loops' data, as lists; also what each process of the two-core loops holds."""

    here: "Loops"

    def __init__(self, data: Data) -> None:
        self.values = data.values[:PEER_ROWS]
        self.subject = data.subject[:PEER_ROWS].tolist()
        self.keys = [row.tobytes() for row in data.keys]
        self.names = [row.tobytes() for row in data.names]

    @classmethod
    def start(cls) -> None:
        """Fill a new process."""
        cls.here = cls(Data.make(PEER_ROWS))

    def digest(self) -> int:
        """All of it; how many."""
        return len(loop_digest(self.values))

    def encrypt(self) -> int:
        """All of it; how many."""
        return len(loop_encrypt(self.values, self.subject, self.keys, self.names))


def _in_process(work: str) -> int:
    count: int = getattr(Loops.here, work)()
    return count


@dataclass
class Figure:
    """One comparison: seconds a cell of ours and of the loop, a turn each."""

    name: str
    ours: Callable[[], int]
    loop: Callable[[], int]
    seconds: list[tuple[float, float]] = field(default_factory=list)

    def turn(self) -> None:
        """Ours, then the loop."""
        self.seconds.append((_each(self.ours), _each(self.loop)))

    def result(self) -> dict[str, object]:
        """Medians: cells a second of both, and the median of the turns' ratios."""
        ratio = statistics.median(self.ratios())
        return {
            "name": self.name,
            "value": round(1 / statistics.median(ours for ours, _ in self.seconds)),
            "unit": "values/s" if self.name.startswith("digest") else "cells/s",
            "peer": round(1 / statistics.median(loop for _, loop in self.seconds)),
            "ratio": round(ratio, 2),
            "goal": GOALS[self.name],
            "met": ratio >= GOALS[self.name],
        }

    def ratios(self) -> list[float]:
        """The loop's time over ours, turn by turn."""
        return [loop / ours for ours, loop in self.seconds]


def _each(work: Callable[[], int]) -> float:
    start = time.perf_counter()
    count = work()
    return (time.perf_counter() - start) / count


def measure() -> list[Figure]:
    """Every comparison, REPEATS turns each after one that isn't counted."""
    data = Data.make(ROWS)
    column, subject = pa.array([value.decode() for value in data.values]), data.subject
    table, secret = KeyTable(data.keys.copy(), data.names.copy()), Secret(KEY)
    loops = Loops(data)
    choice.warm()
    tokens = cells.encrypt(column, subject, table, *PLACE)
    some = loop_encrypt(loops.values, loops.subject, loops.keys, loops.names)
    assert cells.open(pa.array(some), subject[:PEER_ROWS], table, *PLACE).equals(column[:PEER_ROWS])
    assert loop_open(tokens[:1000].to_pylist(), loops.subject[:1000], loops.keys, loops.names) == loops.values[:1000]
    with ProcessPoolExecutor(2, get_context("spawn"), Loops.start) as pool:

        def both(work: str) -> int:
            return sum(pool.map(_in_process, (work, work)))

        def digest(threads: int) -> int:
            return len(digests.index_digests(column, secret, ENTITY, threads=threads))

        def encrypt(threads: int) -> int:
            return len(cells.encrypt(column, subject, table, *PLACE, threads=threads))

        figures = [
            Figure("digest", lambda: digest(1), loops.digest),
            Figure("digest_2core", lambda: digest(2), lambda: both("digest")),
            Figure("encrypt", lambda: encrypt(1), loops.encrypt),
            Figure("encrypt_2core", lambda: encrypt(2), lambda: both("encrypt")),
            Figure(
                "open",
                lambda: len(cells.open(tokens, subject, table, *PLACE)),
                lambda: len(loop_open(some, loops.subject, loops.keys, loops.names)),
            ),
        ]
        for _ in range(REPEATS + 1):
            for figure in figures:
                figure.turn()
    for figure in figures:
        del figure.seconds[0]
    return figures


def load_times() -> dict[str, float]:
    """Seconds until the kernel is ready in a fresh process: with nothing compiled yet, and with the cache filled."""
    script = (
        "import time, pyarrow, numpy\n"
        "from governance.protection import cells, choice\n"
        "start = time.perf_counter()\n"
        "name = choice.warm().name\n"
        "print(name, time.perf_counter() - start)\n"
    )
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for state in ("cold", "cached"):
            answer = subprocess.run(
                [sys.executable, "-c", script],
                env=os.environ | {"NUMBA_CACHE_DIR": folder},
                cwd=Path(__file__).parent.parent,
                check=True,
                capture_output=True,
                text=True,
            )
            name, took = answer.stdout.split()
            assert name == "kernel"
            seconds[state] = float(took)
    return seconds


def run() -> list[dict[str, object]]:
    """The results, and a printed table with each ratio's spread."""
    figures = measure()
    print(f"protection kernel: {ROWS:,} cells by {PEOPLE:,} people, {REPEATS} turns, medians (lowest to highest ratio)")
    results = []
    for figure in figures:
        result, ratios = figure.result(), figure.ratios()
        results.append(result)
        print(
            f"  {result['name']:<14} {result['value']:>10,} {result['unit']:<9} loop {result['peer']:>9,}"
            f"  {result['ratio']:>6}x ({min(ratios):.2f} to {max(ratios):.2f})"
            f"  goal {result['goal']}x  {'met' if result['met'] else 'MISSED'}"
        )
    times = load_times()
    print(f"  kernel ready in a fresh process: {times['cold']:.1f} s compiled, {times['cached']:.1f} s from its cache")
    return results


def main() -> int:
    """1 if a goal is missed."""
    return 0 if all(result["met"] for result in run()) else 1


if __name__ == "__main__":
    sys.exit(main())
