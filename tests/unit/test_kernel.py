"""The compiled kernel: known answers, fresh processes, and when it is loaded at all."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nacl
import numpy as np
import pyarrow as pa
import pytest
from nacl import _sodium
from nacl.bindings import crypto_generichash_blake2b_salt_personal as blake2b

from governance.errors import ProtectionError
from governance.model.secret import Secret
from governance.protection import choice, digests, kernel, machine
from governance.protection.columns import U8, Column
from governance.protection.engine import Engine
from governance.protection.proof import prove
from governance.protection.reference import Reference

ENGINES = [Reference(), choice.warm()]
engines = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("symbol", kernel.SYMBOLS)
def test_the_pinned_library_has_every_function_that_is_called(symbol: str) -> None:
    assert nacl.__version__ == "1.6.2"
    assert callable(getattr(_sodium.lib, symbol))


def test_where_the_cpu_has_aes_the_kernel_works() -> None:
    assert choice.warm().name == ("kernel" if kernel.available() else "reference")


def test_rfc_7693_appendix_e() -> None:
    """The RFC's own self-test: a digest over keyed and unkeyed digests of four sizes."""

    def sequence(size: int, seed: int) -> bytes:
        a, b, out = 0xDEAD4BAD * seed & 0xFFFFFFFF, 1, bytearray()
        for _ in range(size):
            a, b = b, (a + b) & 0xFFFFFFFF
            out.append(b >> 24)
        return bytes(out)

    total = b""
    for size in (20, 32, 48, 64):
        for length in (0, 3, 128, 129, 255, 1024):
            value = sequence(length, length)
            total += blake2b(value, digest_size=size) + blake2b(value, digest_size=size, key=sequence(size, size))
    expected = "c23a7800d98123bd10f506c61e29da5603d763b8bbad2e737f5e765a7bccd475"
    assert blake2b(total, digest_size=32).hex() == expected


@engines
def test_gcm_specification_case_16(engine: Engine) -> None:
    """AES-256 with associated data, from the GCM specification submitted to NIST."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    plain = (
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = (
        "cafebabefacedbaddecaf888"
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    context, name = bytes.fromhex("feedface"), bytes.fromhex("deadbeeffeedfacedeadbeefabaddad2")
    out = np.zeros((1, 60), np.uint8)
    assert engine.open_rows(_row(bytes.fromhex(sealed)), _row(name), key, context, out) == -1
    assert out.tobytes().hex() == plain
    altered = bytes.fromhex(sealed)[:-1] + b"\x1a"
    assert engine.open_rows(_row(altered), _row(name), key, context, out) == 0


def _row(raw: bytes) -> U8:
    return np.frombuffer(raw, np.uint8).reshape(1, -1)


def test_digests_are_right_without_the_keyed_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a libsodium lay its state out differently, every value goes through the one-shot function."""
    monkeypatch.setattr(kernel, "_keyed_state", lambda key, person: None)
    values = [b"", b"a", None, b"x" * 129]
    found = digests.index_digests(pa.array(values), Secret(bytes(32)), "customer", engine=kernel.Kernel())
    options = {"key": bytes(32), "digest_size": 32, "person": b"customer"}
    assert found.to_pylist() == [None if v is None else hashlib.blake2b(v, **options).digest() for v in values]


def test_the_keyed_state_is_used_with_the_pinned_library() -> None:
    assert kernel._keyed_state(bytes(range(32)), b"customer".ljust(16, b"\x00")) is not None


class Wrong(Reference):
    """An engine whose digests are wrong in one bit."""

    def digest(self, column: Column, rows: range, key: bytes, person: bytes, out: U8) -> None:
        super().digest(column, rows, key, person, out)
        out[-1, -1] ^= 1


class Careless(Reference):
    """An engine that forgets the row's pseudonym in sealed pairs."""

    def seal_rows(self, plain: U8, ids: U8, key: bytes, context: bytes, out: U8) -> None:
        super().seal_rows(plain, np.zeros_like(ids), key, context, out)


@pytest.mark.parametrize(("engine", "what"), [(Wrong(), "digests"), (Careless(), "sealed pairs")])
def test_an_engine_with_wrong_answers_never_works(engine: Engine, what: str) -> None:
    with pytest.raises(ProtectionError, match=what):
        prove(engine, Reference())
    prove(Reference(), Reference())


def test_a_loop_that_can_not_be_cached_is_compiled_all_the_same() -> None:
    made: dict[str, object] = {}
    exec("def double(number):\n    return 2 * number\n", made)  # noqa: S102  a function without a file
    assert machine.compiled(made["double"])(21) == 42


SCRIPT = """
import sys
import numpy as np, pyarrow as pa
from governance.protection import cells, choice
from governance.protection.keytable import KeyTable

def there_and_back(rows):
    values, who, table = pa.array(["made up"] * rows), np.arange(rows, dtype=np.int32) % 9, KeyTable.random(9)
    tokens = cells.encrypt(values, who, table, "store.orders", "name", threads=2)
    assert cells.open(tokens, who, table, "store.orders", "name", threads=2).equals(values)

there_and_back(100)
assert "numba" not in sys.modules, "a few cells loaded the kernel"
there_and_back(choice.MANY_CELLS)
assert ("governance.protection.kernel" in sys.modules)
there_and_back(100)
from governance.protection import loops
print(sum(loops.encrypt_rows.stats.cache_hits.values()), sum(loops.encrypt_rows.stats.cache_misses.values()))
"""


def test_fresh_processes_compile_once_and_then_use_the_cache(tmp_path: Path) -> None:
    """An address kept in the cache would crash the second process. Few cells never load the kernel."""
    answers = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        for _ in range(2)
    ]
    assert [answer.returncode for answer in answers] == [0, 0], answers[-1].stderr
    assert [answer.stdout.split() for answer in answers] == [["0", "1"], ["1", "0"]]
