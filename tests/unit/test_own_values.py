"""A row's own declared values are found in its free text however they are written; other people's and words are not."""

import random
import re
import time
import unicodedata
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.pii import own_values
from governance.pii.own_forms import phone_digits
from governance.pii.own_values import find, look
from governance.pii.spans import Spans
from samples.people import customers
from samples.seeded import stream

ENTITIES = {
    "name": "PERSON", "mail": "EMAIL_ADDRESS", "tel": "PHONE_NUMBER", "home": "LOCATION", "born": "DATE_TIME",
    "card": "ID",
}  # fmt: skip
ZOE: dict[str, Any] = {
    "name": "Zoë O'Brien-Smith",
    "mail": "zoe.obrien85+shop@example.com",
    "tel": "+44 (0)7700 900123 ext. 4",
    "home": "Flat B, 12 Rosemary Lane\nLeeds LS1 4AP",
    "born": date(1985, 5, 3),
    "card": "C-004711",
}


def _found(text: str, **values: Any) -> list[tuple[str, str]]:
    values = values or ZOE
    spans = find(pa.array([text]), {k: pa.array([v]) for k, v in values.items()}, ENTITIES).merged()
    return [(text[start:end], entity) for _, start, end, entity, _ in spans.tuples()]


@pytest.mark.parametrize(
    ("text", "part", "entity"),
    [
        ("Please call Zoe Obrien Smith.", "Zoe Obrien Smith", "PERSON"),
        ("ZOË O\u2019BRIEN wants it blue", "ZOË O\u2019BRIEN", "PERSON"),
        ("sold to obrien, zoe", "obrien, zoe", "PERSON"),
        ("Zoe came by", "Zoe", "PERSON"),
        ("user zoeobriensmith complained", "zoeobriensmith", "PERSON"),
        ("for Zo\u200de\u0308 O'Brien\u202c \U0001f600", "Zo\u200de\u0308 O'Brien\u202c", "PERSON"),
        ("\U0001f469\u200d\U0001f467 zoe obrien85 again", "zoe obrien85", "EMAIL_ADDRESS"),
        ("write ZOE.OBRIEN85@EXAMPLE.COM", "ZOE.OBRIEN85@EXAMPLE.COM", "EMAIL_ADDRESS"),
        ("zoe.obrien85+shop@example.com", "zoe.obrien85+shop@example.com", "EMAIL_ADDRESS"),
        ("now zoe.obrien85@work.example.", "zoe.obrien85@work.example", "EMAIL_ADDRESS"),
        ("zoe.obrien85 at work", "zoe.obrien85", "EMAIL_ADDRESS"),
        ("ring 07700900123 first", "07700900123", "PHONE_NUMBER"),
        ("+44-7700-900-123", "+44-7700-900-123", "PHONE_NUMBER"),
        ("0044 7700 900123", "0044 7700 900123", "PHONE_NUMBER"),
        ("ext of 900 123", "900 123", "PHONE_NUMBER"),
        ("tel\u0660\u0667\u0667\u0660\u0660\u0669\u0660\u0660\u0661\u0662\u0663", None, "PHONE_NUMBER"),
        ("tel \uff10\uff17\uff17\uff10\uff10 \uff19\uff10\uff10\uff11\uff12\uff13", None, "PHONE_NUMBER"),
        ("leave at 12 rosemary lane", "12 rosemary lane", "LOCATION"),
        ("Rosemary Lane 12, rear", "Rosemary Lane 12", "LOCATION"),
        ("from leeds LS14AP", "leeds LS14AP", "LOCATION"),
        ("born 3 May 1985", "3 May 1985", "DATE_TIME"),
        ("born 3rd of May, 1985", "3rd of May, 1985", "DATE_TIME"),
        ("dob 03/05/85", "03/05/85", "DATE_TIME"),
        ("dob 5/3/1985", "5/3/1985", "DATE_TIME"),
        ("1985-05-03T00:00:00", "1985-05-03", "DATE_TIME"),
        ("geb. 3. Mai 1985", "3. Mai 1985", "DATE_TIME"),
        ("19850503 is it", "19850503", "DATE_TIME"),
        ("club card c 004 711", "c 004 711", "ID"),
    ],
)
def test_own_values_are_found_however_they_are_written(text: str, part: str | None, entity: str) -> None:
    wanted = (part or text.removeprefix("tel").strip(), entity)
    name = {"name": ZOE["name"]} if entity == "PERSON" else {k: v for k, v in ZOE.items() if k != "name"}
    assert _found(text, **name) == [wanted]


