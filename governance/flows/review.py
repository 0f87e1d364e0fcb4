"""What people do with held rows, each time on record: open one, purge those whose time has come."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from governance.audit.ledger import Ledger
from governance.audit.records import Record
from governance.contracts.types import Role
from governance.errors import UserError
from governance.flows.unsealing import HeldKeys, unseal_row
from governance.model.clock import Clock
from governance.quarantine.store import DayKeys, HeldRow, Place, Purged, QuarantineStore, Selection

_OFFICER, _REVEAL = "privacy_officer", "reveal"


class NotAllowedError(UserError):
    """The role may not open a row."""


@dataclass(frozen=True)
class Shown:
    """A row and its body, plain: for one person's eyes. The body is None where none may be kept."""

    row: HeldRow
    body: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Review:
    """The desk and what it needs. `keys` gives the keys for as long as its context lasts; `roles` a dataset's roles."""

    store: QuarantineStore
    day_keys: DayKeys
    ledger: Ledger
    keys: Callable[[], AbstractContextManager[HeldKeys]]
    roles: Callable[[str], tuple[Role, ...]]
    clock: Clock
    actor: str
    role: str

    def show(self, dataset: str, place: Place) -> Shown:
        """Open one row. It is on record before it is opened, a refusal too.

        Raises NotAllowedError unless the role has access `reveal` in the contract or is its privacy_officer,
        NotHeldError, KeyUnavailableError where the row's key is gone.
        """
        allowed = sorted({r.name for r in self.roles(dataset) if r.access == _REVEAL or r.name == _OFFICER})
        row = self.store.get(dataset, place)
        may = self.role in allowed
        record = Record("quarantine.show", self.actor, dataset, run=row.run, item=place.digest(dataset), ok=may)
        self.ledger.append([record])
        if not may:
            raise NotAllowedError(
                f"opening a quarantined row of {dataset} takes the role {' or '.join(allowed) or '(none has it)'}, "
                f"yours is {self.role or 'not set'} (KASBAH_ROLE). The attempt is on record; nothing was opened"
            )
        with self.keys() as keys:
            return Shown(row, unseal_row(row, keys))

    def would_purge(self, selection: Selection, *, expired: bool) -> Purged:
        """What `purge` would take."""
        found = self.store.purgeable(self._bounded(selection, expired))
        return replace(found, day_keys=self.day_keys.expired(self.clock()) if expired else 0)

    def purge(self, selection: Selection, *, expired: bool) -> Purged:
        """Delete the selected rows for good: those whose retention has ended, or all where `expired` is false; then
        destroy the keys of the days whose retention has ended. On record before it begins and when it is done.
        """
        would = self.would_purge(selection, expired=expired)
        self._note("quarantine.purge.begun", selection, would)
        done = self.store.purge(self._bounded(selection, expired))
        done = replace(done, day_keys=self.day_keys.destroy_expired(self.clock()) if expired else 0)
        self._note("quarantine.purge.done", selection, done)
        return done

    def _bounded(self, selection: Selection, expired: bool) -> Selection:
        return replace(selection, expired_by=self.clock()) if expired else selection

    def _note(self, action: str, selection: Selection, purged: Purged) -> None:
        counts = {"rows": purged.rows, "unopenable": purged.unopenable, "day_keys": purged.day_keys}
        self.ledger.append([Record(action, self.actor, selection.dataset, counts=counts)])
