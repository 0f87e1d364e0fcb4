"""Every row of the shop's four sources is accounted for, and what is published is what the shop's own books say."""

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stacks import KEYS, Make, Stack, api, deliver

from samples.rows import Row
from samples.store import Wave, history

DATASETS = ("orders", "stock")
OVERLAP = timedelta(hours=72)
"""What both contracts declare: so much is read again from sources that can be asked for changes."""
ASKED = ("api", "sql")


@pytest.fixture(scope="module")
def waves() -> list[Wave]:
    return history(seed=7, scale=0.5, wave=2)


class Loaded:
    """What the command line said after each load of the two months, the first month loaded twice."""

    def __init__(self, stack: Stack, waves: list[Wave]) -> None:
        self.stack = stack
        deliver(stack, waves[0])
        with api(stack, waves[:1]):
            self.first = {name: self._load(name) for name in DATASETS}
            self.second = {name: self._load(name) for name in DATASETS}
        deliver(stack, waves[1])
        with api(stack, waves):
            self.third = {name: self._load(name) for name in DATASETS}

    def _load(self, dataset: str) -> "After":
        report = self.stack.load(dataset)
        return After(report, self.stack, dataset)


class After:
    """A load's report, and how the stores stood after it."""

    def __init__(self, report: dict[str, Any], stack: Stack, dataset: str) -> None:
        self.report = report
        self.merged = report["publication"]["merged"]
        self.held = stack.quarantine(dataset)
        self.versions = stack.versions(dataset)
        self.files = stack.lake_files()
        self.subjects = _subjects(stack)
        self.rows = stack.published(dataset, *KEYS[dataset], "updated_at", *_MEASURES[dataset])


_MEASURES = {
    "orders": ("quantity", "total_amount", "discount_amount", "net_amount"),
    "stock": ("stock_received", "stock_sold", "stock_on_hand"),
}
_ENTITY = {"orders": "customer", "stock": "supplier_contact"}


@pytest.fixture(scope="module")
def loaded(make_stack: Make, waves: list[Wave]) -> Loaded:
    return Loaded(make_stack(batch_rows=1000), waves)


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_source_adds_up_to_the_rows_that_it_has(loaded: Loaded, waves: list[Wave], dataset: str) -> None:
    truth = waves[0].truth["datasets"][dataset]["sources"]
    told = {
        name: {outcome: counts[outcome] for outcome in ("rows", "admitted", "quarantined", "refused")}
        for name, counts in loaded.first[dataset].report["totals"].items()
    }
    assert told == {
        name: {"rows": t["rows"], "admitted": t["admitted"], "quarantined": t["quarantined"], "refused": 0}
        for name, t in truth.items()
    }


@pytest.mark.parametrize("dataset", DATASETS)
def test_quarantine_holds_the_bad_rows_with_their_reason_and_field(
    loaded: Loaded, waves: list[Wave], dataset: str
) -> None:
    truth = waves[0].truth["datasets"][dataset]["quarantined_by_reason"]
    assert Counter(map(_reason, loaded.first[dataset].held)) == truth


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("source", ["csv", "json"])
def test_a_held_row_is_found_by_its_place_in_the_file(
    loaded: Loaded, waves: list[Wave], dataset: str, source: str
) -> None:
    truth = waves[0].truth["datasets"][dataset]["sources"][f"{dataset}_{source}"]["held"]
    held = [row for row in loaded.first[dataset].held if row["source"] == f"{dataset}_{source}"]
    assert {(row["position"], _reason(row)) for row in held} == {(row["position"], _reason(row)) for row in truth}
    assert {row["part"].partition("@")[0] for row in held} == {f"{dataset}.{source}"}


@pytest.mark.parametrize("dataset", DATASETS)
def test_merging_counts_duplicates_and_superseded_rows_apart(loaded: Loaded, waves: list[Wave], dataset: str) -> None:
    truth = waves[0].truth["datasets"][dataset]
    expected = truth["merged"] | {"staged": truth["admitted"], "shredded": 0}
    assert loaded.first[dataset].merged == expected


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_published_figures_are_those_of_the_shops_books(loaded: Loaded, waves: list[Wave], dataset: str) -> None:
    for after, wave in ((loaded.first, waves[0]), (loaded.third, waves[1])):
        truth = dict(wave.truth["datasets"][dataset]["published_after"])
        rows = after[dataset].rows
        assert len(rows) == truth.pop("rows")
        first = len(KEYS[dataset]) + 1
        sums = [sum(row[place] for row in rows) for place in range(first, first + len(_MEASURES[dataset]))]
        assert sums == [Decimal(truth[name]) for name in _MEASURES[dataset]]


@pytest.mark.parametrize("dataset", DATASETS)
def test_each_person_has_one_subject(loaded: Loaded, waves: list[Wave], dataset: str) -> None:
    for after, wave in ((loaded.first, waves[0]), (loaded.second, waves[0]), (loaded.third, waves[1])):
        people = wave.truth["datasets"][dataset]["people"][_ENTITY[dataset]]["so_far"]
        assert after[dataset].subjects[_ENTITY[dataset]] == people


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_undeclared_column_is_reported_and_not_stored(loaded: Loaded, waves: list[Wave], dataset: str) -> None:
    truth = waves[0].truth["datasets"][dataset]["sources"].values()
    told = loaded.first[dataset].report["unknown_columns"]
    assert sorted(told) == sorted(name for source in truth for name in source["unknown_columns"])
    with pytest.raises(psycopg.errors.UndefinedColumn):
        loaded.stack.published(dataset, *KEYS[dataset], "LoyaltyNote")


