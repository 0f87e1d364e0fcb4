"""python -m samples.names train FOLDER: make the sentences, train the model, measure it on held-out ones."""

import argparse
from pathlib import Path

import pyarrow as pa

from governance.adapters.names.spacy import SpacyNames
from samples.names.training import ROUNDS, held_out, score, train, write_facts


def main() -> None:
    """Train, write, measure."""
    parser = argparse.ArgumentParser(prog="python -m samples.names", description=__doc__)
    parser.add_argument("verb", choices=("train", "measure"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    if given.verb == "train":
        train(given.folder, given.rounds)
    wanted = held_out()
    facts: dict[str, float] = {}
    for name, change in (("as written", str), ("lower case", str.lower)):
        spans = SpacyNames(given.folder).find(pa.array([change(text) for text, _ in wanted]))
        one = score(((r, s, e) for r, s, e, _, _ in spans.tuples()), wanted)
        facts |= {f"recall, {name}": round(one.recall, 3), f"precision, {name}": round(one.precision, 3)}
    size = sum(f.stat().st_size for f in given.folder.rglob("*") if f.is_file())
    print(*(f"{k}: {v}" for k, v in facts.items()), f"size: {size / 1e6:.2f} MB", sep="\n")
    if given.verb == "train":
        write_facts(given.folder, facts)


if __name__ == "__main__":
    main()
