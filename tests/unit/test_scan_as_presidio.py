"""Kasbah calls Presidio's recognisers itself; what it finds in a text is what Presidio's own engine finds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from governance.adapters.presidio.analysis import supported
from governance.adapters.presidio.recognisers import entities_of, recognisers_of, shipped
from governance.adapters.presidio.scanner import detector_of
from governance.pii.scanner import ScanPlan


def _in_digits(text: str, zero: int) -> str:
    """The text with the digits of another script."""
    return text.translate({ord("0") + i: chr(zero + i) for i in range(10)})


CORPUS = [
    "",
    "a blue chair",
    "write to jane.doe@example.com or joe@mail.example.org, please",
    "not-an-address@nowhere, @handle, a@b",
    "4111 1111 1111 1111 and 4111-1111-1111-1112",
    "5500005555555559;340000000000009",
    "iban DE89370400440532013000 2 days, gb82 west 1234 5698 7654 32",
    "GB82WEST12345698765432 GB82WEST12345698765433",
    "call (202) 555-0123, +44 7700 900123 or 07700 900456",
    "+4915112345678 / 030 123456",
    "ssn 078-05-1120, 123456789, 987-65-4321",
    "http://www.example.com/a?b=c 'https://shop.example.net/x' \"example.org\"",
    "192.168.0.1 and 2001:db8::1, ::1, 999.1.1.1, fe80::1%eth0",
    "00:1B:44:11:3A:B7 00-1b-44-11-3a-b7 001B.4411.3AB7",
    "3fa85f64-5717-4562-b3fc-2c963f66afa6 00000000-0000-0000-0000-000000000000",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "2024-01-31, 31.01.2024, 1/2/24, 12/2024, 07-MAY, 2024-01-31T10:20:30Z",
    "401 023 2137 and 943-476-5919",
    "order 12345678, batch 20240131-77, v1.2.3.4, isbn 978-3-16-148410-0",
    "passport 912803456 licence H12234567 itin 912-70-1234 account 945456787654",
    "pesel 44051401359, nino AB123456C, postcode SW1A 1AA, SIN 130-692-544",
    _in_digits("07700 900123", 0x660) + " and " + _in_digits("4111111111111111", 0xFF10),
    "two\nlines\twith 4111111111111111\r\nand\x00controls\x1b jane@example.com\x7f",
    "\u202ejane@example.com\u202c שלום 050-234-5678 привет почта@example.com",
    "12345678Z X1234567L RSSMRA85T10A562S 86095742719 S1234567D 53004085616",
    "ABCPE1234F 234123412346 27AAPFU0939F1ZV KA01AB1234 A1234567",
    "900101-1234567 220-81-62517 19900101-0017 131052-308T 1234567890123",
]
WORDS = [(), ("email", "phone number"), ("social", "security", "passport", "bank", "account", "url", "ip", "iban")]
PLANS = [
    ScanPlan(),
    ScanPlan(threshold=0.0),
    ScanPlan(threshold=0.0, countries=tuple(sorted({c.COUNTRY_CODE for c in shipped() if c.COUNTRY_CODE}))),
    ScanPlan(threshold=0.6, countries=("gb", "se", "in")),
    ScanPlan(entities=("CREDIT_CARD", "EMAIL_ADDRESS", "PHONE_NUMBER", "PL_PESEL")),
]


class Both:
    """The same recognisers twice: in Presidio's engine, and as Kasbah asks them."""

    def __init__(self, plan: ScanPlan) -> None:
        self.plan, self.recognisers = plan, recognisers_of(plan)
        nothing = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
        nothing.load()
        registry = RecognizerRegistry(recognizers=self.recognisers, supported_languages=["en"])
        self.engine = AnalyzerEngine(registry=registry, nlp_engine=nothing, supported_languages=["en"])

    def presidio(self, text: str, words: tuple[str, ...]) -> list[tuple[int, int, str, float]]:
        """What AnalyzerEngine says."""
        entities = list(entities_of(self.recognisers))
        found = self.engine.analyze(
            text, "en", entities=entities, context=list(words), score_threshold=self.plan.threshold
        )
        return sorted((r.start, r.end, r.entity_type, r.score) for r in found)

    def kasbah(self, text: str, words: tuple[str, ...]) -> list[tuple[int, int, str, float]]:
        """What Kasbah's detector says, every part asked."""
        speaking = [supported(r, words) for r in self.recognisers]
        detector = detector_of(self.recognisers, speaking, self.plan, seconds=60)
        found = detector.find(text, range(len(detector.conditions)))
        assert found.decided
        return sorted(found.places)


@pytest.fixture(scope="module")
def both() -> list[Both]:
    return [Both(plan) for plan in PLANS]


@pytest.mark.parametrize("words", WORDS, ids=["no words", "a few words", "many words"])
@pytest.mark.parametrize("which", range(len(PLANS)), ids=["default", "every score", "world", "countries", "entities"])
def test_finds_what_presidio_finds(both: list[Both], which: int, words: tuple[str, ...]) -> None:
    one = both[which]
    seen = 0
    for text in CORPUS:
        expected = one.presidio(text, words)
        assert one.kasbah(text, words) == expected
        seen += len(expected)
    assert seen > 3


PIECES = st.one_of(st.sampled_from([p for text in CORPUS for p in text.split(" ")]), st.text(max_size=6))


@settings(deadline=None, max_examples=60)
@given(st.lists(PIECES, max_size=12), st.sampled_from(["", " ", "-", ", "]))
def test_finds_what_presidio_finds_in_mixtures(both: list[Both], pieces: list[str], glue: str) -> None:
    text = glue.join(pieces)
    for which in (0, 2):
        assert both[which].kasbah(text, ()) == both[which].presidio(text, ())


@pytest.mark.parametrize("shift", range(0, 60, 5))
def test_a_long_text_gives_the_same_numbers_in_windows_as_whole(both: list[Both], shift: int) -> None:
    """A phone number stands, in one of the shifts, at the place where the text could be cut."""
    numbers = (f"no. {i}: +44 7700 900{i % 1000:03} 7, (202) 555-0{100 + i % 100} " for i in range(110))
    text = "x" * shift + "".join(numbers)
    assert len(text) > 4_500
    assert both[4].kasbah(text, ()) == both[4].presidio(text, ())
