"""Signed tree heads: "at this time the ledger had this many records, under this root", signed with Ed25519 (RFC 8032).

Whoever verifies brings the public key. A key that stands beside a head, in a database or a file, proves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from governance.audit.merkle import HASH_BYTES, Frontier
from governance.audit.records import MAX_INTEGER, Value, canonical, unstamp
from governance.errors import AuditError
from governance.model.secret import Secret

KIND: Final = "kasbah.head.v1"
"""Stands in the signed bytes, so that a signature over anything else is no head."""


class HeadError(AuditError):
    """A head is not well formed, or its signature doesn't hold."""


class HeadFault(StrEnum):
    """Why a head proves nothing, or only its root."""

    FOREIGN_KEY = "signed by another key"
    FORGED = "its signature doesn't hold"
    PEAKS = "its subtree roots don't lead to its root"


@dataclass(frozen=True)
class VerifyingKey:
    """A raw Ed25519 public key, 32 bytes, from the verifier's own side."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != HASH_BYTES:
            raise HeadError(f"an Ed25519 public key has {HASH_BYTES} bytes, not {len(self.raw)}")

    @property
    def id(self) -> str:
        """16 hex digits of its SHA-256: a name, not a proof."""
        return sha256(self.raw).hexdigest()[:16]

    def holds(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature is this key's over the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Signer(Protocol):
    """Signs heads; the key may be in a file, an agent or a KMS."""

    @property
    def verifying_key(self) -> VerifyingKey:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes over the message."""


class Ed25519Signer:
    """Signs with a key in memory."""

    def __init__(self, seed: Secret) -> None:
        """`seed`: the 32 bytes of RFC 8032's private key."""
        self._seed = seed
        public = Ed25519PrivateKey.from_private_bytes(seed.reveal()).public_key()
        self._verifying_key = VerifyingKey(public.public_bytes_raw())

    @property
    def verifying_key(self) -> VerifyingKey:
        """The public half."""
        return self._verifying_key

    def sign(self, message: bytes) -> bytes:
        """64 bytes over the message."""
        return Ed25519PrivateKey.from_private_bytes(self._seed.reveal()).sign(message)


@dataclass(frozen=True)
class SignedHead:
    """Size, root and time (`stamp`'s form) are signed. `peaks` are the roots of the perfect subtrees: they prove
    themselves, since they lead to the root, and let a verifier go on behind a damaged span.
    """

    size: int
    root: bytes
    at: str
    peaks: bytes
    key_id: str
    signature: bytes

    def fault(self, key: VerifyingKey) -> HeadFault | None:
        """What is wrong with it under the verifier's key. PEAKS leaves the signed root as good as it was."""
        if not key.holds(self.signature, _signed_bytes(self.size, self.root, self.at)):
            return HeadFault.FORGED if self.key_id == key.id else HeadFault.FOREIGN_KEY
        return None if self.peaks_hold() else HeadFault.PEAKS

    def peaks_hold(self) -> bool:
        """Whether the peaks lead to the root. Says nothing about the signature."""
        try:
            return self.frontier().root() == self.root
        except AuditError:
            return False

    def frontier(self) -> Frontier:
        """The tree at this head. Raises AuditError where the peaks don't fit the size."""
        return Frontier(self.size, split_peaks(self.peaks))

    def to_fields(self) -> dict[str, Value]:
        """For canonical JSON; bytes as lower-case hex."""
        return {
            "at": self.at,
            "key": self.key_id,
            "peaks": self.peaks.hex(),
            "root": self.root.hex(),
            "signature": self.signature.hex(),
            "size": self.size,
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, object]) -> "SignedHead":
        """The inverse. Raises HeadError unless exactly these fields are there, of the right types."""
        if set(fields) != {"at", "key", "peaks", "root", "signature", "size"}:
            raise HeadError("a signed head has the fields at, key, peaks, root, signature and size, and no other")
        size = fields["size"]
        if type(size) is not int or not 0 <= size <= MAX_INTEGER:
            raise HeadError("a signed head's field size is no size")
        unstamp(fields["at"])
        parts = {name: _unhex(name, fields[name]) for name in ("peaks", "root", "signature")}
        return cls(size, parts["root"], str(fields["at"]), parts["peaks"], str(fields["key"]), parts["signature"])


def sign_head(frontier: Frontier, at: str, signer: Signer) -> SignedHead:
    """The signed head of a tree. `at` is `stamp(moment)`."""
    root = frontier.root()
    signature = signer.sign(_signed_bytes(frontier.size, root, at))
    return SignedHead(frontier.size, root, at, b"".join(frontier.peaks), signer.verifying_key.id, signature)


def split_peaks(joined: bytes) -> list[bytes]:
    """Concatenated hashes, apart. A last one that is too short stays, and is refused by Frontier."""
    return [joined[i : i + HASH_BYTES] for i in range(0, len(joined), HASH_BYTES)]


def _signed_bytes(size: int, root: bytes, at: str) -> bytes:
    return canonical({"at": at, "kind": KIND, "root": root.hex(), "size": size})


def _unhex(name: str, text: object) -> bytes:
    try:
        value = bytes.fromhex(str(text))
    except ValueError:
        value = b""
    if value.hex() != text:
        raise HeadError(f"a signed head's field {name} is not lower-case hex")
    return value
