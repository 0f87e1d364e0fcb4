"""Names and types: text (or a database's own types) to the declared type, on whole Arrow columns. Nothing is guessed.

A cell that doesn't fit fails by itself: what becomes of it never depends on the other cells of its batch. So the
quick way (one cast of the whole column) and the careful way (only when the quick one raises) must take the same
language.
"""

from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.enforcement.dates import parse_dates, parse_times, parse_timestamps
from governance.enforcement.plan import arrow_type
from governance.errors import ContractError

NUMBER_FORMS = ("plain", "money", "money_comma", "float_integer")
BOOLEAN_FORMS = {"true_false": ("true", "false"), "yes_no": ("yes", "no"), "0_1": ("1", "0")}

_LONGEST_NUMBER, _SAFE_DIGITS = 100, 38
_EXACT = Context(prec=400, traps=[Inexact, InvalidOperation])
_INTEGER = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_DECIMAL = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?$"
_MONEY = r"^[+-]?\s*\p{Sc}?\s*[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?\s*\p{Sc}?$"
_MONEY_COMMA = r"^[+-]?\s*\p{Sc}?\s*[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)(?:,[0-9]+)?\s*\p{Sc}?$"


@dataclass(frozen=True)
class Converted:
    """A column in its declared type, and which rows held something that doesn't fit it (null there)."""

    values: pa.Array
    failed: np.ndarray


def convert(values: pa.Array, word: str, formats: tuple[str, ...], nulls: tuple[str, ...], *, trim: bool) -> Converted:
    """Read a source column as the type `word`. `formats` are tried in order; `nulls` are the texts that mean null."""
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_nested(values.type):
        return Converted(pa.nulls(len(values), arrow_type(word)), _mask(values.is_valid()))
    if not _is_text(values.type):
        native = _native(values, word)
        if native is not None:
            return native
        values = values.cast(pa.string())
    text = _clean(values, nulls, trim)
    held = _mask(text.is_valid())
    result = _parse(text, word, formats)
    return Converted(result, held & ~_mask(result.is_valid()))


def _mask(values: pa.Array) -> np.ndarray:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=bool)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _native(values: pa.Array, word: str) -> Converted | None:
    """A database's own type where it already is the declared one, else None: then the text form is parsed."""
    target = arrow_type(word)
    kind = values.type
    if pa.types.is_null(kind):
        return Converted(pa.nulls(len(values), target), np.zeros(len(values), dtype=bool))
    same = (
        (pa.types.is_integer(kind) and word == "int64")
        or (pa.types.is_boolean(kind) and word == "bool")
        or (pa.types.is_date(kind) and word == "date")
        or (pa.types.is_time(kind) and word == "time")
    )
    if same:
        return Converted(values.cast(target), np.zeros(len(values), dtype=bool))
    if pa.types.is_timestamp(kind) and word == "timestamp":
        moments = values.cast(pa.timestamp("us", tz=kind.tz))
        return Converted(
            moments.cast(target) if kind.tz else pc.assume_timezone(moments, "UTC"), np.zeros(len(values), dtype=bool)
        )
    if pa.types.is_floating(kind) and word == "double":
        finite = pc.is_finite(values)
        return Converted(pc.if_else(finite, values, None).cast(target), _mask(pc.invert(finite).fill_null(False)))
    return None


def _clean(values: pa.Array, nulls: tuple[str, ...], trim: bool) -> pa.Array:
    """Trimmed text in which the declared null texts are null."""
    text = pc.utf8_trim_whitespace(values) if trim else values
    if not nulls:
        return text
    if nulls == ("",):
        empty = pc.equal(pc.binary_length(text), 0)
    else:
        empty = pc.is_in(text, value_set=pa.array(nulls, text.type))
    if not pc.any(empty).as_py():
        return text
    return pc.if_else(empty, pa.scalar(None, text.type), text)


def _parse(text: pa.Array, word: str, formats: tuple[str, ...]) -> pa.Array:
    """The first format that fits, cell by cell; null where none does."""
    if word == "string":
        return _string(text, formats)
    kind = {"date": ("iso",), "timestamp": ("iso",), "time": ("iso",), "bool": ("true_false",)}.get(word, ("plain",))
    columns = [_parse_one(text, word, form) for form in formats or kind]
    return columns[0] if len(columns) == 1 else pc.coalesce(*columns)


def _parse_one(text: pa.Array, word: str, form: str) -> pa.Array:
    if word == "date":
        return parse_dates(text, form)
    if word == "timestamp":
        return parse_timestamps(text, form)
    if word == "bool":
        return _boolean(text, form)
    if word == "time":
        return parse_times(text)
    return _number(text, word, form)


