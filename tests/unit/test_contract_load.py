"""What a contract says is what the code gets: names, forms, persons, rules, sources."""

from pathlib import Path

import pytest

from governance.contracts.load import load_contract
from governance.contracts.periods import period, seconds
from governance.contracts.types import Derive, KeyRule, LogicalType, OnFinding, Protect, Scan, SubjectKey
from governance.enforcement.plan import compile_plan

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VISITS = HERE / "good_contracts/visits.odcs.yaml"


@pytest.fixture(scope="module")
def orders():
    (dataset,) = load_contract(ROOT / "contracts/store/orders.odcs.yaml").datasets
    return dataset


def changed(tmp_path, *pairs):
    text = VISITS.read_text()
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = tmp_path / "visits.odcs.yaml"
    path.write_text(text)
    return load_contract(path)


def with_field(tmp_path, lines):
    return changed(tmp_path, ("      - id: remark\n", lines + "      - id: remark\n")).datasets[0]


def with_rule(tmp_path, lines):
    (dataset,) = changed(tmp_path, ("    properties:\n", "    quality:\n" + lines + "    properties:\n")).datasets
    (rule,) = dataset.quality
    return rule


def test_each_source_of_the_store_has_its_names_forms_and_nulls(orders):
    price = orders.field("product_price")
    assert price.source_names == {
        "orders_csv": ("ProductPrice",),
        "orders_json": ("product_price",),
        "orders_api": ("productPrice",),
        "orders_sql": ("unit_price",),
    }
    assert orders.field("order_date").source_formats == {"orders_csv": ("MM-dd-yyyy",), "*": ("iso",)}
    csv, json, api, sql = orders.sources
    assert [s.format for s in orders.sources] == ["csv", "json", "api", "sql"]
    assert all(s.nulls == ("", "NULL", "N/A") for s in orders.sources)
    assert (csv.location, json.location) == ("orders.csv", "orders.json")
    assert (api.records, api.next_path, api.updated_parameter, api.page_size) == ("data", "next", "updated_since", 500)
    assert (sql.table, sql.updated_field) == ("shop.order_lines", "changed_at")
    assert sql.location == "postgresql://shop-db.shop.example:5432/shop"


def test_the_customer_is_named_by_email_then_phone(orders):
    (customer,) = orders.subjects
    assert customer.keys == (
        SubjectKey("customer_email", KeyRule.EMAIL),
        SubjectKey("customer_phone", KeyRule.PHONE),
    )
    assert set(customer.fields) == {"customer_name", "customer_email", "customer_address", "customer_phone"}
    assert all(orders.field(f).protect is Protect.ENCRYPT for f in customer.fields)
    assert (orders.erasure, orders.after_erasure, orders.retention) == ("shred", "suppress", "P7Y")


def test_the_stores_rules_are_enforced_row_by_row_or_on_the_table(orders):
    assert {(q.name, q.kind, q.rule) for q in orders.quality} == {
        ("net", "row", "net_of"),
        ("price", "row", "unit_price"),
        ("negative_total", "row", "not_negative"),
        ("one_row_a_line", "set", "unique"),
        ("not_empty", "set", "row_count"),
    }


def test_defaults_are_the_careful_ones():
    contract = load_contract(VISITS)
    (dataset,) = contract.datasets
    assert (dataset.after_erasure, dataset.sinks) == ("suppress", ("warehouse", "lake"))
    assert (dataset.quarantine_retention_days, dataset.overlap_hours, dataset.aggregate_only) == (30, 0, False)
    assert dataset.field("remark").on_finding is OnFinding.QUARANTINE
    assert dataset.field("remark").is_free_text and not dataset.field("visit_id").is_free_text
    plan = compile_plan(dataset, contract)
    assert plan.column("remark").scan == Scan.TEXT
    assert plan.column("remark").names_in("visits_csv") == ("remark",)


