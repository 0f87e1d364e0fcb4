"""Settings: the only reader of the environment. `KASBAH_…` variables win over the file that KASBAH_SETTINGS names
(TOML, `kasbah.toml` in the working folder unless said). Secrets belong into that file with mode 0600, or the
environment.
"""

import os
import stat
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from governance.errors import SettingsError

_FILE = "KASBAH_SETTINGS"


class KmsSettings(BaseModel):
    """Where epochs' keys are kept: a folder (development), OpenBao/Vault transit, or Google Cloud KMS."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["local", "vault", "gcp"] = "local"
    folder: Path = Path(".state/keys")
    address: str = ""
    token: SecretStr = SecretStr("")
    mount: str = "transit"
    key_ring: str = ""
    credentials: Path | None = None


class ScanSettings(BaseModel):
    """How undeclared personal data is searched for. `names` is a spaCy pipeline that finds people in free text: a
    folder, or an installed package; without one, free text is cannot-tell. `seconds` is what one cell may take.
    """

    model_config = ConfigDict(extra="forbid")

    names: str = ""
    seconds: float = Field(default=1.0, gt=0, le=60)


class KafkaSettings(BaseModel):
    """Where the brokers are, and what else librdkafka is to be told (`security.protocol`, `sasl.password`, …)."""

    model_config = ConfigDict(extra="forbid")

    brokers: str = ""
    options: dict[str, SecretStr] = Field(default_factory=dict)


class ElasticsearchSettings(BaseModel):
    """Where Elasticsearch is. `certificates` is a file with those of its authority."""

    model_config = ConfigDict(extra="forbid")

    address: str = ""
    user: str = ""
    password: SecretStr = SecretStr("")
    certificates: Path | None = None


class CassandraSettings(BaseModel):
    """Where Cassandra is: hosts with a comma between, and the port of its native protocol."""

    model_config = ConfigDict(extra="forbid")

    hosts: str = ""
    port: int = Field(default=9042, ge=1, le=65535)
    user: str = ""
    password: SecretStr = SecretStr("")
    replication: int = Field(default=1, ge=1, le=9)


class Settings(BaseSettings):
    """Everything an installation may set. Addresses are libpq addresses or URLs."""

    model_config = SettingsConfigDict(env_prefix="KASBAH_", env_nested_delimiter="__", extra="forbid")

    control: SecretStr = SecretStr("")
    warehouse: SecretStr = SecretStr("")
    lake: str = ".state/lake"
    contracts: Path = Path("contracts")
    anchor: Path = Path(".state/anchor.jsonl")
    signing_key: Path = Path(".state/signing.key")
    verifying_key: Path | None = None
    sources: dict[str, str] = Field(default_factory=dict, description="source name -> location")
    kms: KmsSettings = KmsSettings()
    scan: ScanSettings = ScanSettings()
    kafka: KafkaSettings = KafkaSettings()
    elasticsearch: ElasticsearchSettings = ElasticsearchSettings()
    cassandra: CassandraSettings = CassandraSettings()
    mongodb: SecretStr = SecretStr("")
    actor: str = Field(default="unknown", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/#+-]{0,127}$")
    role: str = ""
    batch_rows: int = Field(default=131_072, ge=1_000, le=1_000_000)
    threads: int = Field(default=2, ge=1, le=64)
    lease_seconds: int = Field(default=120, ge=5, le=3600)
    epoch_cache_seconds: int = Field(default=60, ge=0, le=60)

    @field_validator("control", "warehouse")
    @classmethod
    def _is_address(cls, address: SecretStr) -> SecretStr:
        """So that a slip is found before anything is opened. The library's own words would quote the address."""
        try:
            conninfo_to_dict(address.get_secret_value())
        except psycopg.ProgrammingError:
            raise ValueError("is no address of a PostgreSQL database, such as postgresql://host/name") from None
        return address

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_settings_file())


def load_settings(**overrides: Any) -> Settings:
    """Read them. Raises SettingsError that names each wrong setting, never its value."""
    file = _settings_file()
    if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise SettingsError(f"{file} may hold secrets and is open to other users: run `chmod 600 {file}`")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        places = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors(include_input=False)]
        raise SettingsError("settings: " + "; ".join(f"{place}: {what}" for place, what in places)) from None
    except ValueError as error:
        raise SettingsError(f"{file} is not TOML ({type(error).__name__}): mend it or unset {_FILE}") from None


def _settings_file() -> Path:
    return Path(os.environ.get(_FILE, "kasbah.toml"))
