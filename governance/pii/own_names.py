"""A person's own name in a text: whole, in either order, or one word of it where that word speaks for the person.

One word alone counts if it has three letters or more (two in scripts without spaces) and is
* no word of the language (`own_words`): written with a capital, or of five letters or more in any case;
* a common English word ("Will", "Rose"): with a capital within a sentence and no capital beside it;
* a month, place or German noun: after a title or greeting only.
A common word after a title or greeting, or beside another word of the name, always counts. Scripts without case have
capitals everywhere.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from governance.pii.folding import LIMIT, fold, unspaced
from governance.pii.own_search import Needle, Place, Text, needle_of
from governance.pii.own_words import CAPITALISED, COMMON, INTRODUCING, PARTICLES, TITLES

WHOLE, ALONE, DOUBTFUL = 1.0, 0.8, 0.6
MOST_PARTS, MOST_WORDS = 6, 16
"""Parts of a double name and words of a name that are looked for; a longer value is no name."""
_WORDS = re.compile(r"[^\s,;/()\"“”„«»&_]+")
_SENTENCE = re.compile(r"(?:^|[.!?:•\n\r])[\s\"'“”„«»(*\u2013-]*$")


@dataclass(frozen=True)
class _Word:
    needle: Needle
    grade: str


@dataclass(frozen=True)
class _Name:
    words: tuple[_Word, ...]
    whole: tuple[Needle, ...]

    @property
    def plain(self) -> bool:
        """Whether some word of it is no word of a language."""
        return any(w.grade == "plain" for w in self.words)


@dataclass(frozen=True)
class _Hit:
    start: int
    stop: int
    word: _Word


def person(text: Text, value: str) -> Iterator[Place]:
    """Places of a person's name. Raises TooManyError."""
    name = _name(value)
    for needle in name.whole:
        for start, stop in text.find(needle):
            if _is_whole(text, start, stop, plain=name.plain):
                yield text.place(start, stop, WHOLE)
    hits = sorted(
        {_Hit(*at, word) for word in name.words for at in text.find(word.needle)}, key=lambda h: (h.start, -h.stop)
    )
    chain: list[_Hit] = []
    for hit in hits:
        if chain and (hit.start < chain[-1].stop or not _follows(text, chain[-1], hit)):
            if hit.start < chain[-1].stop:  # a part of the word before it
                continue
            yield from _chain(text, chain)
            chain = []
        chain.append(hit)
    yield from _chain(text, chain)


def single(text: Text, start: int, stop: int, symbols: str) -> float:
    """How surely one word of a text is a name: 0 if it isn't."""
    return _alone(text, _Hit(start, stop, _Word(Needle(symbols, frozenset()), _grade(symbols))))


def _chain(text: Text, chain: list[_Hit]) -> Iterator[Place]:
    telling = [h for h in chain if h.word.grade != "particle"]
    distinct = {h.word.needle.symbols for h in telling}
    if len(distinct) > 1 and any(_alone(text, h) or _capital(text, h.start) for h in telling):
        yield text.place(chain[0].start, chain[-1].stop, WHOLE)
        return
    for hit in telling:
        score = _alone(text, hit)
        if score:
            yield text.place(hit.start, hit.stop, score)


def _alone(text: Text, hit: _Hit) -> float:
    if _introduced(text, hit.start):
        return ALONE
    capital, size = _capital(text, hit.start), letters(hit.word.needle.symbols)
    if hit.word.grade == "plain":
        return ALONE if capital else DOUBTFUL if size >= 5 else 0.0
    if hit.word.grade == "common":
        return DOUBTFUL if capital and _within_sentence(text, hit) else 0.0
    return 0.0


def _within_sentence(text: Text, hit: _Hit) -> bool:
    if _begins(text, hit.start):
        return False
    low = hit.start - 1
    while low > 0 and not text.folded.edge[low]:
        low -= 1
    after = hit.stop < len(text.folded.symbols) and _upper(text, hit.stop)
    return not (after or (_upper(text, low) and not _begins(text, low)))