@pytest.mark.parametrize(
    "text",
    [
        "a canoe with a zoetrope",
        "zoe alone, three letters in lower case",
        "the brienne cake",
        "order 83900123 has another number's tail",
        "7700 900124",
        "90012",
        "the lane with rosemary",
        "12 lanes",
        "version 3.5.1986, build 1985",
        "5 of 3, then 1985 boxes and 85 bags",
        "order 4711",
        "mail info@example.com",
        "",
        "\u0000\u0001\u202e",
    ],
)
def test_what_only_looks_like_them_is_not_found(text: str) -> None:
    assert _found(text) == []


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Will May", "Will ship tomorrow", False),
        ("Will May", "Arrives in May", False),
        ("Will May", "it will may be late", False),
        ("Will May", "NEW WILL TEMPLATE", False),
        ("Will May", "Ask Will about the parcel", True),
        ("Will May", "Dear Will, thank you", True),
        ("Will May", "Sold to Will May", True),
        ("Rosa Kaya", "New Rosa Edition", False),
        ("Rosa Kaya", "kaya, in lower case", False),
        ("Rosa Kaya", "Kaya rang", True),
        ("Petra Bauer", "Ein Bauer aus der Region", False),
        ("Petra Bauer", "Frau Bauer rief an", True),
        ("Petra Bauer", "petra rang", True),
        ("Jo Li", "un joli cadeau", False),
        ("Jo Li", "Jo Li rang", True),
        ("Ina Box", "in a box", False),
        ("van der Berg", "die von der Firma", False),
        ("\u5c71\u7530 \u82b1\u5b50", "\u82b1\u5b50\u3055\u3093\u306e\u6ce8\u6587", True),
        ("\uae40\ubbfc\uc218", "\uae40\ubbfc\uc218\ub294 \uc8fc\ubb38", True),
        ("Łukasz Müller", "lukasz mueller rang", True),
        ("Jose\u0301 Núñez", "JOSE NUNEZ", True),
        ("Дарья Павлова", "Дарья звонила", True),
        ("Dr. Anneke de Vries", "anneke de vries", True),
        ("Jean-Luc Moreau", "Jean Luc rang", True),
    ],
)
def test_a_single_name_counts_only_where_it_is_the_person(name: str, text: str, found: bool) -> None:
    assert bool(_found(text, name=name)) is found


def test_a_field_without_an_entity_is_no_personal_data() -> None:
    column = pa.array(["Home Office chair"])
    assert not len(find(column, {"segment": pa.array(["Home Office"])}, {}))


def test_null_texts_null_values_and_slices() -> None:
    texts = pa.array(["x", None, "Ada Thorne rang", "Ada Thorne rang", "Eve rang"])[1:]
    names = pa.array(["?", "Ada Thorne", None, "Ada Thorne", "Ada Thorne"])[1:]
    assert find(texts, {"name": names}, ENTITIES).touched(4).tolist() == [False, False, True, False]


def test_values_of_other_types() -> None:
    declared = {"card": pa.array([1234567]), "born": pa.array(["03/05/1985"])}
    text = "card 123-4567, born 1985-05-03 or 1985-03-05"
    spans = find(pa.array([text]), declared, ENTITIES).merged()
    assert [text[s:e] for _, s, e, _, _ in spans.tuples()] == [
        "123-4567", "1985-05-03", "1985-03-05",
    ]  # fmt: skip
    with pytest.raises(TypeError):
        find(pa.array([1]), declared, ENTITIES)


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        ("+44 7700 900123", "7700900123"),
        ("0044 (0)7700 900123", "7700900123"),
        ("(07700) 900-123 ext 12", "7700900123"),
        ("+1 (205) 555-0100 x4", "2055550100"),
        ("+358 40 0000000", "400000000"),
    ],
)
def test_the_national_digits_of_a_phone_number(value: str, digits: str) -> None:
    assert phone_digits(value) == digits


# --- Properties -----------------------------------------------------------------------------------------------------

PEOPLE = [p for p in customers(11, 400) if p.email and p.phone and p.name.isascii() and p.sharers == 1]
FILLER = re.findall(
    r"\S+", "the box was late and wet so we sent another by post on the next day with 2 cups 0.5 l blue"
)


def _case(text: str, chance: random.Random) -> str:
    return chance.choice([str, str.upper, str.title])(text)


def _accents(text: str, chance: random.Random) -> str:
    return "".join(c + ("\u0301" if c.isalpha() and chance.random() < 0.2 else "") for c in text)


def _punctuated(text: str, chance: random.Random) -> str:
    return "".join(chance.choice([" ", "  ", "-", ", ", "\u00a0", "\n"]) if c in " .'-" else c for c in text)


def _hidden(text: str, chance: random.Random) -> str:
    return "".join(c + (chance.choice("\u200d\u200b\u00ad\x00") if chance.random() < 0.1 else "") for c in text)


