"""Names through a spaCy pipeline: the adapter with rules whose answer is known, and the trained model's floors."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.adapters.names.spacy import LONGEST, OVERLAP, PIECE, SpacyNames
from governance.errors import SettingsError
from governance.pii.redaction import redact
from governance.pii.spans import Spans
from samples.names.training import held_out, score
from samples.pii import people
from samples.seeded import stream

SHIPPED = Path(__file__).parents[2] / "models" / "names"
RECALL_FLOOR, PRECISION_FLOOR, OTHERS_FLOOR = 0.77, 0.87, 0.85
"""Measured 0.80 and 0.91 on the held-out sentences, and a recall of 0.92 on those of `samples.pii`."""
ALL = ("PERSON", "LOCATION", "NRP", "ORGANIZATION")


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that knows four names by rule."""
    nlp = spacy.blank("xx")
    ruler = nlp.add_pipe("entity_ruler")
    known = {"Ada Thorne": "PER", "Leeds": "GPE", "Welsh": "NORP", "Norvale Ltd": "ORG", "Monday": "DATE"}
    ruler.add_patterns([{"label": label, "pattern": name} for name, label in known.items()])
    folder = tmp_path_factory.mktemp("ruled")
    nlp.to_disk(folder)
    return folder


def _texts(column: pa.Array, spans: Spans) -> list[tuple[int, str, str]]:
    return [(r, column[r].as_py()[s:e], name) for r, s, e, name, _ in sorted(spans.tuples())]


def test_labels_become_the_entities_of_presidio(ruled: Path) -> None:
    column = pa.array(["Ada Thorne of Norvale Ltd, Welsh, left Leeds on Monday"])
    assert _texts(column, SpacyNames(ruled, ALL).find(column)) == [
        (0, "Ada Thorne", "PERSON"), (0, "Norvale Ltd", "ORGANIZATION"), (0, "Welsh", "NRP"), (0, "Leeds", "LOCATION"),
    ]  # fmt: skip
    assert _texts(column, SpacyNames(ruled).find(column)) == [(0, "Ada Thorne", "PERSON")]


def test_a_name_with_hidden_characters_in_it_is_found(ruled: Path) -> None:
    column = pa.array(["to A\u200dda\x00Tho\u00adrne."])
    assert _texts(column, SpacyNames(ruled).find(column)) == [(0, "A\u200dda\x00Tho\u00adrne", "PERSON")]


def test_each_row_of_a_repeated_text_has_its_names(ruled: Path) -> None:
    column = pa.array(["?", "to Ada Thorne", None, "", "12.50", "Leeds", "to Ada Thorne"])[1:]
    spans = SpacyNames(ruled).find(column)
    assert _texts(column, spans) == [(0, "Ada Thorne", "PERSON"), (5, "Ada Thorne", "PERSON")]
    assert not len(spans.unread)


@pytest.mark.parametrize("before", ["\U0001f469\u200d\U0001f467 ", "e\u0301 \u202b", "\x00\x01 ", "山田 ", "\n\t "])
def test_places_are_counted_in_characters(ruled: Path, before: str) -> None:
    column = pa.array([before + "Ada Thorne \u202c\U0001f600"], pa.large_string())
    assert _texts(column, SpacyNames(ruled).find(column)) == [(0, "Ada Thorne", "PERSON")]


@settings(deadline=None, max_examples=40)
@given(st.integers(-OVERLAP - 30, 30), st.sampled_from(["x ", "word ", "y"]))
def test_a_name_at_the_border_of_two_pieces_is_found(ruled: Path, shift: int, filler: str) -> None:
    text = (filler * PIECE)[: PIECE + shift] + " Ada Thorne " + filler * PIECE
    column = pa.array([text])
    assert _texts(column, SpacyNames(ruled).find(column)) == [(0, "Ada Thorne", "PERSON")]


def test_a_text_that_is_too_long_is_unread_and_the_others_are_not(ruled: Path) -> None:
    column = pa.array(["Ada Thorne", "Ada Thorne " * 1_000_000, "1" * (LONGEST + 1)])
    spans = SpacyNames(ruled).find(column)
    assert spans.unread.tolist() == [1]
    assert _texts(column, spans) == [(0, "Ada Thorne", "PERSON")]


def test_threads_share_one_pipeline_and_get_the_same_answers(ruled: Path) -> None:
    columns = [pa.array([f"row {n} to Ada Thorne, {i}" for i in range(50)]) for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda _: SpacyNames(ruled), range(4)))
        answers = list(pool.map(lambda c: len(models[0].find(c)), columns))
    assert len({id(m._pipeline) for m in models}) == 1
    assert answers == [50] * 8


