"""What Kasbah asks of a key management service: keys that wrap other keys, and that can be destroyed for good."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from governance.model.secret import Secret


class Purpose(StrEnum):
    """What an epoch's wrapping key is for. Two keys an epoch, so that a role can be given one without the other."""

    SEAL = "seal"
    """Wraps the key under which subjects' keys are sealed, and the index key: who has it can decrypt."""
    LOOKUP = "lookup"
    """Wraps the key that tells whether a pseudonym is alive: who has it can decrypt nobody."""


class KeyState(StrEnum):
    """What the service says of a key."""

    PRESENT = "present"
    SCHEDULED = "scheduled"
    """Refuses to be used, and will be destroyed at a time that the service has set."""
    DESTROYED = "destroyed"


@dataclass(frozen=True)
class Destruction:
    """What the service reports after a key was destroyed: at once or at a time to come (UTC), and what it does not
    reach.
    """

    state: KeyState
    at: datetime | None
    note: str = ""


class KeyService(Protocol):
    """A key management service. Every method raises StoreUnavailableError while it is away (then trying again may
    help) and SettingsError where it refuses our credentials.
    """

    @property
    def name(self) -> str:
        """A short name for people and for the audit ledger, such as `local` or `vault`."""
        ...

    @property
    def development(self) -> bool:
        """True where the keys are not kept by anyone else than the data: fit for development only."""
        ...

    def create(self, epoch: int, purpose: Purpose) -> str:
        """The address of this epoch's key, made if it isn't there: repeating changes nothing."""
        ...

    def wrap(self, uri: str, secret: Secret, associated: bytes) -> bytes:
        """Encrypt a key under the one at `uri`, bound to `associated`. Raises KeyUnavailableError when that is gone."""
        ...

    def unwrap(self, uri: str, wrapped: bytes, associated: bytes) -> Secret:
        """Undo `wrap`. Raises KeyUnavailableError when the key is gone, TokenError when `wrapped` was altered, or
        belongs to another key or place.
        """
        ...

    def destroy(self, uri: str) -> Destruction:
        """Destroy the key for good; says the same again when repeated."""
        ...

    def state(self, uri: str) -> KeyState:
        """What became of the key."""
        ...
