"""The generated shop keeps its promises: the same seed gives the same bytes, and the truth is what the files hold.

The files are read here by a reader of this test's own, which knows nothing of how they were made.
"""

import csv
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

from samples.defects import ORDER_DEFECTS, STOCK_DEFECTS
from samples.files import write_files
from samples.rows import LAYOUTS, SOURCES, Row
from samples.shop import LATE_HOURS
from samples.store import Wave, generate, history
from samples.writing import api_record, csv_cells

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def waves() -> list[Wave]:
    return history(seed=7, scale=1, wave=3)


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    """Whatever the order of hashes there."""
    digests = []
    for hashing in ("1", "2"):
        folder = tmp_path / hashing
        command = [sys.executable, "-m", "samples", "store", "--out", str(folder), "--scale", "0.3", "--wave", "2"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hashing}, check=True)
        digests.append(_digests(folder))
    assert digests[0] == digests[1]
    assert set(digests[0]) == {"orders.csv", "orders.json", "stock.csv", "stock.json", "truth.json"}


def test_other_seeds_and_waves_give_other_bytes(tmp_path: Path) -> None:
    digests = set()
    for seed, wave in ((1, 1), (2, 1), (1, 2)):
        folder = tmp_path / f"{seed}-{wave}"
        write_files(generate(seed, 0.1, wave), folder)
        digests.add(_digests(folder)["orders.csv"])
    assert len(digests) == 3


@pytest.mark.parametrize("wave", [1, 2])
@pytest.mark.parametrize("dataset", ["orders", "stock"])
@pytest.mark.parametrize("source", ["csv", "json", "api"])
def test_the_truth_is_what_the_source_holds(
    waves: list[Wave], tmp_path: Path, dataset: str, source: str, wave: int
) -> None:
    """Every row, judged again from its text, meets the outcome that the truth says, at the same position."""
    made = waves[wave - 1]
    write_files(made, tmp_path)
    truth = made.truth["datasets"][dataset]["sources"][f"{dataset}_{source}"]
    found = [_judge(record, dataset, source) for record in _records(made, tmp_path, dataset, source)]
    held = {n: verdict for n, verdict in enumerate(found) if verdict}
    expected = {h["position"]: ":".join(p for p in (h["reason"], h["field"], h["detail"]) if p) for h in truth["held"]}
    assert held == expected
    assert len(found) == truth["rows"] == truth["admitted"] + truth["quarantined"]
    assert Counter(held.values()) == truth["quarantined_by_reason"]


@pytest.mark.parametrize("dataset", ["orders", "stock"])
def test_the_counts_add_up(waves: list[Wave], dataset: str) -> None:
    for wave in waves:
        truth = wave.truth["datasets"][dataset]
        sources = truth["sources"].values()
        for count in ("rows", "admitted", "quarantined"):
            assert truth[count] == sum(source[count] for source in sources)
        assert truth["rows"] == truth["admitted"] + truth["quarantined"]
        assert sum(truth["merged"].values()) == truth["admitted"]


@pytest.mark.parametrize("dataset", ["orders", "stock"])
def test_merging_wave_after_wave_gives_the_published_table(waves: list[Wave], dataset: str) -> None:
    """One row at a time, newest wins: not how the truth counts it."""
    table: dict[Any, Row] = {}
    for wave in waves:
        before = dict(table)
        versions: Counter[Any] = Counter()
        for row in (r for source in SOURCES for r in wave.rows[dataset][source] if r.outcome.reason is None):
            versions[row.key, row.version] += 1
            if row.key not in table or table[row.key].version < row.version:
                table[row.key] = row
        truth = wave.truth["datasets"][dataset]
        assert truth["merged"]["new"] == len(table.keys() - before.keys())
        assert truth["merged"]["changed"] == sum(table[k].version > before[k].version for k in before)
        assert truth["distinct_keys"] == len({key for key, _ in versions})
        assert truth["published_after"]["rows"] == len(table)
        measure = "net_amount" if dataset == "orders" else "stock_sold"
        assert Decimal(truth["published_after"][measure]) == sum(
            (Decimal(str(row.values[measure])) for row in table.values()), Decimal(0)
        )


