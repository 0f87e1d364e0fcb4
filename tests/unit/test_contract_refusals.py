"""Each way in which a contract can break a promise is refused, by file, line, field and nearest word.

Every file of `bad_contracts` is a sound contract with one thing wrong, marked where it stands:
`# <- code [field=…] [nearest=…]`, with `@+1` behind the code where the fault is told a line later.
"""

import ast
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.contracts.load import ContractFaultsError, load_contract, load_folder, read_contract, read_contracts
from governance.enforcement.plan import compile_plan
from governance.errors import ContractError, UserError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BAD = sorted((HERE / "bad_contracts").glob("*.odcs.yaml"))
VISITS, VISITORS = HERE / "good_contracts/visits.odcs.yaml", HERE / "good_contracts/visitors.odcs.yaml"
STORE = ROOT / "contracts"


def marks(path):
    """(line, code, field, nearest) of every mark in a file."""
    found = set()
    for number, line in enumerate(path.read_bytes().decode("latin-1").splitlines(), 1):
        for mark in line.partition("# <- ")[2].split(";") if "# <- " in line else ():
            code, *rest = mark.split()
            code, _, shift = code.partition("@")
            said = dict(word.split("=", 1) for word in rest)
            found.add((number + int(shift or 0), code, said.get("field"), said.get("nearest")))
    return found


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name.removesuffix(".odcs.yaml"))
def test_a_bad_contract_is_refused_for_just_that(path):
    _, faults = read_contract(path)
    assert marks(path), "the example marks no fault"
    assert {(f.where.line, f.code, f.field, f.nearest) for f in faults} == marks(path)
    assert all(f.where.file == path.as_posix() for f in faults)
    with pytest.raises(ContractFaultsError) as refused:
        load_contract(path)
    assert isinstance(refused.value, UserError)
    assert str(path.as_posix()) in str(refused.value)


def test_every_refusal_has_an_example():
    """The codes that stand in the source are the codes that the examples show (or the tests below, by name)."""
    shown = {code for path in BAD for _, code, _, _ in marks(path)}
    elsewhere = {"too-large", "too-deep", "unreadable", "unknown-origin", "wrong-origin", "reference-type"}
    written = set()
    for module in (ROOT / "governance/contracts").glob("*.py"):
        for call in ast.walk(ast.parse(module.read_text())):
            if isinstance(call, ast.Call):
                name = getattr(call.func, "id", getattr(call.func, "attr", ""))
                place = {"Fault": 1, "of_field": 2, "fault": 0, "_Refusal": 0}.get(name)
                if place is not None and len(call.args) > place and isinstance(call.args[place], ast.Constant):
                    written.add(call.args[place].value)
    assert written - shown - elsewhere == set()
    assert len(written) > 60


def test_the_stores_own_contracts_have_no_fault():
    contracts, faults = read_contracts([STORE])
    assert faults == []
    assert {c.id for c in contracts} >= {"store.orders", "store.stock", "store.products", "users.people"}


@pytest.mark.parametrize("folder", [STORE, ROOT / "tests/realdata/contracts"], ids=["store", "realdata"])
def test_what_check_accepts_compiles(folder):
    for contract, dataset in load_folder(folder).values():
        plan = compile_plan(dataset, contract)
        assert plan.output_schema().names
        assert plan.to_json()


# What no contract with subjects can do without, by its text in the example.
NEEDED = (
    "apiVersion: v3.1.0\n",
    "kind: DataContract\n",
    "id: shop.visits\n",
    "version: 1.0.0\n",
    "status: active\n",
    "  - { property: retention, value: 2, unit: y, element: visits }\n",
    "    type: local\n",
    "    path: visits.csv\n",
    "    format: csv\n",
    "            key: { field: email, rule: email }\n",
    "      - { property: purpose, value: Greeting visitors }\n",
    "      - { property: legalBasis, value: consent }\n",
    "      - { property: erasure, value: shred }\n",
    "        primaryKey: true\n",
    "        logicalType: date\n",
    "        name: seen\n",
    "          - { property: protect, value: encrypt }\n",
)


@settings(deadline=None, max_examples=60)
@given(gone=st.sets(st.sampled_from(NEEDED), min_size=1, max_size=4))
def test_no_contract_passes_without_what_it_needs(gone, tmp_path_factory):
    text = VISITS.read_text()
    for part in gone:
        assert part in text
        text = text.replace(part, "")
    path = tmp_path_factory.mktemp("c") / "visits.odcs.yaml"
    path.write_text(text)
    assert read_contract(path)[1] != []


def nodes(data, place=()):
    yield place
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in steps:
        yield from nodes(value, (*place, step))


