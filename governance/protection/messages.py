"""The MAC of governed messages: who holds no message key can neither make one nor move one.

It is keyed BLAKE2b-256 (RFC 7693) over the length-prefixed key id, topic, message key, contract, version, null flag and
value, so that a message counts only on its topic, under its key and contract, and a tombstone isn't an empty value.
Partition, offset and timestamp are the broker's and not covered: a message that is given twice is known by its version.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from governance.errors import KeyUnavailableError, ProtectionError
from governance.model.message import Message
from governance.model.secret import Secret
from governance.protection.framing import frame

CONTRACT, VERSION, KEY, MAC = "kasbah-contract", "kasbah-version", "kasbah-key", "kasbah-mac"
"""Headers: the dataset's id, the contract's version, the key's id, and the MAC itself (32 bytes)."""

KEY_BYTES = MAC_BYTES = 32
KEY_ID = re.compile(r"m-[0-9a-f]{8}")
"""How message keys are named; nothing else is ever asked for."""

_NAMES = frozenset({CONTRACT, VERSION, KEY, MAC})
_VALUE, _TOMBSTONE = b"\x00", b"\x01"


class MessageKeys(Protocol):
    """The keys under which messages are signed. Raises StoreUnavailableError, KeyUnavailableError."""

    def current(self) -> tuple[str, Secret]:
        """Id and key (32 bytes) for signing; the first is made on first use."""
        ...

    def key(self, key_id: str) -> Secret | None:
        """The key of that id, the current one or an earlier one; None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Verified:
    """What a message's MAC vouches for."""

    contract: str
    version: str


class Forgery(StrEnum):
    """Why a message isn't vouched for."""

    HEADERS = "headers"
    """One of the four headers is missing, is there twice, or is malformed; or there is no message key."""
    UNKNOWN_KEY = "unknown_key"
    """No key of that id is, or is any longer, there."""
    WRONG_MAC = "wrong_mac"
    """Something was altered, or stood on another topic, under another key, contract or version."""


def sign(message: Message, contract: str, version: str, key_id: str, key: Secret) -> Message:
    """The message with the four headers; other headers stay, those of an earlier signature go.

    Raises ProtectionError if it has no key, or the key id isn't one; KeyUnavailableError unless the key has 32 bytes.
    """
    return sign_all([message], contract, version, key_id, key)[0]


def sign_all(messages: Sequence[Message], contract: str, version: str, key_id: str, key: Secret) -> list[Message]:
    """`sign`, for many: a third of the time. They may be of several topics."""
    if not KEY_ID.fullmatch(key_id):
        raise ProtectionError("a message key's id is 'm-' and 8 hexadecimal digits, and this one isn't")
    head = ((CONTRACT, contract.encode()), (VERSION, version.encode()), (KEY, key_id.encode()))
    macs: dict[str, _Mac] = {}
    signed = []
    for message in messages:
        if message.key is None:
            raise ProtectionError(f"a message without a key can't be signed for topic {message.topic}")
        mac = macs.get(message.topic)
        if mac is None:
            mac = macs[message.topic] = _Mac(key, key_id, message.topic, contract, version)
        kept = tuple(one for one in message.headers if one[0] not in _NAMES) if message.headers else ()
        headers = (*kept, *head, (MAC, mac.of(message.key, message.value)))
        signed.append(_with_headers(message, headers))
    return signed


def verify(messages: Iterable[Message], keys: MessageKeys) -> list[Verified | Forgery]:
    """What each message's MAC vouches for, or why it vouches for nothing, in their order.

    A known version is the caller's to ask for: a message may be genuine and under a contract that nobody here knows.
    Raises what `keys` raises.
    """
    known: dict[tuple[str, bytes, bytes, bytes], tuple[_Mac, Verified] | Forgery] = {}
    answers: list[Verified | Forgery] = []
    for message in messages:
        found = _headers_of(message)
        if found is None or message.key is None:
            answers.append(Forgery.HEADERS)
            continue
        contract, version, key_id, given = found
        name = (message.topic, contract, version, key_id)
        judge = known.get(name)
        if judge is None:
            judge = known[name] = _judge(message.topic, contract, version, key_id, keys)
        if isinstance(judge, Forgery):
            answers.append(judge)
        elif hmac.compare_digest(given, judge[0].of(message.key, message.value)):
            answers.append(judge[1])
        else:
            answers.append(Forgery.WRONG_MAC)
    return answers


def _headers_of(message: Message) -> tuple[bytes, bytes, bytes, bytes] | None:
    """Contract, version, key id and MAC; None unless each is there once."""
    found: dict[str, bytes] = {}
    for name, value in message.headers:
        if name in _NAMES:
            if name in found or not isinstance(value, bytes):
                return None
            found[name] = value
    if len(found) != len(_NAMES) or len(found[MAC]) != MAC_BYTES:
        return None
    return found[CONTRACT], found[VERSION], found[KEY], found[MAC]


def _judge(
    topic: str, contract: bytes, version: bytes, key_id: bytes, keys: MessageKeys
) -> tuple["_Mac", Verified] | Forgery:
    """What computes the MACs under one set of headers."""
    try:
        names = (contract.decode(), version.decode(), key_id.decode())
    except UnicodeDecodeError:
        return Forgery.HEADERS
    key = keys.key(names[2]) if KEY_ID.fullmatch(names[2]) else None
    if key is None:
        return Forgery.UNKNOWN_KEY
    return _Mac(key, names[2], topic, names[0], names[1]), Verified(names[0], names[1])


def _with_headers(message: Message, headers: tuple[tuple[str, bytes], ...]) -> Message:
    if message.partition == -1 and message.timestamp is None:
        return Message(message.topic, message.key, message.value, headers)
    return replace(message, headers=headers)


class _Mac:
    """The MACs of one topic, contract, version and key. What all of them begin with is taken in once."""

    __slots__ = ("_between", "_state")

    def __init__(self, key: Secret, key_id: str, topic: str, contract: str, version: str) -> None:
        if len(key) != KEY_BYTES:
            raise KeyUnavailableError(f"a message key has {KEY_BYTES} bytes, this one {len(key)}")
        self._state = hashlib.blake2b(frame(key_id, topic), key=key.reveal(), digest_size=MAC_BYTES)
        names = frame(contract, version)
        self._between = (names + frame(_VALUE), names + frame(_TOMBSTONE, b""))

    def of(self, key: bytes, value: bytes | None) -> bytes:
        """The MAC of a message: of frame(key id, topic, message key, contract, version, null flag, value)."""
        state = self._state.copy()
        size = len(key).to_bytes(4, "big")
        if value is None:
            state.update(b"".join((size, key, self._between[1])))
        else:
            state.update(b"".join((size, key, self._between[0], len(value).to_bytes(4, "big"), value)))
        return state.digest()
