"""What changes between two versions is named: what breaks others, what protects people less."""

from pathlib import Path

import pytest

from governance.contracts.diff import diff
from governance.contracts.load import load_contract, read_contract

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OLD = """apiVersion: v3.1.0
kind: DataContract
id: club.members
version: 1.0.0
status: active
roles:
  - { role: trainer, access: read }
slaProperties:
  - { property: retention, value: 2, unit: y }
servers:
  - server: members_csv
    type: local
    path: members.csv
    format: csv
  - server: members_topic
    type: kafka
    host: kafka.example:9092
    customProperties:
      - { property: compacted, value: true }
  - server: members_raw
    type: kafka
    host: kafka.example:9092
    customProperties:
      - { property: raw, value: true }
      - { property: partitions, value: 4 }
      - { property: retention, value: 3 d }
      - { property: ignore, value: [login, picture] }
schema:
  - id: member
    name: members
    customProperties:
      - property: subjects
        value:
          - entity: member
            key: { field: email, rule: email }
            fields: [name, town, note]
            born: born
            minimumAge: 16
      - { property: purpose, value: Running the club }
      - { property: legalBasis, value: contract }
      - { property: erasure, value: delete }
      - { property: afterErasure, value: suppress }
      - { property: updatedAt, value: joined }
      - { property: aggregateOnly, value: { smallestGroup: 8 } }
      - { property: quarantineRetentionDays, value: 10 }
    quality:
      - name: fee
        type: custom
        engine: kasbah
        implementation: { rule: not_negative, fields: [fee] }
    properties:
      - id: member_id
        name: member_id
        logicalType: integer
        primaryKey: true
      - id: email
        name: email
        logicalType: string
        customProperties:
          - { property: pii, value: EMAIL_ADDRESS }
          - { property: protect, value: pseudonymise }
      - id: name
        name: name
        logicalType: string
        customProperties:
          - { property: pii, value: PERSON }
          - { property: protect, value: encrypt }
      - id: town
        name: town
        logicalType: string
        customProperties:
          - { property: pii, value: LOCATION }
          - { property: protect, value: clear }
          - { property: reason, value: Thousands live in each town }
      - id: born
        name: born
        logicalType: date
        customProperties:
          - { property: protect, value: drop }
      - id: joined
        name: joined
        logicalType: date
      - id: fee
        name: fee
        logicalType: number
        physicalType: DECIMAL(8,2)
        logicalTypeOptions: { maximum: 500 }
      - id: level
        name: level
        logicalType: string
        customProperties:
          - { property: enum, value: [junior, senior] }
      - id: note
        name: note
        logicalType: string
        customProperties:
          - { property: protect, value: encrypt }
      - id: remark
        name: remark
        logicalType: string
"""


def load(tmp_path, name, text):
    path = tmp_path / f"{name}.odcs.yaml"
    path.write_text(text)
    contract, _ = read_contract(path)
    assert contract is not None
    return contract


def changes(tmp_path, *pairs, version="2.0.0"):
    new = OLD.replace("version: 1.0.0", f"version: {version}")
    for old, to in pairs:
        assert new.count(old) == 1, old
        new = new.replace(old, to)
    return diff(load(tmp_path, "old", OLD), load(tmp_path, "new", new))