STREAMS = (STORE / "store/products.odcs.yaml", STORE / "users/people.odcs.yaml")
GOOD = [yaml.safe_load(path.read_text()) for path in (VISITS, VISITORS, STORE / "store/orders.odcs.yaml", *STREAMS)]
ODD = [None, True, -1, 1.5, "", "x", "encrypt", "*", [], {}, ["a"], [1], {"a": 1}, [[]], [{}], "9" * 40, [None]]


@settings(deadline=None, max_examples=120)
@given(data=st.data())
def test_whatever_stands_in_a_contract_is_a_fault_or_compiles(data, tmp_path_factory):
    """Never an exception of another kind, and never a contract that check accepts and plan doesn't."""
    document = yaml.safe_load(yaml.safe_dump(data.draw(st.sampled_from(GOOD))))
    place = data.draw(st.sampled_from(list(nodes(document))[1:]))
    around = document
    for step in place[:-1]:
        around = around[step]
    around[place[-1]] = data.draw(st.sampled_from(ODD))
    path = tmp_path_factory.mktemp("c") / "odd.odcs.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    contract, faults = read_contract(path)
    assert contract is not None or faults
    for dataset in contract.datasets if contract and not faults else ():
        assert compile_plan(dataset, contract).to_json()


def derived(tmp_path, **changes):
    text = VISITORS.read_text()
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "visitors.odcs.yaml"
    path.write_text(text)
    return [(f.code, f.where.line, f.nearest) for f in read_contracts([VISITS, path])[1]]


def test_tokens_are_taken_over_only_from_where_they_were_made(tmp_path):
    line = 1 + VISITORS.read_text().splitlines().index("        transformSourceObjects: [shop.visits/visit/name]")
    origin = "[shop.visits/visit/name]"
    assert derived(tmp_path) == []
    misspelt = derived(tmp_path, a=(origin, "[shop.visits/visit/nam]"))
    assert misspelt == [("unknown-origin", line, "shop.visits/visit/name")]
    assert derived(tmp_path, a=(origin, "[shop.visits/visit/remark]")) == [("wrong-origin", line, None)]
    other = derived(tmp_path, a=("entity: visitor", "entity: guest"))
    assert other == [("wrong-origin", line, None)]


@pytest.mark.parametrize(
    ("target", "code", "nearest"),
    [
        ("visits.seen", None, None),
        ("visit.seen", "unknown-reference", "shop.visits"),
        ("visits.sean", "unknown-reference", "seen"),
        ("visits.email", "reference-type", None),
        ("visits.pages", "reference-type", None),
    ],
)
def test_a_reference_leads_to_a_readable_column_of_the_same_type(tmp_path, target, code, nearest):
    field = f"      - {{ id: day, name: day, logicalType: date, relationships: [{{ to: {target} }}] }}\n"
    path = tmp_path / "visitors.odcs.yaml"
    path.write_text(VISITORS.read_text() + field)
    faults = read_contracts([VISITS, path])[1]
    assert [(f.code, f.nearest) for f in faults] == ([] if code is None else [(code, nearest)])
    assert all(f.where.line == len(path.read_text().splitlines()) for f in faults)


def test_two_files_may_not_be_one_contract_or_one_table(tmp_path):
    copy = tmp_path / "copy.odcs.yaml"
    copy.write_text(VISITS.read_text())
    assert [f.code for f in read_contracts([VISITS, copy])[1]] == ["duplicate-id"]
    copy.write_text(VISITS.read_text().replace("shop.visits", "shop.others"))
    faults = read_contracts([VISITS, copy])[1]
    assert [(f.code, f.where.line) for f in faults] == [("duplicate-id", 16)]


def test_a_person_belongs_to_a_kind_of_person_that_is_known(tmp_path):
    path = tmp_path / "visits.odcs.yaml"
    path.write_text(VISITS.read_text().replace("fields: [name]", "fields: [name]\n            belongsTo: visiter"))
    faults = read_contracts([path])[1]
    assert [(f.code, f.nearest, f.where.line) for f in faults] == [("unknown-reference", "visitor", 24)]


def test_no_contract_is_no_permission(tmp_path):
    with pytest.raises(ContractError, match="nothing may be stored"):
        load_folder(tmp_path)


def test_a_dataset_is_found_by_the_names_people_use():
    datasets = load_folder(STORE)
    for word in ("store.orders/order_line", "store.orders", "orders"):
        assert datasets.find(word)[1].id == "store.orders/order_line"
        assert datasets[word][1].id == "store.orders/order_line"
    with pytest.raises(ContractError, match=r"Did you mean 'store\.orders'"):
        datasets.find("store.order")


def test_a_name_of_several_datasets_is_none(tmp_path):
    for system in ("shop", "club"):
        text = VISITS.read_text().replace("id: shop.visits", f"id: {system}.visits")
        (tmp_path / f"{system}.odcs.yaml").write_text(text)
    with pytest.raises(ContractError, match="several datasets"):
        load_folder(tmp_path).find("visits")
