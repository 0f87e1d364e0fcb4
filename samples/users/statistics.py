"""What the statistics of users must show, reckoned from the people themselves."""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from fractions import Fraction
from typing import Any

from samples.traits import Row
from samples.users.person import Person

SMALLEST_GROUP = 5
WITHOUT_EMAIL = frozenset({"no_email"})
"""The traits of records that have no e-mail address, whatever the person has."""


def statistics(rows: Iterable[Row[Person]], today: date, smallest: int = SMALLEST_GROUP) -> dict[str, Any]:
    """Counts of users by nationality and gender, by age and by e-mail domain, and mean ages as exact fractions, of the
    newest admitted row of each person (`feed_truth.final`). Groups of under `smallest` people are left out.
    """
    people = list(rows)
    ages = {row.key: row.facts.age(today) for row in people}
    by_nation: dict[str, list[int]] = {}
    for row in people:
        by_nation.setdefault(row.facts.nation.code, []).append(ages[row.key])
    groups = Counter((row.facts.nation.code, row.facts.gender) for row in people)
    domains = Counter(row.facts.domain for row in people if row.trait not in WITHOUT_EMAIL)
    return {
        "users": len(people),
        "nationality_gender": _shown(groups, smallest),
        "mean_age": _mean(list(ages.values())) if len(people) >= smallest else None,
        "mean_age_by_nationality": {
            code: _mean(found) for code, found in sorted(by_nation.items()) if len(found) >= smallest
        },
        "ages": _shown(Counter(ages.values()), smallest),
        "email_domains": _shown(domains, smallest),
    }


def _shown(counts: Counter[Any], smallest: int) -> dict[Any, int]:
    return {name: count for name, count in sorted(counts.items()) if count >= smallest}


def _mean(ages: list[int]) -> Fraction:
    return Fraction(sum(ages), len(ages))
