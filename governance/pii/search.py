"""The search of one leaf: distinct texts, their plain forms, the prefilter, and the detector for what is left.

A detector knows nothing of Arrow; this module knows nothing of Presidio. Verdicts of texts that got past the prefilter
are remembered from batch to batch, under a digest of the text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from governance.pii.forms import Texts, plain
from governance.pii.spans import Spans

Ints = npt.NDArray[np.int64]
Place = tuple[int, int, str, float]
"""Start, end, entity, score."""
Met = Callable[[Sequence[Any], pa.Array], list[Ints]]
"""The rows of the texts that meet each condition (`prefilter.met_rows`)."""


@dataclass(frozen=True)
class Found:
    """What was found in one text. Not `decided`: the time ran out, so there may be more."""

    places: tuple[Place, ...]
    decided: bool = True


class Detector(Protocol):
    """Finds places in one text. `conditions` are those of its parts: a part is asked only about texts that meet its own
    (None: about every text).
    """

    @property
    def conditions(self) -> Sequence[Any]:
        """A condition for each part."""
        ...

    def find(self, text: str, parts: Sequence[int]) -> Found:
        """What these parts find, in time."""
        ...


class Memory:
    """Verdicts of the latest texts, at most `most`. Holds digests, never a text. Safe from several threads."""

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._held: dict[bytes, Found] = {}
        self._lock = Lock()

    @staticmethod
    def key(text: str) -> bytes:
        """A digest of a text."""
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def get(self, key: bytes) -> Found | None:
        """The verdict, if it is still held."""
        return self._held.get(key)

    def put(self, key: bytes, found: Found) -> None:
        """Hold a verdict; the oldest goes when there are too many. One that ran out of time isn't held."""
        if not found.decided:
            return
        with self._lock:
            while len(self._held) >= self._most:
                del self._held[next(iter(self._held))]
            self._held[key] = found

    def __len__(self) -> int:
        return len(self._held)


@dataclass(frozen=True)
class Hits:
    """Places by position among the distinct values. `hidden` are seen only in the plain form: their offsets are of no
    use in the text as it is.
    """

    open: Spans
    hidden: Spans


def search(texts: Texts, detector: Detector, memory: Memory, met: Met) -> Hits:
    """Search every distinct text as it is and in its plain form."""
    return in_both_forms(texts, lambda some: _search(some, detector, memory, met))


def in_both_forms(texts: Texts, look: Callable[[pa.Array], Spans]) -> Hits:
    """What `look` finds in every distinct text as it is and in its plain form."""
    as_it_is = look(texts.texts)
    places, forms = plain(texts.texts)
    if not len(forms):
        return Hits(as_it_is, Spans.none())
    hidden = look(forms)
    row, unread = places[hidden.row], places[hidden.unread]
    moved = Spans(row, hidden.start, hidden.end, hidden.entity, hidden.score, hidden.names, unread)
    return Hits(as_it_is, moved)


def _search(texts: pa.Array, detector: Detector, memory: Memory, met: Met) -> Spans:
    conditions = detector.conditions
    if not len(texts) or not len(conditions):
        return Spans.none()
    rows = met(conditions, texts)
    left, parts = _by_text(rows)
    found: list[tuple[int, int, int, str, float]] = []
    undecided = []
    for position, asked, text in zip(left.tolist(), parts, texts.take(pa.array(left)).to_pylist(), strict=True):
        verdict = _verdict(text, asked.tolist(), detector, memory)
        found += [(position, *place) for place in verdict.places]
        if not verdict.decided:
            undecided.append(position)
    return Spans.of(found, np.array(undecided, np.int64))


def _by_text(rows: list[Ints]) -> tuple[Ints, list[Ints]]:
    """The texts that meet any condition, in order, and for each the conditions that it meets."""
    row = np.concatenate(rows)
    part = np.repeat(np.arange(len(rows), dtype=np.int64), [len(some) for some in rows])
    order = np.argsort(row, kind="stable")
    left, first = np.unique(row[order], return_index=True)
    return left, np.split(part[order], first[1:]) if len(left) else []


def _verdict(text: str, parts: Sequence[int], detector: Detector, memory: Memory) -> Found:
    key = memory.key(text)
    found = memory.get(key)
    if found is None:
        found = detector.find(text, parts)
        memory.put(key, found)
    return found
