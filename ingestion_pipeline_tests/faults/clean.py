"""A clean build: the same sources, ingested by this process in another state folder, undisturbed.

What a collection holds after a fault must be what it would hold without.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.tasks import Backend, Priority, ReindexOnly, TaskState
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.commands import answer
from ingestion_pipeline.tasks.generations import configure
from ingestion_pipeline.tasks.services import Services
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline.tasks.work import WorkRequest, run

Rows = Counter[tuple[str, str, str]]
"""Document name, document version and chunk id of each row of an index."""


@dataclass(frozen=True)
class Content:
    """What a collection holds, the same wherever and however often it was built."""

    rows: Rows
    stored: frozenset[str]
    """The keys of objects and artifacts."""
    tables: int
    """How many tables LanceDB has for the collection, unfinished ones included."""

    def without(self, names: Container[str]) -> Rows:
        """Return the rows of all documents but these."""
        return Counter({row: count for row, count in self.rows.items() if row[0] not in names})


def content(services: Services, collection: str) -> Content:
    """Look at a collection as it is."""
    known = services.registry.collections.get(collection)
    index = services.index(known)
    columns = ["name", "document_version", "chunk_id"]
    snapshot = index.snapshot()
    found = [] if snapshot.empty else snapshot._columns(columns).to_pylist()
    return Content(
        rows=Counter(tuple(row[column] for column in columns) for row in found),
        stored=frozenset(_stored(services, known)),
        tables=len(list(Path(services.settings.lancedb_address).glob(f"{index.name}*"))),
    )


def _stored(services: Services, collection: Collection) -> list[str]:
    place = f"{collection.name.tenant}/{collection.name.name}/"
    return [key for key in services.store.keys() if place in key]  # noqa: SIM118 - no mapping


class CleanBuilds:
    """Builds collections in a state folder of their own."""

    def __init__(self, state: Path) -> None:
        self.services = Services(Settings(state_dir=state))

    def build(self, collection: str, paths: Sequence[Path], password: str | None = None) -> Content:
        """Ingest files into a new collection, or once more, and return what it holds then."""
        known, _ = self.services.registry.collections.ensure(CollectionName("default", collection))
        tasks = submit(self.services, known, paths, Priority.NORMAL, {}).task_ids
        run(self.services, known, WorkRequest("clean", Backend.IN_PROCESS))
        for task_id, state in self.services.registry.tasks.states(tasks).items():
            if state is TaskState.INPUT:
                answer(self.services, task_id, {"password": password})
        run(self.services, known, WorkRequest("clean", Backend.IN_PROCESS))
        return content(self.services, known.key)

    def change_model(self, collection: str, model: str | None) -> None:
        """Have a collection that was built searched with another embedding model."""
        configure(self.services, collection, {"embedding_model": model})
        known = self.services.registry.collections.get(collection)
        run(self.services, known, WorkRequest("clean", Backend.IN_PROCESS, only=ReindexOnly.STALE))
