"""Key services: what they wrap opens only there, only in its place, and never again once the key is destroyed."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google_kms import States, running_google_kms
from openbao import OpenBao, running_openbao

from governance.adapters.kms.gcp import GcpKeyService
from governance.adapters.kms.local import LocalKeyService
from governance.adapters.kms.vault import VaultKeyService
from governance.errors import KeyUnavailableError, SettingsError, StoreUnavailableError, TokenError
from governance.model.secret import Secret
from governance.protection.keyservice import KeyService, KeyState, Purpose

KEY = Secret(bytes(range(32)))


@pytest.fixture(scope="module")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("bao")) as server:
        yield server


RING = "projects/tests/locations/europe-west1/keyRings/kasbah"


@pytest.fixture(params=["local", "vault", "gcp"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyService]:
    """Real services; Google's is real on our side only, with a stand-in at the other end."""
    if request.param == "local":
        yield LocalKeyService(tmp_path / "keys")
        return
    if request.param == "gcp":
        with running_google_kms() as (_, client):
            yield GcpKeyService(RING, client=client)
        return
    server: OpenBao = request.getfixturevalue("openbao")
    mount = f"t{abs(hash(tmp_path))}"
    server.client().sys.enable_secrets_engine("transit", path=mount)
    yield VaultKeyService(server.address, Secret(server.token.encode()), mount)


def test_what_is_wrapped_opens_again(service: KeyService) -> None:
    uri = service.create(1, Purpose.SEAL)
    wrapped = service.wrap(uri, KEY, b"here")
    assert KEY.reveal() not in wrapped
    assert service.unwrap(uri, wrapped, b"here").same_as(KEY)
    assert service.state(uri) is KeyState.PRESENT


def test_making_a_key_twice_keeps_the_first(service: KeyService) -> None:
    uri = service.create(1, Purpose.SEAL)
    wrapped = service.wrap(uri, KEY, b"")
    assert service.create(1, Purpose.SEAL) == uri
    assert service.unwrap(uri, wrapped, b"").same_as(KEY)


def test_a_wrapped_key_opens_only_where_it_belongs(service: KeyService) -> None:
    one, two = service.create(1, Purpose.SEAL), service.create(2, Purpose.SEAL)
    lookup = service.create(1, Purpose.LOOKUP)
    wrapped = service.wrap(one, KEY, b"here")
    for uri, place in ((one, b"there"), (one, b""), (two, b"here"), (lookup, b"here")):
        with pytest.raises(TokenError):
            service.unwrap(uri, wrapped, place)
    for altered in (wrapped[:-1], wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"", b"x" * len(wrapped)):
        with pytest.raises(TokenError):
            service.unwrap(one, altered, b"here")


def test_a_destroyed_key_opens_nothing_and_stays_destroyed(service: KeyService) -> None:
    uri = service.create(1, Purpose.SEAL)
    wrapped = service.wrap(uri, KEY, b"")
    report = service.destroy(uri)
    gone = KeyState.SCHEDULED if service.name == "gcp" else KeyState.DESTROYED
    assert report.state is gone and report.at is not None and report.at.tzinfo is not None and report.note
    assert service.destroy(uri).state is gone
    assert service.state(uri) is gone
    with pytest.raises(KeyUnavailableError):
        service.unwrap(uri, wrapped, b"")
    with pytest.raises(KeyUnavailableError):
        service.wrap(uri, KEY, b"")
    assert service.state(uri) is gone, "trying did not bring it back"


def test_a_key_of_another_service_is_a_wrong_setting(service: KeyService) -> None:
    with pytest.raises(SettingsError, match=r"kms\.kind"):
        service.unwrap("elsewhere:key", b"", b"")


def test_google_says_when_a_key_will_be_destroyed() -> None:
    with running_google_kms() as (kms, client):
        service = GcpKeyService(RING, client=client)
        uri = service.create(1, Purpose.SEAL)
        assert uri == f"gcp-kms://{RING}/cryptoKeys/kasbah-epoch-000001-seal"
        report = service.destroy(uri)
        assert report.at is not None
        assert timedelta(hours=23) < report.at - datetime.now(UTC) <= timedelta(hours=24)
        (_, version) = kms.keys[uri.removeprefix("gcp-kms://")]
        version.state = States.DESTROYED
        version.destroy_event_time = version.destroy_time
        assert service.state(uri) is KeyState.DESTROYED
        assert service.destroy(uri).state is KeyState.DESTROYED


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (grpc.StatusCode.UNAVAILABLE, StoreUnavailableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, StoreUnavailableError),
        (grpc.StatusCode.INTERNAL, StoreUnavailableError),
        (grpc.StatusCode.PERMISSION_DENIED, SettingsError),
        (grpc.StatusCode.UNAUTHENTICATED, SettingsError),
    ],
)
def test_google_answers_are_told_apart(answer: grpc.StatusCode, error: type[Exception]) -> None:
    with running_google_kms() as (kms, client):
        service = GcpKeyService(RING, client=client)
        uri = service.create(1, Purpose.SEAL)
        kms.refusing = answer
        for ask in (lambda: service.create(2, Purpose.SEAL), lambda: service.destroy(uri), lambda: service.state(uri)):
            with pytest.raises(error) as raised:
                ask()
            assert "refused by the test" not in str(raised.value)