def _begins(text: Text, symbol: int) -> bool:
    """Whether a sentence, or the text, begins here."""
    place = int(text.folded.begin[symbol])
    return bool(_SENTENCE.search(text.raw[max(0, place - 40) : place]))


def _introduced(text: Text, start: int) -> bool:
    low = start
    while low > 0 and start - low < 12:
        low -= 1
        if text.folded.edge[low]:
            return text.folded.symbols[low:start] in INTRODUCING and text.near(start)
    return False


def _follows(text: Text, before: _Hit, here: _Hit) -> bool:
    """Whether two words stand side by side, an initial between them allowed."""
    between = here.start - before.stop
    return between <= 1 and text.near(here.start) and (between == 0 or text.near(before.stop))


def _is_whole(text: Text, start: int, stop: int, *, plain: bool) -> bool:
    """A whole name counts in any case if it is long and not made of common words; else it must begin with a capital,
    and a very short one be written apart.
    """
    size = letters(text.folded.symbols[start:stop])
    if size >= 6 and plain:
        return True
    apart = bool(text.folded.apart[start + 1 : stop].any())
    return _capital(text, start) and size >= (4 if apart else 5)


def _capital(text: Text, symbol: int) -> bool:
    character = text.raw[int(text.folded.begin[symbol])]
    return _upper(text, symbol) or character.upper() == character.lower()


def _upper(text: Text, symbol: int) -> bool:
    character = text.raw[int(text.folded.begin[symbol])]
    return character.isupper() or character.istitle()


def letters(symbols: str) -> int:
    """Letters as people count them. In scripts without spaces each is worth two."""
    composed = unicodedata.normalize("NFC", symbols)
    return sum(2 if ord(c) >= LIMIT or unspaced()[ord(c)] else 1 for c in composed)


def _grade(symbols: str) -> str:
    if symbols in PARTICLES or symbols in TITLES:
        return "particle"
    return "capitalised" if symbols in CAPITALISED else "common" if symbols in COMMON else "plain"


def _name(value: str) -> _Name:
    words: dict[str, _Word] = {}
    whole: list[Needle] = []
    for written_out in (False,) if value.isascii() else (False, True):
        forms = [fold(m[0], written_out=written_out) for m in _WORDS.finditer(value)]
        forms = [f for f in forms if f.symbols]
        fixed = len(forms) > MOST_WORDS or any(f.symbols in TITLES for f in forms)
        while forms and forms[0].symbols in TITLES:
            forms = forms[1:]
        forms = forms[:MOST_WORDS]
        tokens = [needle_of(f, 0, len(f.symbols)) for f in forms]
        for token in tokens:
            for part in (token, *_parts(token)):
                if letters(part.symbols) >= 3 and any(c.isalpha() for c in part.symbols):
                    words.setdefault(part.symbols, _Word(part, _grade(part.symbols)))
        if len(tokens) > 1:
            whole += [_joined(tokens)] + ([] if fixed else [_joined([tokens[-1], *tokens[:-1]])])
    return _Name(tuple(words.values()), tuple(dict.fromkeys(whole)))


def _parts(token: Needle) -> list[Needle]:
    """The words of a double name: each, and those that stand side by side (`O'Brien` of `O'Brien-Smith`)."""
    cuts = [0, *sorted(token.joints), len(token.symbols)][:MOST_PARTS]
    return [
        Needle(token.symbols[low:high], frozenset(j - low for j in token.joints if low < j < high))
        for low, high in combinations(cuts, 2)
        if high - low < len(token.symbols)
    ]


def _joined(tokens: list[Needle]) -> Needle:
    joints: set[int] = set()
    size = 0
    for token in tokens:
        joints |= {size, *(size + j for j in token.joints)}
        size += len(token.symbols)
    return Needle("".join(t.symbols for t in tokens), frozenset(joints - {0}))
