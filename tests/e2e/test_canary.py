"""Fake personal data is planted wherever a source can have it: in personal fields, in free text, in wrong columns and
in columns that nobody declared; then every byte that the loads wrote is searched for it.

A search that finds nothing proves something only if it would find: so a control stands in clear fields, and must turn
up in every store. The sources lie in a folder and on a server of their own, outside the search.
"""

from collections.abc import Iterator

import pytest
from canaries import CONTROL_NUMBER, named
from canary_flow import Flow, whole_story

from local.postgres import Postgres


@pytest.fixture(scope="module")
def flow(postgres: Postgres) -> Iterator[Flow]:
    with whole_story(postgres) as told:
        yield told


def test_the_flow_met_all_that_it_was_to_meet(flow: Flow) -> None:
    """Else the search would prove little."""
    ended = {name: flow.ended[name] for name in ("orders", "stock", "orders again", "replay", "rotate", "verify")}
    assert ended == dict.fromkeys(ended, 0), flow.ended
    assert {name: flow.ended[name] for name in ("blocked", "cut", "api cut", "database", "show")} == {
        "blocked": 1,
        "cut": 1,
        "api cut": 75,
        "database": 75,
        "show": 1,
    }
    assert "page 2 can't be had" in (flow.stack.folder / "logs" / "api cut.err").read_text(encoding="utf-8")
    assert flow.ended["killed"] != 0
    assert min(flow.staged["killed"], flow.staged["database"]) > 0
    assert flow.admitted > 500
    met = {
        "malformed:ragged", "malformed:nul_byte", "malformed:encoding", "malformed:duplicate_key",
        "malformed:not_an_object", "malformed:truncated", "type:quantity", "type:product_price", "type:order_date",
        "type:updated_at", "no_subject_key:customer_email", "rule:net", "rule:price", "required:order_id",
        "finding:product_note", "finding:product_name", "finding:shipper_name", "finding:unknown column",
        "finding:stock_received",
    }  # fmt: skip
    assert met <= set(flow.outcomes), met - set(flow.outcomes)
    assert len(flow.planter.planted) > 5000


def test_no_byte_that_was_written_holds_personal_data(flow: Flow) -> None:
    assert flow.searched > 50_000_000
    assert not flow.hits, named(flow.hits[:20])


@pytest.mark.parametrize(
    ("store", "place"),
    [
        ("the warehouse's tables", "/data/base/{warehouse}/"),
        ("the control database's tables", "/data/base/{control}/"),
        ("the write-ahead log", "/data/pg_wal/"),
        ("the server's log", "{server}/log"),
        ("the lake", "/lake/store.orders/"),
        ("the lake", "/lake/store.stock/"),
        ("what the command line printed", "/logs/orders.out"),
        ("the report as JSON", "/logs/orders again.out"),
        ("the audit records", "/logs/records.out"),
        ("the folder of keys", "/keys/"),
        ("the home folder", "/home/"),
        ("the settings", "/kasbah.toml"),
    ],
)
def test_the_control_is_found_in(flow: Flow, store: str, place: str) -> None:
    wanted = place.format(**flow.oids, server=flow.server.folder)
    assert [hit for hit in flow.found if wanted in hit.file], f"no control in {store}: the search proves nothing there"


@pytest.mark.parametrize("place", ["/data/base/{warehouse}/", "/lake/store.stock/"])
def test_the_control_is_found_as_a_number_in(flow: Flow, place: str) -> None:
    """Else a card number that is stored where pieces are counted would be overlooked."""
    wanted = place.format(**flow.oids)
    assert [hit for hit in flow.found if wanted in hit.file and hit.way == f"{CONTROL_NUMBER} as little endian"]
