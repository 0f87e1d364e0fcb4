"""Recognisable made-up personal data, and the search for it in raw bytes, however they are written.

Every personal token begins with one of a few marks, so that a search needs few passes; what follows the mark tells
where it was planted. A control begins with a mark of its own, stands in fields that are stored in clear, and must be
found.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PERSONAL = "zqkbyw"
CONTROL = "xwjctv"
_AREA = "907"
"""Alaska's area code with 555-01nn, which is reserved: every planted number has it."""
PHONES = (f"{_AREA}55501", f"({_AREA}) 555-01", f"{_AREA}-555-01", f"{_AREA}.555.01")
CARD = 4929907555010004
"""A number whose check digit is right, planted where pieces are counted; stores may write it as digits or as eight
bytes."""
CONTROL_NUMBER = 731_620_495_731_620_495
"""Likewise, and nobody's."""
_AROUND = 24


@dataclass
class Planter:
    """Hands out tokens, each once. `planted` says where each went."""

    planted: dict[str, str] = field(default_factory=dict)
    phones: int = 0

    def word(self, where: str) -> str:
        """A personal token that may stand for a name, a local part or a street."""
        token = PERSONAL + _letters(len(self.planted))
        self.planted[token] = where
        return token

    def phone(self, where: str) -> str:
        """A phone number, in one of the ways that people write them."""
        self.phones += 1
        number = f"{self.phones % 100:02d}"
        shapes = (f"+1{_AREA}55501{number}", f"({_AREA}) 555-01{number}", f"1-{_AREA}-555-01{number}")
        shape = shapes[self.phones % len(shapes)]
        self.planted[shape] = where
        return shape


def _letters(number: int) -> str:
    """Five letters, without the words of any language."""
    alphabet = "bcdfghjkmnpqrstvwxz"
    out = ""
    for _ in range(5):
        number, place = divmod(number, len(alphabet))
        out += alphabet[place]
    return out


def writings(mark: str) -> dict[str, bytes]:
    """The mark as UTF-8, UTF-16 (either order), hexadecimal, base64 (at each of the three offsets), and escaped for
    addresses and JSON. Each is contained in that writing of whatever contains the mark."""
    raw = mark.encode()
    wide = mark.encode("utf-16-le")
    found = {
        "utf-8": raw,
        "utf-8 in capitals": raw.upper(),
        "utf-16": wide[:-1],
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "percent": "".join(f"%{byte:02x}" for byte in raw).encode(),
        "PERCENT": "".join(f"%{byte:02X}" for byte in raw).encode(),
        "json": "".join(f"\\u{byte:04x}" for byte in raw).encode(),
    }
    for offset in range(3):
        found[f"base64+{offset}"] = _base64_within(raw, offset)
        found[f"base64+{offset} of utf-16"] = _base64_within(wide, offset)
    return {way: text for way, text in found.items() if way != "utf-8 in capitals" or text != raw}


def _base64_within(raw: bytes, offset: int) -> bytes:
    """The characters that stand in the base64 of any text in which `raw` begins `offset` bytes (mod 3) after a group:
    those that the neighbours don't touch."""
    encoded = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
    first = (0, 2, 3)[offset]
    whole = (offset + len(raw)) * 8 // 6
    return encoded[first:whole]


@dataclass(frozen=True)
class Hit:
    """Where a mark was found: the file, the writing and the offset, and no more of the text than tells which."""

    file: str
    way: str
    offset: int
    excerpt: bytes


class Search:
    """Looks for marks in bytes. One pass a mark and writing, at the speed of `bytes.find`."""

    def __init__(self, *marks: str, numbers: Iterable[int] = ()) -> None:
        texts = [*marks, *map(str, numbers)]
        self.patterns = [(f"{mark!r} as {way}", text) for mark in texts for way, text in writings(mark).items()]
        for number in numbers:
            self.patterns += [(f"{number} as {order} endian", number.to_bytes(8, order)) for order in ("little", "big")]

    def within(self, data: bytes, name: str) -> Iterator[Hit]:
        """The first hit of each writing in the data."""
        for way, text in self.patterns:
            at = data.find(text)
            if at >= 0:
                yield Hit(name, way, at, data[max(0, at - _AROUND) : at + len(text) + _AROUND])

    def files(self, paths: Iterable[Path]) -> list[Hit]:
        """The first hits in each file; in a Parquet file's columns, unpacked, too, and in each file's own name."""
        hits: list[Hit] = []
        for path in paths:
            data = path.read_bytes()
            hits += self.within(str(path).encode(), f"the name of {path}")
            hits += self.within(data, str(path))
            if data[:4] == b"PAR1":
                hits += self.within(_unpacked(path), f"{path}, unpacked")
        return hits


def _unpacked(path: Path) -> bytes:
    """Every buffer of the table, and its metadata: the texts as they are, one after the other."""
    file = pq.ParquetFile(path)
    pieces = [key + b"=" + value for key, value in (file.schema_arrow.metadata or {}).items()]
    for column in file.read().columns:
        for chunk in column.chunks:
            plain = chunk.dictionary_decode() if pa.types.is_dictionary(chunk.type) else chunk
            pieces += [buffer.to_pybytes() for buffer in plain.buffers() if buffer is not None]
    return b"\n".join(pieces)


def files_below(*folders: Path) -> list[Path]:
    """Every plain file below the folders."""
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def personal() -> Search:
    """The search for everything that was planted as personal."""
    return Search(PERSONAL, *PHONES, numbers=[CARD])


def controls() -> Search:
    """The search for controls."""
    return Search(CONTROL, numbers=[CONTROL_NUMBER])


def named(hits: Iterable[Hit]) -> str:
    """Hits as lines for a failing test."""
    return "\n".join(f"{hit.file}: {hit.way} at {hit.offset}: {hit.excerpt!r}" for hit in hits)


def relation_file(path: str) -> bool:
    """Whether a file of a data folder holds a table's rows."""
    return re.search(r"/base/\d+/\d+(\.\d+)?$", path) is not None
