"""The part of the `regex` module's syntax that a condition can be drawn from, read into a tree.

Whatever isn't known here is refused: a pattern that is half understood would give a condition that drops what it finds.
The tree forgets what only narrows a match (atomic groups, possessive and lazy repeats, ^ and $).
Source: the syntax of the `regex` module (version 0 behaviour) as its documentation gives it.
"""

from dataclasses import dataclass
from typing import Final

import regex

from governance.errors import KasbahError
from governance.pii.charset import ANY, NONE, CharSet, closed, digits, spaces, words


class NotUnderstoodError(KasbahError):
    """The pattern has a construct that isn't known here. Never leaves this package."""


@dataclass(frozen=True)
class Chars:
    """One character. `most` holds all that it can match, `least` only what it surely matches."""

    most: CharSet
    least: CharSet


@dataclass(frozen=True)
class Sequence:
    """One after another; none is the empty match."""

    items: tuple["Node", ...]


@dataclass(frozen=True)
class Choice:
    """One of these."""

    branches: tuple["Node", ...]


@dataclass(frozen=True)
class Repeat:
    """From `low` to `high` times, None for without end."""

    node: "Node"
    low: int
    high: int | None


@dataclass(frozen=True)
class Look:
    """A look ahead or behind, for what must be there or must not."""

    node: "Node"
    ahead: bool
    wanted: bool


@dataclass(frozen=True)
class Boundary:
    r"""\\b: a word character on exactly one side."""


Node = Chars | Sequence | Choice | Repeat | Look | Boundary
EMPTY: Final = Sequence(())


def bare(node: Node) -> Node:
    """A tree without what it says of its surroundings."""
    if isinstance(node, Sequence):
        return Sequence(tuple(bare(item) for item in node.items))
    if isinstance(node, Choice):
        return Choice(tuple(bare(branch) for branch in node.branches))
    if isinstance(node, Repeat):
        return Repeat(bare(node.node), node.low, node.high)
    return node if isinstance(node, Chars) else EMPTY


def edge(node: Node, left: bool) -> tuple[CharSet, bool]:
    """The characters that a match can begin with (or end with), and whether it can be empty."""
    if isinstance(node, Chars):
        return node.most, False
    if isinstance(node, Sequence):
        chars = NONE
        for item in node.items if left else node.items[::-1]:
            more, empty = edge(item, left)
            chars = chars | more
            if not empty:
                return chars, False
        return chars, True
    if isinstance(node, Choice):
        edges = [edge(branch, left) for branch in node.branches]
        return CharSet.of(r for chars, _ in edges for r in chars.ranges), any(empty for _, empty in edges)
    if isinstance(node, Repeat):
        chars, empty = edge(node.node, left)
        return chars, empty or node.low == 0
    return NONE, True


_KNOWN_FLAGS = regex.IGNORECASE | regex.MULTILINE | regex.DOTALL | regex.UNICODE | regex.VERSION0
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_HEX_WIDTH = {"x": 2, "u": 4, "U": 8}
_MOST_COPIED = 1000


def parse(pattern: str, flags: int) -> Node:
    """The tree of a pattern under these flags of `regex`.

    Raises NotUnderstoodError for whatever isn't known here.
    """
    if int(flags) & ~int(_KNOWN_FLAGS) or regex.DEFAULT_VERSION != regex.VERSION0:
        raise NotUnderstoodError("flags")
    return _Reader(pattern, bool(int(flags) & int(regex.IGNORECASE)) or _mentions_case(pattern)).whole()


def _mentions_case(pattern: str) -> bool:
    # Wherever a pattern ignores case, all of it may: that only adds to what it can match.
    return regex.search(r"\(\?[a-zA-Z0-9-]*i", pattern) is not None


