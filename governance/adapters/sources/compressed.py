"""gzip (RFC 1952), inflated as a stream that refuses bombs."""

import zlib
from typing import TYPE_CHECKING

from governance.errors import SourceError

if TYPE_CHECKING:
    from governance.adapters.sources.opening import Bytes

GZIP = b"\x1f\x8b\x08"
MAX_INFLATED = 256 << 30
"""Bytes that one packed file may come to, unless said otherwise."""
_FREE = 64 << 20
_RATIO = 1000
"""Deflate can't pack better than about 1032 : 1, and only nothing-but-repetition comes near; no table does."""
_STEP = 1 << 16
_GZIP_WINDOW = 31


class Inflated:
    """The unpacked bytes of a gzip stream of one or several members.

    Raises SourceError where it is damaged, cut off, packed above 1000 : 1 past 64 MiB, or larger than `limit` bytes.
    """

    def __init__(self, packed: "Bytes", where: str, limit: int) -> None:
        self._packed, self._where, self._limit = packed, where, limit
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        self._waiting = b""
        self._inflated = 0
        self._begun = False

    @property
    def consumed(self) -> int:
        """Bytes of the packed file that lie behind."""
        return self._packed.consumed

    def read(self, size: int) -> bytes:
        """Up to `size` unpacked bytes."""
        while True:
            if not self._waiting:
                self._waiting = self._packed.read(_STEP)
            if self._member.eof and not self._next_member():
                return b""
            try:
                data = self._member.decompress(self._waiting, size)
            except zlib.error:
                raise SourceError(f"{self._where}: the gzip data are damaged; ask the sender for the file") from None
            ended = not self._waiting and not data and not self._member.eof
            self._waiting = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if ended:
                raise SourceError(f"{self._where}: the gzip data are cut off; ask the sender for the whole file")
            if data:
                return self._counted(data)

    def _next_member(self) -> bool:
        """Begin the next member; False at the end (zeros may pad it, as tapes do)."""
        while self._waiting and not self._waiting.strip(b"\0"):
            self._waiting = self._packed.read(_STEP)
        if not self._waiting:
            return False
        self._waiting = self._waiting.lstrip(b"\0")
        self._member = zlib.decompressobj(_GZIP_WINDOW)
        return True

    def _counted(self, data: bytes) -> bytes:
        self._inflated += len(data)
        if self._inflated > self._limit:
            raise SourceError(f"{self._where} unpacks to more than {self._limit} bytes, the most that is allowed")
        if self._inflated > _FREE and self._inflated > _RATIO * self._packed.consumed:
            raise SourceError(f"{self._where} unpacks to over {_RATIO} times its size: a bomb, no table")
        return data
