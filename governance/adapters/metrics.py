"""What a stream tells those who watch it: `/metrics` for Prometheus, `/healthz`, and log lines. Never a data value.

Counts, positions, lag and age are read when they are asked for, from where they are kept, so they are exact, and
survive a restart; what only this process knows (what it waits for, how long batches took) is kept here.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from governance.errors import KasbahError, SettingsError
from governance.flows.consuming import Stored
from governance.flows.standing import PartStanding

_STALLED = 180.0
"""Seconds without a turn of its loop after which a consumer that waits for nothing isn't well."""
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_LABELS = ("dataset", "flow", "source", "part")

Ask = Callable[[], tuple[PartStanding, ...]]


class StreamWatch:
    """`flows.stream.Watch`: remembers what it is told, for all the topics of one dataset."""

    def __init__(self, dataset: str, ask: Ask, clock: Callable[[], float] = time.time) -> None:
        self._dataset = dataset
        self._clock = clock
        self._log = structlog.get_logger("kasbah.stream")
        self._one_at_a_time = threading.Lock()
        self._waiting: dict[str, str] = {}
        self._turned = clock()
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_Standings(ask))
        labels, own = ("dataset", "source"), self.registry
        self._waits = Gauge("kasbah_stream_waiting", "1 while something is waited for", labels, registry=own)
        self._batches = Counter("kasbah_stream_batches", "Batches stored by this process", labels, registry=own)
        self._latency = Histogram(
            "kasbah_stream_latency_seconds",
            "From when a batch's oldest record was produced to when it was stored",
            labels,
            buckets=_BUCKETS,
            registry=own,
        )

    def waits(self, source: str, what: str | None) -> None:
        """See `Watch.waits`. Says it in the log when it changes."""
        with self._one_at_a_time:
            before = self._waiting.get(source)
            if before == what:
                return
            if what is None:
                del self._waiting[source]
            else:
                self._waiting[source] = what
        self._waits.labels(self._dataset, source).set(what is not None)
        if what is None:
            self._log.info("goes on", dataset=self._dataset, source=source)
        else:
            self._log.warning("waits", dataset=self._dataset, source=source, what_for=what)

    def took(self, source: str, stored: Stored) -> None:
        """See `Watch.took`."""
        self._batches.labels(self._dataset, source).inc()
        if stored.oldest is not None:
            self._latency.labels(self._dataset, source).observe(max(0.0, self._clock() - stored.oldest / 1000))
        for partition, counts in stored.counts.items():
            self._log.info(
                "stored",
                dataset=self._dataset,
                source=source,
                partition=partition,
                position=stored.positions[partition],
                read=counts.read,
                admitted=counts.admitted,
                **({"quarantined": counts.quarantined} if counts.quarantined else {}),
                **({"refused": counts.refused} if counts.refused else {}),
            )

    def beats(self, source: str) -> None:
        """See `Watch.beats`."""
        del source
        self._turned = self._clock()

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Whether it goes on, and what is to be said of it."""
        with self._one_at_a_time:
            waiting = dict(self._waiting)
        if waiting:
            return False, {"status": "waiting", "dataset": self._dataset, "waits_for": waiting}
        still = self._clock() - self._turned
        if still > _STALLED:
            return False, {"status": "stalled", "dataset": self._dataset, "seconds": round(still)}
        return True, {"status": "ok", "dataset": self._dataset}


class _Standings(Collector):
    """Counts, positions, lag and age, read at each scrape."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def collect(self) -> Iterable[Metric]:
        """The metrics; without them, and saying so, where the control database is away."""
        failed = GaugeMetricFamily("kasbah_stream_standing_unknown", "1 where the control database doesn't answer")
        try:
            found = self._ask()
        except KasbahError:
            failed.add_metric([], 1)
            yield failed
            return
        failed.add_metric([], 0)
        yield failed
        yield from _metrics(found)


def _metrics(found: tuple[PartStanding, ...]) -> Iterator[Metric]:
    records = CounterMetricFamily(
        "kasbah_stream_records", "Records by what became of them", labels=(*_LABELS, "outcome", "reason")
    )
    gauges = {
        "position": GaugeMetricFamily("kasbah_stream_position", "The next offset", labels=_LABELS),
        "lag": GaugeMetricFamily("kasbah_stream_lag_records", "Records not dealt with yet", labels=_LABELS),
        "age": GaugeMetricFamily(
            "kasbah_stream_oldest_unprocessed_seconds", "Age of the oldest of those", labels=_LABELS
        ),
    }
    for one in found:
        labels = [one.place.dataset, str(one.place.flow), one.place.source, one.place.part]
        for outcome, reason, count in outcomes(one):
            records.add_metric([*labels, outcome, reason], count)
        for name, gauge in gauges.items():
            value = getattr(one, name)
            if value is not None:
                gauge.add_metric(labels, value)
    yield records
    yield from gauges.values()


def outcomes(one: PartStanding) -> Iterator[tuple[str, str, int]]:
    """Outcome, reason and count of a partition's records. They add up to what was read."""
    counts = one.counts
    yield "applied", "", counts.applied
    yield "unchanged", "", counts.unchanged
    yield "superseded", "", counts.superseded
    yield "tombstone", "", counts.tombstones
    for outcome, by_reason in (("quarantined", counts.quarantined), ("refused", counts.refused)):
        for reason, count in sorted(by_reason.items()):
            yield outcome, reason, count


@contextmanager
def serving(watch: StreamWatch, host: str, port: int) -> Iterator[int]:
    """Answer `/metrics` and `/healthz` while the context lasts; the port, a free one for 0.

    Raises SettingsError where the port is taken.
    """

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._send(200, CONTENT_TYPE_LATEST, generate_latest(watch.registry))
            elif path == "/healthz":
                well, said = watch.health()
                self._send(200 if well else 503, "application/json", orjson.dumps(said))
            else:
                self._send(404, "text/plain", b"There are /metrics and /healthz.\n")

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds."""

    try:
        server = ThreadingHTTPServer((host, port), Answers)
    except OSError as error:
        raise SettingsError(f"port {port} is not to be had ({error.strerror}): --port takes another") from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="kasbah-metrics", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
