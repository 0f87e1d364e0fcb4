"""Ed25519 keys in files: the signing key as PKCS#8 PEM with mode 0600, the public key beside it as `<name>.pub`."""

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from governance.audit.heads import Ed25519Signer, VerifyingKey
from governance.errors import SettingsError
from governance.model.secret import Secret


def public_path(path: Path) -> Path:
    """Where the public half of the signing key at `path` is written."""
    return path.with_name(path.name + ".pub")


def create_signing_key(path: Path) -> Ed25519Signer:
    """Make a new key (0600) and its public file (0644), both synced to disk. Raises SettingsError where one stands."""
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_new(public_path(path), public, 0o644)
    return Ed25519Signer(Secret(key.private_bytes_raw()))


def load_signing_key(path: Path) -> Ed25519Signer:
    """The signer of a key file. Raises SettingsError where it is missing, no Ed25519 key, or open to other users."""
    content = _read(path, "the signing key", private=True)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"the signing key {path} is no Ed25519 key in PEM")
    return Ed25519Signer(Secret(key.private_bytes_raw()))


def load_verifying_key(path: Path) -> VerifyingKey:
    """The public key in a PEM file. Raises SettingsError where it is missing or something else."""
    content = _read(path, "the verifying key", private=False)
    try:
        key = load_pem_public_key(content)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"the verifying key {path} is no Ed25519 public key in PEM")
    return VerifyingKey(key.public_bytes_raw())


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise SettingsError(f"{path} is there already: a signing key is never overwritten") from None
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {os.strerror(error.errno or 0)}") from None
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _read(path: Path, what: str, *, private: bool) -> bytes:
    """At most 64 KiB of a plain file; the checks are made on what is open, so nothing can be swapped in between."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(f"{what} {path} can't be read: {os.strerror(error.errno or 0)}") from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(f"{what} {path} is no plain file")
        if private and stat.S_IMODE(found.st_mode) & 0o077:
            raise SettingsError(f"{what} {path} is open to other users: run `chmod 600 {path}`")
        return file.read(1 << 16)