COMPACTED = "      - { property: compacted, value: true }\n"
RAW = "      - { property: raw, value: true }\n      - { property: retention, value: 30 d }\n"
RAW_RETENTION = "      - { property: retention, value: 3 d }\n"
REMARK = "      - id: remark\n        name: remark\n        logicalType: string\n"
NAME = "          - { property: pii, value: PERSON }\n"
RULE = """    quality:
      - name: fee
        type: custom
        engine: kasbah
        implementation: { rule: not_negative, fields: [fee] }
"""
BREAKING = {
    "field-removed": [(REMARK, "")],
    "field-id-renamed": [("      - id: remark\n", "      - id: comment\n")],
    "field-renamed": [("        name: remark\n", "        name: comment\n")],
    "type-changed": [
        ("        name: joined\n        logicalType: date\n", "        name: joined\n        logicalType: timestamp\n")
    ],
    "required-added": [(REMARK, REMARK + "        required: true\n")],
    "primary-key": [(REMARK, REMARK + "        primaryKey: true\n        primaryKeyPosition: 2\n")],
    "entity-renamed": [("entity: member\n", "entity: person\n")],
    "subject-key": [("rule: email }", "rule: identifier }")],
    "dataset-renamed": [("    name: members\n", "    name: people\n")],
    "dataset-removed": [("  - id: member\n", "  - id: person\n")],
    "id-changed": [("id: club.members", "id: club.people")],
    "moment-changed": [("      - { property: updatedAt, value: joined }\n", "")],
    "limit-narrowed": [("maximum: 500", "maximum: 400")],
    "enum-narrowed": [("[junior, senior]", "[junior]")],
    "role-removed": [("roles:\n  - { role: trainer, access: read }\n", "")],
    "source-removed": [("server: members_csv", "server: people_csv")],
    "source-changed": [("    format: csv\n", "    format: json\n")],
    "sink-removed": [
        ("      - { property: updatedAt", "      - { property: sinks, value: [lake] }\n      - { property: updatedAt")
    ],
    "derive-changed": [
        (
            REMARK,
            REMARK
            + "        customProperties:\n          - { property: derive, value: { kind: constant, value: x } }\n",
        )
    ],
    "protect-strengthened": [
        (
            NAME + "          - { property: protect, value: encrypt }",
            NAME + "          - { property: protect, value: drop }",
        )
    ],
    "field-added": [(REMARK, REMARK + "      - { id: size, name: size, logicalType: integer, required: true }\n")],
    "topic-removed": [("  - server: members_topic\n", "  - server: members_log\n")],
    "topic-renamed": [(COMPACTED, f"{COMPACTED}      - {{ property: topic, value: people }}\n")],
    "partitions-changed": [("partitions, value: 4", "partitions, value: 8")],
    "raw-removed": [("raw, value: true", "raw, value: false"), (COMPACTED, f"{COMPACTED}{RAW}")],
    "compaction-added": [(RAW_RETENTION, f"{COMPACTED}{RAW_RETENTION}")],
}
WEAKENING = {
    "protect-weakened": [
        (
            NAME + "          - { property: protect, value: encrypt }",
            NAME + "          - { property: protect, value: clear }",
        )
    ],
    "pii-removed": [(NAME, "")],
    "scan-weakened": [
        (
            REMARK,
            REMARK + "        customProperties:\n          - { property: scan, value: none }\n"
            "          - { property: reason, value: Codes only }\n",
        )
    ],
    "retention-lengthened": [("value: 2, unit: y", "value: 3, unit: y")],
    "ignore-removed": [("[login, picture]", "[login.password, picture]")],
    "minimum-age-lowered": [("            minimumAge: 16\n", "")],
    "erasure-changed": [("erasure, value: delete", "erasure, value: shred")],
    "after-erasure-weakened": [("afterErasure, value: suppress", "afterErasure, value: forget")],
    "role-added": [("access: read }\n", "access: read }\n  - { role: sponsor, access: read }\n")],
    "role-access": [("role: trainer, access: read", "role: trainer, access: reveal")],
    "reason-removed": [("          - { property: reason, value: Thousands live in each town }\n", "")],
    "rule-removed": [
        (
            RULE,
            "",
        )
    ],
    "rule-changed": [("rule: not_negative, fields: [fee] }", "rule: between, fields: [fee], minimum: -9 }")],
    "subject-removed": [
        ("            fields: [name, town, note]\n            born: born\n", "            fields: []\n"),
        (
            "          - entity: member\n            key: { field: email, rule: email }\n",
            "          - entity: other\n            key: { field: remark, rule: identifier }\n",
        ),
    ],
    "field-left-subject": [("[name, town, note]", "[name, town]")],
    "purpose-changed": [("value: Running the club", "value: Selling addresses")],
    "limit-widened": [("maximum: 500", "maximum: 600")],
    "enum-removed": [("        customProperties:\n          - { property: enum, value: [junior, senior] }\n", "")],
    "aggregate-dropped": [("      - { property: aggregateOnly, value: { smallestGroup: 8 } }\n", "")],
    "group-lowered": [("smallestGroup: 8", "smallestGroup: 3")],
    "compaction-removed": [("compacted, value: true", "compacted, value: false")],
    "raw-added": [(COMPACTED, COMPACTED + RAW)],
    "belonging-changed": [("            born: born\n", "            born: born\n            belongsTo: club\n")],
}
COMPATIBLE = {
    "field-added": [(REMARK, REMARK + "      - { id: size, name: size, logicalType: integer }\n")],
    "enum-widened": [("[junior, senior]", "[junior, senior, elder]")],
    "retention-shortened": [("value: 2, unit: y", "value: 1, unit: y")],
    "minimum-age-raised": [("minimumAge: 16", "minimumAge: 18")],
    "source-added": [("schema:\n", "  - { server: more, type: local, path: m.csv, format: csv }\nschema:\n")],
    "sink-added": [
        (
            "      - { property: updatedAt",
            "      - { property: sinks, value: [warehouse, lake, kafka] }\n      - { property: updatedAt",
        )
    ],
    "topic-added": [
        (
            "  - server: members_topic\n",
            "  - { server: log, type: kafka, host: k.example }\n  - server: members_topic\n",
        )
    ],
    "ignore-added": [("[login, picture]", "[login, picture, place]")],
    "source-names-changed": [
        (REMARK, REMARK + "        customProperties:\n          - { property: sourceNames, value: Remark }\n")
    ],
    "rule-added": [(REMARK, REMARK + "        unique: true\n")],
}


