"""Where tables are printed: as wide as the terminal, and wide enough for them where there is none."""

import shutil

from rich.console import Console

_SIZE = (120, 50)


def console() -> Console:
    """A console on standard output. COLUMNS sets its width where there is no terminal."""
    return Console(width=shutil.get_terminal_size(_SIZE).columns)
