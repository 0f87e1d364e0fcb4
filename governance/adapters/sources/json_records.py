"""The records of JSON text that arrives in pieces: documents one after another, or one a line.

Each record is decoded by itself. One that can't be is passed over by its brackets and strings alone, so that the next
one is found; what is kept in memory is one piece, and one record.
"""

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from governance.adapters.sources.json_values import Row, UnfitError, check_length, decode, decode_at, is_odd, to_row
from governance.errors import SourceError
from governance.flows.source import LARGEST_BODY, LARGEST_RECORD, MalformedReason

_GAP = re.compile(r"[ \t\r\n,]*")
_BLANK = " \t\r\n"
_KEY = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OUTSIDE = re.compile(r'["{}\[\],\n]')
_INSIDE = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_LARGEST_KEY = 1 << 16


class NoListError(SourceError):
    """JSON, but without a list of records where the contract says."""


@dataclass(frozen=True)
class Fault:
    """A record that can't be read: its length in bytes of UTF-8, why, and its bytes unless they are too many."""

    length: int
    reason: MalformedReason
    body: bytes | None = field(default=None, repr=False)


@dataclass
class Feed:
    """Text that arrives in pieces. `at` is where the reader stands in `text`; `read` gives "" at the end."""

    read: Callable[[], str]
    where: str
    text: str = ""
    at: int = 0
    taken: int = 0
    cut: bool = False
    _odd: bool = False

    def more(self) -> bool:
        """Let go of what lies behind and add the next piece; False at the end."""
        piece = self.read()
        self._odd = is_odd(piece) or (self._odd and self.at < len(self.text)) or "\\" in self.text[-8:]
        self.taken += self.at
        self.text, self.at = self.text[self.at :] + piece, 0
        return bool(piece)

    @property
    def odd(self) -> bool:
        """Whether the text in hand may hold characters that no store takes."""
        return self._odd

    def next(self) -> str:
        """Pass over white space and commas; the character that follows, "" at the end."""
        while True:
            gap = _GAP.match(self.text, self.at)
            self.at = gap.end() if gap else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""


@dataclass
class _Extent:
    """Finds where the value at a place ends, by strings and brackets alone, piece by piece.

    A closing bracket also closes what was opened after its partner, and one without a partner is passed over, so that
    a value with a bracket too many or too few mostly ends where its writer meant it to.
    """

    bare: bool
    seen: int = 0
    inside: bool = False
    expected: list[str] = field(default_factory=list)

    def end(self, feed: Feed) -> int | None:
        """The place after the value, or None if it isn't there yet."""
        text, at = feed.text, feed.at + self.seen
        while at < len(text):
            if self.inside:
                at = self._string(text, at)
                if text[at : at + 1] != '"':
                    break
                self.inside, at = False, at + 1
            elif found := _OUTSIDE.search(text, at):
                at = found.end()
                if found[0] == '"':
                    self.inside = True
                elif self.bare:
                    return max(at - 1, feed.at + 1)
                elif self._ends(found[0]):
                    return at
            else:
                at = len(text)
        self.seen = at - feed.at
        return None

    def _string(self, text: str, at: int) -> int:
        """The place of the closing quote, or of what isn't complete."""
        found = _INSIDE.match(text, at)
        return found.end() if found else at

    def _ends(self, sign: str) -> bool:
        if sign in "[{":
            self.expected.append("]" if sign == "[" else "}")
        elif sign in "]}":
            if self.expected[-1] != sign and sign in self.expected:
                while self.expected[-1] != sign:
                    self.expected.pop()
            if self.expected[-1] == sign:
                self.expected.pop()
        return not self.expected


def documents(feed: Feed, path: tuple[str, ...], envelope: dict[str, Any] | None = None) -> Iterator[Row | Fault]:
    """Every record of one document or several in a row: each object of the list at `path`, or, where the path is
    empty, of the list that the document is, or the object that it is.

    What stands beside the list goes into `envelope`, if one is given. Raises SourceError where the text isn't JSON at
    all, or beside the records; NoListError where it has no list at the path.
    """
    if feed.next() not in ("[", "{"):
        raise SourceError(f"{feed.where} isn't JSON: it begins with neither [ nor {{")
    found = not path
    while sign := feed.next():
        if sign == "{" and path:
            found = (yield from _members(feed, path, envelope)) or found
        elif sign == "[" and path:
            raise _no_list(feed, path)
        elif sign == "[":
            feed.at += 1
            yield from _elements(feed)
        else:
            yield _record(feed)
    if not found:
        raise _no_list(feed, path)


def lines(feed: Feed) -> Iterator[Row | Fault]:
    """Every record of text that has one a line; blank lines are none."""
    while True:
        end = feed.text.find("\n", feed.at)
        last = False
        if end < 0:
            if len(feed.text) - feed.at > LARGEST_RECORD:
                yield _pass_line(feed)
                continue
            if feed.more():
                continue
            end, last = len(feed.text), True
        line, feed.at = feed.text[feed.at : end], min(end + 1, len(feed.text))
        if line and not line.isspace():
            yield _line(line, feed.odd, last)
        if last:
            return


def _line(line: str, odd: bool, last: bool) -> Row | Fault:
    judged = _judge(line, odd=odd)
    if last and isinstance(judged, Fault) and judged.reason is MalformedReason.NOT_JSON:
        rest = Feed(str, "", line.lstrip())
        if rest.text[0] in "[{" and _Extent(bare=False).end(rest) is None:
            return _fault(line, MalformedReason.TRUNCATED)
    return judged


