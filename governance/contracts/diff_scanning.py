"""What changed in the search for undeclared personal data."""

from collections.abc import Iterator

from governance.contracts.change import Change, compatible, weakening
from governance.contracts.entities import searched_for
from governance.contracts.faults import at
from governance.contracts.types import Dataset, Field, OnCannotTell, OnFinding, Scan, Scanning

_SCANS = (Scan.NONE, Scan.PATTERN, Scan.TEXT)


def scanning_changes(old_set: Dataset, new_set: Dataset) -> Iterator[Change]:
    """Every change of what a dataset's cells are searched for, and from which score and share on it counts."""
    old, new, where = old_set.scanning, new_set.scanning, at(new_set, "scanning")
    before, after = (searched_for(one.entities, one.countries) for one in (old, new))
    if gone := sorted(before - after):
        yield weakening(where, "entity-unsearched", f"cells are no longer searched for {', '.join(gone)}.")
    if added := sorted(after - before):
        yield compatible(where, "entity-searched", f"cells are searched for {', '.join(added)} too.")
    if lost := [country for country in old.countries if country not in new.countries]:
        message = f"numbers are no longer read as those of {', '.join(lost)}."
        yield weakening(where, "country-removed", message)
    if more := [country for country in new.countries if country not in old.countries]:
        yield compatible(where, "country-added", f"numbers are read as those of {', '.join(more)} too.")
    yield from _thresholds(old, new, sorted(before & after), new_set)
    if new.undeclared_share != old.undeclared_share:
        make = weakening if new.undeclared_share > old.undeclared_share else compatible
        message = f"{new.undeclared_share:g} of a column's cells may be undeclared instead of {old.undeclared_share:g}."
        yield make(where, "share-raised" if make is weakening else "share-lowered", message)


def _thresholds(old: Scanning, new: Scanning, entities: list[str], dataset: Dataset) -> Iterator[Change]:
    where = at(dataset, "scanning")
    if raised := [entity for entity in entities if new.least(entity) > old.least(entity)]:
        yield weakening(where, "threshold-raised", f"less sure finds no longer count: {_named(raised)}.")
    if lowered := [entity for entity in entities if new.least(entity) < old.least(entity)]:
        yield compatible(where, "threshold-lowered", f"less sure finds count too: {_named(lowered)}.")


def _named(entities: list[str]) -> str:
    shown = ", ".join(entities[:5])
    return shown if len(entities) <= 5 else f"{shown} and {len(entities) - 5} more"


def field_scanning_changes(old: Field, new: Field) -> Iterator[Change]:
    """Every change of how a field is searched, and of what becomes of what is found or can't be told."""
    before, after = _SCANS.index(old.scanned_by), _SCANS.index(new.scanned_by)
    message = f"it is scanned by '{new.scanned_by}' instead of '{old.scanned_by}'."
    if after < before:
        yield weakening(at(new, "scan"), "scan-weakened", message, new.id)
    elif after > before:
        yield compatible(at(new, "scan"), "scan-strengthened", message, new.id)
    if new.on_cannot_tell is not old.on_cannot_tell:
        if new.on_cannot_tell is OnCannotTell.ADMIT:
            message = "a row with a cell of which nobody can tell is stored instead of held."
            yield weakening(at(new, "onCannotTell"), "cannot-tell-weakened", message, new.id)
        else:
            message = "a row with a cell of which nobody can tell is held instead of stored."
            yield compatible(at(new, "onCannotTell"), "cannot-tell-strengthened", message, new.id)
    if new.on_finding is not old.on_finding:
        redacted = new.on_finding is OnFinding.REDACT
        message = f"a row in which something is found is {'stored, redacted' if redacted else 'held'} from now on."
        yield compatible(at(new, "onFinding"), "finding-changed", message, new.id)