@pytest.mark.parametrize(
    ("kind", "code", "pairs"),
    [
        (kind, code, pairs)
        for kind, table in (("breaking", BREAKING), ("weakening", WEAKENING), ("compatible", COMPATIBLE))
        for code, pairs in table.items()
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_is_named_for_what_it_is(tmp_path, kind, code, pairs):
    found = changes(tmp_path, *pairs)
    assert (kind, code) in {(str(one.kind), one.code) for one in found}
    if kind == "compatible":
        assert not any(one.stops for one in found)
    assert all(one.where.file.startswith(tmp_path.as_posix()) and one.where.line > 0 for one in found)


@pytest.mark.parametrize(
    ("days", "kind", "code"),
    [
        ("2 d", "compatible", "retention-shortened"),
        ("4 d", "weakening", "retention-lengthened"),
        ("72 h", "compatible", None),
    ],
)
def test_a_topic_that_keeps_more_protects_less(tmp_path, days, kind, code):
    found = changes(tmp_path, (RAW_RETENTION, RAW_RETENTION.replace("3 d", days)))
    assert [(str(one.kind), one.code) for one in found] == ([(kind, code)] if code else [])


def test_nothing_changed_is_no_change(tmp_path):
    assert changes(tmp_path, version="1.0.0") == []
    for path in (ROOT / "contracts").rglob("*.odcs.yaml"):
        contract = load_contract(path)
        assert diff(contract, contract) == []


@pytest.mark.parametrize(
    ("version", "pairs", "code"),
    [
        ("1.0.0", COMPATIBLE["enum-widened"], "version-same"),
        ("0.9.0", COMPATIBLE["enum-widened"], "version-lowered"),
        ("1.1.0", BREAKING["field-removed"], "version-minor"),
        ("1.1.0", COMPATIBLE["enum-widened"], None),
        ("2.0.0-rc.1", BREAKING["field-removed"], None),
    ],
)
def test_the_version_shows_what_happened(tmp_path, version, pairs, code):
    found = {one.code for one in changes(tmp_path, *pairs, version=version)}
    assert {c for c in found if c.startswith("version")} == ({code} if code else set())


def test_the_gravest_changes_come_first(tmp_path):
    found = changes(tmp_path, *COMPATIBLE["enum-widened"], *WEAKENING["pii-removed"], *BREAKING["field-removed"])
    assert [str(one.kind) for one in found] == ["breaking", "weakening", "compatible"]


def test_tokens_of_another_origin_do_not_open(tmp_path):
    derived = (HERE / "good_contracts/visitors.odcs.yaml").read_text()
    moved = derived.replace("[shop.visits/visit/name]", "[shop.visits/visit/other]").replace("1.0.0", "2.0.0")
    found = diff(load(tmp_path, "a", derived), load(tmp_path, "b", moved))
    assert [(str(one.kind), one.code, one.field) for one in found] == [("breaking", "origin-changed", "name")]
