"""The consumer beside a bare bulk loader, how late a record arrives at half load, and whether memory stays flat.

Real Kafka, Elasticsearch and PostgreSQL on one machine, each measurement in processes, databases, a topic and an index
of its own, by turns after an uncounted one.
"""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Result, figure, say
from benchmarks.installation import Servers, printed

DOCUMENTS = 150_000
FEW, MANY = 100_000, 1_000_000
REPEATS = 3
BULK_SHARE, FLAT = 0.9, 1.1


def run() -> Iterator[Result]:
    """The figures `stream_bulk_share`, `stream_memory` and `stream_latency`."""
    with (
        tempfile.TemporaryDirectory(prefix="kb") as folder,
        Servers.running(Path(folder), "elasticsearch") as servers,
    ):
        bulk = Bulk(servers)
        yield bulk.share()
        yield bulk.memory()
        yield bulk.latency()


@dataclass
class Bulk:
    """A topic of governed listings into Elasticsearch, and the same documents by a loader that knows no topic."""

    servers: Servers
    rate: float = 0.0

    def share(self) -> Result:
        """Documents a second of the governed stream, of those of the bare loader."""
        rates: dict[str, list[float]] = {"governed": [], "bare": []}
        for turn in range(REPEATS + 1):
            for mode, seen in rates.items():
                result = self._load(mode, DOCUMENTS)
                rate = result["records"] / result["seconds"]
                if turn:
                    seen.append(rate)
                say(f"{mode}{'' if turn else ', warm-up'}", f"{rate:,.0f} documents/s, {result['memory']:.0f} MiB")
        shares = sorted(one / other for one, other in zip(rates["governed"], rates["bare"], strict=True))
        self.rate, bare = (statistics.median(rates[mode]) for mode in ("governed", "bare"))
        say("share", f"by pairs {shares[0]:.2f} to {shares[-1]:.2f}")
        peer = f"parallel_bulk of elasticsearch-py: {bare:,.0f}"
        return figure(
            "stream_bulk_share", round(self.rate), "documents/s", peer, self.rate / bare, BULK_SHARE, least=True
        )

    def memory(self) -> Result:
        """The most memory that a consumer has at many records, beside few."""
        peaks = {count: self._load("governed", count)["memory"] for count in (FEW, MANY)}
        peer = f"{FEW:,} records: {peaks[FEW]:.0f} MiB"
        return figure("stream_memory", round(peaks[MANY]), "MiB", peer, peaks[MANY] / peaks[FEW], FLAT)

    def latency(self) -> Result:
        """From the producer's clock to the acknowledgement of Elasticsearch, at half of what was just measured."""
        with self.servers.installation("store", "products") as settings:
            found = printed(settings, "benchmarks.latency", str(round(self.rate / 2)))
        say("latency", f"p50 {found['p50']:.0f} ms, p99 {found['p99']:.0f} ms at {found['rate']:,.0f} documents/s")
        told = f"p99 {found['p99']:.0f} ms, at {found['rate']:,.0f} records/s"
        return figure("stream_latency", round(found["p50"]), "ms (p50)", told, None, None)

    def _load(self, mode: str, count: int) -> Result:
        with self.servers.installation("store", "products") as settings:
            if mode == "bare":
                return printed(settings, "benchmarks.listings", "bare", str(count))
            printed(settings, "benchmarks.listings", "produce", str(count))
            result = printed(settings, "benchmarks.flow", "stream", mode, "store.products")
        if result["records"] != count:
            raise ValueError(f"of {count} records {result['records']} arrived")
        return result
