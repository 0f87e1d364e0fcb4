"""What a contract says of the search for undeclared personal data: its words, what it compiles to, what a change is."""

from pathlib import Path

import phonenumbers
import pytest
from presidio_analyzer.predefined_recognizers import SpacyRecognizer, TransformersRecognizer

from governance.adapters.presidio.recognisers import NAMED, entities_of, recognisers_of, shipped
from governance.contracts import entities
from governance.contracts.diff import diff
from governance.contracts.entities import PII, SEARCHED, searched_for
from governance.contracts.load import load_contract
from governance.contracts.types import UNDECLARED_SHARE, Contract
from governance.enforcement.plan import EnforcementPlan, compile_plan, context_of
from governance.pii.scanner import FieldScan, ScanPlan

VISITS = (Path(__file__).parent / "good_contracts/visits.odcs.yaml").read_text(encoding="utf-8")
BASIS = "      - { property: legalBasis, value: consent }\n"
REMARK = "        name: remark\n"


def visits(folder: Path, scanning: str = "", *, remark: str = "", described: str = "") -> Contract:
    """The good contract, with a `scanning` and with custom properties and a description of the free text."""
    text = VISITS
    assert text.count(BASIS) == 1 and text.count(REMARK) == 1
    if scanning:
        text = text.replace(BASIS, f"{BASIS}      - {{ property: scanning, value: {{ {scanning} }} }}\n")
    own = f"        customProperties:\n{remark}" if remark else ""
    says = f"        description: {described}\n" if described else ""
    path = folder / "contract.odcs.yaml"
    path.write_text(text.replace(REMARK, REMARK + says + own), encoding="utf-8")
    return load_contract(path)


def plan_of(contract: Contract) -> EnforcementPlan:
    return compile_plan(contract.datasets[0], contract)


# Words


def test_whatever_presidio_can_find_a_field_may_be_declared_to_hold() -> None:
    """EMAIL is what one model calls EMAIL_ADDRESS."""
    by_form = {entity for kind in shipped() for entity in kind(supported_language="en").supported_entities}
    by_model = {*SpacyRecognizer().supported_entities, *TransformersRecognizer().supported_entities} - {"EMAIL"}
    assert set(PII) == by_form | by_model
    assert len(set(PII)) == len(PII)
    assert set(SEARCHED) == by_form | NAMED


@pytest.mark.parametrize(
    ("asked", "countries"),
    [((), ()), ((), ("de",)), ((), ("gb", "fr")), (("URL", "DE_KFZ"), ()), (("URL", "DE_KFZ"), ("de", "us"))],
)
def test_what_check_and_diff_take_to_be_searched_for_is_what_the_scanner_searches_for(
    asked: tuple[str, ...], countries: tuple[str, ...]
) -> None:
    found = set(entities_of(recognisers_of(ScanPlan(entities=asked, countries=countries))))
    assert searched_for(asked, countries) - NAMED == (found & set(asked) if asked else found)


def test_every_country_whose_phone_numbers_are_known_has_a_code() -> None:
    beyond_iso = {"AC", "TA", "XK"}
    assert {region.lower() for region in phonenumbers.SUPPORTED_REGIONS - beyond_iso} <= set(entities.COUNTRIES)
    assert set(entities.OF_COUNTRY) <= set(entities.COUNTRIES) and len(entities.COUNTRIES) == 249


# What it compiles to


def test_a_contract_that_says_nothing_gets_the_careful_plan(tmp_path: Path) -> None:
    plan = plan_of(visits(tmp_path))
    assert (plan.scan.entities, plan.scan.countries, plan.scan.threshold, plan.scan.thresholds) == ((), (), 0.4, {})
    assert plan.undeclared_share == UNDECLARED_SHARE == 0.01
    assert {f.field: (f.text, f.redact) for f in plan.scan.fields} == {
        "visit_id": (False, False),
        "seen": (False, False),
        "pages": (False, False),
        "spent": (False, False),
        "remark": (True, False),
    }
    assert plan.scanned == tuple(f.field for f in plan.scan.fields)


def test_scanning_reaches_the_plan(tmp_path: Path) -> None:
    said = "entities: [URL, DE_KFZ], countries: [de], threshold: 0.6, thresholds: { URL: 1 }, undeclaredShare: 0"
    plan = plan_of(visits(tmp_path, said))
    assert (plan.scan.entities, plan.scan.countries) == (("URL", "DE_KFZ"), ("de",))
    assert (plan.scan.least("URL"), plan.scan.least("DE_KFZ"), plan.undeclared_share) == (1.0, 0.6, 0.0)


def test_the_rows_own_values_are_its_personal_fields_by_what_they_are(tmp_path: Path) -> None:
    assert plan_of(visits(tmp_path)).scan.own == {"email": "EMAIL_ADDRESS", "name": "PERSON"}


