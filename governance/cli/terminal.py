"""Where tables are printed: as wide as the terminal, and wide enough for them where there is none."""

import sys

from rich.console import Console

_WIDTH = 120


def console() -> Console:
    """A console on standard output."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDTH)