def _string(text: pa.Array, formats: tuple[str, ...]) -> pa.Array:
    """Text that every store can hold: PostgreSQL and C strings know no NUL."""
    if "float_integer" in formats:
        text = pc.replace_substring_regex(text, r"^([+-]?[0-9]+)\.0+$", r"\1")
    if pc.any(pc.match_substring(text, "\0")).as_py():
        text = pc.if_else(pc.match_substring(text, "\0"), pa.scalar(None, text.type), text)
    return text.cast(pa.string())


def _boolean(text: pa.Array, form: str) -> pa.Array:
    if form not in BOOLEAN_FORMS:
        raise ContractError(f"a boolean is read as {', '.join(BOOLEAN_FORMS)}")
    yes, no = BOOLEAN_FORMS[form]
    lower = pc.utf8_lower(text)
    truth, known = pc.equal(lower, yes), pc.is_in(lower, value_set=pa.array([yes, no], lower.type))
    return pc.if_else(known, truth, pa.scalar(None, pa.bool_()))


def _number(text: pa.Array, word: str, form: str) -> pa.Array:
    if form not in NUMBER_FORMS:
        raise ContractError(f"a number is read as {', '.join(NUMBER_FORMS)}")
    if form != "plain":
        text = _unformat(text, form)
    target = arrow_type(word)
    text = _not_too_long(text)
    if word == "int64":
        return _cast(text, target, _INTEGER)
    if word == "double":
        numbers = _cast(text, target, _NUMBER)
        return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, target))
    return _decimal(text, target)


def _unformat(text: pa.Array, form: str) -> pa.Array:
    """Plain number text; null where the text isn't in the form. Works on distinct values: amounts repeat."""
    encoded = text.dictionary_encode()
    words = encoded.dictionary
    if form == "float_integer":
        plain = pc.replace_substring_regex(words, r"^([+-]?[0-9]+)\.0+$", r"\1")
    else:
        expression, drop = (_MONEY, r"[\p{Sc},\s]") if form == "money" else (_MONEY_COMMA, r"[\p{Sc}.\s]")
        bare = pc.replace_substring_regex(words, drop, "")
        bare = bare if form == "money" else pc.replace_substring(bare, ",", ".")
        plain = pc.if_else(pc.match_substring_regex(words, expression), bare, pa.scalar(None, words.type))
    return plain.take(encoded.indices)


def _not_too_long(text: pa.Array) -> pa.Array:
    """Without texts that are longer than any number anyone means."""
    fits = pc.less_equal(pc.binary_length(text), _LONGEST_NUMBER)
    return text if pc.all(fits).as_py() is not False else pc.if_else(fits, text, pa.scalar(None, text.type))


def _cast(text: pa.Array, target: pa.DataType, expression: str) -> pa.Array:
    """Cast; where the whole column doesn't cast, cell by cell those that fit the expression; null elsewhere.

    The expression is checked in both ways, because Arrow also reads hexadecimal, which nobody declared.
    """
    try:
        numbers = text.cast(target)
    except pa.ArrowInvalid:
        return _careful(text, target, expression)
    odd = pc.match_substring_regex(text, r"[^0-9+\-.eE:]")
    return numbers if not pc.any(odd).as_py() else _careful(text, target, expression)


def _decimal(text: pa.Array, target: pa.Decimal128Type) -> pa.Array:
    """Exact or null. Arrow casts only what it can't get wrong: where the digits of the text and of the scale are more
    than 128 bits hold, or the exponent is small enough, it makes another number and says nothing.
    """
    if (pc.max(pc.binary_length(text)).as_py() or 0) <= _SAFE_DIGITS - target.scale:
        try:
            numbers = text.cast(target)
        except pa.ArrowInvalid:
            return _careful(text, target, _DECIMAL)
        if not pc.any(pc.match_substring_regex(text, r"[^0-9+\-.]")).as_py():
            return numbers
    return _careful(text, target, _DECIMAL)


def _careful(text: pa.Array, target: pa.DataType, expression: str) -> pa.Array:
    """Distinct values one by one: the dirty path."""
    encoded = text.dictionary_encode()
    fits = _mask(pc.match_substring_regex(encoded.dictionary, expression).fill_null(False))
    words = pc.replace_substring_regex(encoded.dictionary, r"^\+", "")  # Arrow reads a plus sign in some types only
    cast = [_cast_one(words.slice(i, 1), target) if fits[i] else pa.nulls(1, target) for i in range(len(words))]
    return pa.concat_arrays(cast).take(encoded.indices) if cast else pa.nulls(len(text), target)


def _cast_one(word: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_decimal(target):
        return pa.array([_exactly(word[0].as_py(), target)], target)
    try:
        return word.cast(target)
    except pa.ArrowInvalid:
        return pa.nulls(1, target)


def _exactly(word: str, target: pa.Decimal128Type) -> Decimal | None:
    """The number at the type's scale; None where that loses digits, at either end."""
    try:
        number = Decimal(word).quantize(Decimal(1).scaleb(-target.scale), context=_EXACT)
    except (Inexact, InvalidOperation):
        return None
    return number if len(number.as_tuple().digits) <= target.precision else None
