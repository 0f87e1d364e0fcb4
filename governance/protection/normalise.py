"""Key values in the one form in which they are digested. A value that doesn't fit its rule becomes null: no alias.

Whole Arrow columns at a time. Each rule gives the same again for its own result, and guesses nothing: no country code
is added to a phone number, no dot or `+tag` is taken from an e-mail address, `17850.0` stays as it is.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.errors import ProtectionError
from governance.protection.columns import Mask, array_of, bitmap, column_of

# Neither @ nor dot, white space, control or invisible format characters. The ASCII twin says the same of ASCII, faster.
_ATOM, _ASCII_ATOM = r"[^@.\s\pZ\pC]", r"[!-\-/-?A-~]"
_EMAIL = r"^{0}+(?:\.+{0}+)*@(?:{0}+\.)+{0}+$"

_EXTENSION = r"(?i)[\s,;]*(?:extension|extn|ext|x|#)\.?\s*:?\s*[0-9]{1,7}$"
_TRUNK_ZERO = r"^(\+[0-9]{1,3}[\s.-]*)\(0\)"
_PHONE = r"^\+?[\s.(-]*[0-9][0-9\s().\-/]*$"
_TWO_NUMBERS = r"[0-9](?:[^0-9/]*[0-9]){6,}[^0-9/]*/[^0-9/]*[0-9](?:[^0-9/]*[0-9]){6,}"
_FLOAT = r"^[0-9]+\.[0-9]$"
_ONE_DIGIT = r"^\+?(?:0+|1+|2+|3+|4+|5+|6+|7+|8+|9+)$"
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15


def normalise(values: pa.Array | pa.ChunkedArray, rule: str) -> pa.Array:
    """The column under a key rule: `email`, `phone` or `identifier`; null where the value doesn't fit it.

    * email: Unicode NFKC, trimmed, lower case; one @, a local part, a domain of two labels or more, no white space or
      invisible characters. Non-ASCII addresses fit (RFC 6531); quoted local parts don't.
    * phone: NFKC, then digits with their leading +; 00 at the start is +, `(0)` after a country code and extensions
      are dropped; 7 to 15 digits (E.164), not all the same. Letters, two numbers, or a number that was written as a
      float don't fit.
    * identifier: NFKC, trimmed, not empty.

    Raises ProtectionError for another rule or a column that isn't text.
    """
    if rule not in _RULES:
        raise ProtectionError(f"no key rule {rule}; there are {', '.join(sorted(_RULES))}")
    if isinstance(values, pa.ChunkedArray):
        values = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_null(values.type)):
        raise ProtectionError(f"a key column of {values.type} can't be normalised; convert it to text first")
    return _RULES[rule](pc.utf8_trim_whitespace(_nfkc(values.cast(pa.string()))))


def _email(values: pa.Array) -> pa.Array:
    # Lower case can undo the normal form, so it is made again.
    values = _nfkc(pc.utf8_lower(values))
    pattern = _EMAIL.format(_ASCII_ATOM if _is_ascii(values) else _ATOM)
    return _only(values, _true(pc.match_substring_regex(values, pattern)))


def _phone(values: pa.Array) -> pa.Array:
    """The rarer forms cost a second pattern only where a column has one of them."""
    bare = values
    if _true(pc.match_substring_regex(bare, "[xX#]")).any():
        bare = pc.utf8_trim_whitespace(pc.replace_substring_regex(bare, _EXTENSION, ""))
    if _true(pc.starts_with(bare, "00")).any():
        bare = pc.replace_substring_regex(bare, r"^00", "+")
    if _true(pc.match_substring(bare, "(0)")).any():
        bare = pc.replace_substring_regex(bare, _TRUNK_ZERO, r"\1")
    fits = _true(pc.match_substring_regex(bare, _PHONE))
    if _true(pc.match_substring(bare, "/")).any():
        fits &= ~_true(pc.match_substring_regex(bare, _TWO_NUMBERS))
    fits &= ~_true(pc.match_substring_regex(bare, _FLOAT))
    number, digits = _digits(bare)
    fits &= (digits >= _FEWEST_DIGITS) & (digits <= _MOST_DIGITS)
    fits &= ~_true(pc.match_substring_regex(number, _ONE_DIGIT))
    return _only(number, fits)


def _digits(values: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Each value with nothing but its ASCII digits and plus signs; and how many digits it has."""
    column = column_of(values)
    data = column.data
    digit = (data >= ord("0")) & (data <= ord("9"))
    kept = digit | (data == ord("+"))
    ends = np.concatenate([[0], np.cumsum(kept)])[column.offsets]
    counts = np.diff(np.concatenate([[0], np.cumsum(digit)])[column.offsets])
    first, last = column.offsets[0], column.offsets[-1]
    rest = pa.py_buffer(data[first:last][kept[first:last]])
    return array_of(pa.string(), (ends - ends[0]).astype(np.int64), rest, column.valid), counts


def _identifier(values: pa.Array) -> pa.Array:
    return _only(values, _true(pc.greater(pc.binary_length(values), 0)))


def _only(values: pa.Array, fits: Mask) -> pa.Array:
    """The values that fit, the others null."""
    if fits.all():
        return values
    return pc.if_else(pa.Array.from_buffers(pa.bool_(), len(fits), [None, bitmap(fits)]), values, None)


def _true(answer: pa.Array) -> Mask:
    """A mask: null is no."""
    return np.asarray(pc.fill_null(answer, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)


def _nfkc(values: pa.Array) -> pa.Array:
    """Normal form; ASCII has it already, and most columns are ASCII."""
    return values if _is_ascii(values) else pc.utf8_normalize(values, "NFKC")


def _is_ascii(values: pa.Array) -> bool:
    return bool(pc.all(pc.string_is_ascii(values), min_count=0).as_py())


_RULES: dict[str, Callable[[pa.Array], pa.Array]] = {"email": _email, "phone": _phone, "identifier": _identifier}