@pytest.mark.parametrize("dataset", DATASETS)
def test_loading_the_same_month_again_changes_nothing(loaded: Loaded, dataset: str) -> None:
    first, second = loaded.first[dataset], loaded.second[dataset]
    assert (second.merged["new"], second.merged["changed"]) == (0, 0)
    assert second.versions == first.versions
    assert second.files == first.files | {f for f in second.files if not f.startswith(f"store.{dataset}")}
    assert second.report["publication"]["files"] == []
    assert second.subjects[_ENTITY[dataset]] == first.subjects[_ENTITY[dataset]]


@pytest.mark.parametrize("dataset", DATASETS)
def test_loading_the_same_month_again_holds_the_same_rows_in_quarantine(loaded: Loaded, dataset: str) -> None:
    first, second = loaded.first[dataset], loaded.second[dataset]
    assert Counter((r["source"], _reason(r)) for r in second.held) == Counter(
        (r["source"], _reason(r)) for r in first.held
    )


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_second_month_adds_to_quarantine_and_lets_nothing_go(
    loaded: Loaded, waves: list[Wave], dataset: str
) -> None:
    """Not even where its rows stand at the positions, in files of the names, at which the first month's stood."""
    truth: Counter[tuple[str, str]] = Counter()
    for wave in waves:
        for source, told in wave.truth["datasets"][dataset]["sources"].items():
            truth.update({(source, reason): count for reason, count in told["quarantined_by_reason"].items()})
    assert Counter((row["source"], _reason(row)) for row in loaded.third[dataset].held) == truth


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_second_month_reads_files_whole_and_asks_the_others_for_changes_only(
    loaded: Loaded, waves: list[Wave], dataset: str
) -> None:
    expected = {}
    for source in ("csv", "json", "api", "sql"):
        rows = _read_in_the_second_month(waves, dataset, source)
        good = sum(row.outcome.reason is None for row in rows)
        expected[f"{dataset}_{source}"] = (len(rows), good, len(rows) - good)
    totals = loaded.third[dataset].report["totals"]
    assert {n: (c["rows"], c["admitted"], c["quarantined"]) for n, c in totals.items()} == expected


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_second_month_brings_new_and_changed_rows(loaded: Loaded, waves: list[Wave], dataset: str) -> None:
    truth = waves[1].truth["datasets"][dataset]["merged"]
    merged = loaded.third[dataset].merged
    assert (merged["new"], merged["changed"]) == (truth["new"], truth["changed"])
    parts = ("new", "changed", "unchanged", "superseded", "duplicates")
    admitted = sum(c["admitted"] for c in loaded.third[dataset].report["totals"].values())
    assert sum(merged[part] for part in parts) == merged["staged"] == admitted


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_lake_has_every_published_row_through_its_manifest(loaded: Loaded, dataset: str) -> None:
    stack = loaded.stack
    manifest = _manifest(stack, dataset)
    rows: dict[Any, datetime] = {}
    for path, count, size, digest in manifest:
        file = stack.lake / path
        assert (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()) == (size, digest)
        table = pq.read_table(file)
        assert table.num_rows == count
        rows |= _newest(rows, table, KEYS[dataset])
    keys = len(KEYS[dataset])
    assert rows == {row[:keys]: row[keys].astimezone(UTC) for row in loaded.third[dataset].rows}
    assert {path for path, *_ in manifest} == {f for f in stack.lake_files() if f.startswith(f"store.{dataset}")}


def _newest(known: dict[Any, datetime], table: pa.Table, key: tuple[str, ...]) -> dict[Any, datetime]:
    found = zip(*(table[name].to_pylist() for name in (*key, "updated_at")), strict=True)
    rows = {tuple(row[:-1]): row[-1] for row in found}
    assert len(rows) == table.num_rows
    return {k: max(moment, known.get(k, moment)) for k, moment in rows.items()}


def _manifest(stack: Stack, dataset: str) -> list[tuple[str, int, int, str]]:
    with psycopg.connect(stack.warehouse) as connection:
        query = "SELECT path, rows, size, sha256 FROM kasbah.lake_file WHERE dataset LIKE %s"
        return connection.execute(query, (f"store.{dataset}/%",)).fetchall()


def _subjects(stack: Stack) -> dict[str, int]:
    with psycopg.connect(stack.control) as connection:
        query = "SELECT entity, count(*) FROM kasbah_control.subject GROUP BY entity"
        return {str(entity): int(count) for entity, count in connection.execute(query).fetchall()}


def _reason(row: dict[str, Any]) -> str:
    """A held row's reason as the truth writes it."""
    reason = {"required": "missing_required"}.get(row["reason"], row["reason"])
    return f"{reason}:{row['detail'] or row['field']}"


def _read_in_the_second_month(waves: list[Wave], dataset: str, source: str) -> list[Row]:
    """Files are this month's; an API or a database has all months, and is asked from the watermark on."""
    if source not in ASKED:
        return waves[1].rows[dataset][source]
    before = waves[0].rows[dataset][source]
    mark = max(row.version for row in before if row.outcome.reason is None)
    both = before + waves[1].rows[dataset][source]
    return [row for row in both if row.version >= mark - OVERLAP]
