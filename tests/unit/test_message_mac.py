"""The MAC of governed messages: what it vouches for, and everything that it doesn't."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import KeyUnavailableError, ProtectionError
from governance.model.message import Message
from governance.model.secret import Secret
from governance.protection.messages import (
    CONTRACT,
    KEY,
    MAC,
    VERSION,
    Forgery,
    Verified,
    sign,
    sign_all,
    verify,
)

ID, OTHER_ID = "m-0000000a", "m-0000000b"
KEYS = {ID: bytes(range(32)), OTHER_ID: bytes(range(1, 33))}
MESSAGE = Message("users", b"0123456789abcdef0123456789abcdef", b'{"id":7}')


class Keys:
    """Message keys in memory, which count how often they are asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def current(self) -> tuple[str, Secret]:
        return ID, Secret(KEYS[ID])

    def key(self, key_id: str) -> Secret | None:
        self.asked.append(key_id)
        return Secret(KEYS[key_id]) if key_id in KEYS else None


def signed(message: Message = MESSAGE, contract: str = "users.people", version: str = "1.0.0") -> Message:
    return sign(message, contract, version, ID, Secret(KEYS[ID]))


def verdict(message: Message) -> Verified | Forgery:
    return verify([message], Keys())[0]


def altered(message: Message, **parts: object) -> Message:
    whole = {name: getattr(message, name) for name in ("topic", "key", "value", "headers")}
    return Message(**(whole | parts))


def with_header(message: Message, name: str, value: bytes) -> Message:
    return altered(message, headers=tuple((n, value if n == name else v) for n, v in message.headers))


def _independent(key: bytes, *parts: bytes) -> bytes:
    """The formula of the design, written down again."""
    whole = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hashlib.blake2b(whole, key=key, digest_size=32).digest()


# Computed outside this package, by hashlib alone, from the framing that the design describes.
GOLDEN = [
    (MESSAGE, "9c2d44d98d200abace622db90ad7f3e62b874d31a146d2bbdcc889f7218fff1c"),
    (
        Message("users", b"0123456789abcdef0123456789abcdef", None),
        "a37210334b0c8d3f12c5a894a377c3854a2deedb0eecc0db93249816c015d177",
    ),
    (
        Message("users", b"0123456789abcdef0123456789abcdef", b""),
        "3fb8ac4d0b94297604949d8fb1d15a713663c5949f817ce73a4970e0224434e7",
    ),
    (
        Message("größe", '["Ω-1",2]'.encode(), b"\x00" * 300),
        "d2cfceeb155e3374347972f789efc57ca0194c34777f3b9a6b80436aac6284e7",
    ),
]


@pytest.mark.parametrize(("message", "mac"), GOLDEN)
def test_the_mac_is_the_designs(message: Message, mac: str) -> None:
    made = signed(message)
    assert made.headers == (
        (CONTRACT, b"users.people"),
        (VERSION, b"1.0.0"),
        (KEY, ID.encode()),
        (MAC, bytes.fromhex(mac)),
    )
    assert verdict(made) == Verified("users.people", "1.0.0")


TEXT = st.text(max_size=20)
MESSAGES = st.builds(Message, st.text(min_size=1, max_size=20), st.binary(max_size=40), st.none() | st.binary())


@settings(deadline=None, max_examples=60)
@given(MESSAGES, TEXT, TEXT)
def test_any_message_is_vouched_for_by_the_mac_of_its_parts(message: Message, contract: str, version: str) -> None:
    made = signed(message, contract, version)
    flag, value = (b"\x01", b"") if message.value is None else (b"\x00", message.value)
    parts = (ID.encode(), message.topic.encode(), message.key or b"", contract.encode(), version.encode(), flag, value)
    assert made.header(MAC) == _independent(KEYS[ID], *parts)
    assert verdict(made) == Verified(contract, version)
    assert (made.topic, made.key, made.value) == (message.topic, message.key, message.value)


@settings(deadline=None, max_examples=150)
@given(MESSAGES, MESSAGES, TEXT, TEXT, TEXT, TEXT)
def test_no_other_message_has_its_mac(
    one: Message, other: Message, contract: str, version: str, contract2: str, version2: str
) -> None:
    same = (one.topic, one.key, one.value, contract, version) == (
        other.topic, other.key, other.value, contract2, version2,
    )  # fmt: skip
    macs = (signed(one, contract, version).header(MAC), signed(other, contract2, version2).header(MAC))
    assert (macs[0] == macs[1]) == same


@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("place", range(8))
def test_a_flipped_bit_of_the_value_is_found(place: int, bit: int) -> None:
    value = bytearray(MESSAGE.value or b"")
    value[place] ^= 1 << bit
    assert verdict(altered(signed(), value=bytes(value))) is Forgery.WRONG_MAC


@pytest.mark.parametrize("byte", range(32))
def test_a_flipped_bit_of_the_mac_is_found(byte: int) -> None:
    mac = bytearray(signed().header(MAC) or b"")
    mac[byte] ^= 1
    assert verdict(with_header(signed(), MAC, bytes(mac))) is Forgery.WRONG_MAC


@pytest.mark.parametrize(
    "parts",
    [
        {"topic": "people"},
        {"key": b"1123456789abcdef0123456789abcdef"},
        {"key": b""},
        {"value": None},
        {"value": b""},
        {"value": b'{"id":7} '},
    ],
)
def test_a_message_counts_nowhere_else(parts: dict[str, object]) -> None:
    assert verdict(altered(signed(), **parts)) is Forgery.WRONG_MAC


