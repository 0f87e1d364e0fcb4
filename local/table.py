"""All local services, and whether the settings have another one in a local one's place."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, SecretStr

from governance.adapters.settings import Settings
from local.cassandra import Cassandra
from local.elasticsearch import Elasticsearch
from local.kafka import Kafka
from local.mongodb import MongoDB
from local.postgres import PostgresServer
from local.s3 import S3
from local.service import STATE, Service

DATABASES = ("control", "warehouse", "shop")

_MAKERS: Mapping[str, Callable[[Path, Mapping[str, int]], Service]] = {
    "postgres": lambda folder, _: PostgresServer(folder, databases=DATABASES),
    "kafka": Kafka,
    "elasticsearch": Elasticsearch,
    "cassandra": Cassandra,
    "mongodb": MongoDB,
    "s3": S3,
}
NAMES = tuple(_MAKERS)
_CLIENT_ROLES = {kind.name: kind.roles[0] for kind in (Kafka, Elasticsearch, Cassandra, MongoDB, S3)}


def services(names: Iterable[str] = NAMES, ports: Mapping[str, int] | None = None) -> list[Service]:
    """Those named, in the order of NAMES, each in its folder below STATE. `ports` by name, as clients are told them."""
    wanted, asked = set(names), ports or {}
    return [
        make(STATE / name, {_CLIENT_ROLES[name]: asked[name]} if name in asked else {})
        for name, make in _MAKERS.items()
        if name in wanted
    ]


def is_external(service: Service, settings: Settings) -> bool:
    """True if the settings have an address for it that isn't the local one's."""
    asked = _value(settings, service.setting)
    unset = _value(Settings.model_construct(), service.setting)
    # A lake in a folder or another cloud's isn't a replacement for the local S3 server.
    if asked in ("", unset) or (service.name == "s3" and not asked.startswith("s3:")):
        return False
    if not service.known:
        return True
    return any(_value(settings, name) != value for name, value in service.settings().items())


def _value(settings: BaseModel, variable: str) -> str:
    """What the settings say where KASBAH_A__B would say it."""
    value: object = settings
    for part in variable.removeprefix("KASBAH_").lower().split("__"):
        value = getattr(value, part)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
