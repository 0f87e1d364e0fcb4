"""What a contract says of streams reaches those who run them: topics, raw records, identity, and times."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from governance.contracts.load import load_contract, load_folder, read_contracts
from governance.contracts.types import Contract, Dataset, Line, Topic
from governance.enforcement.plan import EnforcementPlan, compile_plan
from governance.enforcement.stream_plan import TopicPlan

ROOT = Path(__file__).parents[2]
DATASETS = load_folder(ROOT / "contracts")
VISITS = Path(__file__).parent / "good_contracts" / "visits.odcs.yaml"


def both(word: str) -> tuple[Contract, Dataset]:
    return DATASETS.find(word)


def plan_of(word: str) -> EnforcementPlan:
    contract, dataset = both(word)
    return compile_plan(dataset, contract)


def test_a_topic_is_called_as_its_server_unless_it_says_otherwise() -> None:
    assert Topic("orders", Line("x", 1)).topic == "orders"
    assert Topic("orders", Line("x", 1), topic="shop.orders").topic == "shop.orders"


@pytest.mark.parametrize(
    ("word", "topic", "raw", "compacted", "sinks"),
    [
        ("store.products", "products", "products_raw", False, ("kafka", "elasticsearch")),
        ("users.people", "users", "users_raw", True, ("kafka", "cassandra", "mongodb")),
    ],
)
def test_the_governed_topic_is_the_one_that_is_not_raw(
    word: str, topic: str, raw: str, compacted: bool, sinks: tuple[str, ...]
) -> None:
    _, dataset = both(word)
    governed = dataset.governed_topic
    assert governed is not None
    assert (governed.topic, governed.partitions, governed.compacted) == (topic, 3, compacted)
    plan = plan_of(word)
    assert plan.topic == TopicPlan(topic, 3, "P30Y" if compacted else "P30D", compacted)
    assert (plan.raw_topics, plan.sinks) == ((raw,), sinks)


def test_a_dataset_without_topics_has_none() -> None:
    assert both("store.orders")[1].governed_topic is None
    plan = plan_of("store.orders")
    assert (plan.topic, plan.raw_topics, plan.oldest_days, plan.skew_seconds) == (None, (), None, None)


def test_a_topic_keeps_nothing_for_longer_than_the_dataset_is_kept() -> None:
    contract, dataset = both("store.products")
    (raw, governed) = dataset.topics
    for said, kept in (("P2Y", "P1Y"), (None, "P1Y"), ("P7D", "P7D")):
        changed = replace(dataset, topics=(raw, replace(governed, retention=said)))
        topic = compile_plan(changed, contract).topic
        assert topic is not None and topic.retention == kept


def test_a_raw_topic_is_read_as_a_source_too() -> None:
    """Its name and its fields' names there are those of a source; a batch leaves it to the stream."""
    _, dataset = both("users.people")
    raw = next(s for s in dataset.sources if s.name == "users_raw")
    assert (raw.format, raw.location, raw.raw, raw.retention, raw.nulls) == (
        "kafka",
        "users_raw",
        True,
        "P3D",
        ("", "N/A"),
    )
    assert plan_of("users.people").column("id").names_in("users_raw") == ("login.uuid",)
    assert [s.name for s in dataset.batch_sources] == ["users_api"]


def test_an_api_that_counts_its_pages_says_so() -> None:
    api = next(s for s in both("users.people")[1].sources if s.name == "users_api")
    assert (api.page_parameter, api.first_page, api.size_parameter, api.page_size) == ("page", 1, "results", 500)
    cursor = next(s for s in both("store.products")[1].sources if s.name == "products_api")
    assert (cursor.page_parameter, cursor.size_parameter, cursor.cursor_parameter) == (None, "limit", "cursor")


def test_a_persons_record_is_named_by_the_pseudonym_another_by_its_primary_key() -> None:
    assert plan_of("users.people").identity == ("person_pseudonym",)
    assert plan_of("store.products").identity == ("id",)


def test_a_message_holds_what_is_stored_and_who_it_is_about() -> None:
    plan = plan_of("users.people")
    columns = plan.message_columns()
    assert columns.names[-1] == "person_pseudonym"
    assert not {"id", "born", "first_name", "street", "postcode"} & set(columns.names)
    assert columns.field("full_name").type == pa.string() and columns.field("age").type == pa.int64()
    assert columns.field("updated_at").type == pa.timestamp("us", tz="UTC")
    assert not any(name.startswith("kasbah_") for name in columns.names)
    assert plan.output_schema().names[: len(columns)] == columns.names


def test_a_stream_knows_how_old_and_how_new_a_record_may_be() -> None:
    assert (plan_of("users.people").oldest_days, plan_of("users.people").skew_seconds) == (30 * 365, 300)
    assert (plan_of("store.products").oldest_days, plan_of("store.products").skew_seconds) == (None, 300)


@pytest.mark.parametrize(("retention", "days"), [("P30D", 30), ("PT24H", 1), ("PT1H", 1), ("PT25H", 2), ("P1W", 7)])
def test_the_last_day_that_a_record_is_kept_counts_whole(retention: str, days: int) -> None:
    contract, dataset = both("users.people")
    assert compile_plan(replace(dataset, retention=retention), contract).oldest_days == days


def test_no_password_is_ever_read() -> None:
    """Nor anything else that the accounts' fields don't need; a column is dropped with all that stands below it."""
    for source in plan_of("users.people").sources:
        assert all(source.ignores(f"login.{word}") for word in ("password", "salt", "md5", "sha1", "sha256"))
        assert source.ignores("picture.large") and source.ignores("id") and source.ignores("id.value")
        assert not any(source.ignores(name) for name in ("login", "login.uuid", "login.passwords", "identity"))


def test_two_datasets_have_two_topics(tmp_path: Path) -> None:
    text = VISITS.read_text().replace(
        "schema:\n", "  - { server: doors, type: kafka, host: kafka.example:9092 }\nschema:\n"
    )
    for system in ("shop", "club"):
        (tmp_path / f"{system}.odcs.yaml").write_text(text.replace("id: shop.visits", f"id: {system}.visits"))
    faults = read_contracts([tmp_path])[1]
    assert [(f.code, Path(f.where.file).name, f.where.line) for f in faults] == [("topic-shared", "shop.odcs.yaml", 15)]


def test_a_field_may_fall_back_on_the_column_of_another_if_both_are_clear() -> None:
    """A person who never changed has the version of the registration."""
    contract = load_contract(ROOT / "contracts" / "users" / "people.odcs.yaml")
    updated = compile_plan(contract.datasets[0], contract).column("updated_at")
    assert updated.names_in("users_api") == ("updated", "updated_at", "registered.date")