@pytest.mark.parametrize(
    ("header", "value"),
    [(CONTRACT, b"users.people2"), (CONTRACT, b""), (VERSION, b"1.0.1"), (KEY, OTHER_ID.encode())],
)
def test_a_message_counts_under_no_other_contract_version_or_key(header: str, value: bytes) -> None:
    assert verdict(with_header(signed(), header, value)) is Forgery.WRONG_MAC


def test_parts_cannot_be_shifted_into_one_another() -> None:
    moved = with_header(with_header(signed(), CONTRACT, b"users.people1"), VERSION, b".0.0")
    assert verdict(moved) is Forgery.WRONG_MAC


def test_an_empty_value_does_not_become_a_tombstone_or_back() -> None:
    empty, tombstone = signed(altered(MESSAGE, value=b"")), signed(altered(MESSAGE, value=None))
    assert verdict(empty) == verdict(tombstone) == Verified("users.people", "1.0.0")
    assert verdict(altered(empty, value=None)) is Forgery.WRONG_MAC
    assert verdict(altered(tombstone, value=b"")) is Forgery.WRONG_MAC


@pytest.mark.parametrize("header", [CONTRACT, VERSION, KEY, MAC])
def test_a_missing_header_or_one_given_twice_is_a_forgery(header: str) -> None:
    made = signed()
    without = tuple(one for one in made.headers if one[0] != header)
    again = next(one for one in made.headers if one[0] == header)
    assert verdict(altered(made, headers=without)) is Forgery.HEADERS
    assert verdict(altered(made, headers=(*made.headers, again))) is Forgery.HEADERS
    assert verdict(altered(made, headers=(again, *made.headers))) is Forgery.HEADERS


@pytest.mark.parametrize(
    ("header", "value"),
    [(CONTRACT, b"\xff"), (VERSION, b"\xc0\x80"), (MAC, b""), (MAC, bytes(31)), (MAC, bytes(33)), (KEY, b"\xfe")],
)
def test_a_malformed_header_is_a_forgery(header: str, value: bytes) -> None:
    assert verdict(with_header(signed(), header, value)) is Forgery.HEADERS


def test_a_message_without_key_or_headers_is_a_forgery() -> None:
    assert verdict(altered(signed(), key=None)) is Forgery.HEADERS
    assert verdict(MESSAGE) is Forgery.HEADERS


def test_an_unknown_key_is_a_forgery_and_an_odd_id_is_never_asked_for() -> None:
    assert verdict(with_header(signed(), KEY, b"m-0000000c")) is Forgery.UNKNOWN_KEY
    keys = Keys()
    odd = [b"", b"m-0000000A", b"m-0000000a\n", b"' OR 1=1", b"m-" + b"0" * 9, "m-\u0660000000a".encode()]
    assert verify([with_header(signed(), KEY, one) for one in odd], keys) == [Forgery.UNKNOWN_KEY] * len(odd)
    assert keys.asked == []


def test_one_bad_message_spoils_no_other() -> None:
    good, bad = signed(), altered(signed(), value=b"other")
    genuine = Verified("users.people", "1.0.0")
    assert verify([good, bad, MESSAGE, good], Keys()) == [genuine, Forgery.WRONG_MAC, Forgery.HEADERS, genuine]


def test_a_key_is_asked_for_once_a_batch() -> None:
    keys = Keys()
    verify([signed()] * 100 + [with_header(signed(), KEY, b"m-0000000c")] * 100, keys)
    assert keys.asked == [ID, "m-0000000c"]


def test_messages_of_several_topics_are_signed_in_their_order() -> None:
    topics = [Message(f"topic{n % 3}", b"k", str(n).encode()) for n in range(9)]
    made = sign_all(topics, "users.people", "1.0.0", ID, Secret(KEYS[ID]))
    assert made == [signed(one) for one in topics]


def test_other_headers_stay_and_an_earlier_signature_goes() -> None:
    traced = altered(MESSAGE, headers=(("trace", b"1"), ("trace", b"2")))
    again = sign(signed(traced), "users.people", "2.0.0", OTHER_ID, Secret(KEYS[OTHER_ID]))
    assert [name for name, _ in again.headers] == ["trace", "trace", CONTRACT, VERSION, KEY, MAC]
    assert verdict(again) == Verified("users.people", "2.0.0")


def test_where_a_message_stands_is_kept() -> None:
    stood = Message("users", b"k", b"v", partition=3, offset=7, timestamp=1)
    made = signed(stood)
    assert (made.partition, made.offset, made.timestamp) == (3, 7, 1)


def test_nothing_is_signed_without_a_whole_key() -> None:
    with pytest.raises(KeyUnavailableError):
        sign(MESSAGE, "users.people", "1.0.0", ID, Secret(bytes(31)))
    with pytest.raises(ProtectionError, match="without a key"):
        signed(altered(MESSAGE, key=None))
    with pytest.raises(ProtectionError, match="id"):
        sign(MESSAGE, "users.people", "1.0.0", "main", Secret(KEYS[ID]))


def test_macs_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def note(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return False

    monkeypatch.setattr(hmac, "compare_digest", note)
    assert verdict(signed()) is Forgery.WRONG_MAC
    assert compared == [(32, 32)]
