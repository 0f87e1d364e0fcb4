"""Index digests equal hashlib's, whatever the column looks like."""

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import KeyUnavailableError, ProtectionError
from governance.model.secret import Secret
from governance.protection import choice, digests
from governance.protection.engine import Engine
from governance.protection.reference import Reference

KEY = Secret(bytes(range(32)))
ENGINES = [Reference(), choice.warm()]
engines = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


def expected(value: bytes | None, entity: str = "customer", key: Secret = KEY) -> bytes | None:
    if value is None:
        return None
    return hashlib.blake2b(value, key=key.reveal(), digest_size=32, person=entity.encode()).digest()


@engines
@given(
    values=st.lists(st.none() | st.binary(max_size=20) | st.binary(min_size=120, max_size=600), max_size=30),
    cut=st.integers(0, 8),
    kind=st.sampled_from([pa.binary(), pa.large_binary(), pa.binary_view()]),
    entity=st.sampled_from(["customer", "c", "supplier_contact", "é"]),
)
@settings(deadline=None, max_examples=40)
def test_a_digest_equals_hashlib(
    engine: Engine, values: list[bytes | None], cut: int, kind: pa.DataType, entity: str
) -> None:
    found = digests.index_digests(pa.array(values, kind)[cut:], KEY, entity, engine=engine)
    assert found.type == pa.binary(32)
    found.validate(full=True)
    assert found.to_pylist() == [expected(value, entity) for value in values[cut:]]


@engines
@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 255, 256, 257, 1024, 100_000])
def test_every_block_boundary(engine: Engine, size: int) -> None:
    value = bytes(i % 251 for i in range(size))
    assert digests.index_digests(pa.array([value]), KEY, "customer", engine=engine)[0].as_py() == expected(value)


@engines
def test_text_is_digested_as_utf8(engine: Engine) -> None:
    values = ["zoë@example.com", "", None, "\U0001f33f"]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        found = digests.index_digests(pa.array(values, kind), KEY, "customer", engine=engine)
        assert found.to_pylist() == [expected(value.encode() if value is not None else None) for value in values]


@engines
def test_pseudonyms_and_threads(engine: Engine) -> None:
    values = [None if i % 11 == 5 else i.to_bytes(16, "big") for i in range(5000)]
    column = pa.array(values, pa.binary(16))[3:]
    found = digests.index_digests(column, KEY, "customer", threads=2, engine=engine)
    assert found.to_pylist() == [expected(value) for value in values[3:]]


@engines
def test_a_rotated_index_is_made_from_digests_alone(engine: Engine) -> None:
    new = Secret(b"n" * 32)
    old = digests.index_digests(pa.array(["a", None]), KEY, "customer", engine=engine)
    first = expected(b"a")
    assert digests.nest(old, new, "customer").to_pylist() == [expected(first, key=new), None]


def test_entities_and_keys_are_kept_apart() -> None:
    one = digests.index_digests(pa.array(["a"]), KEY, "customer")
    assert one != digests.index_digests(pa.array(["a"]), KEY, "supplier")
    assert one != digests.index_digests(pa.array(["a"]), Secret(bytes(32)), "customer")


@pytest.mark.parametrize("entity", ["", "seventeen_letters", "é" * 9])
def test_an_entity_that_does_not_fit_is_refused(entity: str) -> None:
    with pytest.raises(ProtectionError, match="16 bytes"):
        digests.index_digests(pa.array(["a"]), KEY, entity)


def test_a_key_of_another_size_is_refused() -> None:
    with pytest.raises(KeyUnavailableError, match="32 bytes"):
        digests.index_digests(pa.array(["a"]), Secret(b"short"), "customer")
