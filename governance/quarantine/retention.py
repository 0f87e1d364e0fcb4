"""How long a held row is kept, and a day's key with it. Pure dates: no clock is read here."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias

from governance.errors import ContractError

DEFAULT_DAYS = 30

RetentionDays: TypeAlias = Callable[[str], int]
"""A dataset's id -> for how many days its quarantined rows are kept."""


def default_retention(dataset: str) -> int:
    """30 days, whatever the dataset: for where no contract says otherwise."""
    del dataset
    return DEFAULT_DAYS


def row_expiry(held_at: datetime, days: int) -> datetime:
    """When a row that was held at this moment goes. Raises ContractError for a retention of less than a day."""
    if days < 1:
        raise ContractError(f"a quarantine retention of {days} days: at least 1, or no row could be looked at")
    return held_at + timedelta(days=days)


def first_key_expiry(day: date) -> datetime:
    """When a day's key goes if no row needs it longer: two days after the day began, so that no batch of that day,
    however slow or far west its clock, is without it. Each row that is sealed under it moves this to its own expiry.
    """
    return datetime.combine(day, time(), UTC) + timedelta(days=2)