def test_a_fields_name_and_description_are_its_context(tmp_path: Path) -> None:
    contract = visits(tmp_path, described="Phone number, if the IBANCode isn't known")
    context = plan_of(contract).scan.of("remark").context
    assert context[:10] == ("remark", "phone", "number", "if", "the", "iban", "code", "isn", "t", "known")
    assert context_of("CreditCardNo", "номер_Карты")[:5] == ("credit", "card", "no", "номер", "карты")


def test_a_name_of_several_words_is_context_as_a_phrase_too() -> None:
    assert "national insurance no" in context_of("national_insurance_no")
    assert "steuer-id" in context_of("steuer_id")
    assert "ust-idnr" in context_of("USt-IdNr")
    assert "เลขประจำตัวประชาชน" in context_of("เลขประจำตัวประชาชน")
    assert context_of("remark") == ("remark",)


def test_redaction_and_the_pattern_scan_are_compiled(tmp_path: Path) -> None:
    redact = "          - { property: onFinding, value: redact }\n"
    assert plan_of(visits(tmp_path, remark=redact)).scan.of("remark").redact
    weak = "          - { property: scan, value: pattern }\n          - { property: reason, value: Codes }\n"
    assert plan_of(visits(tmp_path, remark=weak)).scan.of("remark") == FieldScan("remark", False, context=("remark",))


def test_a_constant_of_the_contract_is_no_free_text(tmp_path: Path) -> None:
    constant = "          - { property: derive, value: { kind: constant, value: NL } }\n"
    assert not plan_of(visits(tmp_path, remark=constant)).scan.of("remark").text


def test_a_field_that_isnt_scanned_is_not_in_the_plan(tmp_path: Path) -> None:
    none = "          - { property: scan, value: none }\n          - { property: reason, value: Codes }\n"
    plan = plan_of(visits(tmp_path, remark=none))
    assert "remark" not in plan.scanned and all(f.field != "remark" for f in plan.scan.fields)


# What a change is

REASON = "          - { property: reason, value: Codes }\n"
ADMIT = "          - { property: onCannotTell, value: admit }\n" + REASON
REDACT = "          - { property: onFinding, value: redact }\n"


@pytest.mark.parametrize(
    ("before", "after", "kind", "code"),
    [
        ("", "entities: [URL]", "weakening", "entity-unsearched"),
        ("entities: [URL, UUID]", "entities: [URL]", "weakening", "entity-unsearched"),
        ("entities: [URL]", "entities: [URL, UUID]", "compatible", "entity-searched"),
        ("", "countries: [us]", "weakening", "entity-unsearched"),
        ("countries: [de, fr]", "countries: [de]", "weakening", "country-removed"),
        ("countries: [de]", "countries: [de, fr]", "compatible", "country-added"),
        ("", "threshold: 0.5", "weakening", "threshold-raised"),
        ("", "thresholds: { URL: 0.9 }", "weakening", "threshold-raised"),
        ("threshold: 0.5", "", "compatible", "threshold-lowered"),
        ("", "undeclaredShare: 0.02", "weakening", "share-raised"),
        ("undeclaredShare: 0.02", "", "compatible", "share-lowered"),
    ],
)
def test_a_change_of_what_is_searched_for_is_named(
    tmp_path: Path, before: str, after: str, kind: str, code: str
) -> None:
    found = [one for one in diff(visits(tmp_path, before), visits(tmp_path, after)) if one.code != "version-same"]
    assert (str(found[0].kind), found[0].code) == (kind, code), "the gravest stands first"
    assert [one.code for one in found if one.stops] == ([code] if kind == "weakening" else [])
    if after:
        lines = (tmp_path / "contract.odcs.yaml").read_text(encoding="utf-8").splitlines()
        assert all("scanning" in lines[one.where.line - 1] for one in found)


def test_a_threshold_is_told_by_entity(tmp_path: Path) -> None:
    (change,) = [
        one
        for one in diff(visits(tmp_path), visits(tmp_path, "thresholds: { URL: 0.9, UUID: 0.9 }"))
        if one.code == "threshold-raised"
    ]
    assert "URL, UUID" in change.message and "EMAIL_ADDRESS" not in change.message


@pytest.mark.parametrize(
    ("before", "after", "kind", "code"),
    [
        (REASON, ADMIT, "weakening", "cannot-tell-weakened"),
        (ADMIT, REASON, "compatible", "cannot-tell-strengthened"),
        (REASON, REASON + "          - { property: scan, value: pattern }\n", "weakening", "scan-weakened"),
        (REASON + "          - { property: scan, value: none }\n", REASON, "compatible", "scan-strengthened"),
        ("", REDACT, "compatible", "finding-changed"),
        (REDACT, "", "compatible", "finding-changed"),
    ],
)
def test_a_change_of_how_a_field_is_searched_is_named(
    tmp_path: Path, before: str, after: str, kind: str, code: str
) -> None:
    found = diff(visits(tmp_path, remark=before), visits(tmp_path, remark=after))
    changes = [(str(one.kind), one.code, one.field) for one in found if one.code != "version-same"]
    assert changes == [(kind, code, "remark")]
