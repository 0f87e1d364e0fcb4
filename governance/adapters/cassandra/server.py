"""Statements to Cassandra, with its failures as this project's.

A server's message may quote what was sent, so only the kind of an error ever gets into one of ours.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from threading import Lock
from typing import Any

from cassandra import (
    AuthenticationFailed,
    ConsistencyLevel,
    DriverException,
    OperationTimedOut,
    RequestExecutionException,
    RequestValidationException,
    Unauthorized,
)
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.concurrent import execute_concurrent_with_args
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.protocol import ErrorMessage
from cassandra.query import PreparedStatement, SimpleStatement, dict_factory

from governance.adapters.settings import CassandraSettings
from governance.adapters.translating import translating
from governance.errors import KasbahError, SettingsError, StoreUnavailableError

Row = dict[str, Any]

_PROTOCOL = 5
_SECONDS = 20.0
_CONNECT_SECONDS = 5.0
_AT_ONCE = 64
_PAGE = 2_000
# The driver writes pages about a server that is away, which its user is told in one line, and quotes statements.
logging.getLogger("cassandra").setLevel(logging.CRITICAL)


class StatementRefusedError(KasbahError):
    """Cassandra refuses a statement, and repeating it won't help."""


class Server:
    """One Cassandra cluster. Safe from several threads; connected when it is first asked."""

    def __init__(self, settings: CassandraSettings) -> None:
        if not settings.hosts.strip():
            raise SettingsError("no Cassandra is set: KASBAH_CASSANDRA__HOSTS, or [cassandra] hosts in kasbah.toml")
        self.replication = settings.replication
        self._settings = settings
        self._lock = Lock()
        self._session: Session | None = None
        self._prepared: dict[str, PreparedStatement] = {}

    def ask(self, statement: str, values: Sequence[object] = ()) -> list[Row]:
        """One statement; the rows of its answer.

        Raises StoreUnavailableError where the cluster is away, busy or too slow, SettingsError where it lets this user
        do nothing here, StatementRefusedError where it won't have the statement.
        """
        with translated():
            session = self._connected()
            prepared = self._prepare(session, statement) if values else SimpleStatement(statement)
            return list(session.execute(prepared, values or None))

    def pages(self, statement: str, values: Sequence[object]) -> Iterator[list[Row]]:
        """The answer page by page. Errors as with `ask`."""
        with translated():
            session = self._connected()
            bound = self._prepare(session, statement).bind(values)
            bound.fetch_size = _PAGE
            answer = session.execute(bound)
        while True:
            yield list(answer.current_rows)
            if not answer.has_more_pages:
                return
            with translated():
                answer.fetch_next_page()

    def ask_each(self, statement: str, values: Sequence[Sequence[object]]) -> list[list[Row] | None]:
        """The statement once for each of the values, many at once; None for each that alone was refused.

        Errors as with `ask`; then any of the statements may have been carried out.
        """
        if not values:
            return []
        with translated():
            session = self._connected()
            prepared = self._prepare(session, statement)
            done = execute_concurrent_with_args(session, prepared, values, _AT_ONCE, raise_on_first_error=False)
        found: list[list[Row] | None] = []
        for success, result in done:
            if success:
                found.append(list(result))
                continue
            meaning = _meaning(result)
            if not isinstance(meaning, StatementRefusedError):
                raise meaning
            found.append(None)
        return found

    def close(self) -> None:
        """Close its connections."""
        with self._lock:
            session, self._session = self._session, None
            self._prepared.clear()
        if session is not None:
            session.cluster.shutdown()

    def forget_statements(self) -> None:
        """After a table was changed: they are prepared anew."""
        with self._lock:
            self._prepared.clear()

    def _prepare(self, session: Session, statement: str) -> PreparedStatement:
        with self._lock:
            known = self._prepared.get(statement)
        if known is None:
            known = session.prepare(statement)
            with self._lock:
                self._prepared[statement] = known
        return known

    def _connected(self) -> Session:
        with self._lock:
            if self._session is None:
                self._session = self._connect()
            return self._session

    def _connect(self) -> Session:
        settings = self._settings
        login = PlainTextAuthProvider(settings.user, settings.password.get_secret_value()) if settings.user else None
        profile = ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()),
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            request_timeout=_SECONDS,
            row_factory=dict_factory,
        )
        cluster = Cluster(
            [host.strip() for host in settings.hosts.split(",") if host.strip()],
            port=settings.port,
            auth_provider=login,
            protocol_version=_PROTOCOL,
            connect_timeout=_CONNECT_SECONDS,
            reconnection_policy=ConstantReconnectionPolicy(1.0, max_attempts=None),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        )
        try:
            return cluster.connect()
        except BaseException:
            cluster.shutdown()
            raise


def translated() -> AbstractContextManager[None]:
    """Turn the driver's errors into ours, and cut the originals off."""
    return translating((DriverException, NoHostAvailable, ErrorMessage, OSError), _meaning)


def _meaning(error: BaseException) -> KasbahError:
    kind = type(error).__name__
    if isinstance(error, NoHostAvailable):
        inner = list(error.errors.values()) if isinstance(error.errors, dict) else []
        if inner and all(isinstance(one, AuthenticationFailed) for one in inner):
            error = inner[0]
    if isinstance(error, AuthenticationFailed | Unauthorized):
        return SettingsError(f"Cassandra refuses this user ({type(error).__name__}): check name, password and rights")
    if isinstance(error, NoHostAvailable | OperationTimedOut | OSError):
        return StoreUnavailableError(f"Cassandra doesn't answer ({kind})")
    if isinstance(error, RequestValidationException | TypeError | ValueError):
        return StatementRefusedError(f"Cassandra refuses a statement ({kind})")
    if isinstance(error, RequestExecutionException):
        return StoreUnavailableError(f"Cassandra takes nothing now ({kind})")
    return StoreUnavailableError(f"Cassandra failed ({kind})")
