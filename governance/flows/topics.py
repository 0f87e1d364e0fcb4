"""What a flow needs of topics: Protocols. Their adapters are `adapters/kafka`."""

from collections.abc import Callable, Sequence
from typing import Protocol

from governance.contracts.types import Topic
from governance.errors import StoreUnavailableError
from governance.model.message import Message

LARGEST_MESSAGE = 8 << 20
"""Bytes of a message's value. A topic of ours takes no larger one, and a record that would come to more is held."""


class NoTopicError(StoreUnavailableError):
    """The topic isn't there yet."""


class Publisher(Protocol):
    """Appends to topics. Raises StoreUnavailableError where the brokers are away."""

    def prepare(self, topic: Topic, partitions: int) -> None:
        """Make the topic unless it is there; set its retention and compaction as the contract says."""
        ...

    def publish(self, messages: Sequence[Message]) -> None:
        """Produce them, idempotently and in order a key, and return once the brokers have acknowledged all of them.
        Raises StoreUnavailableError where one was not; then any of them may be there."""
        ...


class Subscriber(Protocol):
    """Reads the partitions of one topic that it is given, as a member of a group.

    It begins where `position` says for a partition (the next offset), never where the group last committed.
    """

    def subscribe(self, topic: str, position: Callable[[int], int], lost: Callable[[Sequence[int]], None]) -> None:
        """Join the group. `position` is asked for each partition that comes; `lost` is told which go."""
        ...

    def poll(self, most: int, seconds: float) -> list[Message]:
        """Up to `most` records, of any of the partitions, in order within each; none if nothing comes in time.

        Raises StoreUnavailableError where the brokers are away, NoTopicError where the topic isn't there.
        """
        ...

    def commit(self, offsets: dict[int, int]) -> None:
        """Tell the group how far each partition was read: for those who watch the lag."""
        ...

    def ends(self) -> dict[int, int]:
        """The end that each partition had when it was assigned."""
        ...

    def caught_up(self) -> bool:
        """Whether everything that was there has been handed out, of each partition that is assigned; False without
        any. A partition's last offsets may be empty (compacted away), so positions don't tell.
        """
        ...

    def close(self) -> None:
        """Leave the group."""
        ...
