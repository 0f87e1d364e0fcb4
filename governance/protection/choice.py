"""Which implementation does the work: compiled kernel or reference.

Both give and take the same bytes. The kernel needs AES instructions and, once a process, about a second to load (three
the first time on a machine, when it is compiled). The reference takes that long for about MANY_CELLS, so a process
that touches fewer never loads the kernel; it is loaded when the count of a process passes them, or by `warm`, and
then does every call.
"""

import importlib
import threading
from typing import Final

from governance.protection.engine import Engine
from governance.protection.proof import prove
from governance.protection.reference import Reference

MANY_CELLS: Final = 200_000


class _Choice:
    """What this process has done so far. Two threads that count at once may miss a few cells, which harms nothing."""

    def __init__(self) -> None:
        self.touched = 0
        self.reference: Engine = Reference()
        self.loaded: Engine | None = None
        self.lock = threading.Lock()

    def load(self) -> Engine:
        with self.lock:
            if self.loaded is None:
                self.loaded = _kernel() or self.reference
            return self.loaded


_CHOICE = _Choice()


def choose(cells: int) -> Engine:
    """The engine for a call that touches so many cells."""
    _CHOICE.touched += cells
    return _CHOICE.load() if _CHOICE.loaded or _CHOICE.touched >= MANY_CELLS else _CHOICE.reference


def warm() -> Engine:
    """Load the kernel ahead of use, as a long-running process does at its start; the reference where it can't run."""
    return _CHOICE.load()


def _kernel() -> Engine | None:
    """The kernel, proven on known answers; None where the CPU or the library lacks what it needs."""
    try:
        module = importlib.import_module("governance.protection.kernel")
    except ImportError:
        return None
    if not module.available():
        return None
    kernel: Engine = module.Kernel()
    prove(kernel, _CHOICE.reference)
    return kernel
