"""What changed for the persons that a dataset's rows speak of."""

from collections.abc import Iterator

from governance.contracts.change import Change, breaking, compatible, weakening
from governance.contracts.faults import at
from governance.contracts.periods import seconds
from governance.contracts.types import Dataset, Subject


def person_changes(old: Dataset, new: Dataset) -> Iterator[Change]:
    """Every change of subjects, purpose, erasure and retention."""
    yield from _subjects(old, new)
    yield from _purpose(old, new)
    yield from _erasure(old, new)
    yield from _retention(old, new)
    yield from _groups(old, new)


def _subjects(old: Dataset, new: Dataset) -> Iterator[Change]:
    after = {subject.entity: subject for subject in new.subjects}
    before = {subject.entity: subject for subject in old.subjects}
    added = [after[entity] for entity in after if entity not in before]
    for entity, subject in before.items():
        if entity in after:
            yield from _subject(subject, after[entity])
            continue
        heir = next((one for one in added if set(one.fields) & set(subject.fields)), None)
        if heir is not None:
            message = f"the subject {entity} is now called {heir.entity}: its people would get new pseudonyms."
            yield breaking(at(heir, "entity"), "entity-renamed", message)
        else:
            message = f"the subject {entity} is gone: nobody is erased, exported or protected as one."
            yield weakening(at(new, "subjects"), "subject-removed", message)
    for subject in added:
        yield compatible(subject.where, "subject-added", f"the subject {subject.entity} is new.")


def _subject(old: Subject, new: Subject) -> Iterator[Change]:
    if old.keys != new.keys:
        message = f"another key names {new.entity}: the same people may get new pseudonyms."
        yield breaking(at(new, "key"), "subject-key", message)
    if old.minimum_age is not None and (new.minimum_age is None or new.minimum_age < old.minimum_age):
        now = f"{new.minimum_age} instead of {old.minimum_age}" if new.minimum_age else "gone"
        message = f"the minimum age of {new.entity} is {now}."
        yield weakening(at(new, "minimumAge"), "minimum-age-lowered", message)
    elif old.minimum_age != new.minimum_age:
        message = f"the minimum age of {new.entity} is {new.minimum_age}: younger ones are refused."
        yield compatible(at(new, "minimumAge"), "minimum-age-raised", message)
    elif old.born != new.born:
        yield breaking(at(new, "born"), "born-changed", f"the age of {new.entity} is told by another field.")
    if old.belongs_to != new.belongs_to:
        message = f"{new.entity} belongs to {new.belongs_to or 'nobody'} instead of {old.belongs_to or 'nobody'}."
        yield weakening(at(new, "belongsTo"), "belonging-changed", message)


def _purpose(old: Dataset, new: Dataset) -> Iterator[Change]:
    """Data collected for one purpose isn't simply there for another (GDPR, article 5 (1) b)."""
    pairs = (("purpose", old.purpose, new.purpose), ("legalBasis", old.legal_basis, new.legal_basis))
    for term, before, after in pairs:
        if before is not None and before != after:
            message = f"'{term}' is another than the one for which the data was taken."
            yield weakening(at(new, term), "purpose-changed", message)


def _erasure(old: Dataset, new: Dataset) -> Iterator[Change]:
    if old.erasure is not None and new.erasure != old.erasure:
        message = f"a person is erased by '{new.erasure or 'nothing'}' instead of '{old.erasure}'."
        make = weakening if new.erasure != "delete" else compatible
        yield make(at(new, "erasure"), "erasure-changed", message)
    if old.after_erasure == "suppress" and new.after_erasure != "suppress":
        message = "an erased person who turns up again is taken in anew instead of refused."
        yield weakening(at(new, "afterErasure"), "after-erasure-weakened", message)


def _retention(old: Dataset, new: Dataset) -> Iterator[Change]:
    where = at(new, "retention")
    if old.retention is not None and new.retention is None:
        yield weakening(where, "retention-lengthened", "the data is kept without end.")
    elif old.retention is not None and new.retention is not None and old.retention != new.retention:
        longer = seconds(new.retention) > seconds(old.retention)
        message = f"the data is kept for {new.retention} instead of {old.retention}."
        code = "retention-lengthened" if longer else "retention-shortened"
        yield (weakening if longer else compatible)(where, code, message)
    if new.quarantine_retention_days > old.quarantine_retention_days:
        message = f"held rows are kept for {new.quarantine_retention_days} days."
        yield weakening(at(new, "quarantineRetentionDays"), "retention-lengthened", message)


def _groups(old: Dataset, new: Dataset) -> Iterator[Change]:
    if old.aggregate_only and not new.aggregate_only:
        yield weakening(at(new, "aggregateOnly"), "aggregate-dropped", "single rows are shown, not only groups.")
    elif old.aggregate_only and new.smallest_group < old.smallest_group:
        message = f"groups of {new.smallest_group} are shown."
        yield weakening(at(new, "aggregateOnly"), "group-lowered", message)
