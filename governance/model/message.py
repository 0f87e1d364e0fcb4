"""One record of a topic, before it is produced or after it was consumed."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """A key, a value and headers, and where they stand.

    `value` is None in a tombstone. `partition` and `offset` are -1 before it is produced; `timestamp` is milliseconds
    since 1970 in UTC, None if the broker has none.
    """

    topic: str
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    partition: int = -1
    offset: int = -1
    timestamp: int | None = None

    def header(self, name: str) -> bytes | None:
        """The header of that name; None where it is missing or given twice, so that nobody picks one."""
        found = [value for known, value in self.headers if known == name]
        return found[0] if len(found) == 1 else None
