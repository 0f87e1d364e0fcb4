"""What everything comes to: stored cells searched again, keys rotated, the audit log verified, rows shown."""

from pathlib import Path

import psycopg

from local.demo.stage import FOLDER, kasbah, say


def tell(settings: dict[str, str]) -> None:
    """Tell the last part of the story."""
    say("14. What is stored, in warehouse, lake, topics, index and tables, is searched again: nothing undeclared")
    kasbah("scan", "--all", "--html", str((FOLDER / "scan.html").relative_to(Path.cwd())))
    say("15. Keys are rotated: what a copy of the key store from before holds opens nothing any more")
    kasbah("keys", "rotate")
    kasbah("keys", "status")
    say("16. The audit log is whole")
    kasbah("audit", "verify")
    _show_rows(settings["KASBAH_WAREHOUSE"])


def _show_rows(warehouse: str) -> None:
    """What an analyst sees: tokens and pseudonyms."""
    say("17. What the warehouse holds")
    with psycopg.connect(warehouse) as connection:
        for table in ("orders", "stock"):
            query = psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier("store", table))
            row = connection.execute(query).fetchone()
            print(f"store.{table}: {row[0] if row else 0} rows")
        cursor = connection.execute(
            "SELECT order_id, order_date, product_name, net_amount, customer_pseudonym, customer_email, customer_name "
            "FROM store.orders WHERE customer_email IS NOT NULL ORDER BY order_id LIMIT 3"
        )
        names = [column.name for column in cursor.description or ()]
        for values in cursor:
            for name, value in zip(names, values, strict=True):
                print(f"  {name:20} {str(value)[:60]}")
            print()
        noted = connection.execute(
            "(SELECT DISTINCT product_note, NULL FROM store.orders WHERE product_note LIKE '%<%' LIMIT 3) UNION ALL "
            "(SELECT product_note, loyalty_note FROM store.orders WHERE loyalty_note IS NOT NULL LIMIT 1)"
        )
        print("Notes with what was found replaced, and the column that was declared afterwards:")
        for note, loyalty in noted:
            print(f"  {note!s:60} {str(loyalty or '')[:24]}")
