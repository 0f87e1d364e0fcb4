"""The key service that the settings name. A client is imported where it is used: Google's takes a second."""

from governance.adapters.kms.local import LocalKeyService
from governance.adapters.settings import KmsSettings
from governance.errors import SettingsError
from governance.model.clock import Clock
from governance.model.secret import Secret
from governance.protection.keyservice import KeyService


def open_key_service(settings: KmsSettings, clock: Clock) -> KeyService:
    """The service that keeps epochs' keys. Raises SettingsError that names what is missing."""
    if settings.kind == "local":
        return LocalKeyService(settings.folder, clock)
    if settings.kind == "vault":
        from governance.adapters.kms.vault import VaultKeyService

        token = settings.token.get_secret_value()
        if not token:
            raise SettingsError("kms.token is not set: the token with which the key service knows us")
        return VaultKeyService(settings.address, Secret(token.encode()), settings.mount, clock)
    from governance.adapters.kms.gcp import GcpKeyService

    return GcpKeyService(settings.key_ring, settings.credentials)
