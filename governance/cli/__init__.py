"""The command line, one file a verb. `main` turns errors into one sentence and an exit code."""

from governance.cli.main import main

__all__ = ["main"]
