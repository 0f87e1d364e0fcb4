"""A MongoDB server and a database of it, with its failures as this project's.

A server's message may quote a document, so only the kind and the number of an error get into one of ours.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import pymongo
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure
from pymongo.errors import PyMongoError as AnyError

from governance.adapters.translating import translating
from governance.errors import KasbahError, SettingsError, StoreUnavailableError

Document = dict[str, Any]
Operation = pymongo.InsertOne[Document] | pymongo.ReplaceOne[Document] | pymongo.UpdateOne | pymongo.DeleteOne | Any

_SECONDS = 5.0
_REQUEST_SECONDS = 60.0
_DUPLICATE = 11000
_NOT_LET_IN = frozenset({13, 18, 8000})
_LATER = frozenset({6, 7, 50, 89, 91, 112, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 14031})
"""Away, shutting down, not the primary, out of time or of disk space, in the server's own list of error codes."""


class StoreRefusedError(KasbahError):
    """MongoDB refuses an operation, and repeating it won't help."""


class Server:
    """One MongoDB. Safe from several threads; connected when it is first asked."""

    def __init__(self, address: str) -> None:
        if not address:
            raise SettingsError("no MongoDB is set: KASBAH_MONGODB, or mongodb in kasbah.toml")
        try:
            self._client: pymongo.MongoClient[Document] = pymongo.MongoClient(
                address,
                appname="kasbah",
                tz_aware=True,
                connect=False,
                serverSelectionTimeoutMS=int(_SECONDS * 1000),
                connectTimeoutMS=int(_SECONDS * 1000),
                socketTimeoutMS=int(_REQUEST_SECONDS * 1000),
                w="majority",
                journal=True,
            )
        except (InvalidURI, ConfigurationError, ValueError):
            raise SettingsError("the address of MongoDB is none, such as mongodb://host:27017/") from None

    def database(self, name: str) -> Database[Document]:
        """A database by name."""
        return self._client[name]

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def bulk(collection: Collection[Document], operations: Sequence[Operation]) -> tuple[int, dict[int, int]]:
    """The operations, in any order: how many did what they say (found their document, or made one), and the error
    codes of those that failed by their place; an identity that is there already isn't one.
    """
    if not operations:
        return 0, {}
    try:
        result: Any = collection.bulk_write(list(operations), ordered=False).bulk_api_result
    except BulkWriteError as error:
        details: Any = error.details or {}
        if details.get("writeConcernErrors"):
            raise StoreUnavailableError("MongoDB could not keep what it was sent on enough of its servers") from None
        result = details
    errors = {one["index"]: int(one["code"]) for one in result.get("writeErrors", ())}
    if any(code in _LATER for code in errors.values()):
        raise StoreUnavailableError("MongoDB takes nothing now")
    done = int(result["nMatched"] + result["nUpserted"] + result["nInserted"] + result["nRemoved"])
    return done, {place: code for place, code in errors.items() if code != _DUPLICATE}


def translated() -> AbstractContextManager[None]:
    """Turn the client's errors into ours, and cut the originals off.

    Raises StoreUnavailableError where it is away, busy or full; SettingsError where it doesn't let this user in;
    StoreRefusedError where repeating won't help.
    """
    return translating((AnyError,), _meaning)


def _meaning(error: AnyError) -> KasbahError:
    if isinstance(error, ConnectionFailure):
        return StoreUnavailableError(f"MongoDB doesn't answer ({type(error).__name__})")
    if isinstance(error, OperationFailure):
        if error.code in _NOT_LET_IN:
            return SettingsError(f"MongoDB refuses this user (code {error.code}): check address, password and rights")
        if error.code in _LATER or error.has_error_label("RetryableWriteError"):
            return StoreUnavailableError(f"MongoDB takes nothing now (code {error.code})")
        return StoreRefusedError(f"MongoDB refuses an operation (code {error.code})")
    return StoreRefusedError(f"MongoDB refuses an operation ({type(error).__name__})")


def moment(value: datetime) -> datetime:
    """As the server keeps it: cut to milliseconds."""
    return value.replace(microsecond=value.microsecond // 1000 * 1000)
