"""Which of several documents of one identity stands in the end: the rule that stores without it share.

The newest version wins; of one version the first, and whoever brings other content under it is told so. A tombstone
deletes what is there by the version after it, so that an older document which comes again changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from governance.flows.documents import Codes, Documents, Taken


@dataclass(frozen=True)
class Held:
    """What a store has under an identity: a version, and whether that is of a deletion."""

    version: int
    deleted: bool = False


@dataclass(frozen=True)
class Final:
    """How an identity is to stand: the document at a place of the batch, or, where that is None, deleted."""

    version: int
    place: int | None


@dataclass(frozen=True)
class Resolved:
    """What becomes of each document, and what is to be written. `doubtful` are the places of those which come in a
    version that is there already: whether with the same content is to be looked up; the place it is to be compared
    with, or None for what the store holds.
    """

    taken: Codes
    writes: dict[bytes, Final] = field(default_factory=dict)
    doubtful: dict[int, int | None] = field(default_factory=dict)


def resolve(documents: Documents, held: Mapping[bytes, Held]) -> Resolved:
    """Go through the documents in their order. `held` has what the store holds of their identities."""
    taken = np.full(len(documents), Taken.APPLIED, np.int8)
    found = Resolved(taken)
    rows = zip(documents.keys, documents.values, documents.versions.tolist(), strict=True)
    for place, (key, value, version) in enumerate(rows):
        now = found.writes.get(key)
        there = Held(now.version, now.place is None) if now is not None else held.get(key)
        if value is None:
            taken[place] = Taken.DELETED
            if there is not None and not there.deleted:
                found.writes[key] = Final(there.version + 1, None)
        elif there is None or version > there.version:
            found.writes[key] = Final(version, place)
        elif version == there.version and not there.deleted:
            taken[place] = Taken.UNCHANGED
            found.doubtful[place] = None if now is None else now.place
        else:
            taken[place] = Taken.SUPERSEDED
    return found


def settle(found: Resolved, differs: Callable[[int, int | None], bool]) -> Codes:
    """The answer, once it was looked up which of the doubtful documents differ from what stands in their version."""
    for place, other in found.doubtful.items():
        if differs(place, other):
            found.taken[place] = Taken.CONFLICT
    return found.taken
