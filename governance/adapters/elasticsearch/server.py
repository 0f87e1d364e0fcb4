"""Requests to Elasticsearch, with its answers and failures as this project's.

An answer's `reason` quotes documents, so only its `type` ever gets into a message.
"""

from dataclasses import dataclass
from typing import Any

from elastic_transport import OrjsonSerializer, TransportError
from elasticsearch import ApiError, Elasticsearch

from governance.adapters.settings import ElasticsearchSettings
from governance.errors import SettingsError, StoreUnavailableError, UserError

_JSON = {"accept": "application/json", "content-type": "application/json"}
_LINES = {"accept": "application/json", "content-type": "application/x-ndjson"}
_SECONDS = 60.0
_LATER = frozenset({408, 429, 500, 502, 503, 504})
BLOCKED = "cluster_block_exception"


@dataclass(frozen=True)
class Answer:
    """A status and a body; `kind` is the type of its error, empty where there is none."""

    status: int
    body: Any
    kind: str = ""


class Server:
    """One Elasticsearch. Safe from several threads."""

    def __init__(self, settings: ElasticsearchSettings) -> None:
        if not settings.address:
            raise SettingsError(
                "no Elasticsearch is set: KASBAH_ELASTICSEARCH__ADDRESS, or [elasticsearch] address in kasbah.toml"
            )
        who: dict[str, Any] = {}
        if settings.user:
            who["basic_auth"] = (settings.user, settings.password.get_secret_value())
        if settings.certificates:
            who["ca_certs"] = str(settings.certificates)
        self._client = Elasticsearch(
            settings.address,
            **who,
            http_compress=False,
            max_retries=0,
            retry_on_timeout=False,
            request_timeout=_SECONDS,
            serializer=OrjsonSerializer(),
        )

    def ask(self, method: str, path: str, body: Any = None, *, lines: bool = False) -> Answer:
        """One request. A refusal of the 400s is an answer; `lines` sends bytes of NDJSON as they are.

        Raises StoreUnavailableError where the server is away, busy, full or too slow; UserError where it knows nobody
        of that name and password, or lets him do nothing here.
        """
        try:
            found = self._client.perform_request(method, path, headers=_LINES if lines else _JSON, body=body)
        except ApiError as error:
            return _refusal(error)
        except TransportError as error:
            raise StoreUnavailableError(f"Elasticsearch doesn't answer ({type(error).__name__})") from None
        return Answer(found.meta.status, found.body)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def _refusal(error: ApiError) -> Answer:
    status, kind = error.meta.status, kind_of(error.body)
    if kind == BLOCKED:
        raise StoreUnavailableError(blocked())
    if status in _LATER:
        raise StoreUnavailableError(f"Elasticsearch takes nothing now (status {status}{', ' + kind if kind else ''})")
    if status in (401, 403):
        raise UserError(f"Elasticsearch refuses this user (status {status}): give it the rights, or another user")
    return Answer(status, error.body, kind or f"status_{status}")


def blocked() -> str:
    """What is to be said of an index that takes no writes."""
    return (
        "Elasticsearch blocks writes: mostly its disk is above the flood-stage watermark "
        "(index.blocks.read_only_allow_delete). Free some space, and lift the block where the server doesn't"
    )


def kind_of(body: Any) -> str:
    """The type of an error, as the server calls it; empty where it says none."""
    error = body.get("error") if isinstance(body, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    return kind if isinstance(kind, str) else ""
