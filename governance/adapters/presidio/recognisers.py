"""Which of Presidio's recognisers a plan asks for.

Only those that work on the text alone: patterns, checksums, phone numbers. Models of names are another matter (the
`Names` Protocol), and recognisers that ask a server are never loaded.

* A plan without entities and countries gets the generic recognisers and those of a country that Presidio enables for
  English by itself (US and UK ones).
* Its countries add theirs, also those that Presidio leaves off, and leave the ones of all other countries out.
* Its entities leave only the recognisers of these, of any country unless countries are given.

Phone numbers are also read as those of the plan's countries.
"""

import inspect
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import presidio_analyzer
import yaml
from phonenumbers import SUPPORTED_REGIONS
from presidio_analyzer import EntityRecognizer, predefined_recognizers
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from governance.adapters.presidio.offline import work_offline
from governance.errors import ContractError
from governance.pii.scanner import ScanPlan

NAMED = frozenset({"PERSON", "LOCATION", "NRP", "ORGANIZATION"})
"""Entities that only a model of names finds."""
_FOLDERS = (".predefined_recognizers.generic.", ".predefined_recognizers.country_specific.")
_CONFIGURATION = Path(presidio_analyzer.__file__).parent / "conf" / "default_recognizers.yaml"


@lru_cache(maxsize=1)
def shipped() -> tuple[type[EntityRecognizer], ...]:
    """The classes of every recogniser that Presidio ships and that needs the text alone, by name."""
    classes = [getattr(predefined_recognizers, name) for name in predefined_recognizers.__all__]
    own: list[Any] = [c for c in classes if inspect.isclass(c) and any(folder in c.__module__ for folder in _FOLDERS)]
    return tuple(sorted(set(own), key=lambda c: str(c.__name__)))


@lru_cache(maxsize=1)
def enabled() -> frozenset[str]:
    """The names of those that Presidio enables for English by itself."""
    entries = yaml.safe_load(_CONFIGURATION.read_text())["recognizers"]
    return frozenset(e["name"] for e in entries if e.get("enabled", True) and _speaks_english(e))


def recognisers_of(plan: ScanPlan) -> list[EntityRecognizer]:
    """A recogniser object for each that the plan asks for, by name. Raises ContractError for an entity that nothing can
    find.
    """
    work_offline()
    made = [_make(c, plan.countries) for c in shipped() if _country_fits(c, plan)]
    if not plan.entities:
        return made
    wanted = set(plan.entities)
    unknown = wanted - NAMED - {entity for r in made for entity in r.supported_entities}
    if unknown:
        raise ContractError(
            f"no recogniser finds {', '.join(sorted(unknown))}"
            + (f" for the countries {', '.join(plan.countries)}" if plan.countries else "")
            + ": mend the dataset's scanning entities or countries"
        )
    return [r for r in made if wanted & set(r.supported_entities)]


def entities_of(recognisers: Iterable[EntityRecognizer]) -> tuple[str, ...]:
    """The entities that they find, sorted."""
    return tuple(sorted({entity for r in recognisers for entity in r.supported_entities}))


def _country_fits(kind: type[EntityRecognizer], plan: ScanPlan) -> bool:
    country = kind.COUNTRY_CODE
    if country is None:
        return True
    if plan.countries:
        return country in _presidio_codes(plan.countries)
    return bool(plan.entities) or kind.__name__ in enabled()


def _make(kind: Any, countries: tuple[str, ...]) -> Any:
    if kind is PhoneRecognizer and countries:
        wanted = [code.upper() for code in _iso_codes(countries)]
        regions = dict.fromkeys((*PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS, *wanted))
        return kind(supported_regions=tuple(r for r in regions if r in SUPPORTED_REGIONS))
    return kind(supported_language="en")


def _presidio_codes(countries: tuple[str, ...]) -> set[str]:
    """Presidio calls the United Kingdom uk, ISO 3166 gb."""
    return {*countries, "uk"} if "gb" in countries else set(countries)


def _iso_codes(countries: tuple[str, ...]) -> list[str]:
    return ["gb" if code == "uk" else code for code in countries]


def _speaks_english(entry: dict[str, object]) -> bool:
    languages = entry.get("supported_languages")
    if not isinstance(languages, list):
        return True
    return "en" in [one["language"] if isinstance(one, dict) else one for one in languages]
