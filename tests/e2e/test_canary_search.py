"""The search for planted data finds it however it is written: else finding nothing would prove nothing."""

import base64
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from canaries import CARD, PERSONAL, personal, writings


@pytest.mark.parametrize("way", sorted(writings(PERSONAL)))
def test_the_search_finds_each_way_of_writing(way: str, tmp_path: Path) -> None:
    secret = f"before {PERSONAL}bcdfg after"
    wide = secret.encode("utf-16-be")
    shown = {
        "utf-8": secret.encode(),
        "utf-8 in capitals": secret.upper().encode(),
        "utf-16": wide,
        "hex": secret.encode().hex().encode(),
        "HEX": secret.encode().hex().upper().encode(),
        "percent": b"".join(b"%%%02x" % byte for byte in secret.encode()),
        "PERCENT": b"".join(b"%%%02X" % byte for byte in secret.encode()),
        "json": b"".join(b"\\u%04x" % byte for byte in secret.encode()),
    }
    if way.startswith("base64"):
        raw = secret.encode("utf-16-le") if "utf-16" in way else secret.encode()
        at = raw.index(PERSONAL.encode("utf-16-le") if "utf-16" in way else PERSONAL.encode())
        shift = (int(way[7]) - at) % 3
        shown[way] = base64.b64encode(b"x" * shift + raw)
    file = tmp_path / "file"
    file.write_bytes(b"\x00\xff" * 500 + shown[way])
    assert [hit.way for hit in personal().files([file])] == [f"{PERSONAL!r} as {way}"]


@pytest.mark.parametrize("order", ["little", "big"])
def test_the_search_finds_a_number_in_eight_bytes(order: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\x00\xff" * 50 + CARD.to_bytes(8, "little" if order == "little" else "big"))
    assert [hit.way for hit in personal().files([file])] == [f"{CARD} as {order} endian"]


def test_the_search_finds_a_number_in_a_packed_column(tmp_path: Path) -> None:
    file = tmp_path / "file.parquet"
    pq.write_table(pa.table({"pieces": pa.array([1, CARD, 2])}), file, compression="zstd", use_dictionary=False)
    assert f"{CARD} as little endian" in [hit.way for hit in personal().files([file])]
