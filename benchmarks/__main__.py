"""`make bench`: every figure beside its peer from the same run. Prints a table and writes benchmarks/results.json.

`python -m benchmarks NAME …` runs only those modules.
"""

import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

MODULES = ("kernel", "audit", "scan", "recall", "ingest", "streams", "governed_streams")
RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """Exit code 1 when a goal is missed."""
    wanted = sys.argv[1:] or list(MODULES)
    unknown = set(wanted) - set(MODULES)
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}", file=sys.stderr)
        return 2
    results = _earlier() if sys.argv[1:] else {}
    for name in wanted:
        for result in importlib.import_module(f"benchmarks.{name}").run():
            results[result["name"]] = result
    RESULTS.write_text(json.dumps(list(results.values()), indent=1) + "\n")
    _print(list(results.values()))
    return 0 if all(result["met"] is not False for result in results.values()) else 1


def _earlier() -> dict[str, dict[str, object]]:
    return {r["name"]: r for r in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}


def _print(results: list[dict[str, object]]) -> None:
    table = Table("name", "value", "unit", "peer", "ratio", "goal", "met", title="Kasbah beside its peers")
    for result in results:
        met = {True: "yes", False: "NO", None: "-"}[result["met"]]  # type: ignore[index]
        cells = [_short(result[k]) for k in ("name", "value", "unit", "peer", "ratio", "goal")]
        table.add_row(*cells, met)
    Console(width=120).print(table)


def _short(value: object) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else "" if value is None else str(value)


if __name__ == "__main__":
    sys.exit(main())