def _wide(text: str, chance: random.Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" and c not in ".'" else c for c in text)


def _written(value: str, chance: random.Random) -> str:
    for change in chance.sample([_case, _accents, _punctuated, _hidden, _wide], chance.randrange(4)):
        value = change(value, chance)
    return value


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 10**9))
def test_a_planted_value_of_ones_own_is_found_and_anothers_is_not(seed: int) -> None:
    chance = stream(seed, "planted")
    person, other = chance.sample(PEOPLE, 2)
    field, value = chance.choice([("name", person.name), ("mail", person.email), ("tel", person.phone.plain(chance))])
    words = chance.sample(FILLER, chance.randrange(len(FILLER)))
    words.insert(chance.randrange(len(words) + 1), _written(value, chance) if field != "tel" else value)
    text = " ".join(words)
    own = {"name": person.name, "mail": person.email, "tel": person.phone.free(chance)}
    theirs = {"name": other.name, "mail": other.email, "tel": other.phone.free(chance)}
    entities = {ENTITIES[f] for f in own}
    mine = find(pa.array([text]), {k: pa.array([v]) for k, v in own.items()}, ENTITIES)
    assert ENTITIES[field] in {mine.names[e] for e in mine.entity} & entities, (text, own)
    shared = set(_parts(person)) & set(_parts(other))
    if not shared:
        assert not len(find(pa.array([text]), {k: pa.array([v]) for k, v in theirs.items()}, ENTITIES)), (text, theirs)


def _parts(person: Any) -> list[str]:
    plain = unicodedata.normalize("NFKD", person.name).casefold()
    return [w for w in plain.replace("'", " ").replace("-", " ").split() if len(w) > 2]


PIECES = [
    "Ada", "ada", "lovelace", "Jo", "Li", "O'Brien", "\u5c71\u7530", "\u82b1", "\uae40\ubbfc", "Müller", "mueller",
    "12", "7", "3", "5", "05", "85", "1985", "19850503", "May", "of", "Rosemary", "Lane", "LS1", "4AP", "@", "+",
    "example", ".com", "7700", "900123", "900", "123", "07700900123", "(0)", "x4", "C004", "Dr", "Will",
    "\u200d", "\u0301", "ß", "\ufb01n", "\U0001f600", "\u0967\u0968", "x\x00y",
]  # fmt: skip
MADE = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(["", " ", "-", ", ", "\n", ".", "  "])), max_size=9)


def _glued(pieces: list[tuple[str, str]]) -> str:
    return "".join(a + b for a, b in pieces)


def _regrouped(pieces: list[tuple[str, str]], chance: Any) -> str:
    """The pieces with other things between them, and some of them in two."""
    cut = [(a, len(a) // 2 if chance.random() < 0.4 else 0) for a, _ in pieces]
    return "".join(a[:at] + ("-" if at else "") + a[at:] + chance.choice(["", " ", "-", ", "]) for a, at in cut)


@settings(deadline=None, max_examples=1000)
@given(st.sampled_from(sorted(ENTITIES)), MADE, MADE, MADE, st.randoms(use_true_random=False))
def test_the_quick_pass_loses_nothing(
    field: str, value: list[tuple[str, str]], before: list[tuple[str, str]], after: list[tuple[str, str]], chance: Any
) -> None:
    inside = value[chance.randrange(len(value) + 1) :] if chance.random() < 0.5 else value
    text = _glued(before) + (_regrouped(inside, chance) if chance.random() < 0.5 else _glued(inside)) + _glued(after)
    values: Any = pa.array([_glued(value)])
    if field == "born" and chance.random() < 0.7:
        values = pa.array([date(1985, 5, 3)])
    column = pa.array([text])
    slow = look(column, {field: values}, ENTITIES, {field: np.array([True])})
    assert find(column, {field: values}, ENTITIES).tuples() == slow.tuples()


# --- Bad input ------------------------------------------------------------------------------------------------------


def _all(text: str) -> Spans:
    return find(pa.array([text], pa.large_string()), {k: pa.array([v]) for k, v in ZOE.items()}, ENTITIES)


def test_ten_megabytes_hold_a_name_at_their_end() -> None:
    text = "the quick fox, \u0416\u0301 1985 \U0001f600. " * 330_000 + "Zoe O'Brien"
    began = time.process_time()
    spans = _all(text)
    assert time.process_time() - began < 20
    assert [text[s:e] for _, s, e, n, _ in spans.tuples() if n == "PERSON"] == ["Zoe O'Brien"]


def test_a_text_that_is_nothing_but_the_value_is_answered_as_unread() -> None:
    spans = _all("zoezoe" * 1_000_000 + " Zoe")
    assert spans.unread.tolist() == [0]
    assert _all("Zoe, " * 40_000).unread.tolist() == [0]


def test_a_value_as_long_as_a_book_is_looked_at() -> None:
    value = "Ada " + "x" * 5000
    assert _found("card " + value, card=value) == [(value, "ID")]
    assert _found("card " + value + "x", card=value) == []
    assert _found("Ada rang", name=value) == [("Ada", "PERSON")]


def test_the_quick_pass_leaves_little_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = stream(5, "texts")
    people = customers(3, 2000)
    texts = pa.array([" ".join(chance.choices(FILLER, k=14)).capitalize() for _ in people])
    declared = {"name": pa.array([p.name for p in people]), "mail": pa.array([p.email for p in people])}
    seen: dict[str, Any] = {}
    monkeypatch.setattr(own_values, "look", lambda c, d, e, masks: seen.update(masks) or Spans.none())
    own_values.find(texts, declared, ENTITIES)
    assert sum(int(mask.sum()) for mask in seen.values()) < 0.02 * len(people)
