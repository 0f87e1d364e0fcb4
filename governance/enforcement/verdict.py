"""One outcome a row, decided once: the first fault that is found stands, so a row has exactly one reason."""

from dataclasses import dataclass

import numpy as np

from governance.enforcement.outcomes import Reason


@dataclass(frozen=True)
class Cause:
    """Why: a reason, the field it stands in, and a rule's name."""

    reason: Reason
    field: str | None = None
    detail: str | None = None


class Verdict:
    """`cause` holds an index into `causes` for each row, -1 where nothing is wrong (yet)."""

    def __init__(self, rows: int) -> None:
        self.cause = np.full(rows, -1, dtype=np.int32)
        self.causes: list[Cause] = []

    def mark(self, rows: np.ndarray, reason: Reason, field: str | None = None, detail: str | None = None) -> None:
        """Give this cause to the rows of the boolean mask that have none."""
        fresh = rows & (self.cause < 0)
        if fresh.any():
            self.causes.append(Cause(reason, field, detail))
            self.cause[fresh] = len(self.causes) - 1

    @property
    def good(self) -> np.ndarray:
        """Mask of the rows without a cause."""
        return self.cause < 0

    @property
    def bad(self) -> np.ndarray:
        """Mask of the rows with one."""
        return self.cause >= 0

    def of(self, row: int) -> Cause:
        """The cause of a bad row."""
        return self.causes[int(self.cause[row])]