def test_google_without_credentials_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"kms\.credentials"):
        GcpKeyService(RING, tmp_path / "none.json")
    (tmp_path / "empty.json").write_text("{}")
    with pytest.raises(SettingsError, match=r"kms\.credentials"):
        GcpKeyService(RING, tmp_path / "empty.json")
    with pytest.raises(SettingsError, match=r"kms\.key_ring"):
        GcpKeyService("kasbah")


def test_local_keys_say_that_they_are_for_development(tmp_path: Path) -> None:
    assert LocalKeyService(tmp_path / "keys").development
    assert not VaultKeyService("http://127.0.0.1:1", Secret(b"t")).development


def test_local_keys_are_closed_to_other_users(tmp_path: Path) -> None:
    service = LocalKeyService(tmp_path / "keys")
    uri = service.create(1, Purpose.SEAL)
    (file,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        service.wrap(uri, KEY, b"")
    file.chmod(0o600)
    (tmp_path / "keys").chmod(0o750)
    with pytest.raises(SettingsError, match="chmod 700"):
        service.wrap(uri, KEY, b"")


def test_a_damaged_keyset_is_no_key(tmp_path: Path) -> None:
    service = LocalKeyService(tmp_path / "keys")
    uri = service.create(1, Purpose.SEAL)
    (file,) = (tmp_path / "keys").iterdir()
    file.write_text("{}")
    with pytest.raises(KeyUnavailableError):
        service.wrap(uri, KEY, b"")


def test_destroying_overwrites_the_keyset_before_it_goes(tmp_path: Path) -> None:
    service = LocalKeyService(tmp_path / "keys")
    uri = service.create(1, Purpose.SEAL)
    (file,) = (tmp_path / "keys").iterdir()
    (tmp_path / "other-name").hardlink_to(file)
    before = file.read_bytes()
    service.destroy(uri)
    after = (tmp_path / "other-name").read_bytes()
    assert len(after) == len(before) and before[:20] not in after
    assert not file.exists()


def test_a_vault_that_is_away_is_worth_another_try() -> None:
    service = VaultKeyService("http://127.0.0.1:1", Secret(b"token"))
    with pytest.raises(StoreUnavailableError):
        service.create(1, Purpose.SEAL)
    with pytest.raises(StoreUnavailableError):
        service.unwrap("vault:transit:kasbah-epoch-000001-seal", b"x" * 60, b"")


def test_a_vault_token_without_the_right_is_a_wrong_setting(openbao: OpenBao) -> None:
    service = VaultKeyService(openbao.address, Secret(b"no such token"))
    with pytest.raises(SettingsError) as raised:
        service.create(1, Purpose.SEAL)
    assert "no such token" not in str(raised.value)


def test_a_vault_role_for_lookups_opens_no_sealing_key(openbao: OpenBao) -> None:
    owner = VaultKeyService(openbao.address, Secret(openbao.token.encode()))
    seal, lookup = owner.create(7, Purpose.SEAL), owner.create(7, Purpose.LOOKUP)
    wrapped, wrapped_lookup = owner.wrap(seal, KEY, b""), owner.wrap(lookup, KEY, b"")
    paths = "".join(
        f'path "transit/{verb}/kasbah-epoch-000007-lookup" {{ capabilities = ["read", "update"] }}\n'
        for verb in ("decrypt", "keys")
    )
    admin = openbao.client()
    admin.sys.create_or_update_policy("lookups", paths)
    token = admin.auth.token.create(policies=["lookups"])["auth"]["client_token"]
    consumer = VaultKeyService(openbao.address, Secret(token.encode()))
    assert consumer.unwrap(lookup, wrapped_lookup, b"").same_as(KEY)
    with pytest.raises(SettingsError):
        consumer.unwrap(seal, wrapped, b"")