def test_a_field_may_be_found_under_several_paths(tmp_path):
    dataset = with_field(
        tmp_path,
        """      - id: street
        name: street
        logicalType: string
        customProperties:
          - { property: sourceNames, value: { "*": [place.street.name, place.street] } }
          - { property: scan, value: pattern }
          - { property: reason, value: A street without a number is nobody's }
""",
    )
    street = dataset.field("street")
    assert street.source_names == {"*": ("place.street.name", "place.street")}
    assert (street.scan, street.reason) == (Scan.PATTERN, "A street without a number is nobody's")


def test_derived_fields_say_how(tmp_path):
    dataset = with_field(
        tmp_path,
        """      - id: label
        name: label
        logicalType: string
        customProperties:
          - { property: derive, value: { kind: concat, inputs: [visit_id, remark], separator: " - " } }
      - id: country
        name: country
        logicalType: string
        customProperties:
          - { property: derive, value: { kind: constant, value: NL } }
""",
    )
    assert dataset.field("label").derive == Derive("concat", ("visit_id", "remark"), " - ")
    assert dataset.field("country").derive == Derive("constant", (), value="NL")


def test_the_standards_date_format_is_the_form_in_every_source(tmp_path):
    dataset = with_field(
        tmp_path,
        "      - { id: day, name: day, logicalType: date, logicalTypeOptions: { format: dd.MM.yyyy } }\n",
    )
    assert dataset.field("day").source_formats == {"*": ("dd.MM.yyyy",)}
    assert dataset.field("day").options == {}


def test_servers_feed_the_datasets_they_name(tmp_path):
    second = """  - id: room
    name: rooms
    properties:
      - { id: room_id, name: room_id, logicalType: integer, primaryKey: true }
"""
    server = "    format: csv\n"
    contract = changed(
        tmp_path,
        ("schema:\n", "  - { server: both, type: local, path: both.json, format: json }\nschema:\n" + second),
        (server, server + "    customProperties:\n      - { property: dataset, value: visit }\n"),
    )
    rooms, visits = contract.datasets
    assert [s.name for s in rooms.sources] == ["both"]
    assert [s.name for s in visits.sources] == ["visits_csv", "both"]


def test_a_headerless_unquoted_file_is_described(tmp_path):
    contract = changed(
        tmp_path,
        (
            "    format: csv\n",
            """    format: csv
    customProperties:
      - { property: columns, value: [visit_id, email, name, seen, pages, spent, remark] }
      - { property: encoding, value: cp1252 }
      - { property: delimiter, value: ";" }
      - { property: quote, value: null }
      - { property: trim, value: false }
      - { property: raw, value: true }
      - { property: retention, value: 7 d }
""",
        ),
    )
    (source,) = contract.datasets[0].sources
    assert (source.encoding, source.delimiter, source.quote, source.trim) == ("cp1252", ";", None, False)
    assert (source.raw, source.retention, len(source.columns)) == (True, "P7D", 7)


def test_a_topic_is_no_source_of_a_batch(tmp_path):
    topic = """  - server: visits_topic
    type: kafka
    host: kafka.example:9092
    customProperties:
      - { property: compacted, value: true }
"""
    (dataset,) = changed(tmp_path, ("schema:\n", topic + "schema:\n"), ("value: shred }", "value: delete }")).datasets
    assert [s.name for s in dataset.sources] == ["visits_csv"]
    assert [(t.name, t.compacted) for t in dataset.topics] == [("visits_topic", True)]


