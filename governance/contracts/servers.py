"""ODCS servers as sources that data comes from, and as Kafka topics."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from governance.contracts.node import Node, custom_properties
from governance.contracts.periods import period
from governance.contracts.types import Source, Topic
from governance.contracts.words import FORMATS, SERVER_TERMS, nearest

_FILES = ("local", "s3", "sftp", "azure", "custom")
_DATABASES = ("postgres", "postgresql", "cloudsql")
_READ = ("api", *_FILES, *_DATABASES, "kafka")
_ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252", "iso8859-15", "ascii")

_OPTIONS: dict[str, tuple[str, Callable[[Node], Any]]] = {
    "records": ("records", Node.any_text),
    "columns": ("columns", Node.texts),
    "table": ("table", Node.text),
    "cursorParameter": ("cursor_parameter", Node.text),
    "nextPath": ("next_path", Node.text),
    "pageSize": ("page_size", lambda node: node.count(1, 100_000)),
    "pageParameter": ("page_parameter", Node.text),
    "firstPage": ("first_page", lambda node: node.count(0, 1)),
    "sizeParameter": ("size_parameter", Node.text),
    "updatedParameter": ("updated_parameter", Node.text),
    "updatedField": ("updated_field", Node.text),
    "trim": ("trim", Node.flag),
    "delimiter": ("delimiter", Node.character),
    "encoding": ("encoding", lambda node: node.one_of(_ENCODINGS)),
    "nulls": ("nulls", lambda node: node.texts(blank=True)),
    "ignore": ("ignore", Node.texts),
    "raw": ("raw", Node.flag),
}
"""Custom property -> attribute of `Source`, and how its value is read."""
_MOST_PARTITIONS = 1000


@dataclass(frozen=True)
class Server:
    """What a server of a contract is: a source, a topic, or, where others fill the topic with raw records, both."""

    name: str
    source: Source | None = None
    topic: Topic | None = None


def read_server(node: Node) -> tuple[Server | None, tuple[str, ...]]:
    """A server, and the schema ids that it feeds (none named: all)."""
    given = custom_properties(node, SERVER_TERMS, "server")
    datasets = given["dataset"].texts() if "dataset" in given else ()
    name, kind = node.get("server"), node.get("type")
    if not isinstance(name, str) or not name.strip():
        node.fault("missing-term", "the server has no name in 'server': sources are called by it.")
        return None, datasets
    if kind not in _READ:
        hint = nearest(str(kind), _READ)
        node.fault("unknown-server", f"a server of this type isn't read: {', '.join(_READ)} are.", hint)
        return None, datasets
    if kind != "kafka":
        return Server(name, _source(node, name, str(kind), given)), datasets
    topic = _topic(node, name, given)
    return Server(name, _source(node, name, "kafka", given, topic.topic) if topic.raw else None, topic), datasets


def _topic(node: Node, name: str, given: dict[str, Node]) -> Topic:
    flags = {word: bool(given[word].flag()) for word in ("raw", "compacted") if word in given}
    partitions = given["partitions"].count(1, _MOST_PARTITIONS) if "partitions" in given else None
    return Topic(
        name,
        node.document.line(node.place),
        retention=_retention(given.get("retention")),
        topic=(given["topic"].text() if "topic" in given else None) or name,
        partitions=partitions or 1,
        host=str(node.get("host") or ""),
        lines=_lines(given),
        **flags,
    )


def _source(node: Node, name: str, kind: str, given: dict[str, Node], topic: str = "") -> Source | None:
    form = _format(node, kind)
    if form is None:
        return None
    options: dict[str, Any] = {}
    for word, (attribute, read) in _OPTIONS.items():
        value = read(given[word]) if word in given else None
        if value is not None:
            options[attribute] = value
    if "quote" in given:
        options["quote"] = None if given["quote"].value in (None, "") else given["quote"].character() or '"'
    for word in ("delimiter", "encoding"):
        if node.get(word) is not None and word not in given:
            options[word] = node.get(word)
    if form == "sql" and "table" not in options:
        node.fault("missing-table", "a database source needs the custom property 'table' (schema.table): add it.")
    options["retention"] = _retention(given.get("retention"))
    where = node.document.line(node.place)
    location = topic or _location(node, kind)
    return Source(name=name, format=form, location=location, where=where, lines=_lines(given), **options)


def _lines(given: dict[str, Node]) -> dict[str, int]:
    return {term: one.line for term, one in given.items()}


def _format(node: Node, kind: str) -> str | None:
    if kind == "api":
        return "api"
    if kind in _DATABASES:
        return "sql"
    given = node.get("format")
    if kind == "kafka" and given in (None, "json"):
        return "kafka"
    if given in FORMATS and kind != "kafka":
        return str(given)
    hint = nearest(str(given), FORMATS) if given else None
    place = node.child("format") or node
    known = ("json",) if kind == "kafka" else FORMATS
    place.fault("unknown-format", f"'format' of a {kind} server is one of {', '.join(known)}.", hint)
    return None


def _location(node: Node, kind: str) -> str:
    if kind in _DATABASES:
        port = f":{node.get('port')}" if node.get("port") else ""
        return f"postgresql://{node.get('host') or ''}{port}/{node.get('database') or ''}"
    return str(node.get("location") or node.get("path") or "")


def _retention(node: Node | None) -> str | None:
    if node is None:
        return None
    found = period(node.value)
    if found is None:
        node.wrong("a bounded time such as '30 d' or P30D")
    return found