def test_a_text_that_was_answered_is_not_asked_again(ruled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("governance.adapters.names.spacy.REMEMBERED", 3)
    names = SpacyNames(ruled)
    columns = [pa.array(["to Ada Thorne", "none", f"Ada Thorne {n}", f"{n} Ada Thorne"]) for n in range(4)]
    first = [names.find(c).tuples() for c in columns]
    assert [names.find(c).tuples() for c in columns] == first
    assert [len(f) for f in first] == [3] * 4
    again = names.find(columns[0][:3]).tuples()
    monkeypatch.setattr(names._pipeline, "nlp", None)
    assert names.find(columns[0][:3]).tuples() == again


def test_the_pipeline_forgets_the_texts(ruled: Path) -> None:
    names = SpacyNames(ruled)
    names.find(pa.array(["Quillfeather came with Ada Thorne"]))
    assert "Quillfeather" not in names._pipeline.nlp.vocab.strings


def test_what_is_no_pipeline_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no spaCy pipeline can be loaded"):
        SpacyNames("no_such_pipeline_anywhere")
    with pytest.raises(SettingsError, match="no spaCy pipeline can be loaded"):
        SpacyNames(tmp_path)
    spacy.blank("xx").to_disk(tmp_path / "blank")
    with pytest.raises(SettingsError, match="finds names"):
        SpacyNames(tmp_path / "blank")


def test_numbers_have_no_free_text(ruled: Path) -> None:
    with pytest.raises(TypeError):
        SpacyNames(ruled).find(pa.array([1]))


# --- The model in models/names --------------------------------------------------------------------------------------


def _measured() -> tuple[float, float]:
    wanted = held_out()
    texts = [text for text, _ in wanted]
    found = score(((r, s, e) for r, s, e, _, _ in SpacyNames(SHIPPED).find(pa.array(texts)).tuples()), wanted)
    return found.recall, found.precision


def test_the_shipped_model_keeps_its_floors_on_names_and_sentences_that_it_has_not_seen() -> None:
    recall, precision = _measured()
    said = json.loads((SHIPPED / "measured.json").read_text())
    assert recall >= RECALL_FLOOR
    assert precision >= PRECISION_FLOOR
    assert abs(recall - said["recall, as written"]) < 0.02
    assert abs(precision - said["precision, as written"]) < 0.02


def test_the_shipped_model_finds_the_people_of_the_corpus_and_no_product() -> None:
    """Sentences that were made apart from the model's."""
    chance = stream(3, "corpus")
    names = [people.name(chance) for _ in range(500)]
    templates = [chance.choice([t for t in people.TEMPLATES if t != "{}"]) for _ in names]
    wanted = [
        (t.format(n), [(t.index("{"), t.index("{") + len(n), "PER")]) for t, n in zip(templates, names, strict=True)
    ]
    model = SpacyNames(SHIPPED)
    spans = model.find(pa.array([text for text, _ in wanted]))
    assert score(((r, s, e) for r, s, e, _, _ in spans.tuples()), wanted).recall >= OTHERS_FLOOR
    assert len(model.find(pa.array(people.NOT_NAMES))) <= 1


def test_the_shipped_model_is_small_and_holds_no_program() -> None:
    files = [f for f in SHIPPED.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) < 3_000_000
    assert not [f for f in files if f.suffix in {".py", ".pkl", ".pickle", ".so"}]
    assert not [f for f in files if f.read_bytes().startswith((b"\x80\x03", b"\x80\x04", b"\x80\x05"))]


def test_the_model_is_loaded_and_asked_without_a_network() -> None:
    program = (
        "import socket\n"
        "def refuse(*_, **__): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "import sys, pyarrow as pa\n"
        "from governance.adapters.names.spacy import SpacyNames\n"
        "print(len(SpacyNames(sys.argv[1]).find(pa.array(['Please call Anna Svensson about the parcel.']))))\n"
    )
    answer = subprocess.run([sys.executable, "-c", program, str(SHIPPED)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split()[-1] == "1"


@pytest.mark.parametrize("text", ["Omar Haddad asked for a refund", "please call Omar Haddad tomorrow"])
def test_a_redacted_name_leaves_no_half_of_it(text: str) -> None:
    column = pa.array([text])
    kept = redact(column, SpacyNames(SHIPPED).find(column)).column[0].as_py()
    assert "<PERSON>" in kept and "Omar" not in kept and "Haddad" not in kept


def test_what_a_redaction_left_is_nobodys_name() -> None:
    texts = ["kept for <PERSON> until Friday", "<PERSON> and <EMAIL_ADDRESS> asked"]
    assert not list(SpacyNames(SHIPPED).find(pa.array(texts)).tuples())
