"""Found places replaced by their entity's tag; everything else stays as it is, byte for byte."""

import unicodedata
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.pii.spans import Mask, Spans

_TEXT = (pa.string(), pa.large_string())
LONGEST_FORM = 1_000_000
"""Characters of a text that is laid beside its normal form, about a second's work."""


@dataclass(frozen=True)
class Redacted:
    """`column` has the tags in it; `left` are the rows that hold a place which could not be replaced. A row is replaced
    wholly or left as it was.
    """

    column: pa.Array
    left: Mask


def redact(column: pa.Array, spans: Spans) -> Redacted:
    """Replace each place by `<ENTITY>`: overlapping ones by one tag, the highest score's.

    A row is left where a place lies outside its text, and wherever the column isn't text (numbers, dates, lists,
    records): its cells have no place for a tag. Unread rows are the caller's: nothing is known of them.
    """
    touched = spans.touched(len(column))
    if not touched.any():
        return Redacted(column, touched)
    if column.type not in _TEXT:
        return Redacted(column, touched)
    one = spans.merged()
    rows, first = np.unique(one.row, return_index=True)
    tags = [f"<{name}>" for name in one.names]
    ends = np.append(first[1:], len(one))
    starts, stops, entities = one.start.tolist(), one.end.tolist(), one.entity.tolist()
    written: list[str] = []
    done = np.ones(len(rows), dtype=bool)
    for at, text in enumerate(column.take(pa.array(rows)).to_pylist()):
        low, high = int(first[at]), int(ends[at])
        within = text is not None and starts[low] >= 0 and stops[high - 1] <= len(text)
        if not within or any(starts[i] >= stops[i] for i in range(low, high)):
            done[at] = False
            continue
        written.append(_with_tags(text, starts[low:high], stops[low:high], [tags[e] for e in entities[low:high]]))
    mask = np.zeros(len(column), dtype=bool)
    mask[rows[done]] = True
    redacted = pc.replace_with_mask(column, pa.array(mask), pa.array(written, column.type))
    return Redacted(redacted, touched & ~mask)


def _with_tags(text: str, starts: list[int], ends: list[int], tags: list[str]) -> str:
    kept = [text[low:high] for low, high in zip([0, *ends], [*starts, len(text)], strict=True)]
    return "".join(part for pair in zip(kept, [*tags, ""], strict=True) for part in pair)


def in_original(text: str, form: str, start: int, end: int) -> tuple[int, int] | None:
    """Where a place of the text's normal form (Unicode NFKC without format characters) lies in the text itself.

    Whole characters with their marks: half a ligature is all of it. None where the form isn't this text's, or can't be
    laid beside it (or it is longer than LONGEST_FORM): then nothing may be replaced.
    """
    if not 0 <= start < end <= len(form) or len(text) > LONGEST_FORM:
        return None
    begin = stop = -1
    written = 0
    matched: list[str] = []
    for low, high in _clusters(text):
        part = _form(text[low:high])
        if begin < 0 and written + len(part) > start:
            begin = low
        written += len(part)
        matched.append(part)
        if stop < 0 and written >= end:
            stop = high
    if begin < 0 or stop < 0 or "".join(matched) != form:
        return None
    return begin, stop


def _form(text: str) -> str:
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")


def _clusters(text: str) -> list[tuple[int, int]]:
    """Pieces of the text whose normal forms don't touch each other: a character with all that may join it."""
    starts = [i for i, c in enumerate(text) if i == 0 or not _joins(text[i - 1], c)]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _joins(before: str, here: str) -> bool:
    """Whether a character may become one with what stands before it: marks, and Korean letters."""
    if here < "\u0300":
        return False
    if (
        "\u1160" <= here <= "\u11ff"
        or unicodedata.combining(here)
        or unicodedata.category(here) in {"Mn", "Mc", "Me", "Cf"}
    ):
        return True
    pair = unicodedata.normalize("NFKC", before + here)
    return pair != unicodedata.normalize("NFKC", before) + unicodedata.normalize("NFKC", here)
