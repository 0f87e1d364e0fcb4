"""An anchor in a file: one line an entry, appended with O_APPEND and fsync, chained by hashes.

It is worth as much as its distance from the database's credentials. A file of another user, which this one may only
append to, holds against whoever takes this user over; a file of the same user does not, and says so.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from governance.audit.anchor import AnchorEntry, AnchorError, Chain, Erasure, add_line, read_line
from governance.audit.heads import SignedHead
from governance.errors import AuditError, StoreUnavailableError

_BLOCK_BYTES = 1 << 16
_MAX_LINE_BYTES = 1 << 16


@dataclass
class _Read:
    """How far the file has been read and checked: bytes, chain, newest head."""

    end: int = 0
    chain: Chain = field(default_factory=Chain)
    newest: SignedHead | None = None


class FileAnchor:
    """Appends under a file lock, so several processes may share it; reads on from where it last stopped."""

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet. The first entry makes the file, mode 0600, and its folder."""
        self._path = path
        self._read = _Read()

    @property
    def warning(self) -> str | None:
        """Set where this user owns the file (or is root), and so could rewrite it."""
        user = os.geteuid()
        try:
            owner = self._path.stat().st_uid
        except FileNotFoundError:
            owner = user
        if user not in (owner, 0):
            return None
        return (
            f"DEVELOPMENT ANCHOR: {self._path} belongs to the user that writes the database, who could rewrite both. "
            "Keep the anchor under another user or in object storage with a lock"
        )

    def append_head(self, head: SignedHead) -> None:
        """Keep it, durably; a no-op for one that is not newer than the newest kept. Raises AuditError on one that
        contradicts it, AnchorError where a line was edited, StoreUnavailableError where the file can't be written.
        """
        with self._locked() as descriptor:
            newest = self._read.newest
            if newest and newest.size == head.size and newest.root != head.root:
                raise AuditError(f"the anchor holds another head of {head.size} records: run `kasbah audit verify`")
            if newest is None or newest.size < head.size:
                self._append(descriptor, head)

    def append_erasure(self, erasure: Erasure) -> None:
        """Keep it, durably; raises like `append_head`."""
        with self._locked() as descriptor:
            self._append(descriptor, erasure)

    def newest_head(self) -> SignedHead | None:
        """The newest head kept, None without one. The first call checks the whole chain, later ones what was added."""
        try:
            descriptor = self._open(os.O_RDONLY)
        except FileNotFoundError:
            self._require_unread()
            return None
        try:
            self._catch_up(descriptor)
        finally:
            os.close(descriptor)
        return self._read.newest

    def entries(self) -> Iterator[AnchorEntry]:
        """Every entry that stands there now, oldest first. Unlike the others it also raises AnchorError on an end that
        was cut off in the middle of a line.
        """
        try:
            descriptor = self._open(os.O_RDONLY)
        except FileNotFoundError:
            self._require_unread()
            return iter(())
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            end = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        return self._entries(end)

    def _entries(self, end: int) -> Iterator[AnchorEntry]:
        chain, done = Chain(), 0
        descriptor = self._open(os.O_RDONLY)
        try:
            for line in _lines(descriptor, 0, end):
                entry, chain = read_line(chain, line)
                done += len(line) + 1
                yield entry
        finally:
            os.close(descriptor)
        if done != end:
            raise AnchorError(f"anchor line {chain.lines + 1} is cut off")

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, locked against other writers, read to its end, and without the rest of a write that was cut off."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
        except OSError as error:
            raise _away(self._path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._catch_up(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def _open(self, flags: int) -> int:
        """Raises FileNotFoundError where there is none, AuditError where it can't be opened or others may change it."""
        try:
            descriptor = os.open(self._path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise AuditError(f"the anchor {self._path} can't be opened: {os.strerror(error.errno or 0)}") from None
        found = os.fstat(descriptor)
        own = found.st_uid == os.geteuid()
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) & (0o077 if own else 0o007):
            os.close(descriptor)
            raise AuditError(
                f"the anchor {self._path} is no plain file or is open to other users: run `chmod 600` on it"
            )
        return descriptor

    def _catch_up(self, descriptor: int) -> None:
        """Check and take in the lines behind those already read. A last line that is still being written waits."""
        end = os.fstat(descriptor).st_size
        if end < self._read.end:
            raise AnchorError(f"the anchor {self._path} became shorter: restore it")
        for line in _lines(descriptor, self._read.end, end):
            entry, chain = read_line(self._read.chain, line)
            newest = entry if isinstance(entry, SignedHead) else self._read.newest
            self._read = _Read(self._read.end + len(line) + 1, chain, newest)

    def _append(self, descriptor: int, entry: AnchorEntry) -> None:
        """One write and fsync. What an earlier crash left of a line goes first: that entry was never acknowledged."""
        line, chain = add_line(self._read.chain, entry)
        start = self._read.end
        try:
            if os.fstat(descriptor).st_size != start:
                os.ftruncate(descriptor, start)
            if os.write(descriptor, line) != len(line):
                os.ftruncate(descriptor, start)
                raise StoreUnavailableError(f"the anchor {self._path} can't be written: its disk is full")
            os.fsync(descriptor)
            if start == 0:
                _sync_folder(self._path.parent)
        except OSError as error:
            raise _away(self._path, error) from None
        newest = entry if isinstance(entry, SignedHead) else self._read.newest
        self._read = _Read(start + len(line), chain, newest)

    def _require_unread(self) -> None:
        if self._read.end:
            raise AnchorError(f"the anchor {self._path} is gone: restore it")


def _lines(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """Whole lines of [start, end), without their newlines, read in blocks."""
    place, rest = start, b""
    while place < end:
        block = os.pread(descriptor, min(_BLOCK_BYTES, end - place), place)
        if not block:
            return
        place += len(block)
        *whole, rest = (rest + block).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            raise AnchorError("the anchor has a line that is far too long: it was edited")
        yield from whole


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _away(path: Path, error: OSError) -> StoreUnavailableError:
    return StoreUnavailableError(f"the anchor {path} can't be written: {os.strerror(error.errno or 0)}")
