"""Keys as Tink keysets in files of this machine: for development.

Whoever can read the folder has every key, and a copy of a file outlives its destruction. Folders are made with mode
0700 and files with 0600; looser ones are refused.
"""

import os
import re
import secrets
import stat
from pathlib import Path

import tink
from tink import aead, json_proto_keyset_format, secret_key_access

from governance.errors import KeyUnavailableError, SettingsError, StoreUnavailableError, TokenError
from governance.model.clock import Clock, system_clock
from governance.model.secret import Secret
from governance.protection.keyservice import Destruction, KeyState, Purpose

_URI = re.compile(r"local:(epoch-[0-9]{6,}-[a-z]+)")
_NOTE = "a local keyset file: copies of it and the disk's own remains are beyond Kasbah's reach"


class LocalKeyService:
    """`KeyService` on a folder: one keyset file for each epoch and purpose."""

    name = "local"
    development = True

    def __init__(self, folder: Path, clock: Clock = system_clock) -> None:
        self._folder = folder
        self._clock = clock
        aead.register()

    def create(self, epoch: int, purpose: Purpose) -> str:
        """See `KeyService.create`. The file is there whole or not at all, and on disk before its address is told."""
        name = f"epoch-{epoch:06}-{purpose}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check(self._folder, 0o077)
            if not self._file(name).exists():
                self._write(name)
            self._check(self._file(name), 0o177)
        except OSError as error:
            raise _unavailable(error) from None
        return f"local:{name}"

    def wrap(self, uri: str, secret: Secret, associated: bytes) -> bytes:
        """See `KeyService.wrap`."""
        return bytes(self._aead(uri).encrypt(secret.reveal(), associated))

    def unwrap(self, uri: str, wrapped: bytes, associated: bytes) -> Secret:
        """See `KeyService.unwrap`."""
        cipher = self._aead(uri)
        try:
            return Secret(cipher.decrypt(wrapped, associated))
        except tink.TinkError:
            raise TokenError(f"{uri}: a wrapped key doesn't open: it was altered or belongs elsewhere") from None

    def destroy(self, uri: str) -> Destruction:
        """See `KeyService.destroy`. The file is overwritten, removed, and the folder written to disk."""
        file = self._file(_name(uri))
        try:
            with file.open("r+b") as keyset:
                keyset.write(secrets.token_bytes(file.stat().st_size))
                keyset.flush()
                os.fsync(keyset.fileno())
            file.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _unavailable(error) from None
        self._sync()
        return Destruction(KeyState.DESTROYED, self._clock(), _NOTE)

    def state(self, uri: str) -> KeyState:
        """See `KeyService.state`."""
        return KeyState.PRESENT if self._file(_name(uri)).exists() else KeyState.DESTROYED

    def _aead(self, uri: str) -> aead.Aead:
        file = self._file(_name(uri))
        try:
            self._check(self._folder, 0o077)
            self._check(file, 0o177)
            keyset = json_proto_keyset_format.parse(file.read_text(), secret_key_access.TOKEN)
            return keyset.primitive(aead.Aead)
        except FileNotFoundError:
            raise KeyUnavailableError(f"{uri}: its keyset file is destroyed or was never made") from None
        except OSError as error:
            raise _unavailable(error) from None
        except (tink.TinkError, ValueError):
            raise KeyUnavailableError(f"{uri}: {file.name} is no Tink keyset") from None

    def _write(self, name: str) -> None:
        """Under a passing name first; linked, so that of two writers the first one's stays."""
        keyset = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM)
        passing = self._folder / f".{name}.{secrets.token_hex(4)}"
        opened = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(opened, "w") as file:
                file.write(json_proto_keyset_format.serialize(keyset, secret_key_access.TOKEN))
                file.flush()
                os.fsync(file.fileno())
            self._file(name).hardlink_to(passing)
        except FileExistsError:
            pass
        finally:
            passing.unlink()
        self._sync()

    def _sync(self) -> None:
        try:
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileNotFoundError:
            pass

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    @staticmethod
    def _check(path: Path, forbidden: int) -> None:
        if stat.S_IMODE(path.stat().st_mode) & forbidden:
            wanted = 0o700 if path.is_dir() else 0o600
            raise SettingsError(f"{path} holds keys and is open to other users: run `chmod {wanted:o} {path}`")


def _name(uri: str) -> str:
    match = _URI.fullmatch(uri)
    if match is None:
        raise SettingsError("an epoch's key is not kept in local files: set kms.kind to the service that keeps it")
    return match[1]


def _unavailable(error: OSError) -> StoreUnavailableError | SettingsError:
    if isinstance(error, PermissionError):
        return SettingsError("the key folder (kms.folder) belongs to another user, or may not be written")
    return StoreUnavailableError(f"the key folder (kms.folder) can't be used: {error.strerror}")
