"""Keys in Google Cloud KMS: one crypto key with a single version for each epoch and purpose.

Google keeps a destroyed version for a day or more (30 days unless the key ring's policy says otherwise) before it is
gone; until then it refuses to be used, but an administrator can restore it. `destroy` reports that moment.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tink
from google.api_core import exceptions as answers
from google.auth import exceptions as credentials_errors
from google.cloud import kms_v1
from google.protobuf import duration_pb2
from tink import aead
from tink.integration import gcpkms

from governance.errors import KeyUnavailableError, SettingsError, StoreUnavailableError, TokenError
from governance.model.secret import Secret
from governance.protection.keyservice import Destruction, KeyState, Purpose

_RING = re.compile(r"projects/[^/]+/locations/[a-zA-Z0-9_-]{1,63}/keyRings/[a-zA-Z0-9_-]{1,63}")
_URI = re.compile(r"gcp-kms://(projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/kasbah-epoch-[0-9]{6,}-[a-z]+)")
_VERSION = "cryptoKeyVersions/1"
_WAIT = 24 * 3600
"""The shortest time, in seconds, between the order to destroy a version and its destruction."""
_TIMEOUT = 20.0
_NOTE = "Google Cloud KMS destroys the version at that moment; until then an administrator may restore it"


class GcpKeyService:
    """`KeyService` on a key ring, `projects/…/locations/…/keyRings/…`.

    credentials: a service account's file; the machine's own (Workload Identity) if None. client: a ready
    KeyManagementServiceClient instead. Raises SettingsError where there are no credentials.
    """

    name = "gcp"
    development = False

    def __init__(self, key_ring: str, credentials: Path | None = None, client: Any = None) -> None:
        if not _RING.fullmatch(key_ring):
            raise SettingsError("kms.key_ring must read projects/<project>/locations/<location>/keyRings/<ring>")
        self._ring = key_ring
        with _answers(key_ring):
            self._client = client or _client(credentials)
        self._tink = gcpkms.new_client(kms_v1_client=self._client)
        aead.register()

    def create(self, epoch: int, purpose: Purpose) -> str:
        """See `KeyService.create`."""
        name = f"kasbah-epoch-{epoch:06}-{purpose}"
        key = kms_v1.CryptoKey(
            purpose=kms_v1.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT,
            destroy_scheduled_duration=duration_pb2.Duration(seconds=_WAIT),
            labels={"kasbah": str(purpose)},
        )
        with _answers(name):
            try:
                request = {"parent": self._ring, "crypto_key_id": name, "crypto_key": key}
                self._client.create_crypto_key(request=request, retry=None, timeout=_TIMEOUT)
            except answers.AlreadyExists:
                pass
        return f"gcp-kms://{self._ring}/cryptoKeys/{name}"

    def wrap(self, uri: str, secret: Secret, associated: bytes) -> bytes:
        """See `KeyService.wrap`."""
        _name(uri)
        with _answers(uri):
            return bytes(self._tink.get_aead(uri).encrypt(secret.reveal(), associated))

    def unwrap(self, uri: str, wrapped: bytes, associated: bytes) -> Secret:
        """See `KeyService.unwrap`."""
        _name(uri)
        with _answers(uri):
            return Secret(self._tink.get_aead(uri).decrypt(wrapped, associated))

    def destroy(self, uri: str) -> Destruction:
        """See `KeyService.destroy`."""
        if self.state(uri) is KeyState.PRESENT:
            with _answers(uri):
                request = {"name": f"{_name(uri)}/{_VERSION}"}
                self._client.destroy_crypto_key_version(request=request, retry=None, timeout=_TIMEOUT)
        with _answers(uri):
            version = self._version(uri)
        state = _state(version)
        if state is KeyState.PRESENT:
            raise StoreUnavailableError(f"{uri}: the key service did not take the order to destroy the key")
        moment = version.destroy_event_time or version.destroy_time
        return Destruction(state, moment and datetime.fromtimestamp(moment.timestamp(), UTC), _NOTE)

    def state(self, uri: str) -> KeyState:
        """See `KeyService.state`."""
        try:
            with _answers(uri):
                return _state(self._version(uri))
        except KeyUnavailableError:
            return KeyState.DESTROYED

    def _version(self, uri: str) -> Any:
        request = {"name": f"{_name(uri)}/{_VERSION}"}
        return self._client.get_crypto_key_version(request=request, retry=None, timeout=_TIMEOUT)


def _client(credentials: Path | None) -> Any:
    if credentials is None:
        return kms_v1.KeyManagementServiceClient()
    return kms_v1.KeyManagementServiceClient.from_service_account_file(str(credentials))


def _name(uri: str) -> str:
    match = _URI.fullmatch(uri)
    if match is None:
        raise SettingsError("an epoch's key is not kept in Google Cloud KMS: set kms.kind to the service that has it")
    return match[1]


def _state(version: Any) -> KeyState:
    states = kms_v1.CryptoKeyVersion.CryptoKeyVersionState
    if version.state == states.DESTROY_SCHEDULED:
        return KeyState.SCHEDULED
    return KeyState.DESTROYED if version.state == states.DESTROYED else KeyState.PRESENT


@contextmanager
def _answers(what: str) -> Iterator[None]:
    """The client's errors as ours. What the service says is left out: it may quote the request."""
    try:
        yield
    except tink.TinkError as error:
        cause = error.args[0] if error.args else error
        raise _error(what, cause if isinstance(cause, Exception) else error) from None
    except (answers.GoogleAPIError, credentials_errors.GoogleAuthError, OSError, ValueError) as error:
        raise _error(what, error) from None


def _error(what: str, cause: Exception) -> Exception:
    refused = (answers.Forbidden, answers.Unauthorized, credentials_errors.GoogleAuthError)
    if isinstance(cause, credentials_errors.TransportError):
        return StoreUnavailableError(f"{what}: Google Cloud can't be reached")
    if isinstance(cause, (*refused, FileNotFoundError, PermissionError)) or type(cause) is ValueError:
        return SettingsError(f"{what}: Google Cloud KMS has no usable credentials from us (kms.credentials)")
    if isinstance(cause, answers.NotFound | answers.FailedPrecondition):
        return KeyUnavailableError(f"{what}: the key is destroyed, disabled, or was never made")
    if isinstance(cause, answers.BadRequest):
        return TokenError(f"{what}: a wrapped key doesn't open: it was altered or belongs elsewhere")
    if isinstance(cause, answers.GoogleAPIError | OSError):
        return StoreUnavailableError(f"{what}: Google Cloud KMS can't be reached ({type(cause).__name__})")
    return TokenError(f"{what}: a wrapped key doesn't open: it was altered or belongs elsewhere")
