"""Texts around a value: with a word that says what it is and without, and the ways in which cells wrap it.

In a template {} is the value and {w} the word.
"""

UNTOLD = (
    "{} was on the parcel", "Please check {} before Friday.", "customer wrote {} on the slip, no answer yet",
    "see {} (2nd page)",
    "Kundin nannte {} am Telefon.", "Le client a noté {} hier", "El cliente indicó {} ayer.",
    "klient podał {} wczoraj",
    "Müşteri {} dedi", "клиент указал {} вчера", "前回は {} でした", "العميل كتب {} أمس",
    "Returned by courier. {}. Nothing else.",
    "old: -, new: {}", "two things: {}; and a scarf",
)  # fmt: skip
TOLD = (
    "{w}: {}", "her {w} is {}", "{w} {} (copy attached)", "I forgot my {w}, I think it is {}, please look", "{w}={}",
    "neue {w} {} eingetragen", "{w} : {} (à vérifier)", "his {w}? {}!",
)  # fmt: skip
WRAPPED = (
    '"{}"',
    "[{}]",
    "a;{};b",
    '{{"v": "{}"}}',
    "<b>{}</b>",
    "  {}  ",
    "'{}',",
    "line one\n{}\nline three",
    "\t{}",
    "*{}*",
)
JOINED = ("x{}", "{}x", "_{}_", "昨日{}を確認", "nr{}", "é{}é")
"""No space between the value and what touches it: hard."""


def put(template: str, value: str, word: str) -> tuple[str, int]:
    """The text, and where the value begins in it."""
    before, _, after = template.partition("{}") if "{{" not in template else _json(template)
    before = before.replace("{w}", word)
    return before + value + after.replace("{w}", word), len(before)


def _json(template: str) -> tuple[str, str, str]:
    return template.replace("{{", "{").replace("}}", "}").partition("{}")
