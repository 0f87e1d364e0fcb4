"""Reading a topic as a member of a group (`flows.topics.Subscriber`), on librdkafka.

Rebalancing is eager: at each change all members give everything up before anybody is given anything, so that the
position of each partition is asked for after its last owner has let go of it. What was fetched ahead is dropped then,
and read again from where the control database stands.

Memory: librdkafka fetches ahead up to `_AHEAD_KIB` in all, and one answer of a broker is at most `_ANSWER` (more only
where one message alone is larger); a poll takes what has been fetched and stops at the caller's number.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from governance.errors import SettingsError, StoreUnavailableError, UserError
from governance.flows.topics import NoTopicError
from governance.model.message import Message

_AHEAD_KIB = 48 * 1024
_ANSWER = 16 * 1024 * 1024
_LARGEST = 64 * 1024 * 1024
_SLICE_BYTES = 4 * 1024 * 1024
_SLICE = 2_000
_BATCH_BYTES = 32 * 1024 * 1024
"""A poll takes no more once it has so many: a batch of 10 MB messages is a small one."""
_UNPAUSED = 12
_LOOK_EVERY = 2.0
"""Seconds between two looks for a topic of which this member has no partition."""
_ASKING = 10.0
"""Seconds that a broker may take for an answer."""

_OPTIONS: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "range",
    "session.timeout.ms": 15_000,
    "heartbeat.interval.ms": 3_000,
    "max.poll.interval.ms": 300_000,
    "queued.max.messages.kbytes": _AHEAD_KIB,
    "queued.min.messages": 20_000,
    "fetch.max.bytes": _ANSWER,
    "max.partition.fetch.bytes": 4 * 1024 * 1024,
    "receive.message.max.bytes": _LARGEST,
    "fetch.wait.max.ms": 100,
    "fetch.error.backoff.ms": 200,
    "reconnect.backoff.max.ms": 2_000,
    "topic.metadata.refresh.interval.ms": 5_000,
    "allow.auto.create.topics": False,
    "isolation.level": "read_committed",
    "check.crcs": True,
}

_NO_TOPIC = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
_AWAY = _NO_TOPIC | frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._RESOLVE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)


class KafkaSubscriber:
    """One member of a group. Call it from one thread only."""

    def __init__(self, brokers: str, group: str, options: Mapping[str, str] | None = None) -> None:
        if not brokers:
            raise SettingsError(
                "the address of the brokers is not set: KASBAH_KAFKA__BROKERS or [kafka] in kasbah.toml"
            )
        self._away = ""
        self._failed: BaseException | None = None
        self._gathered: list[Message] = []
        self._assigned: tuple[int, ...] = ()
        self._at_end: set[int] = set()
        self._ends: dict[int, int] = {}
        self._look_again = 0.0
        self._paused, self._kept = False, 0
        self._outside = False
        self._join: Callable[[], None] = _nothing
        self._topic = ""
        self._mean = 1024.0
        settings = dict(options or {}) | _OPTIONS | {"bootstrap.servers": brokers, "group.id": group}
        self._consumer = consumer_of(settings | {"error_cb": self._heard, "logger": _Silent()})

    def subscribe(self, topic: str, position: Callable[[int], int], lost: Callable[[Sequence[int]], None]) -> None:
        """See `Subscriber.subscribe`. `poll` raises UserError where a topic ends before the position, since then it is
        not the topic that was read before.
        """
        self._topic = topic
        self._join = lambda: self._subscribe(position, lost)
        self._join()

    def _subscribe(self, position: Callable[[int], int], lost: Callable[[Sequence[int]], None]) -> None:
        def assigned(_: Consumer, given: list[TopicPartition]) -> None:
            self._guarded(lambda: self._begin(given, position))
            if self._failed is not None:
                self._consumer.unassign()  # else librdkafka would begin where the group last committed
                self._outside = True

        def revoked(_: Consumer, taken: list[TopicPartition]) -> None:
            self._guarded(lambda: self._let_go(taken, lost))

        self._consumer.subscribe([self._topic], on_assign=assigned, on_revoke=revoked, on_lost=revoked)

    @property
    def assigned(self) -> tuple[int, ...]:
        """The partitions that this member has."""
        return self._assigned

    def poll(self, most: int, seconds: float) -> list[Message]:
        """See `Subscriber.poll`. `most` = 0 keeps the membership alive and hands out nothing.

        Raises StoreUnavailableError where the brokers, or who knows the positions, are away: the next poll tries again.
        """
        if self._outside:
            self._outside = False
            self._consumer.unsubscribe()
            self._join()
        if most <= 0:
            self._keep(seconds)
            return []
        self._resume()
        until = time.monotonic() + seconds
        while not self._gathered:
            self._take(1, max(0.0, min(0.5, until - time.monotonic())))
            if not self._gathered and time.monotonic() >= until:
                self._check()
                return []
        size = sum(len(message.value or b"") for message in self._gathered)
        while len(self._gathered) < most and size < _BATCH_BYTES:
            came, more = self._take(min(most - len(self._gathered), self._slice()), 0.0)
            size += more
            if not came:
                break
        found, self._gathered = self._gathered, []
        return found

    def _slice(self) -> int:
        return max(1, min(_SLICE, int(_SLICE_BYTES / self._mean)))

    def commit(self, offsets: dict[int, int]) -> None:
        """See `Subscriber.commit`. It is for those who watch, so what goes wrong here is passed over."""
        if offsets:
            try:
                self._consumer.commit(
                    offsets=[TopicPartition(self._topic, p, at) for p, at in offsets.items()], asynchronous=True
                )
            except KafkaException as error:
                self._note(error.args[0])

    def ends(self) -> dict[int, int]:
        """See `Subscriber.ends`."""
        return {p: self._ends[p] for p in self._assigned}

    def caught_up(self) -> bool:
        """See `Subscriber.caught_up`."""
        return bool(self._assigned) and not self._gathered and self._at_end >= set(self._assigned)

    def close(self) -> None:
        """See `Subscriber.close`."""
        self._consumer.close()

    def _take(self, most: int, seconds: float) -> tuple[int, int]:
        """Gather up to so many of those that are there; how many came, and their bytes."""
        came = self._consumer.consume(most, seconds)
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        size = count = 0
        for one in came:
            error = one.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    self._at_end.add(int(one.partition() or 0))
                else:
                    self._note(error)
                continue
            message = _message(one)
            self._at_end.discard(message.partition)
            size += len(message.value or b"")
            count += 1
            self._gathered.append(message)
        if len(came):
            self._away = ""
        if count:
            self._mean = max(64.0, size / count, self._mean / 2)
        return len(came), size

    def _keep(self, seconds: float) -> None:
        """Stay a member without reading: what has been handed out isn't dealt with yet. Pausing throws away what was
        fetched ahead, so that is done only where it lasts; until then each call may bring one message for later.
        """
        self._kept += 1
        held = sum(len(message.value or b"") for message in self._gathered)
        if self._assigned and not self._paused and (self._kept > _UNPAUSED or held > _SLICE_BYTES):
            self._consumer.pause([TopicPartition(self._topic, p) for p in self._assigned])
            self._paused = True
        self._take(1, seconds)

    def _resume(self) -> None:
        if self._paused and self._assigned:
            self._consumer.resume([TopicPartition(self._topic, p) for p in self._assigned])
        self._paused, self._kept = False, 0

    def _check(self) -> None:
        """Raise StoreUnavailableError while no broker answers, or where there is no topic to be a member for."""
        if not self._away and (self._assigned or time.monotonic() < self._look_again):
            return
        self._look_again = time.monotonic() + _LOOK_EVERY
        try:
            found = self._consumer.list_topics(self._topic, timeout=2.0)
        except KafkaException as error:
            raise StoreUnavailableError(f"Kafka doesn't answer ({_code(error.args[0])})") from None
        wrong = found.topics[self._topic].error
        if wrong is not None and wrong.code() in _NO_TOPIC:
            raise NoTopicError(f"there is no topic {self._topic} yet: whoever fills it makes it")
        if wrong is not None:
            raise StoreUnavailableError(f"topic {self._topic} can't be read ({_code(wrong)})")
        self._away = ""

    def _heard(self, error: KafkaError) -> None:
        self._note(error)

    def _note(self, error: KafkaError) -> None:
        if error.code() in _AWAY:
            self._away = _code(error)
        elif error.fatal() or error.code() in (
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError._AUTHENTICATION,
        ):
            self._failed = UserError(f"Kafka refuses this consumer ({_code(error)})")

    def _guarded(self, act: Callable[[], None]) -> None:
        """Errors within librdkafka's callbacks come out of the poll that is under way."""
        try:
            act()
        except BaseException as error:  # noqa: BLE001  handed over, not swallowed
            self._failed = error

    def _begin(self, given: list[TopicPartition], position: Callable[[int], int]) -> None:
        starts = []
        for one in given:
            at = position(one.partition)
            low, high = self._marks(one.partition)
            self._ends[one.partition] = high
            if at > high:
                raise UserError(
                    f"{self._topic}/{one.partition} ends at {high}, before the position {at} that was read: it isn't "
                    "the topic it was. Give the contract's topic another name, or restore it"
                )
            starts.append(TopicPartition(self._topic, one.partition, at if at >= low else OFFSET_BEGINNING))
        self._consumer.assign(starts)
        self._assigned = tuple(sorted(one.partition for one in starts))
        self._paused = False

    def _let_go(self, taken: list[TopicPartition], lost: Callable[[Sequence[int]], None]) -> None:
        self._gathered.clear()
        self._at_end.clear()
        gone = sorted(one.partition for one in taken)
        self._assigned = tuple(p for p in self._assigned if p not in gone)
        lost(gone)
        self._consumer.unassign()

    def _marks(self, partition: int) -> tuple[int, int]:
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_ASKING)
        except KafkaException as error:
            raise StoreUnavailableError(f"Kafka doesn't answer ({_code(error.args[0])})") from None
        return low, high


def consumer_of(settings: Mapping[str, Any]) -> Consumer:
    """A consumer. Raises SettingsError where librdkafka doesn't know an option, or not its value."""
    try:
        return Consumer(dict(settings))
    except KafkaException as error:
        raise SettingsError(f"[kafka] options: librdkafka refuses one ({_code(error.args[0])})") from None


def _nothing() -> None:
    """Nobody has subscribed yet."""


class _Silent:
    """librdkafka's own log lines name addresses; what matters comes as errors."""

    def log(self, *_: object, **__: object) -> None:
        """Say nothing."""


def _message(one: Any) -> Message:
    kind, moment = one.timestamp()
    headers = one.headers()
    return Message(
        one.topic(),
        one.key(),
        one.value(),
        tuple(headers) if headers else (),
        one.partition(),
        one.offset(),
        moment if kind else None,
    )


def _code(error: KafkaError) -> str:
    return str(error.name())
