"""How a person would read a cell: the distinct values of a leaf as texts, and a text's plain form.

A whole number in a decimal or floating column is its digits: a card number there is found. A number with a fraction is
a quantity, as no identifier has one, and has no text, unless it has more digits before the point than quantities have;
neither have dates, times and booleans, whose type says what they are. Bytes are read as UTF-8.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import KasbahError

Ints = npt.NDArray[np.int64]

_MOST_OF_A_QUANTITY = 10**11
"""With a fraction, a number from here on is read all the same: card and account numbers begin at twelve digits."""


@dataclass(frozen=True)
class Texts:
    """Distinct values, and the text of each. `unreadable` are distinct values that have none."""

    values: pa.Array
    texts: pa.Array
    unreadable: pa.Array | None = None

    def index_of(self, cells: pa.Array, which: Ints) -> Ints:
        """For each cell the place in `which` of its distinct value, negative where it is none of them."""
        return index_in(cells, self.values.take(pa.array(which)))


def index_in(cells: pa.Array, values: pa.Array) -> Ints:
    """The index of each cell in these values, negative where it is none of them."""
    found = pc.index_in(cells, value_set=values, skip_nulls=True)
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def is_moment(kind: pa.DataType) -> bool:
    """Whether the type holds dates or times and nothing else."""
    return bool(pa.types.is_temporal(kind))


def texts_of(cells: pa.Array, least_digits: int, least_length: int) -> Texts | None:
    """The distinct values of a leaf that is no nested type, as texts; None where no text could be found in them.

    No text with fewer digits than `least_digits` or shorter than `least_length` (characters) is asked for. Raises
    KasbahError for a type that has no reading.
    """
    kind = cells.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or is_moment(kind):
        return None
    for matches, read in _READERS:
        if matches(kind):
            return read(cells, max(least_digits, 0), max(least_length, 0))
    raise KasbahError(f"cells of type {kind} have no reading")


def plain(texts: pa.Array) -> tuple[Ints, pa.Array]:
    """The texts whose plain form differs from them: their places, and those forms.

    The plain form is NFKC without the characters that are not seen (format characters such as joiners and direction
    marks, variation selectors, fillers).
    """
    length = np.asarray(pc.binary_length(texts).fill_null(0))
    count = np.asarray(pc.utf8_length(texts).fill_null(0))
    wide = np.flatnonzero(length != count)
    if not len(wide):
        return wide, texts.slice(0, 0)
    before = texts.take(pa.array(wide)).to_pylist()
    after = [plain_form(text) for text in before]
    changed = [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    return wide[changed], pa.array([after[i] for i in changed], pa.string())


def plain_form(text: str) -> str:
    """NFKC without the characters that are not seen."""
    return unicodedata.normalize("NFKC", text.translate(_UNSEEN))


_MARKS_UNSEEN = (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10))
_TAGS = range(0xE0000, 0xE1000)
_FORMAT = [code for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"]
_UNSEEN: dict[int, None] = dict.fromkeys((*_FORMAT, *_MARKS_UNSEEN, *_TAGS))


def _strings(cells: pa.Array, least_digits: int, least_length: int) -> Texts | None:
    del least_digits, least_length
    distinct = pc.drop_null(pc.unique(cells))
    try:
        distinct.validate(full=True)
    except pa.ArrowInvalid:
        return _binary(distinct.cast(pa.binary(), safe=False), 0, 0, cells.type)
    return Texts(distinct, distinct)


def _binary(cells: pa.Array, least_digits: int, least_length: int, back: pa.DataType | None = None) -> Texts | None:
    del least_digits, least_length
    distinct = pc.drop_null(pc.unique(cells))
    try:
        return Texts(distinct, distinct.cast(pa.string()))
    except pa.ArrowInvalid:
        whole = distinct.to_pylist()
    good = [i for i, value in enumerate(whole) if _is_text(value)]
    bad = [i for i in range(len(whole)) if i not in set(good)]
    texts = distinct.take(pa.array(good, pa.int64())).cast(pa.string())
    kept, lost = (distinct.take(pa.array(some, pa.int64())) for some in (good, bad))
    if back is not None:
        kept, lost = texts, lost.cast(back, safe=False)
    return Texts(kept, texts, lost)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _integers(cells: pa.Array, least_digits: int, least_length: int) -> Texts | None:
    least = max(least_digits, least_length - 1)  # one may be the sign
    if least > 1:
        bar = 10 ** (least - 1)
        bounds = pc.min_max(cells).as_py()
        if bounds["min"] is None or (-bar < bounds["min"] and bounds["max"] < bar):
            return None
        cells = cells.filter(_beyond(cells, bar))
    distinct = pc.drop_null(pc.unique(cells))
    return Texts(distinct, distinct.cast(pa.string()))


def _beyond(cells: pa.Array, bar: int) -> pa.Array:
    """Where an integer is at least the bar, or at most its opposite; the bar fits where some cell reaches it."""
    high = pa.scalar(min(bar, _largest(cells.type)), cells.type)
    above = pc.greater_equal(cells, high)
    if pa.types.is_unsigned_integer(cells.type):
        return above
    return pc.or_(above, pc.less_equal(cells, pa.scalar(-min(bar, _largest(cells.type)), cells.type)))


def _largest(kind: pa.DataType) -> int:
    return int(2 ** (kind.bit_width - (0 if pa.types.is_unsigned_integer(kind) else 1))) - 1


def _floats(cells: pa.Array, least_digits: int, least_length: int) -> Texts | None:
    distinct = pc.drop_null(pc.unique(cells))
    whole = distinct.filter(pc.and_(pc.is_finite(distinct), _read(distinct)))
    whole = whole.filter(pc.greater_equal(pc.abs(whole), 10.0 ** (max(least_digits, least_length - 1, 1) - 1)))
    return Texts(whole, _digits(whole.cast(pa.string())))


def _decimals(cells: pa.Array, least_digits: int, least_length: int) -> Texts | None:
    kind = cells.type
    if kind.precision - kind.scale < max(least_digits, least_length - 1):
        return None
    distinct = pc.drop_null(pc.unique(cells))
    if kind.scale > 0:
        distinct = distinct.filter(_read(distinct))
    return Texts(distinct, _digits(distinct.cast(pa.string())))


def _read(numbers: pa.Array) -> pa.Array:
    """Which numbers are no quantities."""
    large = pc.greater_equal(pc.abs(numbers.cast(pa.float64())), float(_MOST_OF_A_QUANTITY))
    return pc.or_(pc.equal(numbers, pc.trunc(numbers)), large)


def _digits(numbers: pa.Array) -> pa.Array:
    """Printed whole numbers without exponent and fraction."""
    raised = np.flatnonzero(pc.match_substring_regex(numbers, "[eE]").to_numpy(zero_copy_only=False))
    if len(raised):
        texts = numbers.to_pylist()
        for place in raised:
            texts[place] = f"{Decimal(texts[place]):f}"
        numbers = pa.array(texts, pa.string())
    return pc.replace_substring_regex(numbers, r"\.0*$", "")


_Reader = Callable[[pa.Array, int, int], Texts | None]
_READERS: tuple[tuple[Callable[[pa.DataType], bool], _Reader], ...] = (
    (pa.types.is_string, _strings),
    (pa.types.is_integer, _integers),
    (pa.types.is_floating, _floats),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_binary, _binary),
)