class _Reader:
    def __init__(self, pattern: str, ignore_case: bool) -> None:
        self.text = pattern
        self.at = 0
        self.ignore_case = ignore_case
        self.groups: dict[int | str, Node] = {}
        self.opened = 0

    def whole(self) -> Node:
        node = self.choice()
        if self.at < len(self.text):
            raise NotUnderstoodError("a bracket that nothing opens")
        return node

    def peek(self, ahead: int = 0) -> str:
        return self.text[self.at + ahead : self.at + ahead + 1]

    def take(self, text: str) -> bool:
        if not self.text.startswith(text, self.at):
            return False
        self.at += len(text)
        return True

    def need(self, text: str) -> None:
        if not self.take(text):
            raise NotUnderstoodError("what isn't closed")

    def choice(self) -> Node:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def sequence(self) -> Node:
        items: list[Node] = []
        while self.at < len(self.text) and self.peek() not in "|)":
            node = self.repeated(self.item())
            items += node.items if isinstance(node, Sequence) else (node,)
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def repeated(self, node: Node) -> Node:
        while bounds := self.bounds():
            if not self.take("?"):
                self.take("+")
            node = Repeat(node, *bounds)
        return node

    def bounds(self) -> tuple[int, int | None] | None:
        for sign, found in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self.take(sign):
                return found
        if self.peek() != "{":
            return None
        count = regex.compile(r"\{(?:(\d+)|(\d*),(\d*))\}", regex.ASCII).match(self.text, self.at)
        if count is None or count.group() == "{,}":
            # It may be a literal brace, and it may be a fuzzy match.
            raise NotUnderstoodError("a brace")
        self.at = count.end()
        if count.group(1):
            return int(count.group(1)), int(count.group(1))
        return int(count.group(2) or 0), int(count.group(3)) if count.group(3) else None

    def item(self) -> Node:
        char = self.peek()
        self.at += 1
        if char == "(":
            return self.bracket()
        if char == "[":
            return self.set()
        if char == "\\":
            return self.escape()
        if char == ".":
            return Chars(ANY, ANY - CharSet.chars("\n"))
        if char in "^$":
            return EMPTY
        if char in "*+?{":
            raise NotUnderstoodError("a repeat of nothing")
        return self.chars(CharSet.chars(char))

    def chars(self, these: CharSet) -> Chars:
        return Chars(closed(these) if self.ignore_case else these, these)

    def escape(self) -> Node:
        char = self.peek()
        self.at += 1
        if char == "b":
            return Boundary()
        if char in "ABZ":
            return EMPTY
        if char in "123456789":
            if self.peek() in "0123456789" and self.peek():
                raise NotUnderstoodError("a reference of several digits")
            return self.back(int(char))
        known = self.escaped_class(char)
        return known if known is not None else self.chars(CharSet.chars(self.escaped(char)))

    def back(self, name: int | str) -> Node:
        # What a group matched is, but for its case, what it can match; what must stand around it stood there, not here.
        if name not in self.groups:
            raise NotUnderstoodError("a reference to a group that isn't closed")
        return bare(self.groups[name])

    @staticmethod
    def escaped_class(char: str) -> Chars | None:
        if not char or char not in "dDwWsS":
            return None
        base = {"d": digits, "w": words, "s": spaces}[char.lower()]()
        exact = base if char.islower() else ~base
        return Chars(exact, exact)

    def escaped(self, char: str) -> str:
        if char in _HEX_WIDTH:
            width = _HEX_WIDTH[char]
            code = self.text[self.at : self.at + width]
            if len(code) != width or regex.fullmatch(r"[0-9A-Fa-f]+", code) is None:
                raise NotUnderstoodError("a code point")
            self.at += width
            return chr(int(code, 16))
        if char in _CONTROL and char:
            return _CONTROL[char]
        if not char or char.isalnum():
            raise NotUnderstoodError("an escape")
        return char

    def set(self) -> Chars:
        negative = self.take("^")
        most, least = NONE, NONE
        first = True
        while first or self.peek() != "]":
            first = False
            if not self.peek() or self.peek() == "[" or self.text[self.at : self.at + 2] in ("--", "&&", "||", "~~"):
                raise NotUnderstoodError("a set")
            member = self.member()
            most, least = most | member.most, least | member.least
        self.need("]")
        return Chars(~least, ~most) if negative else Chars(most, least)

    def member(self) -> Chars:
        known, low = self.member_char()
        if known is not None:
            if self.peek() == "-" and self.peek(1) != "]":
                raise NotUnderstoodError("a range from a class")
            return known
        if self.peek() != "-" or self.peek(1) in ("]", ""):
            return self.chars(CharSet.chars(low))
        self.at += 1
        if self.peek() in ("[", "-"):
            raise NotUnderstoodError("a set")
        known, high = self.member_char()
        if known is not None or ord(high) < ord(low):
            raise NotUnderstoodError("a range")
        return self.chars(CharSet(((ord(low), ord(high)),)))

    def member_char(self) -> tuple[Chars | None, str]:
        char = self.peek()
        self.at += 1
        if char != "\\":
            return None, char
        char = self.peek()
        self.at += 1
        if char == "b":
            return None, "\b"
        known = self.escaped_class(char)
        return known, "" if known is not None else self.escaped(char)

    def bracket(self) -> Node:
        if not self.take("?"):
            return self.group(None)
        for sign, ahead, wanted in (("=", True, True), ("!", True, False), ("<=", False, True), ("<!", False, False)):
            if self.take(sign):
                return Look(self.rest(), ahead, wanted)
        if self.take(":") or self.take(">"):
            return self.rest()
        if named := regex.compile(r"P?<([A-Za-z_]\w*)>").match(self.text, self.at):
            self.at = named.end()
            return self.group(named.group(1))
        if reference := regex.compile(r"P=([A-Za-z_]\w*)\)").match(self.text, self.at):
            self.at = reference.end()
            return self.back(reference.group(1))
        if inline := regex.compile(r"(?:[imsu]*-)?[imsu]+([:)])").match(self.text, self.at):
            self.at = inline.end()
            return self.rest() if inline.group(1) == ":" else EMPTY
        raise NotUnderstoodError("a group")

    def rest(self) -> Node:
        node = self.choice()
        self.need(")")
        return node

    def group(self, name: str | None) -> Node:
        self.opened += 1
        number = self.opened
        if name is not None and name in self.groups:
            raise NotUnderstoodError("two groups of one name")
        node = self.rest()
        self.groups[number] = node
        if name is not None:
            self.groups[name] = node
        return node
