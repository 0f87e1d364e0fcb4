"""Making faults: the line of a term, and the one shape that refusals of a field share."""

from governance.contracts.types import Dataset, Fault, Field, Line, Source, Subject, Topic


def at(thing: Dataset | Field | Subject | Source | Topic, term: str) -> Line:
    """The line on which a term of a thing stands; where the thing begins if it doesn't say the term."""
    return Line(thing.where.file, thing.lines.get(term, thing.where.line))


def of_field(field: Field, term: str, code: str, message: str, hint: str | None = None) -> Fault:
    """A fault of a field, on the line of the term that it is about."""
    return Fault(at(field, term), code, message, field.id, hint)