def _elements(feed: Feed) -> Iterator[Row | Fault]:
    """The records of a list whose bracket lies behind."""
    while (sign := feed.next()) and sign != "]":
        yield _record(feed)
    feed.at += len(sign)
    if not sign and not feed.cut:
        feed.cut = True
        yield Fault(0, MalformedReason.TRUNCATED, b"")


def _members(feed: Feed, path: tuple[str, ...], envelope: dict[str, Any] | None) -> Generator[Row | Fault, None, bool]:
    """Walk an object down to the list at the path; whether the list was there, or the text was cut off before it."""
    feed.at += 1
    found = False
    while (sign := feed.next()) != "}":
        if not sign:
            yield from () if feed.cut else (Fault(0, MalformedReason.TRUNCATED, b""),)
            feed.cut = True
            return True
        key = _key(feed)
        if key is None:
            continue
        if key != path[0]:
            _beside(feed, key, envelope)
        elif len(path) > 1 and feed.next() == "{":
            inner = envelope.setdefault(key, {}) if envelope is not None else None
            found = (yield from _members(feed, path[1:], inner)) or found
        elif len(path) == 1 and feed.next() == "[":
            feed.at += 1
            found = True
            yield from _elements(feed)
        elif feed.next():
            raise _no_list(feed, path)
    feed.at += 1
    return found


def _key(feed: Feed) -> str | None:
    """The name of a member, its colon passed; None where the text is cut off within it."""
    while not (found := _KEY.match(feed.text, feed.at)):
        if feed.text[feed.at] != '"' or len(feed.text) - feed.at > _LARGEST_KEY:
            raise _not_json(feed)
        if not feed.more():
            feed.at = len(feed.text)
            return None
    feed.at = found.end()
    if feed.next() not in (":", ""):
        raise _not_json(feed)
    feed.at += feed.at < len(feed.text)
    try:
        return str(decode(found[0]))
    except UnfitError:
        raise _not_json(feed) from None


def _beside(feed: Feed, key: str, envelope: dict[str, Any] | None) -> None:
    """Pass over a member that isn't on the way to the records."""
    if not feed.next():
        return
    held = _raw(feed)
    if isinstance(held, Fault):
        feed.cut = False
    elif envelope is not None:
        if key in envelope:
            raise _not_json(feed)
        try:
            envelope[key] = decode(held)
        except UnfitError:
            raise _not_json(feed) from None


def _record(feed: Feed) -> Row | Fault:
    """The record that begins here."""
    if feed.text[feed.at] == "{":
        begin = feed.at
        got = decode_at(feed.text, begin)
        if got is not None and got[1] - begin <= LARGEST_RECORD // 4:
            feed.at = got[1]
            try:
                return to_row(got[0], odd=feed.odd)
            except UnfitError as error:
                return _fault(feed.text[begin : feed.at], error.reason)
    raw = _raw(feed)
    return raw if isinstance(raw, Fault) else _judge(raw, odd=feed.odd)


def _raw(feed: Feed) -> str | Fault:
    """The text of the value that begins here; a Fault if it is cut off or too large."""
    extent = _Extent(bare=feed.text[feed.at] not in "[{")
    while (end := extent.end(feed)) is None:
        if len(feed.text) - feed.at > LARGEST_RECORD:
            return _pass_value(feed, extent)
        if not feed.more():
            if extent.bare and not extent.inside:
                end = len(feed.text)
                break
            feed.cut = True
            text, feed.at = feed.text[feed.at :], len(feed.text)
            return _fault(text, MalformedReason.TRUNCATED)
    text, feed.at = feed.text[feed.at : end], end
    return text.rstrip(_BLANK) if extent.bare else text


def _pass_value(feed: Feed, extent: _Extent) -> Fault:
    """Read on to the end of a value that is too large, holding none of it."""
    length = 0
    while (end := extent.end(feed)) is None:
        behind = feed.at + extent.seen
        length += _bytes(feed.text[feed.at : behind])
        feed.at, extent.seen = behind, 0
        if not feed.more():
            feed.cut = True
            return Fault(length, MalformedReason.TOO_LARGE)
    length += _bytes(feed.text[feed.at : end])
    feed.at = end
    return Fault(length, MalformedReason.TOO_LARGE)


def _pass_line(feed: Feed) -> Fault:
    length = 0
    while (end := feed.text.find("\n", feed.at)) < 0:
        length += _bytes(feed.text[feed.at :])
        feed.at = len(feed.text)
        if not feed.more():
            return Fault(length, MalformedReason.TOO_LARGE)
    length += _bytes(feed.text[feed.at : end])
    feed.at = end + 1
    return Fault(length, MalformedReason.TOO_LARGE)


def _judge(text: str, *, odd: bool) -> Row | Fault:
    try:
        check_length(text)
        return to_row(decode(text), odd=odd)
    except UnfitError as error:
        return _fault(text, error.reason)


def _fault(text: str, reason: MalformedReason) -> Fault:
    body = text.encode("utf-8", "surrogateescape")
    return Fault(len(body), reason, body if len(body) <= LARGEST_BODY else None)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _no_list(feed: Feed, path: tuple[str, ...]) -> NoListError:
    return NoListError(
        f"{feed.where} has no list at '{'.'.join(path)}'; correct the server's `records` in the contract"
    )


def _not_json(feed: Feed) -> SourceError:
    return SourceError(f"{feed.where} isn't JSON around character {feed.taken + feed.at}, beside its list of records")
