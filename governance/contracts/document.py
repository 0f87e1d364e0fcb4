"""A YAML file as plain data, with the line of every part of it. Nothing in a contract is trusted.

One document, UTF-8, at most 1 MB, at most 40 levels deep. No anchors that are referred to (a few lines could unfold
into gigabytes), no tags, no key twice. Plain scalars mean what YAML 1.2's core schema says: `no` is a text, not a
false, and a date stays the text that was written.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from governance.contracts.types import Fault, Line

# libyaml's parser is 30 times as fast where it is built in. Only its events are used: nothing is constructed by it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_BYTES = 1_000_000
MAX_DEPTH = 40

Step = str | int
Place = tuple[Step, ...]
"""Where in a document something stands: keys and indices from the top."""

_CORE: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"(?:null|Null|NULL|~|)\Z"), lambda _: None),
    (re.compile(r"(?:true|True|TRUE)\Z"), lambda _: True),
    (re.compile(r"(?:false|False|FALSE)\Z"), lambda _: False),
    (re.compile(r"[-+]?[0-9]{1,18}\Z"), int),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?\Z"), float),
)


@dataclass
class Document:
    """What a file says (`data`) and on which line each place of it stands."""

    file: str
    data: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> Line:
        """The line of a place, or of the nearest thing around it that exists."""
        while place and place not in self.lines:
            place = place[:-1]
        return Line(self.file, self.lines.get(place, 1))


class _Refusal(Exception):  # noqa: N818 - never leaves this module
    """Why a file is no document."""

    def __init__(self, code: str, line: int, message: str) -> None:
        super().__init__(message)
        self.code, self.line, self.message = code, line, message


def read_document(path: Path) -> tuple[Document | None, list[Fault]]:
    """Read a file. Either a document, or what is wrong with it: never both, never an exception for a bad file."""
    file = path.as_posix()
    try:
        return parse_document(_bytes_of(path), file), []
    except _Refusal as refusal:
        return None, [Fault(Line(file, refusal.line), refusal.code, refusal.message)]


def parse_document(content: bytes, file: str) -> Document:
    """The document that the bytes are. Raises an exception of this module only."""
    if len(content) > MAX_BYTES:
        raise _Refusal("too-large", 1, f"a contract has at most {MAX_BYTES} bytes: split it by dataset.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Refusal("not-utf8", line, f"byte {error.start} is not UTF-8: save the file as UTF-8.") from None
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        raise _Refusal(
            "not-yaml", mark.line + 1 if mark else 1, f"this is not YAML: {error.problem or error.context}."
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Refusal("not-yaml", line, f"character {error.position} may not stand in YAML.") from None
    if not isinstance(builder.root, dict):
        raise _Refusal("not-a-contract", 1, "a contract is a mapping with apiVersion, kind, id and schema.")
    return Document(file, builder.root, builder.lines)


def _bytes_of(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise _Refusal("unreadable", 1, "this is no regular file: name a contract file.")
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _Refusal("unreadable", 1, f"can't be read: {error.strerror or 'unknown reason'}.") from None


@dataclass
class _Open:
    """A list or mapping that isn't finished; `key` is the one whose value comes next."""

    value: dict[str, Any] | list[Any]
    place: Place
    key: str | None = None

    def next_place(self) -> Place:
        step: Step = len(self.value) if isinstance(self.value, list) else self.key or ""
        return (*self.place, step)


class _Builder:
    """Builds the data from parser events, without recursion, so that depth can't exhaust the stack."""

    def __init__(self) -> None:
        self.root: Any = None
        self.lines: dict[Place, int] = {}
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        mark: Any = event.start_mark
        line: int = mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _Refusal("not-a-contract", line, "one file holds one contract: a second document begins here.")
        elif isinstance(event, yaml.AliasEvent):
            raise _Refusal("alias", line, "aliases (*name) are refused: write the value out.")
        elif isinstance(event, yaml.ScalarEvent):
            self._refuse_tag(event, line)
            self._scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._refuse_tag(event, line)
            self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()

    @staticmethod
    def _refuse_tag(event: yaml.NodeEvent, line: int) -> None:
        if getattr(event, "tag", None) is not None:
            raise _Refusal("tag", line, "tags (!name) are refused: write plain values.")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            if event.value in top.value:
                raise _Refusal("duplicate-key", line, f"'{event.value}' stands here twice: keep one.")
            top.key = event.value
            self.lines[top.next_place()] = line
            return
        self._put(_core(event.value) if event.implicit[0] else event.value, line)

    def _begin(self, value: dict[str, Any] | list[Any], line: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _Refusal("too-deep", line, f"a contract is at most {MAX_DEPTH} levels deep.")
        top = self._open[-1] if self._open else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            raise _Refusal("not-yaml", line, "a key is a text, not a list or a mapping.")
        self._open.append(_Open(value, self._put(value, line)))

    def _put(self, value: object, line: int) -> Place:
        """Store a value where it belongs and return its place. A key's line stands for the value's."""
        if not self._open:
            self.root = value
            self.lines[()] = line
            return ()
        top = self._open[-1]
        place = top.next_place()
        self.lines.setdefault(place, line)
        if isinstance(top.value, list):
            top.value.append(value)
        else:
            top.value[top.key or ""] = value
            top.key = None
        return place


def _core(text: str) -> object:
    """A plain scalar by YAML 1.2's core schema."""
    for expression, make in _CORE:
        if expression.match(text):
            return make(text)
    return text


def find_files(roots: list[Path]) -> Iterator[Path]:
    """Contract files: each root that is a file, and in each folder those named `*.odcs.yaml`, sorted, each once."""
    seen: set[Path] = set()
    for root in roots:
        for path in sorted(root.rglob("*.odcs.yaml")) if root.is_dir() else [root]:
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path
