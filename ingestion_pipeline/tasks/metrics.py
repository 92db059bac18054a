"""Metrics, in the text format of Prometheus: how much waits, how long, how much was done.

Belongs here: which figures there are, counting what runs do, one look at all of them. Does not
belong here: who asks for them (``cli``). The number of series is bounded: a collection has one
only while it waits, and of these the largest only; the rest are one.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.model.documents import STAGES, Stage
from ingestion_pipeline.registry.figures import figures
from ingestion_pipeline.stages.work import Work
from ingestion_pipeline.streams.heartbeats import Heartbeat
from ingestion_pipeline.tasks.services import Services

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

logger = logging.getLogger(__name__)

PREFIX = "ingestion"
MOST_COLLECTIONS = 50
"""That have a series of their own."""
OTHERS = "(others)"
"""No collection is called so."""
HOST = "127.0.0.1"


def count(services: Services, works: Sequence[Work]) -> None:
    """Count a batch that was worked on; that Redis is away costs the count and nobody's work."""
    totals: defaultdict[str, float] = defaultdict(float)
    for work in works:
        totals["documents:failed" if work.result.error else "documents:done"] += 1
        for stage, step in work.steps.items():
            name = stage if stage in STAGES else "pipeline"
            totals[f"seconds:{name}"] += step.seconds
            if work.result.error is None:
                totals[f"{'computed' if step.computed else 'reused'}:{name}"] += 1
                if step.computed and name == Stage.EMBEDDED:
                    totals["chunks"] += work.embedded_chunks
                    totals["chunks_read_before"] += work.chunks_read_before
    try:
        services.totals.add(totals)
    except IngestError as error:
        logger.info("a batch was not counted: %s", error)


def text(services: Services) -> str:
    """Return all metrics as they are now."""
    from prometheus_client import generate_latest

    return generate_latest(_registry(services)).decode()


def samples(services: Services) -> list[dict[str, object]]:
    """Return all metrics as plain values."""
    return [
        {"name": sample.name, "labels": dict(sample.labels), "value": sample.value}
        for metric in _Collector(services).collect()
        for sample in metric.samples
    ]


def write(services: Services, path: Path) -> None:
    """Write all metrics to a file, at once, as node_exporter's textfile collector wants it."""
    from prometheus_client import write_to_textfile

    write_to_textfile(str(path), _registry(services))


@contextmanager
def served(services: Services, port: int) -> Iterator[str]:
    """Answer on loopback until the block is left; each answer is of its moment."""
    from prometheus_client import start_http_server

    server, thread = start_http_server(port, HOST, _registry(services))
    try:
        yield f"http://{HOST}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _registry(services: Services) -> CollectorRegistry:
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(services))
    return registry


class _Collector:
    """Looks at everything whenever it is asked."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[Metric]:
        """Name nothing: that would be a look."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what is known; a part that does not answer is down, and says no more."""
        began = time.perf_counter()
        up: dict[str, bool] = {}
        for name, look in (("registry", self._registry), ("redis", self._redis)):
            try:
                found = list(look())
            except IngestError as error:
                logger.warning("metrics of the %s are missing: %s", name, error)
                found = []
            up[name] = bool(found)
            yield from found
        yield _gauge("up", "Whether a part answers.", ["part"], {(k,): v for k, v in up.items()})
        took = time.perf_counter() - began
        yield _gauge("metrics_seconds", "How long this look took.", [], {(): took})

    def _registry(self) -> Iterator[Metric]:
        registry = self._services.registry
        now = figures(registry.database)
        yield _gauge("tasks", "Tasks there are.", ["type", "state"], now.tasks)
        by_state = {(state,): count for state, count in now.documents.items()}
        yield _gauge("documents", "Documents there are.", ["state"], by_state)
        age = {(): now.oldest_waiting_seconds}
        yield _gauge("oldest_waiting_task_seconds", "Age of the oldest waiting task.", [], age)
        waiting: Counter[str] = Counter()
        oldest: dict[str, float] = {}
        for each in registry.documents.backlog():
            key = each.collection_key
            waiting[key] += each.documents
            oldest[key] = max(oldest.get(key, 0.0), each.oldest_seconds)
        backlog, ages = _largest(waiting, oldest)
        labels = ["collection"]
        yield _gauge("backlog_documents", "Documents that wait for a run.", labels, backlog)
        yield _gauge("backlog_oldest_seconds", "For how long the oldest waits.", labels, ages)

    def _redis(self) -> Iterator[Metric]:
        stream = self._services.streams.status()
        messages = {("new",): stream.lag, ("delivered",): stream.pending}
        yield _gauge("stream_messages", "Messages not yet taken in.", ["state"], messages)
        age = {(): self._services.streams.oldest_seconds()}
        yield _gauge("stream_oldest_seconds", "Age of the oldest of these.", [], age)
        yield _gauge("dead_letters", "Messages that could not be read.", [], {(): stream.dead})
        yield from _of_workers(self._services.heartbeats.all())
        yield from _of_totals(self._services.totals.all())