@pytest.mark.parametrize(
    ("lines", "rule", "fields", "arguments"),
    [
        ("{ metric: rowCount, mustBe: 5 }", "row_count", (), {"min": 5, "max": 5}),
        ("{ metric: rowCount, mustBeGreaterThan: 5 }", "row_count", (), {"min": 6}),
        ("{ metric: rowCount, mustBeLessThan: 5 }", "row_count", (), {"max": 4}),
        ("{ metric: rowCount, mustBeBetween: [1, 9] }", "row_count", (), {"min": 1, "max": 9}),
        ("{ metric: rowCount, type: library, mustBeLessOrEqualTo: 5 }", "row_count", (), {"max": 5}),
        (
            "{ metric: duplicateValues, mustBe: 0, arguments: { properties: [seen, pages] } }",
            "unique",
            ("seen", "pages"),
            {},
        ),
        (
            "{ type: custom, engine: kasbah, implementation: { rule: not_after, fields: [seen, seen2] } }",
            "not_after",
            ("seen", "seen2"),
            {},
        ),
        (
            "{ type: custom, engine: kasbah, implementation: { rule: between, fields: [spent], minimum: 0.5 } }",
            "between",
            ("spent",),
            {"minimum": 0.5},
        ),
        (
            "{ type: custom, engine: kasbah, implementation: { rule: null_share, fields: [email], max: 0.2 } }",
            "null_share",
            ("email",),
            {"max": 0.2},
        ),
    ],
)
def test_rules_of_a_dataset(tmp_path, lines, rule, fields, arguments):
    text = VISITS.read_text().replace(
        "      - id: remark\n", "      - { id: seen2, name: seen2, logicalType: date }\n      - id: remark\n"
    )
    path = tmp_path / "v.odcs.yaml"
    path.write_text(text.replace("    properties:\n", f"    quality:\n      - {lines}\n    properties:\n"))
    (made,) = load_contract(path).datasets[0].quality
    assert (made.rule, made.fields, made.arguments) == (rule, fields, arguments)


@pytest.mark.parametrize(
    ("terms", "rule", "arguments"),
    [
        ("unique: true", "unique", {}),
        ("relationships: [{ to: visits.pages }]", "reference", {"to": "shop.visits.pages"}),
        ("quality: [{ metric: nullValues, mustBe: 0 }]", "null_share", {"max": 0.0}),
        ("quality: [{ metric: nullValues, mustBeLessOrEqualTo: 5, unit: percent }]", "null_share", {"max": 0.05}),
        (
            "quality: [{ metric: invalidValues, mustBe: 0, arguments: { validValues: [1, 2] } }]",
            "in_set",
            {"values": ["1", "2"]},
        ),
    ],
)
def test_rules_of_a_field(tmp_path, terms, rule, arguments):
    dataset = with_field(tmp_path, f"      - {{ id: floor, name: floor, logicalType: integer, {terms} }}\n")
    (made,) = dataset.quality
    assert (made.rule, made.fields, made.arguments) == (rule, ("floor",), arguments)


def test_a_sentence_about_quality_is_documentation(tmp_path):
    text = "      - { type: text, description: Visitors are counted at the door }\n"
    (dataset,) = changed(tmp_path, ("    properties:\n", "    quality:\n" + text + "    properties:\n")).datasets
    assert dataset.quality == ()


@pytest.mark.parametrize(
    ("value", "unit", "iso"),
    [
        (7, "y", "P7Y"),
        (7.0, "years", "P7Y"),
        ("30", "d", "P30D"),
        ("30 d", None, "P30D"),
        ("P6M", None, "P6M"),
        (6, "month", "P6M"),
        (24, "h", "PT24H"),
        (5, "min", "PT5M"),
        ("PT5M", None, "PT5M"),
        (0, "d", None),
        (-1, "d", None),
        (1.5, "y", None),
        (True, "d", None),
        (1000, "y", None),
        ("forever", None, None),
        (7, None, None),
        (7, "moons", None),
        (None, "d", None),
    ],
)
def test_times_are_bounded_or_nothing(value, unit, iso):
    assert period(value, unit) == iso


def test_longer_is_longer():
    assert seconds("P1Y") > seconds("P11M") > seconds("P4W") > seconds("P20D") > seconds("PT24H") > seconds("PT5M")


def test_a_field_knows_the_lines_of_its_terms():
    remark = load_contract(VISITS).datasets[0].field("email")
    lines = VISITS.read_text().splitlines()
    assert lines[remark.lines["protect"] - 1].strip() == "- { property: protect, value: encrypt }"
    assert remark.logical_type is LogicalType.STRING
