"""Keys in the transit engine of OpenBao or HashiCorp Vault: one for each epoch and purpose, deleted at its end.

Tink's client for it takes no associated data, so a key is wrapped as an envelope: under a one-time AES-256-GCM key that
authenticates the associated data, and this one under the transit key.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import hvac
import tink
from tink import aead
from tink.integration import hcvault

from governance.errors import KeyUnavailableError, SettingsError, StoreUnavailableError, TokenError
from governance.model.clock import Clock, system_clock
from governance.model.secret import Secret
from governance.protection.keyservice import Destruction, KeyState, Purpose

_URI = re.compile(r"vault:(?P<mount>[^:]+):(?P<name>kasbah-epoch-[0-9]{6,}-[a-z]+)")
_TIMEOUT = 10
_NOTE = "deleted from the transit engine; a backup of the key service's own storage is beyond Kasbah's reach"


class VaultKeyService:
    """`KeyService` on a transit engine.

    address: URL of the server; token: of a role that may create, read, configure, delete, and use for encryption and
    decryption, the keys `<mount>/keys/kasbah-epoch-*`.
    """

    name = "vault"
    development = False

    def __init__(self, address: str, token: Secret, mount: str = "transit", clock: Clock = system_clock) -> None:
        if not address.startswith(("http://", "https://")):
            raise SettingsError("kms.address must be the key service's URL")
        self._client = hvac.Client(url=address, token=token.reveal().decode(), timeout=_TIMEOUT)
        self._transit = self._client.secrets.transit
        self._mount = mount.strip("/")
        self._clock = clock
        aead.register()

    def create(self, epoch: int, purpose: Purpose) -> str:
        """See `KeyService.create`. The key can't be exported, nor backed up in plain."""
        name = f"kasbah-epoch-{epoch:06}-{purpose}"
        with _answers(self._mount):
            self._transit.create_key(
                name, exportable=False, allow_plaintext_backup=False, key_type="aes256-gcm96", mount_point=self._mount
            )
        return f"vault:{self._mount}:{name}"

    def wrap(self, uri: str, secret: Secret, associated: bytes) -> bytes:
        """See `KeyService.wrap`."""
        # The server makes a key that is encrypted with and isn't there: a destroyed one would come back, empty.
        if self.state(uri) is not KeyState.PRESENT:
            raise KeyUnavailableError(f"{uri}: the key is destroyed or was never made")
        with _answers(uri):
            return bytes(self._aead(uri).encrypt(secret.reveal(), associated))

    def unwrap(self, uri: str, wrapped: bytes, associated: bytes) -> Secret:
        """See `KeyService.unwrap`."""
        try:
            with _answers(uri):
                return Secret(self._aead(uri).decrypt(wrapped, associated))
        except TokenError:
            # The server answers alike for a missing key and for a wrong ciphertext.
            if self.state(uri) is KeyState.PRESENT:
                raise
            raise KeyUnavailableError(f"{uri}: the key is destroyed or was never made") from None

    def destroy(self, uri: str) -> Destruction:
        """See `KeyService.destroy`."""
        mount, name = _place(uri)
        if self.state(uri) is KeyState.PRESENT:
            with _answers(uri):
                self._transit.update_key_configuration(name, deletion_allowed=True, mount_point=mount)
                self._transit.delete_key(name, mount_point=mount)
        if self.state(uri) is not KeyState.DESTROYED:
            raise StoreUnavailableError(f"{uri}: the key service did not delete the key")
        return Destruction(KeyState.DESTROYED, self._clock(), _NOTE)

    def state(self, uri: str) -> KeyState:
        """See `KeyService.state`."""
        mount, name = _place(uri)
        try:
            with _answers(uri):
                self._transit.read_key(name, mount_point=mount)
        except KeyUnavailableError:
            return KeyState.DESTROYED
        return KeyState.PRESENT

    def _aead(self, uri: str) -> aead.Aead:
        mount, name = _place(uri)
        remote = hcvault.new_aead(f"{mount}/keys/{name}", self._client)
        return aead.KmsEnvelopeAead(aead.aead_key_templates.AES256_GCM, remote)


def _place(uri: str) -> tuple[str, str]:
    match = _URI.fullmatch(uri)
    if match is None:
        raise SettingsError("an epoch's key is not kept in the transit engine: set kms.kind to the service that has it")
    return match["mount"], match["name"]


@contextmanager
def _answers(what: str) -> Iterator[None]:
    """The client's errors as ours. What the server says is left out: it may quote the request."""
    try:
        yield
    except tink.TinkError as error:
        cause = error.args[0] if error.args else error
        raise _error(what, cause if isinstance(cause, Exception) else error) from None
    except (hvac.exceptions.VaultError, OSError) as error:
        raise _error(what, error) from None


def _error(what: str, cause: Exception) -> Exception:
    if isinstance(cause, hvac.exceptions.Forbidden | hvac.exceptions.Unauthorized):
        return SettingsError(f"{what}: the key service refuses our token (kms.token) or its policy")
    if isinstance(cause, hvac.exceptions.InvalidPath):
        return KeyUnavailableError(f"{what}: the key service has no such key, or no transit engine there (kms.mount)")
    if isinstance(cause, hvac.exceptions.InvalidRequest | hvac.exceptions.ParamValidationError):
        return TokenError(f"{what}: a wrapped key doesn't open: it was altered or belongs elsewhere")
    if isinstance(cause, hvac.exceptions.VaultError | OSError):
        return StoreUnavailableError(f"{what}: the key service is away, sealed or overloaded ({type(cause).__name__})")
    return TokenError(f"{what}: a wrapped key doesn't open: it was altered or belongs elsewhere")
