"""Key values in one form: what is one address or number is one alias, and what is none is null."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.errors import ProtectionError
from governance.protection.normalise import normalise


def _one(value: str | None, rule: str) -> str | None:
    result = normalise(pa.array([value], pa.string()), rule)
    assert result.type == pa.string()
    return result.to_pylist()[0]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("ann@example.com", "ann@example.com"),
        ("  Ann@EXAMPLE.com\t", "ann@example.com"),
        ("\u00a0ann@example.com\u3000", "ann@example.com"),
        ("ann.b+shop@mail.example.org", "ann.b+shop@mail.example.org"),
        ("ÄNNE@Bücher.example", "änne@bücher.example"),
        ("a\u0308nn@example.com", "änn@example.com"),
        ("अनु@उदाहरण.example", "अनु@उदाहरण.example"),
        ("o'hara_1@example.co.test", "o'hara_1@example.co.test"),
        ("", None),
        (" ", None),
        (None, None),
        ("ann", None),
        ("@example.com", None),
        ("ann@", None),
        ("ann@localhost", None),
        ("ann@.example.com", None),
        ("ann@example..com", None),
        ("ann@example.com.", None),
        ("ann@@example.com", None),
        ("ann@b@example.com", None),
        ("ann b@example.com", None),
        ("Ann <ann@example.com>", None),
        ("ann@example.com, bob@example.com", None),
        ("ann\u200b@example.com", None),
        ("ann@exam\x00ple.com", None),
        ("null", None),
    ],
)
def test_email(given: str | None, kept: str | None) -> None:
    assert _one(given, "email") == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("+1 212 555 0100", "+12125550100"),
        ("(212) 555-0100", "2125550100"),
        ("212.555.0100", "2125550100"),
        ("001-212-555-0100x1234", "+12125550100"),
        ("+1 (212) 555-0100 ext. 12", "+12125550100"),
        ("2125550100 EXT 7", "2125550100"),
        ("2125550100#7", "2125550100"),
        ("+44 (0)20 7946 0000", "+442079460000"),
        ("+44 7700 900123", "+447700900123"),
        ("030/1234567", "0301234567"),
        ("2125550100", "2125550100"),
        (" 555-0100 ", "5550100"),
        ("", None),
        (None, None),
        ("555010", None),
        ("+1234567890123456", None),
        ("call me", None),
        ("after 5 pm: 555-0100", None),
        ("555-0100 / 555-0101", None),
        ("5550100.0", None),
        ("0000000", None),
        ("999-999-9999", None),
        ("+", None),
        ("1+5550100", None),
        ("\u0665\u0665\u0665\u0660\u0661\u0660\u0660\u0661", None),
        ("n/a", None),
    ],
)
def test_phone(given: str | None, kept: str | None) -> None:
    assert _one(given, "phone") == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [("17850", "17850"), ("17850.0", "17850.0"), (" C-17 ", "C-17"), ("17", "17"), ("", None), ("  ", None)],
)
def test_identifier(given: str, kept: str | None) -> None:
    assert _one(given, "identifier") == kept


_ADDRESS = st.from_regex("[a-zA-Zäßİ\u017f\u212a.]{1,4}@[a-zé.]{1,6}[.][a-z]{2}", fullmatch=True)
_TEXT = st.none() | st.text(max_size=20) | _ADDRESS
_NUMBER = st.from_regex(r"(\+|00)?[0-9 ().\-/x#]{6,20}", fullmatch=True)


@given(values=st.lists(_TEXT | _NUMBER, max_size=8), rule=st.sampled_from(["email", "phone", "identifier"]))
@settings(max_examples=150, deadline=None)
def test_a_result_is_its_own_result_and_stands_alone(values: list[str | None], rule: str) -> None:
    """Normalising twice changes nothing, and no value depends on its neighbours or on how the column is cut."""
    once = normalise(pa.array(values, pa.string()), rule)
    assert normalise(once, rule).equals(once)
    assert once.to_pylist() == [_one(value, rule) for value in values]
    padded = pa.array(["x@example.com", None, *values, "+12125550100"], pa.large_string()).slice(2, len(values))
    assert normalise(padded, rule).equals(once)
    assert normalise(pa.chunked_array([once.slice(0, 1), once.slice(1)], pa.string()), rule).equals(once)


def test_another_rule_or_type_is_refused() -> None:
    with pytest.raises(ProtectionError, match="email, identifier, phone"):
        normalise(pa.array(["a"]), "name")
    with pytest.raises(ProtectionError, match="int64"):
        normalise(pa.array([1]), "identifier")