def test_every_declared_defect_occurs_in_every_declared_source(waves: list[Wave]) -> None:
    for dataset, defects in (("orders", ORDER_DEFECTS), ("stock", STOCK_DEFECTS)):
        for source in SOURCES:
            rows = waves[0].rows[dataset][source]
            traits = Counter(trait for row in rows for trait in row.traits)
            for defect in defects:
                share = traits[defect.name] / len(rows)
                wanted = defect.share if source in defect.sources else 0
                assert math.isclose(share, wanted, abs_tol=2 / len(rows)), (defect.name, source)
                assert bool(share) == bool(wanted), (defect.name, source)


def test_a_row_has_one_defect_at_most(waves: list[Wave]) -> None:
    for dataset, defects in (("orders", ORDER_DEFECTS), ("stock", STOCK_DEFECTS)):
        names = {defect.name for defect in defects}
        for row in _all_rows(waves[0], dataset):
            assert len(names & set(row.traits)) == (row.outcome.reason is not None)


def test_the_first_wave_has_the_oddities_of_real_sources(waves: list[Wave]) -> None:
    defects = waves[0].truth["datasets"]["orders"]["defects"]
    wanted = (
        "duplicate_within duplicate_across superseded_version late phone_only phone_free_text phone_of_two "
        "phone_of_many anonymous literal_null padded_name email_upper email_title email_padded odd_cents"
    )
    assert {name for name in wanted.split() if not defects.get(name)} == set()
    people = waves[0].truth["datasets"]["orders"]["people"]["customer"]
    assert people["phones_of_two_so_far"] > 0
    assert people["phones_of_many_so_far"] > 0


def test_scale_one_is_the_size_it_says(waves: list[Wave]) -> None:
    first = waves[0].truth["datasets"]
    assert 4700 < first["orders"]["rows"] < 5300
    assert 1100 < first["stock"]["rows"] < 1300
    assert 1350 < first["orders"]["people"]["customer"]["seen"] <= 1500


