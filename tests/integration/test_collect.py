"""Collecting from the samples' APIs into a real topic: what must come of each record does, once, however it is read."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from collecting import Outpost, counted, serving, stored, values
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from governance.adapters.control.collected import collected
from governance.errors import SettingsError, SourceError, SourceUnavailableError
from governance.flows.stream_replay import Replayed
from governance.quarantine.store import Selection
from local.kafka import Kafka
from samples.faults import Fault, Faults
from samples.feed_truth import truth_of
from samples.paging import Page
from samples.traits import REFUSED

Make = Callable[[str], Outpost]


@pytest.fixture
def make(kafka: Kafka, database: str, tmp_path: Path) -> Make:
    def made(dataset: str) -> Outpost:
        outpost = Outpost(tmp_path, database, kafka.address, dataset)
        outpost.begin()
        return outpost

    return made


@pytest.fixture
def products(make: Make) -> Outpost:
    return make("store.products")


@pytest.fixture
def people(make: Make) -> Outpost:
    return make("users.people")


def truth(rows: list) -> dict[str, int]:  # type: ignore[type-arg]
    """What must be counted, by what the sample knows of its rows."""
    found: Counter[str] = Counter(read=len(rows))
    for row in rows:
        reason = row.outcome.reason
        kind = "refused" if reason in REFUSED else "quarantined"
        found["admitted" if reason is None else f"{kind}.{reason}"] += 1
    return dict(found)


def kept(outpost: Outpost) -> dict[str, int]:
    return counted(outpost.standing().counts)


@pytest.mark.parametrize("dataset", ["store.products", "users.people"])
def test_outcomes_are_the_samples_truth(make: Make, dataset: str) -> None:
    outpost = make(dataset)
    with serving(outpost, keys=600) as served:
        done = outpost.collect()
        rows = served.rows
    assert counted(done.counts) == kept(outpost) == truth(rows)
    assert truth_of(rows)["quarantined"] == len(outpost.held()) > 0
    sent = outpost.sent()
    assert len(sent) == truth(rows)["admitted"]
    assert len({one.key for one in sent}) == len({row.key for row in rows if row.outcome.reason is None})


def test_nothing_personal_is_in_the_topic(people: Outpost) -> None:
    with serving(people, keys=200) as served:
        people.collect()
        rows = served.rows
    raw = b"\n".join(part for one in people.sent() for part in (one.key or b"", one.value or b""))
    told = b"\n".join(value for one in people.sent() for _, value in one.headers)
    minors = [row for row in rows if row.outcome.reason == "underage"]
    assert minors, "somebody must be refused, or this shows nothing"
    for row in rows:
        who = row.facts
        for text in (who.email, who.phone, who.cell, who.uuid, who.username, f"{who.first} {who.last}", who.street):
            assert len(text) < 8 or text.encode() not in raw + told
        assert row.record["login"]["password"].encode() not in raw
    assert b"Germany" not in raw and b'"nationality":"DE"' in raw, "the control: what is clear is found"


def test_what_is_polled_again_counts_once(products: Outpost) -> None:
    """Every poll gives an overlap of an hour again; only what is new is sent, held and counted."""
    with serving(products) as served:
        products.collect()
        for _ in range(4):
            served.ticks.advance(7)
            done = products.collect()
            assert done.met_again > 0
        rows = served.rows
    assert kept(products) == truth(rows)
    assert len(products.sent()) == truth(rows)["admitted"]
    assert len(products.held()) == truth(rows)["read"] - truth(rows)["admitted"]


def test_a_source_that_stands_still_is_asked_once_and_leaves_no_trace(products: Outpost) -> None:
    with serving(products) as served:
        for _ in range(3):
            products.collect()
        before, requests = products.standing(), served.server.served
        done = products.collect()
        pages = len(products.state().pages)
        assert served.server.served - requests == pages
        assert done.pages == 0
        assert products.standing() == before, "a page that is unchanged moves nothing"


def test_a_growing_last_page_is_read_on(people: Outpost) -> None:
    """Pages are counted: the last one is polled until it is full, and its records count once."""
    with serving(people, keys=70) as served:
        people.collect()
        assert people.state().cursor == "2"
        for _ in range(7):
            served.ticks.advance()
            people.collect()
        assert people.state().cursor == "3"
        again = people.collect()
        rows = served.rows
    assert again.pages == 0, "nothing has changed"
    assert kept(people) == truth(rows)
    assert len(people.sent()) == truth(rows)["admitted"]


def test_memory_goes_with_the_overlap(products: Outpost) -> None:
    """Digests are kept for as long as a record may come again, and no longer."""
    with serving(products) as served:
        products.collect()
        assert remembered(products) == len(served.rows)
        served.ticks.advance(200)
        for _ in range(3):
            products.collect()
        since, rows = products.state().since, served.rows
        assert since is not None
        assert remembered(products) == len(rows) - served.source.feed.since(since, len(rows)) < len(rows)
        assert kept(products) == truth(rows)


def remembered(outpost: Outpost) -> int:
    with outpost.services() as services, services.control.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(collected)) or 0


@pytest.mark.parametrize("dataset", ["store.products", "users.people"])
def test_faults_that_pass_lose_nothing(make: Make, dataset: str) -> None:
    """429 with and without a date, 5xx, half a body, half a document, HTML, nothing for a while: asked for again."""
    passing = [Fault.RATE_LIMIT, Fault.ERROR, Fault.UNAVAILABLE, Fault.CUT_BODY, Fault.CUT_JSON, Fault.HTML, Fault.HANG]
    passing += [Fault.RATE_LIMIT_DATE]
    outpost = make(dataset)
    faults = Faults(at={2 * n + 1: fault for n, fault in enumerate(passing)})
    with serving(outpost, keys=400, faults=faults) as served:
        outpost.collect()
        rows = served.rows
    assert kept(outpost) == truth(rows)
    assert len(outpost.sent()) == truth(rows)["admitted"]


def test_a_malformed_record_is_held_and_the_page_goes_on(products: Outpost) -> None:
    """A record with a name twice: nobody can say which value counts."""
    with serving(products, share=0.0, faults=Faults(at={1: Fault.DUPLICATE_KEYS})) as served:
        done = products.collect()
        rows = served.rows
    assert counted(done.counts) == {"read": len(rows), "admitted": len(rows) - 1, "quarantined.malformed": 1}
    (held,) = products.held()
    assert (held.detail, held.place.part, held.place.position) == ("duplicate_key", "first page", 0)
    with products.services() as services:
        assert services.quarantine.get(held.dataset, held.place).sealed is not None


def test_where_an_age_is_declared_a_malformed_record_leaves_no_body(people: Outpost) -> None:
    with serving(people, share=0.0, faults=Faults(at={1: Fault.DUPLICATE_KEYS})):
        people.collect()
    (held,) = people.held()
    assert (held.reason, held.detail, held.place.position) == ("malformed", "duplicate_key", 0)
    assert held.length > 100
    with people.services() as services:
        assert services.quarantine.get(held.dataset, held.place).sealed is None


def test_a_page_that_stays_malformed_is_said_and_passes_when_it_is_mended(products: Outpost) -> None:
    with serving(products, faults=Faults(every={1: Fault.CUT_JSON})) as served:
        for polls in (1, 2, 3):
            with pytest.raises(SourceUnavailableError, match="page 1"):
                products.collect()
            trouble = products.state().trouble
            assert trouble is not None and trouble.polls == polls and "cut off" in trouble.what
            products.now += timedelta(minutes=1)
        assert trouble.since == products.now - timedelta(minutes=3)
        assert products.standing().position == 0
        served.server.faults = Faults()
        products.collect()
        assert products.state().trouble is None
        assert kept(products) == truth(served.rows)


def test_a_page_that_leads_back_is_no_endless_poll(products: Outpost) -> None:
    with (
        serving(products, faults=Faults(at={2: Fault.LOOP})),
        pytest.raises(SourceError, match="leads back"),
    ):
        products.collect()
    assert products.standing().position == 1


def test_pages_shorter_than_asked_for_are_not_taken_for_the_last(people: Outpost) -> None:
    with serving(people, keys=300) as served:
        api = served.server.apis["api"]
        answer = api.page
        api.page = lambda query: answer(query | {"results": "20"})  # type: ignore[method-assign]
        with pytest.raises(SourceError, match="pageSize"):
            people.collect()
    assert kept(people) == {}


def test_a_poll_may_end_after_some_pages_and_goes_on_there(products: Outpost) -> None:
    with serving(products, keys=200) as served:
        for pages in (1, 2, 3):
            products.collect(most_pages=1)
            assert products.standing().position == pages
        assert kept(products) == truth(served.rows[:150])
        products.collect()
        assert kept(products) == truth(served.rows)


def test_every_message_says_its_contract_and_is_keyed_by_its_record(products: Outpost) -> None:
    with serving(products, share=0.0) as served:
        products.collect()
        rows = served.rows
    sent = products.sent()
    assert {one.key for one in sent} == {f'["{row.key}"]'.encode() for row in rows}
    newest = {value["id"]: value["updated_at"] for value in values(sent)}
    assert newest == {row.key: row.record["updatedAt"] for row in rows}


def test_a_session_is_in_the_ledger_with_its_counts(products: Outpost) -> None:
    with serving(products):
        done = products.collect()
    with products.services() as services:
        records = [entry.record for entry in services.ledger.last(10)]
    actions = [record.action for record in records]
    assert actions[-2:] == ["collect.begun", "collect.ended"]
    last = records[-1]
    assert last.ok is True and last.dataset == products.place.dataset
    assert last.counts["read"] == done.counts.read and last.counts["admitted"] == done.counts.admitted


def test_a_topic_with_other_partitions_is_refused_before_anything_is_asked(products: Outpost, kafka: Kafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.create_topics([NewTopic(products.topic, 2)])[products.topic].result()
    with serving(products) as served, pytest.raises(SettingsError, match="partitions"):
        products.collect()
    assert served.server.served == 0
    assert stored(kafka.address, products.topic) == []


def test_a_record_that_no_topic_takes_is_held_and_the_rest_goes_on(people: Outpost) -> None:
    """Seven megabytes for a user name, which is nobody's business to search: eleven, sealed."""
    with serving(people, keys=20, share=0.0) as served:
        api = served.server.apis["api"]
        answer = api.page

        def swollen(query: dict[str, str]) -> Page:
            page = answer(query)
            records = list(page.records)
            adult = next(i for i, row in enumerate(served.rows) if row.outcome.reason is None)
            if records:
                records[adult] = _with(records[adult], "x" * 7_000_000)
            return Page(records, page.head, page.tail, page.loop)

        api.page = swollen  # type: ignore[method-assign]
        people.collect()
        rows = served.rows
    wanted = truth(rows)
    assert kept(people) == wanted | {"admitted": wanted["admitted"] - 1, "quarantined.sink": 1}
    (held,) = people.held()
    assert (held.detail, held.length > 8 << 20) == ("too_large", True)
    assert len(people.sent()) == wanted["admitted"] - 1


