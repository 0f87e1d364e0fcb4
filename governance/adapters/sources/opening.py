"""Opening the files of a source: which they are, whether they are packed, and their bytes as UTF-8."""

import codecs
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from governance.adapters.sources.compressed import GZIP, Inflated
from governance.errors import SourceError, SourceUnavailableError

_OTHERS = {
    b"PK\x03\x04": "a zip archive (or a spreadsheet)",
    b"PK\x05\x06": "an empty zip archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"%PDF": "a PDF document",
    b"PAR1": "Parquet",
    b"\xd0\xcf\x11\xe0": "an old office document",
}
_BOM = codecs.BOM_UTF8


class Bytes(Protocol):
    """A stream of bytes."""

    @property
    def consumed(self) -> int:
        """Bytes of the file that lie behind."""
        ...

    def read(self, size: int) -> bytes:
        """About `size` bytes, at least one; nothing at the end only."""
        ...


@dataclass(frozen=True)
class Part:
    """One file of a source; `name` is what its rows' origin says: the file's name and when it was last written, since
    next month's file of the same name has other rows at the same positions.
    """

    path: Path
    name: str


def parts(source: str, location: str) -> list[Part]:
    """The files at a path, a `file://` address, a folder (not its hidden files) or a pattern, by name.

    Raises SourceError where there is none.
    """
    address = urlsplit(location)
    path = Path(unquote(address.path) if address.scheme == "file" else location)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    elif path.is_file():
        files = [path]
    else:
        files = _matching(path)
    if not files:
        raise SourceError(f"{source}: no file at {path}; correct the server's location or the setting that replaces it")
    names = [p.name for p in files]
    if len(set(names)) < len(names):
        names = [str(p) for p in files]
    return [Part(p, f"{name}@{_written(p)}") for p, name in zip(files, names, strict=True)]


def _written(path: Path) -> str:
    return f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y%m%dT%H%M%S.%fZ}"


def _matching(pattern: Path) -> list[Path]:
    """The files that a pattern such as `in/*/orders-*.csv` names."""
    fixed = next((p for p in pattern.parents if not set("*?[") & set(str(p))), None)
    if fixed is None or not fixed.is_dir():
        return []
    return sorted(p for p in fixed.glob(str(pattern.relative_to(fixed))) if p.is_file())


def total_size(files: list[Part]) -> int:
    """Bytes on disk."""
    return sum(part.path.stat().st_size for part in files)


class Opened:
    """One file as a stream of UTF-8 without byte order mark, unpacked if it is gzip.

    Bytes that aren't of the declared encoding become sequences that aren't UTF-8, so that whoever reads records finds
    them in the record where they stand; `original` gives such a record's bytes back as they are in the file. Raises
    SourceError where the file is missing, empty, or of another kind than declared, SourceUnavailableError where the
    disk doesn't answer.
    """

    def __init__(self, source: str, part: Part, encoding: str, max_inflated: int) -> None:
        self.where = f"{source}: {part.name}"
        try:
            self._file: BinaryIO = part.path.open("rb")
        except OSError as error:
            raise SourceError(f"{self.where} can't be opened ({error.strerror}); see its location and rights") from None
        try:
            self._stream = self._layers(part.path, max_inflated)
            self._codec = _Transcoder(self.where, encoding)
            self._head = self._first()
        except BaseException:
            self._file.close()
            raise

    @property
    def consumed(self) -> int:
        """Bytes of the file that lie behind."""
        return self._stream.consumed

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, size: int) -> bytes:
        """About `size` bytes, at least one; nothing at the end only."""
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._read(size)

    def original(self, data: bytes) -> bytes:
        """The bytes of a record as they stand in the file."""
        return self._codec.original(data)

    def _read(self, size: int) -> bytes:
        while True:
            raw = self._stream.read(size)
            data = self._codec.to_utf8(raw)
            if data or not raw:
                return data

    def _first(self) -> bytes:
        """The beginning, in which a byte order mark may stand."""
        head = b""
        while len(head) < len(_BOM) and (more := self._read(len(_BOM))):
            head += more
        if not head and not self._stream.consumed:
            raise SourceError(f"{self.where} is empty (0 bytes); ask the sender for it, or remove it")
        return head.removeprefix(_BOM)

    def _layers(self, path: Path, max_inflated: int) -> Bytes:
        magic = self._file.read(8)
        self._file.seek(0)
        for start, kind in _OTHERS.items():
            if magic.startswith(start):
                raise SourceError(f"{self.where} is {kind}, whatever its name says; unpack or export it first")
        plain = _File(self._file, self.where)
        if magic.startswith(GZIP):
            return Inflated(plain, self.where, max_inflated)
        if path.suffix == ".gz" and magic:
            raise SourceError(f"{self.where} isn't gzip, although its name says so; rename it or pack it anew")
        return plain


class _File:
    """A file's bytes, counted."""

    def __init__(self, file: BinaryIO, where: str) -> None:
        self._file, self._where, self.consumed = file, where, 0

    def read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except OSError as error:
            raise SourceUnavailableError(f"{self._where} can't be read on ({error.strerror}); try again") from None
        self.consumed += len(data)
        return data


def _mark(error: UnicodeError) -> tuple[str, int]:
    """What stands for an undecodable unit of UTF-16 or UTF-32: half a surrogate, which isn't UTF-8."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error("kasbah-mark", _mark)


class _Transcoder:
    """Bytes of a declared encoding to UTF-8."""

    def __init__(self, where: str, encoding: str) -> None:
        try:
            self._name = codecs.lookup(encoding).name
            b"".decode(encoding)
        except (LookupError, UnicodeError):
            raise SourceError(f"{where}: '{encoding}' is no encoding; name one such as utf-8 or cp1252") from None
        self._wide = self._name.startswith(("utf-16", "utf-32"))
        self._same = self._name in {"utf-8", "utf-8-sig"}
        self._decoder = codecs.getincrementaldecoder(self._name)("kasbah-mark" if self._wide else "surrogateescape")

    def to_utf8(self, raw: bytes) -> bytes:
        if self._same:
            return raw
        return self._decoder.decode(raw, final=not raw).encode("utf-8", "surrogatepass")

    def original(self, data: bytes) -> bytes:
        if self._same:
            return data
        name = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(self._name, self._name)
        try:
            return data.decode("utf-8", "surrogatepass").encode(
                name, "surrogatepass" if self._wide else "surrogateescape"
            )
        except UnicodeError:
            return data