def test_the_csv_looks_like_an_export(waves: list[Wave], tmp_path: Path) -> None:
    """A byte order mark, CR LF, a column nobody declared, dollars, months first, new lines and quotes in cells."""
    write_files(waves[0], tmp_path)
    raw = (tmp_path / "orders.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfOrderID,Date,")
    assert raw.endswith(b"\r\n")
    text = raw.decode("utf-8-sig")
    assert text.splitlines()[0].endswith(",LoyaltyNote")
    for shape in (
        r'"\$[0-9]+,[0-9]{3}\.',
        r",\$[0-9]+\.",
        r",02-30-2025,",
        r",NULL,",
        r",N/A,",
        r'""The Old',
        r"[^\r]\n",
    ):
        assert re.search(shape, text), shape
    assert not (tmp_path / "stock.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_the_json_is_text_throughout(waves: list[Wave], tmp_path: Path) -> None:
    write_files(waves[0], tmp_path)
    raw = (tmp_path / "orders.json").read_text(encoding="utf-8")
    records = json.loads(raw)
    assert {type(value) for record in records for value in record.values()} == {str, type(None)}
    assert {"", None} <= {record["customer_email"] for record in records}
    assert {"NaN", "Infinity"} & {record["product_price"] for record in records}
    assert "\\ud800" in raw and "\\u0000" in raw
    assert re.search(r'"customer_email": "[^"]*[à-ž][^"]*@', raw)


def test_nobody_is_real(waves: list[Wave]) -> None:
    """Example domains and numbers set aside for fiction, and nothing else."""
    reserved = re.compile(
        r"(?:\+|00)?(?:1?[2-9]\d\d55501\d\d|(?:44|0)7700900\d{3}|(?:44|0)(?:1[1-5]1496|11[3-8]496|161496|191498|207946"
        r"|292018)\d{4}|(?:61|0)[2378](?:5550|7010)\d{4})"
    )
    for wave in waves:
        for row in _all_rows(wave, "orders") + _all_rows(wave, "stock"):
            email = row.values.get("customer_email") or row.values.get("supplier_contact")
            if email and "@" in str(email):
                assert re.search(r"@example\.(?:com|org|net)$", str(email).strip().lower())
            phone = re.sub(r"(?: ext\. 12| x4)$|[^\d+]", "", str(row.values.get("customer_phone") or ""))
            assert not phone or reserved.fullmatch(phone), phone
            assert not row.remark or re.fullmatch(r"call \+44 20 7946 0\d{3} before delivery", row.remark)
            note = str(row.values.get("product_note"))
            assert "@" not in note or re.search(r"@example\.(?:com|org|net)\b", note)


def test_who_is_who_is_never_in_doubt(waves: list[Wave]) -> None:
    """An e-mail, or a number without an e-mail, leads to one person whatever the order in which rows are read."""
    owner: dict[str, int] = {}
    beside: dict[str, int] = {}
    for wave in waves:
        known = dict(beside)
        people = set()
        for row in _all_rows(wave, "orders"):
            email, phone = _email(row.values["customer_email"]), _digits(row.values["customer_phone"])
            if row.outcome.reason == "malformed" or not (email or phone):
                continue
            if email:
                person = owner.setdefault(email, row.person if row.person is not None else -1)
                if phone:
                    beside[phone] = person
            else:
                assert phone
                person = known.get(phone, owner.setdefault(phone, row.person if row.person is not None else -1))
            assert person == row.person
            people.add(person)
        assert wave.truth["datasets"]["orders"]["people"]["customer"]["seen"] == len(people)


def test_later_waves_bring_new_changed_and_late_rows(waves: list[Wave]) -> None:
    for wave in waves[1:]:
        orders = wave.truth["datasets"]["orders"]
        assert min(orders["merged"].values()) > 0
        assert orders["defects"]["email_forgotten"] > 0
        start = datetime.combine(wave.period.start, datetime.min.time())
        late = [row for row in _all_rows(wave, "orders") if "late" in row.traits]
        assert late
        for row in late:
            assert start - timedelta(hours=LATE_HOURS) <= row.version < start
            assert row.day("order_date") < wave.period.start


def test_a_row_changes_only_after_it_began(waves: list[Wave]) -> None:
    for wave in waves:
        for dataset, day in (("orders", "order_date"), ("stock", "stock_date")):
            for row in _all_rows(wave, dataset):
                if row.outcome.reason is None:
                    assert row.version.date() >= row.day(day)
                    assert row.version.date() <= wave.period.end


@pytest.mark.parametrize("dataset", ["orders", "stock"])
def test_copies_are_what_they_are_called(waves: list[Wave], dataset: str) -> None:
    """A superseded version is older than the row it belongs to; a duplicate is the same, there or elsewhere."""
    originals = {r.key: r for r in _all_rows(waves[0], dataset) if r.key and not _is_copy(r)}
    for row in filter(_is_copy, _all_rows(waves[0], dataset)):
        original = originals[row.key]
        if "superseded_version" in row.traits:
            assert row.version < original.version
            assert row.values != original.values
        else:
            assert row.version == original.version
            assert (row.source == original.source) == ("duplicate_within" in row.traits)
            assert row.source != original.source or csv_cells(row, LAYOUTS[dataset]) == csv_cells(
                original, LAYOUTS[dataset]
            )


def _is_copy(row: Row) -> bool:
    return bool({"duplicate_within", "duplicate_across", "superseded_version"} & set(row.traits))


def test_a_scale_too_small_for_every_defect_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.05"):
        generate(scale=0.01)
    with pytest.raises(ValueError, match="counted from 1"):
        generate(wave=0)


def _all_rows(wave: Wave, dataset: str) -> list[Row]:
    return [row for source in SOURCES for row in wave.rows[dataset][source]]


def _records(wave: Wave, folder: Path, dataset: str, source: str) -> list[dict[str, Any] | None]:
    """The source's records by field; None for a line that has not as many cells as the header."""
    layout = LAYOUTS[dataset]
    names = {column.name_in(source): column.field for column in layout.columns}
    if source == "csv":
        with (folder / f"{dataset}.csv").open(encoding="utf-8-sig", newline="") as file:
            header, *lines = csv.reader(file)
        records = [dict(zip(header, line, strict=True)) if len(line) == len(header) else None for line in lines]
    elif source == "json":
        records = json.loads((folder / f"{dataset}.json").read_text(encoding="utf-8"))
    else:
        records = [api_record(row, layout) for row in wave.rows[dataset]["api"]]
    names |= {layout.unknown: "unknown column"} if layout.unknown else {}
    return [r and {names[name]: value for name, value in r.items() if name in names} for r in records]


def _judge(record: dict[str, Any] | None, dataset: str, source: str) -> str | None:
    """The one thing wrong with a record, from its text alone."""
    if record is None:
        return "malformed:ragged"
    texts = {name: "" if value is None else str(value).strip() for name, value in record.items()}
    if any("\0" in text for text in texts.values()):
        return "malformed:nul_byte"
    if any("\ud800" <= letter <= "\udfff" for text in texts.values() for letter in text):
        return "malformed:encoding"
    texts = {name: "" if text in ("NULL", "N/A") else text for name, text in texts.items()}
    check = _judge_order if dataset == "orders" else _judge_stock
    return check(texts, "%m-%d-%Y" if source == "csv" else "%Y-%m-%d")


def _judge_order(texts: dict[str, str], dates: str) -> str | None:
    numbers = ("product_price", "total_amount", "discount_amount", "net_amount")
    wrong = [f for f in ("order_date",) if not _is_day(texts[f], dates)]
    wrong += [f for f in numbers if _number(texts[f]) is None]
    wrong += [f for f in ("quantity",) if not re.fullmatch(r"-?[0-9]+", texts[f])]
    if wrong:
        assert len(wrong) == 1
        return f"type:{wrong[0]}"
    if not texts["order_id"]:
        return "missing_required:order_id"
    price, total, discount, net = (_number(texts[f]) or Decimal(0) for f in numbers)
    quantity = int(texts["quantity"])
    rules = {
        "net": net == total - discount,
        "price": abs(total / quantity - price) <= Decimal("0.005"),
        "negative_total": total >= 0,
    }
    broken = [name for name, holds in rules.items() if not holds]
    if broken:
        assert len(broken) == 1
        return f"rule:{broken[0]}"
    if texts["customer_name"] and not _email(texts["customer_email"]) and not _digits(texts["customer_phone"]):
        return "no_subject_key:customer_email"
    note, name = texts["product_note"], texts["customer_name"]
    found = {
        "product_note": "@" in note or "kept for" in note or bool(name and name in note),
        "unknown column": bool(re.search(r"\d{4}", texts.get("unknown column", ""))),
    }
    return next((f"finding:{field}" for field, there in found.items() if there), None)


def _judge_stock(texts: dict[str, str], dates: str) -> str | None:
    numbers = ("stock_received", "stock_sold", "stock_on_hand")
    wrong = [f for f in ("stock_date",) if not _is_day(texts[f], dates)]
    wrong += [f for f in numbers if not re.fullmatch(r"-?[0-9]+", texts[f])]
    if wrong:
        assert len(wrong) == 1
        return f"type:{wrong[0]}"
    if not texts["product_name"]:
        return "missing_required:product_name"
    received, sold, on_hand = (int(texts[f]) for f in numbers)
    if on_hand != received - sold:
        return "rule:on_hand"
    if texts["supplier_contact"] and not _email(texts["supplier_contact"]):
        return "no_subject_key:supplier_contact"
    if _is_card(texts["stock_received"]):
        return "finding:stock_received"
    return None


def _is_card(digits: str) -> bool:
    """Sixteen digits whose check digit is right (ISO/IEC 7812-1, annex B)."""
    doubled = [int(d) * (2 - n % 2) for n, d in enumerate(digits)]
    return len(digits) == 16 and sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def _is_day(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007, a day has no zone
    except ValueError:
        return False
    return True


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.lstrip("$").replace(",", ""))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _email(value: object) -> str | None:
    text = str(value or "").strip().lower()
    return text if re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", text) else None


def _digits(value: object) -> str | None:
    """A number as one reads it out: `+` or 00, digits, no extension."""
    text = re.sub(r"(?: ext\.? ?| x)\d+$", "", str(value or "").strip())
    digits = re.sub(r"\D", "", text)
    plus = "+" in text or text.startswith("00")
    digits = digits.removeprefix("00") if text.startswith("00") else digits
    return ("+" if plus else "") + digits if 7 <= len(digits) <= 15 else None