def _with(record: str, username: str) -> str:
    told = json.loads(record)
    told["login"]["username"] = username
    return json.dumps(told)


def test_held_rows_are_sent_again_under_a_mended_contract(products: Outpost) -> None:
    """Categories that nobody knew, known now: those rows are admitted, the others stay; twice is once."""
    with serving(products, keys=900) as served:
        products.collect()
        rows = served.rows
    unknown = [row for row in rows if row.outcome.detail == "known_category"]
    before, rest = kept(products), len(products.held()) - len(unknown)
    assert unknown and rest
    file = products.folder / "contracts" / "it.odcs.yaml"
    categories = 'Toys, Misc, kitchen-old, "???", "Kitchen > Other"]'
    file.write_text(file.read_text().replace("Toys]", categories).replace("version: 1.0.0", "version: 1.1.0"))
    done = replayed(products)
    assert (done.rows, done.admitted, done.passed_over) == (rest + len(unknown), len(unknown), 0)
    after = kept(products)
    assert after["read"] == before["read"]
    assert after["admitted"] == before["admitted"] + len(unknown)
    assert len(products.held()) == rest == sum(n for name, n in after.items() if name.startswith("quarantined"))
    assert replayed(products).admitted == 0
    assert kept(products) == after
    known = {value["id"]: value["category"] for value in values(stored(products.brokers, products.topic))}
    assert {known[row.key] for row in unknown} <= {row.record["category"] for row in unknown}


def replayed(outpost: Outpost) -> Replayed:
    with outpost.services() as services:
        services.consuming = _no_topic  # type: ignore[method-assign]
        dataset = services.contracts.find(outpost.dataset_name)[1]
        return services.replay_stream(dataset, Selection(outpost.place.dataset, source=outpost.place.source))


def _no_topic(*_: object) -> None:
    raise AssertionError("only the API's rows were asked for")
