"""Merging, held against a model that goes row by row."""

import itertools
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_rows import batch, plan, publication, row
from psycopg import sql

from governance.adapters.warehouse import PostgresWarehouse
from governance.flows.stores import Merged

SOURCES = ("csv", "api")
TABLES = itertools.count()

order = st.builds(
    lambda key, day, source, part: row(key, day, kasbah_source=source, kasbah_part=part, customer_pseudonym=f"p{key}"),
    st.sampled_from("abcde"),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from(SOURCES),
    st.sampled_from(["x", "Y"]),
)
runs = st.lists(st.lists(order, max_size=12), min_size=1, max_size=3)


def modelled(table: dict[str, Any], rows: list[dict[str, Any]], gone: str | None) -> Merged:
    """The same, said row by row: the table changes, the counts come back."""

    def age(one: dict[str, Any]) -> float:
        return one["updated_at"].timestamp() if one["updated_at"] else float("-inf")

    alive = [one for one in rows if one["customer_pseudonym"] != gone]
    counts = {"new": 0, "changed": 0, "unchanged": 0, "superseded": 0, "duplicates": 0}
    for key in sorted({one["order_id"] for one in alive}):
        mine = sorted(
            (one for one in alive if one["order_id"] == key),
            key=lambda o: (-age(o), SOURCES.index(o["kasbah_source"]), o["kasbah_part"], o["kasbah_position"]),
        )
        head, stored = mine[0], table.get(key)
        same = sum(age(one) == age(head) for one in mine)
        counts["superseded"] += len(mine) - same
        if stored is not None and age(stored) > age(head):
            counts["superseded"] += same
            continue
        counts["duplicates"] += same - 1
        verdict = "new" if stored is None else "unchanged" if age(stored) == age(head) else "changed"
        counts[verdict] += 1
        if verdict != "unchanged":
            table[key] = head
    return Merged(staged=len(rows), shredded=len(rows) - len(alive), **counts)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(loads=runs, gone=st.sampled_from([None, "pa"]))
def test_any_loads_end_as_the_model_says_and_their_counts_add_up(
    database: str, loads: list[list[dict[str, Any]]], gone: str | None
) -> None:
    warehouse = PostgresWarehouse(database)
    number = next(TABLES)
    mine = plan(table=f"t{number}", dataset=f"store.t/{number}")
    warehouse.prepare(mine)
    table: dict[str, Any] = {}
    position = itertools.count(1)
    for load, rows in enumerate(loads):
        placed = [{**one, "kasbah_position": next(position)} for one in rows]
        run = f"{number}-{load}"
        with warehouse.stage(run, mine) as writer:
            writer.write(0, batch(placed[::2], mine))
            writer.write(1, batch(placed[1::2], mine))
        merged = warehouse.merge(run, mine, (gone,) if gone else ())
        assert merged == modelled(table, placed, gone)
        parts = (merged.new, merged.changed, merged.unchanged, merged.superseded, merged.duplicates, merged.shredded)
        assert sum(parts) == merged.staged == len(rows)
        assert sum(b.num_rows for b in warehouse.winners(run, mine)) == merged.new + merged.changed
        warehouse.publish(publication(run, merged, of=mine), mine)
    with psycopg.connect(database) as connection:
        query = sql.SQL("SELECT order_id, kasbah_position FROM store.{}").format(sql.Identifier(mine.table))
        assert dict(connection.execute(query).fetchall()) == {k: one["kasbah_position"] for k, one in table.items()}
