"""What would stop a search or slip past it: every cell is found, clean for a reason, or cannot-tell, and in time."""

import logging
import time
from collections.abc import Callable

import pyarrow as pa
import pytest
from presidio_analyzer import Pattern, PatternRecognizer

from governance.adapters.presidio import PresidioScanner
from governance.adapters.presidio.analysis import Asked, PresidioDetector, part_of
from governance.adapters.presidio.recognisers import recognisers_of
from governance.adapters.presidio.scanner import detector_of
from governance.pii.scanner import FieldScan, ScannedColumn, ScanPlan

EMAIL = "jane.doe@example.com"
CARD = "4111111111111111"
WIDE = str.maketrans("0123456789", "".join(chr(0xFF10 + digit) for digit in range(10)))


@pytest.fixture(scope="module")
def scanner() -> PresidioScanner:
    return PresidioScanner()


def scan(scanner: PresidioScanner, values: pa.Array, plan: ScanPlan | None = None) -> ScannedColumn:
    return scanner.scan({"value": values}, plan or ScanPlan(), {})["value"]


@pytest.mark.parametrize(
    "text",
    [
        "jane\u200d.doe@exam\u200bple.com",
        "ja\u00adne@exam\u00adple.com",
        "\u202ejane@example.com\u202c",
        "jane\u200f@\u200eexample.com",
        "jane\uff20example.com",
        "jane\ufe0f@\ufe0fexample.com",
        "\U0001d423\U0001d41a\U0001d427\U0001d41e@example.com",
        CARD.translate(WIDE),
        "41\u200b11 1111\u200d1111 1111",
        f"\x00\x01{EMAIL}\x7f\x1b[0m",
        f"a\nb\r\n\t{CARD}\x0b\x0c\u2028",
        f"почта {EMAIL} 電話 \u05d0",
        "\u0665\u0665 and " + CARD,
    ],
)
def test_disguises_do_not_help(scanner: PresidioScanner, text: str) -> None:
    assert scan(scanner, pa.array([text])).undeclared.tolist() == [True]


@pytest.mark.parametrize("text", ["", " ", "\x00", "\u200d", "\ud7ff", "\U0010ffff", "\u202e\u202c", "@", "......"])
def test_odd_characters_alone_are_clean(scanner: PresidioScanner, text: str) -> None:
    answer = scan(scanner, pa.array([text, None]))
    assert not answer.undeclared.any() and not answer.cannot_tell.any() and answer.findings == ()


def test_bytes_that_are_no_text_are_cannot_tell(scanner: PresidioScanner) -> None:
    answer = scan(scanner, pa.array([b"a chair", EMAIL.encode(), b"\xff\xfe\x00", None]))
    assert answer.undeclared.tolist() == [False, True, False, False]
    assert answer.cannot_tell.tolist() == [False, False, True, False]


def test_a_string_column_with_broken_bytes_is_cannot_tell_there_and_searched_elsewhere(
    scanner: PresidioScanner,
) -> None:
    data, ends = b"\xff\xfe" + EMAIL.encode() + b"chair", (0, 2, 2 + len(EMAIL), 7 + len(EMAIL))
    offsets = pa.array(ends, pa.int32()).buffers()[1]
    column = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(data))
    answer = scan(scanner, column)
    assert answer.undeclared.tolist() == [False, True, False]
    assert answer.cannot_tell.tolist() == [True, False, False]


LONG = 10_000_000


@pytest.mark.parametrize(
    "long",
    [
        lambda: "a" * (LONG - 30) + " " + EMAIL,
        lambda: "blue chair, " * (LONG // 12) + CARD,
        lambda: "@." * (LONG // 2) + " " + EMAIL,
        lambda: "1" * LONG + " " + EMAIL,
        lambda: "1-" * (LONG // 2) + " " + CARD,
        lambda: "a.b-" * (LONG // 4) + " " + EMAIL,
    ],
    ids=["one word", "words", "signs", "digits", "digits and signs", "labels"],
)
def test_a_cell_of_ten_megabytes_is_never_clean_and_ends(long: Callable[[], str]) -> None:
    column = pa.array([long(), "a chair"])
    start = time.process_time()
    answer = scan(PresidioScanner(limit_seconds=0.5), column)
    assert time.process_time() - start < 20
    assert (answer.undeclared | answer.cannot_tell).tolist() == [True, False]


def test_a_catastrophic_pattern_is_cannot_tell_within_its_time() -> None:
    """Presidio itself would pass it over after a minute, and say clean."""
    slow = PatternRecognizer("SLOW", patterns=[Pattern("slow", r"(a|aa)+$", 0.9)])
    detector = PresidioDetector([Asked(part_of(slow), "SLOW", False, 0.4)], [None], seconds=0.3)
    start = time.monotonic()
    found = detector.find("a" * 60 + "b", [0])
    assert not found.decided
    assert time.monotonic() - start < 5
    assert [place[2] for place in detector.find("a" * 20, [0]).places] == ["SLOW"]


def test_what_was_found_before_the_time_ran_out_counts() -> None:
    quick = PatternRecognizer("QUICK", patterns=[Pattern("quick", r"\bb\b", 0.9)])
    slow = PatternRecognizer("SLOW", patterns=[Pattern("slow", r"(a|aa)+$", 0.9)])
    asked = [Asked(part_of(r), r.supported_entities[0], False, 0.4) for r in (quick, slow)]
    found = PresidioDetector(asked, [None, None], seconds=0.2).find("b " + "a" * 60 + "c", [0, 1])
    assert [place[2] for place in found.places] == ["QUICK"] and not found.decided


def test_a_check_that_fails_decides_nothing() -> None:
    class Broken(PatternRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            raise ValueError(pattern_text)

    broken = Broken("BROKEN", patterns=[Pattern("any", r"\w+", 0.9)])
    found = PresidioDetector([Asked(part_of(broken), "BROKEN", False, 0.4)], [None], seconds=1).find("word", [0])
    assert found.places == () and not found.decided


def test_a_text_without_a_place_to_cut_it_is_cannot_tell_for_phone_numbers() -> None:
    plan = ScanPlan(entities=("PHONE_NUMBER",))
    detector = detector_of(recognisers_of(plan), [False], plan, seconds=20)
    found = detector.find("1 " * 40_000, range(len(detector.conditions)))
    assert not found.decided


def test_nothing_of_a_cell_is_logged(scanner: PresidioScanner, caplog: pytest.LogCaptureFixture) -> None:
    texts = [f"{EMAIL} {CARD} DE00 3704 0044 0532 0130 00 GB82WEST1234569876543²", "x@y.notasuffix", "a" * 70 + "@b.c"]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("presidio-analyzer").setLevel(logging.DEBUG)
        scan(scanner, pa.array(texts))
    for part in (EMAIL, CARD, "notasuffix", "WEST", "3704"):
        assert part not in caplog.text


def test_no_message_about_a_column_holds_its_cells(scanner: PresidioScanner) -> None:
    answer = scanner.scan({"value": pa.array([EMAIL])}, ScanPlan(fields=(FieldScan("value", text=False),)), {})["value"]
    assert EMAIL not in repr(answer)
