"""Made outcomes of a batch, as enforcement hands them over."""

import pyarrow as pa

from governance.enforcement.outcomes import QUARANTINED, REFUSED


def quarantined(
    positions: list[int], source: str = "csv", part: str = "orders.csv", **values: object
) -> pa.RecordBatch:
    """Rows held at these positions; `values` replace columns."""
    row = {"source": source, "part": part, "reason": "rule", "field": "net_amount", "detail": "net", "length": 42}
    row |= {"entity": "customer", "pseudonym": "ab" * 16, "sealed": b"kb1.sealed"} | values
    return pa.RecordBatch.from_pylist([row | {"position": p} for p in positions], schema=QUARANTINED)


def refused(
    positions: list[int], source: str = "csv", part: str = "orders.csv", reason: str = "underage"
) -> pa.RecordBatch:
    """Rows refused at these positions."""
    row = {"source": source, "part": part, "reason": reason}
    return pa.RecordBatch.from_pylist([row | {"position": p} for p in positions], schema=REFUSED)
