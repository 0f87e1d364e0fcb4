"""What a server does wrong on purpose, by the number of the request: so a test can ask for it, and get it each time."""

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """One way to answer wrongly."""

    ERROR = "error"
    """500 with a JSON body."""
    UNAVAILABLE = "unavailable"
    """503 without Retry-After."""
    RATE_LIMIT = "rate_limit"
    """429 with Retry-After in seconds."""
    RATE_LIMIT_DATE = "rate_limit_date"
    """429 with Retry-After as an HTTP date."""
    HTML = "html"
    """200, and a page of HTML where JSON is due."""
    CUT_BODY = "cut_body"
    """200 with the full Content-Length, half the body, then the connection closes."""
    CUT_JSON = "cut_json"
    """200, and a whole answer whose JSON stops half-way."""
    HANG = "hang"
    """Nothing, until the server gives up or stops."""
    DUPLICATE_KEYS = "duplicate_keys"
    """200, and the first record has its first name twice, with another value."""
    LOOP = "loop"
    """200, and `next` points to the page itself."""
    REDIRECT = "redirect"
    """302 to another host."""
    ARRAYS = "arrays"
    """200, and the records as two arrays, one after the other: no JSON."""
    WRONG_TYPE = "wrong_type"
    """200, and a sound page that says it is plain text."""


@dataclass(frozen=True)
class Faults:
    """`at` says which request (counted from 1, over all data sets, wrong answers included) meets which fault; `every`
    repeats: {7: HTML} makes each seventh request one. `at` goes first, then the largest number of `every`."""

    at: dict[int, Fault] = field(default_factory=dict)
    every: dict[int, Fault] = field(default_factory=dict)

    def of(self, request: int) -> Fault | None:
        """The fault of this request, or none."""
        if request in self.at:
            return self.at[request]
        return next((self.every[n] for n in sorted(self.every, reverse=True) if request % n == 0), None)


def parse_faults(words: list[str]) -> Faults:
    """Faults from words such as `3=error` and `every7=html`. Raises ValueError for any other."""
    plan = Faults()
    for word in words:
        place, equals, name = word.partition("=")
        number = place.removeprefix("every")
        if not (equals and number.isdecimal() and int(number) > 0 and name in set(Fault)):
            raise ValueError(f"'{word}' is no fault: write 3=error or every7=html, with one of {', '.join(Fault)}")
        (plan.every if place.startswith("every") else plan.at)[int(number)] = Fault(name)
    return plan