def _largest(
    waiting: Counter[str], oldest: dict[str, float]
) -> tuple[dict[tuple[str, ...], float], dict[tuple[str, ...], float]]:
    """Return backlog and age by collection, the smaller ones together."""
    shown = {key for key, _ in waiting.most_common(MOST_COLLECTIONS)}
    backlog: dict[tuple[str, ...], float] = {}
    ages: dict[tuple[str, ...], float] = {}
    for key, documents in waiting.items():
        label = (key if key in shown else OTHERS,)
        backlog[label] = backlog.get(label, 0) + documents
        ages[label] = max(ages.get(label, 0.0), oldest[key])
    return backlog, ages


def _of_workers(beats: Sequence[Heartbeat]) -> Iterator[Metric]:
    """Yield metrics of workers, by kind: their names come and go."""
    alive: Counter[tuple[str, ...]] = Counter()
    memory: Counter[tuple[str, ...]] = Counter()
    largest: dict[tuple[str, ...], float] = {}
    for beat in beats:
        kind = (beat.name.partition(":")[0],)
        alive[kind] += 1
        memory[kind] += beat.memory_bytes
        largest[kind] = max(largest.get(kind, 0), beat.memory_bytes)
    labels = ["kind"]
    yield _gauge("workers", "Processes that say they live (worker, run, cli).", labels, alive)
    yield _gauge("worker_memory_bytes", "What they take up, all together.", labels, memory)
    yield _gauge("worker_memory_bytes_max", "What the largest takes up.", labels, largest)


def _of_totals(totals: dict[str, float]) -> Iterator[Metric]:
    by_kind: dict[str, dict[tuple[str, ...], float]] = {}
    for name, total in totals.items():
        kind, _, rest = name.partition(":")
        by_kind.setdefault(kind, {})[(rest,)] = total
    done = by_kind.get("documents", {})
    yield _counter("documents_processed", "Documents that runs worked on.", ["result"], done)
    chunks = {(): totals.get("chunks", 0.0)}
    yield _counter("chunks_embedded", "Chunks that the model has read.", [], chunks)
    found = {(): totals.get("chunks_read_before", 0.0)}
    yield _counter("chunks_found_embedded", "Chunks that it had read before.", [], found)
    results = {
        (stage, result): count
        for result in ("computed", "reused")
        for (stage,), count in by_kind.get(result, {}).items()
    }
    yield _counter("stage_results", "Stages done, or found done.", ["stage", "result"], results)
    seconds = by_kind.get("seconds", {})
    yield _counter("stage_seconds", "Time that stages took, over documents.", ["stage"], seconds)


def _gauge(name: str, help_text: str, labels: Sequence[str], values: Mapping[Any, float]) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    family = GaugeMetricFamily(f"{PREFIX}_{name}", help_text, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family


def _counter(
    name: str, help_text: str, labels: Sequence[str], values: Mapping[Any, float]
) -> Metric:
    from prometheus_client.metrics_core import CounterMetricFamily

    family = CounterMetricFamily(f"{PREFIX}_{name}", help_text, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family
