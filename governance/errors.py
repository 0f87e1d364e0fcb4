"""Every error that Kasbah raises, one tree.

KasbahError
├── UserError                    the caller can mend it; shown as one sentence, never as a stack trace
│   ├── SettingsError            a setting is missing or wrong
│   ├── ContractError            a contract is missing, wrong or breaks a promise (carries faults)
│   ├── SourceError              the input can't be read as its contract declares it
│   └── GateError                a gate blocked publication; the old version stays readable
├── ProtectionError              a key or a cell refuses
│   ├── KeyUnavailableError      no key: missing, destroyed, shredded or not ours
│   └── TokenError               a cell that is truncated, altered, or not of this origin
├── AuditError                   the ledger, a head or the anchor doesn't verify (carries findings)
│   └── RolledBackError          the control database is older than its anchor
├── LeaseExpiredError            a writer was too slow; it sends nothing
├── ConflictError                somebody else holds what is needed (a run, a rotation)
└── TransientError               retrying the same call may succeed
    ├── StoreUnavailableError    a database, lake or KMS is away or full
    └── SourceUnavailableError   an API or server answers late, wrongly or not at all

Whether to retry is a type: `except TransientError` and nothing else. A message says what was wrong, where, and
what to do. It never holds a data value.
"""


class KasbahError(Exception):
    """Root of the tree."""


class UserError(KasbahError):
    """The caller can mend it."""


class SettingsError(UserError):
    """A setting is missing or wrong."""


class ContractError(UserError):
    """A contract is missing, wrong or breaks a promise."""


class SourceError(UserError):
    """The input can't be read as its contract declares it."""


class GateError(UserError):
    """A gate blocked publication; the last good version stays readable."""


class ProtectionError(KasbahError):
    """A key or a cell refuses."""


class KeyUnavailableError(ProtectionError):
    """No key: missing, destroyed, shredded or not ours."""


class TokenError(ProtectionError):
    """A cell that is truncated, altered, or not of the origin it is read as."""


class AuditError(KasbahError):
    """The ledger, a signed head or the anchor doesn't verify."""


class RolledBackError(AuditError):
    """The control database is older than its anchor."""


class LeaseExpiredError(KasbahError):
    """The writer's lease has run out, so nothing more may be sent under it."""


class ConflictError(KasbahError):
    """Somebody else holds what is needed."""


class TransientError(KasbahError):
    """Retrying the same call may succeed."""


class StoreUnavailableError(TransientError):
    """A database, lake or key service is away or full."""


class SourceUnavailableError(TransientError):
    """A source answers late, wrongly or not at all."""
