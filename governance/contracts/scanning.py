"""What a dataset's `scanning` says: the entities, countries and scores by which its cells are searched."""

from governance.contracts.entities import COUNTRIES, SEARCHED
from governance.contracts.node import Node
from governance.contracts.types import UNDECLARED_SHARE, Scanning
from governance.contracts.words import SCANNING_TERMS, nearest

_MEANT = {"uk": "gb", "en": "gb", "el": "gr"}
"""Codes that look like a country's and are a language's, or nobody's."""


def read_scanning(node: Node | None) -> Scanning:
    """{entities, countries, threshold, thresholds, undeclaredShare}, none of which must be there."""
    if node is None:
        return Scanning()
    given = node.mapping(SCANNING_TERMS)
    threshold = given["threshold"].share() if "threshold" in given else None
    share = given["undeclaredShare"].share() if "undeclaredShare" in given else None
    return Scanning(
        entities=_entities(given["entities"]) if "entities" in given else (),
        countries=_countries(given["countries"]) if "countries" in given else (),
        threshold=Scanning.threshold if threshold is None else threshold,
        thresholds=_thresholds(given["thresholds"]) if "thresholds" in given else {},
        undeclared_share=UNDECLARED_SHARE if share is None else share,
    )


def _entities(node: Node) -> tuple[str, ...]:
    words = node.texts()
    for word in words:
        if word not in SEARCHED:
            message = f"'{word}' is nothing that cells are searched for: Presidio's entity names are."
            node.fault("unknown-word", message, nearest(word, SEARCHED))
    return words


def _countries(node: Node) -> tuple[str, ...]:
    words = node.texts()
    for word in words:
        if word not in COUNTRIES:
            low = word.lower()
            hint = low if low in COUNTRIES else _MEANT.get(low)
            node.fault("unknown-word", f"'{word}' is no country's code: two small letters of ISO 3166-1.", hint)
    return words


def _thresholds(node: Node) -> dict[str, float]:
    """{ENTITY: score}."""
    return {entity: score for entity, one in node.mapping(SEARCHED).items() if (score := one.share()) is not None}
