"""The shop's sources with recognisable personal data wherever a source can have it, and controls in clear fields."""

import json
import shutil

from canaries import CARD, CONTROL, CONTROL_NUMBER, PERSONAL, Planter
from stacks import Stack

from samples.files import write_files
from samples.rows import LAYOUTS, Row
from samples.store import Wave, history
from samples.tables import write_tables
from samples.writing import csv_cells, csv_header, json_record, json_text

SCALE = 0.25


def planted(planter: Planter, seed: int, where: str) -> Wave:
    """A wave of the shop's rows, good and bad, in which every personal cell, and every cell that doesn't fit its type,
    is a token."""
    wave = history(seed=seed, scale=SCALE)[0]
    for dataset, sources in wave.rows.items():
        for source, rows in sources.items():
            for number, row in enumerate(rows):
                _plant_row(row, planter, f"{where} {dataset} {source}", number)
    return wave


def _plant_row(row: Row, planter: Planter, where: str, number: int) -> None:
    values = row.values
    for name in ("customer_email", "supplier_contact"):
        if values.get(name):
            token = planter.word(f"{where} {name}")
            values[name] = f"  {token.upper()}@EXAMPLE.com" if number % 5 == 0 else f"{token}@example.com"
    if values.get("customer_name"):
        values["customer_name"] = f"{planter.word(f'{where} customer_name')} Löwe"
    if values.get("customer_address"):
        values["customer_address"] = f'{number} {planter.word(f"{where} customer_address")} Street\n"Rear", Anytown'
    if values.get("customer_phone"):
        values["customer_phone"] = planter.phone(f"{where} customer_phone")
    if row.outcome.reason == "type" and row.source != "sql" and row.outcome.field:
        values[row.outcome.field] = planter.word(f"{where} a cell that fails its type")
    if row.outcome.reason == "finding":
        _plant_undeclared(row, planter, where)
    if row.outcome.reason is None and number % 7 == 0:
        values["product_name"] = f"{CONTROL} tea {values['product_name']}".strip()
        if "stock_sold" in values:
            values |= {"stock_received": CONTROL_NUMBER, "stock_on_hand": CONTROL_NUMBER - row.count("stock_sold")}


def _plant_undeclared(row: Row, planter: Planter, where: str) -> None:
    """Personal data where no contract has it: in a free text, in a wrong column, in a column that nobody declared."""
    values = row.values
    if "email_in_note" in row.traits:
        values["product_note"] = f"ask {planter.word(f'{where} an e-mail in a note')}@example.com, soon"
    if "own_name_in_note" in row.traits:
        values["product_note"] = f"a gift for {str(values['customer_name']).upper()}: wrap it"
    if "phone_in_unknown_column" in row.traits:
        row.remark = f"call {planter.phone(f'{where} an unknown column')} before delivery"
    if "card_for_pieces" in row.traits:
        values |= {"stock_received": CARD, "stock_on_hand": CARD - row.count("stock_sold")}
        planter.planted[str(CARD)] = f"{where} a card number for pieces"


def write_sources(stack: Stack, planter: Planter, wave: Wave) -> None:
    """The wave's files and tables, then lines that only a hand can write. The files' names hold the control."""
    write_files(wave, stack.origin)
    write_tables(wave, stack.shop)
    for name in LAYOUTS:
        for kind in ("csv", "json"):
            place = stack.origin / f"{CONTROL}-{name}.{kind}"
            shutil.move(stack.origin / f"{name}.{kind}", place)
            stack.at(f"{name}_{kind}", place)
    lines = stack.origin / f"{CONTROL}-orders.csv"
    text = lines.read_bytes().splitlines(keepends=True)
    head = text[0].rstrip().replace(b"LoyaltyNote", f"LoyaltyNote,{CONTROL} column".encode()) + b"\r\n"
    rest = b"".join(text[1:])
    lines.write_bytes(head + rest.replace(b",gold card\r\n", _unknown(planter)).replace(b"\r\n", b",\r\n"))
    with lines.open("ab") as file:
        file.writelines(_bad_lines(planter, wave.rows["orders"]["csv"]))
    records = stack.origin / f"{CONTROL}-orders.json"
    whole = records.read_text(encoding="utf-8").rstrip().removesuffix("]").rstrip()
    records.write_text(whole + ",\n" + ",\n".join(_bad_records(planter, wave.rows["orders"]["json"])), encoding="utf-8")


