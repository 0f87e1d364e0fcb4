"""A measured figure, beside its peer and its goal."""

from typing import Any

Result = dict[str, Any]


def figure(
    name: str, value: float, unit: str, peer: str, ratio: float | None, goal: float | None, *, least: bool = False
) -> Result:
    """One line of the results. The goal is the most that the ratio may be or, with `least`, the least; without a goal
    nothing is met or missed.
    """
    met = None if ratio is None or goal is None else (ratio >= goal if least else ratio <= goal)
    shown = None if ratio is None else round(ratio, 2)
    return {"name": name, "value": value, "unit": unit, "peer": peer, "ratio": shown, "goal": goal, "met": met}


def say(what: str, told: str) -> None:
    """A line while it runs."""
    print(f"  {what:<20} {told}", flush=True)
