r"""From a pattern of the `regex` module to one of RE2 that is found wherever it is: a superset by construction.

The steps, each of which can only let more through:
- a set of characters becomes one that holds at least it, closed over case by `regex`'s own tables;
- what must stand before the match's begin, or after its end, becomes a character there that may (or the text's end);
- what must be seen elsewhere (a look ahead from the middle) becomes a pattern of its own, to be found anywhere;
- what must not be seen, inner boundaries, anchors and the match's optional ends go;
- a reference to a group becomes what the group can match;
- a repeat that RE2 can't count, or only in a large program, becomes one without end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from governance.pii.charset import ANY, CharSet, re2, words
from governance.pii.measures import Needs, needs, strongest
from governance.pii.syntax import Boundary, Chars, Choice, Look, Node, NotUnderstoodError, Repeat, Sequence, edge, parse

_MOST_REPEATS = (64, 16, 4)
_MOST_LENGTH = 400_000


@dataclass(frozen=True)
class Clause:
    """What a text must have to hold one match: each of the `patterns` (RE2) is found in it, and each measure is at
    least what is needed.
    """

    patterns: tuple[str, ...]
    needs: Needs


def clause_of(pattern: str, flags: int) -> Clause | None:
    """The clause of a pattern under these flags of `regex`; None if it isn't understood or RE2 can't have it."""
    try:
        tree = parse(pattern, flags)
    except NotUnderstoodError:
        return None
    for most in _MOST_REPEATS:
        writer = _Writer(most)
        main = writer.write(tree, _Edges(True, True))
        found = tuple(p for p in dict.fromkeys([main, *_seen(tree, most)]) if p)
        if all(_compiles(p) for p in found):
            return Clause(found, strongest([needs(tree), *(needs(look.node) for look in _looks(tree))]))
    return None


def _compiles(pattern: str) -> bool:
    if len(pattern) > _MOST_LENGTH:
        return False
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid:
        return False
    return True


def _seen(tree: Node, most: int) -> Iterator[str]:
    """What must be seen besides the match: right at its begin, or somewhere."""
    items = tree.items if isinstance(tree, Sequence) else (tree,)
    first = next((i for i, item in enumerate(items) if not _takes_none(item)), len(items))
    writer, inner = _Writer(most), items[first:]
    before = writer.beside(items[:first], inner, True)
    begin, empty = edge(Sequence(inner), left=True)
    for look in _looks(tree):
        anchored = look.ahead and look in items[:first] and not before.bodies and not empty
        there = writer.from_begin(look.node, begin) if anchored else None
        yield writer.write(look.node, _Edges(True, True)) if there is None else before.text(r"\A") + there


def _looks(node: Node) -> Iterator[Look]:
    """The looks for what must be there, wherever the text matches."""
    if isinstance(node, Look) and node.wanted:
        yield node
        yield from _looks(node.node)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _looks(item)
    elif isinstance(node, Repeat) and node.low:
        yield from _looks(node.node)


@dataclass(frozen=True)
class _Edges:
    """Whether nothing that takes a character stands before, or after, a node in its pattern."""

    left: bool
    right: bool


_INNER = _Edges(False, False)


@dataclass
class _Around:
    """What is known of the character beside an edge: the set it is of, and whether the text may end there."""

    chars: CharSet = ANY
    end: bool = True
    bodies: list[Node] = field(default_factory=list)

    @property
    def silent(self) -> bool:
        return not self.bodies and self.end and self.chars == ANY

    def text(self, end: str) -> str:
        if self.end and self.chars == ANY:
            return ""
        return f"(?:{end}|{re2(self.chars)})" if self.end else re2(self.chars)


class _Writer:
    def __init__(self, most_repeats: int) -> None:
        self.most = most_repeats

    def write(self, node: Node, edges: _Edges) -> str:
        if isinstance(node, Chars):
            return re2(node.most)
        if isinstance(node, Sequence):
            return self.sequence(node.items, edges)
        if isinstance(node, Choice):
            return "(?:" + "|".join(dict.fromkeys(self.write(branch, edges) for branch in node.branches)) + ")"
        if isinstance(node, Repeat):
            return self.repeat(node, edges)
        # A look or a boundary on its own.
        return self.sequence((node,), edges)

    def sequence(self, items: tuple[Node, ...], edges: _Edges) -> str:
        first = next((i for i, item in enumerate(items) if not _takes_none(item)), len(items))
        last = next((i for i in range(len(items), 0, -1) if not _takes_none(items[i - 1])), first)
        inner = items[first:last]
        before = self.beside(items[:first], inner, True) if edges.left else _Around()
        after = self.beside(items[last:], inner, False) if edges.right and inner else _Around()
        parts = [before.text(r"\A"), *(self.write(body, _Edges(True, False)) for body in before.bodies)]
        for i, item in enumerate(inner):
            left = edges.left and i == 0 and before.silent
            right = edges.right and i == len(inner) - 1 and after.silent
            parts.append(self.write(item, _Edges(left, right)))
        parts += [*(self.write(body, _Edges(False, True)) for body in after.bodies), after.text(r"\z")]
        return "".join(parts)

    def repeat(self, node: Repeat, edges: _Edges) -> str:
        if (edges.left or edges.right) and node.low == 0:
            return ""
        low, high = node.low, node.high
        if low == high == 1:
            return self.write(node.node, edges)
        if edges.left or edges.right:
            high = low
        low = min(low, self.most)
        if high is None or high > self.most:
            high = None
        inner = f"(?:{self.write(node.node, _INNER)})"
        if (low, high) == (0, 1):
            return inner + "?"
        if high is None:
            return inner + {0: "*", 1: "+"}.get(low, f"{{{low},}}")
        return inner if low == high == 1 else inner + (f"{{{low}}}" if low == high else f"{{{low},{high}}}")

    def from_begin(self, node: Node, begin: CharSet) -> str | None:
        """What is seen from the begin of a match on, whose first character is one of these; None if that says little.

        Of many of one set and then the rest, the first is of that set, where the rest can't begin as the match does.
        """
        head, *rest = node.items if isinstance(node, Sequence) else (node,)
        if not (isinstance(head, Repeat) and isinstance(head.node, Chars)):
            return None
        if head.low:
            return self.write(node, _Edges(False, True))
        after, empty = edge(Sequence(tuple(rest)), left=True)
        if empty or after & begin or head.high is not None:
            return None
        return re2(head.node.most & begin) + self.write(node, _Edges(False, True))

    def beside(self, around: tuple[Node, ...], inner: tuple[Node, ...], left: bool) -> _Around:
        """What the boundaries and looks at an edge say of the character beyond it."""
        known = _Around()
        for node in around:
            if isinstance(node, Boundary):
                self.boundary(known, inner, left)
            elif isinstance(node, Look) and node.ahead != left:
                self.look(known, node)
        if known.bodies:
            # What must be seen right there says enough; the character next to the match is within it.
            return _Around(bodies=known.bodies[:1])
        return known

    @staticmethod
    def boundary(known: _Around, inner: tuple[Node, ...], left: bool) -> None:
        chars, empty = edge(Sequence(inner), left)
        if empty:
            return
        if chars <= words():
            known.chars = known.chars & ~words()
        elif not chars & words():
            known.chars = known.chars & words()
            known.end = False

    @staticmethod
    def look(known: _Around, look: Look) -> None:
        if look.wanted:
            known.bodies.append(look.node)
            return
        for node in look.node.branches if isinstance(look.node, Choice) else (look.node,):
            if isinstance(node, Chars):
                known.chars = known.chars & ~node.least


def _takes_none(node: Node) -> bool:
    return isinstance(node, Look | Boundary) or (isinstance(node, Sequence) and all(map(_takes_none, node.items)))