def _unknown(planter: Planter) -> bytes:
    return f",{planter.word('an unknown column')}\r\n".encode()


def _bad_lines(planter: Planter, rows: list[Row]) -> list[bytes]:
    """CSV lines that are no rows, or that no row rule lets pass, with tokens in them."""
    layout = LAYOUTS["orders"]
    names = [*csv_header(layout), "control"]
    good = next(row for row in rows if row.outcome.reason is None)

    def cells(kind: str, **changes: str) -> list[str]:
        found = dict(zip(names, [*csv_cells(good, layout), ""], strict=True))
        found |= {
            "CustomerName": planter.word(f"{kind}: name"),
            "CustomerEmail": f"{planter.word(f'{kind}: e-mail')}@example.org",
            "CustomerAddress": planter.word(f"{kind}: address"),
            "CustomerPhone": planter.phone(f"{kind}: phone"),
        }
        found |= changes
        return [cell.replace('"', "'").replace("\n", " ").replace(",", " ") for cell in found.values()]

    def word(kind: str) -> str:
        return planter.word(f"{kind}: the bad cell")

    own = planter.word("own name in the note")
    lines = [
        ",".join(cells("ragged")[:-6]).encode(),
        ",".join([*cells("too many"), word("too many"), "x"]).encode(),
        ",".join(cells("nul byte", ProductName="Sage\0Tea")).encode(),
        ",".join(cells("encoding")).encode().replace(PERSONAL.encode(), PERSONAL.encode() + b"\xff", 1),
        ",".join(cells("number", QuantitySold=word("number"))).encode(),
        ",".join(cells("price", ProductPrice="$" + word("price"))).encode(),
        ",".join(cells("date", Date=word("date"))).encode(),
        ",".join(cells("moment", UpdatedAt=word("moment"))).encode(),
        ",".join(cells("enum", CustomerSegment=word("enum"))).encode(),
        ",".join(cells("pattern", OrderID=word("pattern"))).encode(),
        ",".join(cells("no key", CustomerEmail=word("no key"), CustomerPhone="none")).encode(),
        ",".join(cells("net", NetAmount="0.07")).encode(),
        ",".join(cells("wrong column", ProductName=f"Tea {word('mail in a name')}@example.com")).encode(),
        ",".join(cells("wrong column", ShipperName=planter.phone("a phone for a company"))).encode(),
        ",".join(cells("wrong column", QuantitySold=str(CARD))).encode(),
        ",".join(cells("free text", CustomerName=f"{own} Löwe", ProductNote=f"for {own.upper()} LOWE")).encode(),
        ('"' + ",".join(cells("a quote that is never closed"))).encode(),
    ]
    return [line + b"\r\n" for line in lines]


def _bad_records(planter: Planter, rows: list[Row]) -> list[str]:
    """JSON records, the last one cut off, with tokens in them."""
    layout = LAYOUTS["orders"]
    good = next(row for row in rows if row.outcome.reason is None)

    def record(kind: str, **changes: object) -> str:
        found = json_record(good, layout) | {
            "customer_name": planter.word(f"{kind}: name"),
            "customer_email": f"{planter.word(f'{kind}: e-mail')}@example.net",
            "customer_address": planter.word(f"{kind}: address"),
            "customer_phone": planter.phone(f"{kind}: phone"),
        }
        return json_text(found | changes)

    return [
        record("nul escape", product_name="Sage\0Tea"),
        record("surrogate", product_name="Sage \ud800Tea"),
        '{"order_id": "' + planter.word("duplicate key") + '", ' + record("duplicate key")[1:],
        record("an unknown key", loyalty=planter.word("an unknown key")),
        record("what is nested nowhere declared", loyalty={"contacts": [f"{planter.word('nested')}@example.com"]}),
        record("a nested record", customer_name={"first": planter.word("nested"), "last": planter.word("nested")}),
        record("number", quantity_sold=planter.word("number: the bad cell")),
        json.dumps(planter.word("a text for a record")),
        record("deep", loyalty=json.loads("[" * 60 + json.dumps(planter.word("deep")) + "]" * 60)),
        record("cut off")[:-40],
    ]
