"""Names through a spaCy pipeline: a folder that spaCy wrote, or the name of an installed package. Never downloaded."""

import re
import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import SettingsError
from governance.pii.spans import Spans

LABELS: Mapping[str, str] = {
    "PER": "PERSON", "PERSON": "PERSON", "PRS": "PERSON", "persName": "PERSON", "PS": "PERSON",
    "LOC": "LOCATION", "GPE": "LOCATION", "FAC": "LOCATION", "placeName": "LOCATION", "geogName": "LOCATION",
    "NORP": "NRP", "ORG": "ORGANIZATION", "orgName": "ORGANIZATION",
}  # fmt: skip
"""The labels of spaCy's published pipelines, as Presidio's entities."""

SCORE = 0.85
"""spaCy gives no score to a name; this is the one that Presidio gives it."""

PIECE, OVERLAP, LONGEST = 4_000, 200, 200_000
"""Characters that are read at once; how many of them again in the next piece, so that a name at a border is whole in
one; and of a text that is read at all, some seconds' work."""

REMEMBERED = 200_000
"""Texts whose names are remembered from call to call, by a digest: the same notes come again in each batch."""

_Place = tuple[int, int, str, float]
_PERSON, _WORDS = "PERSON", 3
"""How many capitalised words beside a found name may belong to it, on each side."""

_TAG = re.compile(r"<[A-Z][A-Z_]*>")
"""What a redaction leaves in a name's place (see `pii.redaction`) is nobody's name."""

_NOT_NEEDED = ("tagger", "morphologizer", "parser", "senter", "attribute_ruler", "lemmatizer", "trainable_lemmatizer")
_loading = threading.Lock()
_loaded: dict[str, "_Pipeline"] = {}


class _Pipeline:
    """A loaded pipeline and the lock under which it is called: its vocabulary is one for all threads."""

    def __init__(self, model: str) -> None:
        import spacy

        try:
            self.nlp: Any = spacy.load(model, exclude=list(_NOT_NEEDED))
        except (OSError, ImportError, ValueError, KeyError) as error:
            raise SettingsError(
                f"no spaCy pipeline can be loaded from {model!r}: name a folder that spaCy wrote, or a package that is "
                f"installed ({type(error).__name__})"
            ) from error
        finders = [n for n in self.nlp.pipe_names if "ner" in n or "entity" in n or "span" in n]
        if not finders:
            raise SettingsError(f"the spaCy pipeline {model!r} has no part that finds names (ner, entity_ruler)")
        self.lock = threading.Lock()


def _pipeline(model: str) -> _Pipeline:
    with _loading:
        if model not in _loaded:
            _loaded[model] = _Pipeline(model)
        return _loaded[model]


class SpacyNames:
    """Finds the names of `entities` (Presidio's words; people only, unless said) in distinct texts. Implements `Names`.

    Raises SettingsError where the pipeline is missing or finds no names.
    """

    def __init__(
        self, model: str | Path, entities: tuple[str, ...] = ("PERSON",), labels: Mapping[str, str] = LABELS
    ) -> None:
        self._pipeline = _pipeline(str(model))
        self._answers: dict[bytes, tuple[_Place, ...]] = {}
        self._labels = {label: entity for label, entity in labels.items() if entity in entities}

    def find(self, texts: pa.Array) -> Spans:
        """The names in each text. Texts without a letter are not given to the model, ones over LONGEST are unread.

        Raises TypeError for a column that isn't text.
        """
        if texts.type not in (pa.string(), pa.large_string()):
            raise TypeError(f"a column of {texts.type} has no free text")
        coded = texts.dictionary_encode()
        index = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
        distinct = coded.dictionary
        long = pc.greater(pc.utf8_length(distinct), LONGEST).to_numpy(zero_copy_only=False)
        lettered = pc.match_substring_regex(distinct, r"\p{L}").to_numpy(zero_copy_only=False)
        read = np.flatnonzero(lettered & ~long).tolist()
        keys = dict(zip(read, map(_key, distinct.take(pa.array(read, pa.int64())).to_pylist()), strict=True))
        known = self._answers  # replaced as a whole by other threads, never changed
        asked = self._ask(distinct, [row for row in read if keys[row] not in known])
        found = [(row, *place) for row in read for place in (asked[row] if row in asked else known[keys[row]])]
        self._remember({keys[row]: places for row, places in asked.items()})
        return Spans.of(found, np.flatnonzero(lettered & long)).spread(index)

    def _ask(self, distinct: pa.Array, rows: list[int]) -> dict[int, tuple[_Place, ...]]:
        """Each of these texts' names."""
        if not rows:
            return {}
        found: dict[int, dict[_Place, None]] = {row: {} for row in rows}
        with self._pipeline.lock, self._pipeline.nlp.memory_zone():
            for doc, (row, origin) in self._pipeline.nlp.pipe(
                _pieces_of(distinct, rows), as_tuples=True, batch_size=256
            ):
                tags = [tag.span() for tag in _TAG.finditer(doc.text)]
                for name in doc.ents:
                    entity = self._labels.get(name.label_)
                    if entity and not any(s <= name.start_char and name.end_char <= e for s, e in tags):
                        start, end = _whole(doc, name) if entity == _PERSON else (name.start_char, name.end_char)
                        found[row][origin[start], origin[end - 1] + 1, entity, SCORE] = None
        return {row: tuple(places) for row, places in found.items()}

    def _remember(self, answers: dict[bytes, tuple[_Place, ...]]) -> None:
        with self._pipeline.lock:
            room = len(self._answers) + len(answers) <= REMEMBERED
            self._answers = (self._answers if room else {}) | dict(islice(answers.items(), REMEMBERED))


def _whole(doc: Any, name: Any) -> tuple[int, int]:
    """From where to where a person's name goes. A model may see one half of it, and a redaction that leaves the other
    half has hidden nobody: so the capitalised words beside it belong to it, as far as blanks alone stand between.
    """
    first, last = name.start, name.end - 1
    while first > 0 and name.start - first < _WORDS and doc[first - 1].whitespace_ and doc[first - 1].is_title:
        first -= 1
    while last + 1 < len(doc) and last + 1 - name.end < _WORDS and doc[last].whitespace_ and doc[last + 1].is_title:
        last += 1
    return doc[first].idx, doc[last].idx + len(doc[last])


def _key(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


def _pieces_of(distinct: pa.Array, rows: list[int]) -> Iterator[tuple[str, tuple[int, Sequence[int]]]]:
    """Each text's pieces, with its row and each character's place in the text."""
    for row in rows:
        text, origin = _visible(distinct[row].as_py())
        for start, piece in _pieces(text):
            yield piece, (row, origin[start : start + len(piece)])


def _visible(text: str) -> tuple[str, Sequence[int]]:
    """The text without format characters, which a word would be another with, and with spaces for control characters;
    each remaining character's place.
    """
    if text.isprintable():
        return text, range(len(text))
    kept = [i for i, c in enumerate(text) if c.isascii() or unicodedata.category(c) != "Cf"]
    return "".join(" " if unicodedata.category(text[i]) == "Cc" else text[i] for i in kept), kept


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """A text in pieces that overlap, cut at white space where there is some."""
    start = 0
    while len(text) - start > PIECE:
        cut = text.rfind(" ", start + PIECE - OVERLAP, start + PIECE)
        stop = cut if cut > 0 else start + PIECE
        yield start, text[start:stop]
        again = text.find(" ", stop - OVERLAP, stop)
        start = again + 1 if again >= 0 else stop - OVERLAP
    yield start, text[start:]
