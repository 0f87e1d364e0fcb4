"""Train the model, and measure it on sentences and names that it hasn't seen."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.training import Example
from spacy.util import compile_infix_regex, fix_random_seed, minibatch

from samples.names.sentences import Labelled, made
from samples.seeded import stream

SENTENCES, ROUNDS, SEED = 16_000, 9, 20
_TOK2VEC = {
    "@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 64, "depth": 3, "embed_size": 1500,
    "window_size": 1, "maxout_pieces": 2, "subword_features": True,
}  # fmt: skip
_MODEL = {
    "@architectures": "spacy.TransitionBasedParser.v2", "state_type": "ner", "extra_state_tokens": False,
    "hidden_width": 48, "maxout_pieces": 2, "use_upper": True, "nO": None, "tok2vec": _TOK2VEC,
}  # fmt: skip


@dataclass(frozen=True)
class Score:
    """Names found and missed, and places that are no name. A name is found if a place overlaps it."""

    found: int
    missed: int
    wrong: int

    @property
    def recall(self) -> float:
        """The share of the names that are found."""
        return self.found / max(1, self.found + self.missed)

    @property
    def precision(self) -> float:
        """The share of the places that are names."""
        return self.found / max(1, self.found + self.wrong)


def train(folder: Path, rounds: int = ROUNDS) -> Language:
    """Train on the made sentences and write the pipeline to `folder`. One machine gives the same weights each time."""
    fix_random_seed(SEED)
    chance = stream(SEED, "names")
    nlp = spacy.blank("xx", meta={"name": "kasbah_names", "version": "1.0.0", "license": "MIT"})
    infixes = [*nlp.Defaults.infixes, r"[\u3040-\u30ff\u3400-\u9fff]"]  # scripts without spaces: each character a token
    nlp.tokenizer.infix_finditer = compile_infix_regex(infixes).finditer
    nlp.add_pipe("ner", config={"model": _MODEL}).add_label("PER")
    examples = [_example(nlp, one) for one in made(chance, SENTENCES)]
    optimizer = nlp.initialize(lambda: examples[:500])
    for turn in range(rounds):
        chance.shuffle(examples)
        for batch in minibatch(examples, 64):
            nlp.update(batch, sgd=optimizer, drop=0.3)
        optimizer.learn_rate = 0.001 * (1 - turn / rounds)
    nlp.to_disk(folder)
    return nlp


def held_out(count: int = 2000) -> list[Labelled]:
    """Sentences of other shapes with other names than the trained ones."""
    return made(stream(SEED, "held out"), count, later=True)


def score(found: Iterable[tuple[int, int, int]], wanted: list[Labelled]) -> Score:
    """`found` are (sentence, start, end)."""
    by_text: dict[int, list[tuple[int, int]]] = {}
    for row, start, end in found:
        by_text.setdefault(row, []).append((start, end))
    hit = missed = wrong = 0
    for row, (_, names) in enumerate(wanted):
        places = by_text.get(row, [])
        held = [any(s < e2 and s2 < e for s2, e2 in places) for s, e, _ in names]
        hit, missed = hit + sum(held), missed + len(held) - sum(held)
        wrong += sum(not any(s < e2 and s2 < e for s, e, _ in names) for s2, e2 in places)
    return Score(hit, missed, wrong)


def write_facts(folder: Path, facts: dict[str, float]) -> None:
    """What was measured, beside the model."""
    (folder / "measured.json").write_text(json.dumps(facts, indent=2) + "\n")


def _example(nlp: Language, labelled: Labelled) -> Example:
    text, names = labelled
    doc = nlp.make_doc(text)
    entities = [doc.char_span(s, e, label, alignment_mode="expand") for s, e, label in names]
    return Example.from_dict(doc, {"entities": [(e.start_char, e.end_char, e.label_) for e in entities if e]})
