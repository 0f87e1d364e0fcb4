"""Key material that can't be printed, pickled or compared by accident."""

import hmac
from typing import NoReturn


class Secret:
    """Holds key bytes. `reveal()` is the only way out; repr, pickle and `==` refuse.

    Python can't promise to wipe memory, so a Secret does not claim to.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """The key bytes, for the one call that needs them."""
        return self._value

    def same_as(self, other: "Secret") -> bool:
        """Time-constant comparison."""
        return hmac.compare_digest(self._value, other._value)

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> NoReturn:
        raise TypeError("a secret has no printable form; call reveal() where the bytes are needed")

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret can't be pickled or copied")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("compare secrets with same_as()")

    __hash__ = None  # type: ignore[assignment]
