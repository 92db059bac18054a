"""A batch through the stages: real parsers, chunker, stores and index, and a fake model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.model.collections import Collection, CollectionConfig, CollectionName
from ingestion_pipeline.model.documents import (
    STAGES,
    Document,
    DocumentState,
    Stage,
    document_id,
)
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.stages import run as stages_run
from ingestion_pipeline.stages.run import Announce
from ingestion_pipeline.stages.work import Tools, Work
from ingestion_pipeline_tests.fakes import FakeEmbedder, FakeServices

TEXT = "Travel is approved by the committee. Receipts are kept for ten years. " * 20


class Recorder(NoControl):
    """Remembers what it was told; asks for a stop at the check whose number is given."""

    def __init__(self, stop_at_check: int | None = None) -> None:
        self.lines: list[tuple[str, Stage, float, str]] = []
        self.checks = 0
        self.stop_at_check = stop_at_check

    def check(self) -> None:
        self.checks += 1
        if self.checks == self.stop_at_check:
            raise LeaseLostError("the lease is lost")

    def progress(self, document_id: str, stage: Stage, fraction: float, message: str) -> None:
        self.lines.append((document_id, stage, fraction, message))


class Bench:
    """One collection and its tools, to put documents through stages."""

    def __init__(self, settings: Settings, parsers: ParserPool) -> None:
        self.services = FakeServices(settings, parsers)
        self.collection = Collection(
            CollectionName("default", "docs"), CollectionConfig(), created_at=0.0
        )

    @property
    def embedder(self) -> FakeEmbedder:
        return self.services.embedders["fake"]

    def configure(self, **options: object) -> None:
        config = self.collection.config.updated(options)
        self.collection = replace(self.collection, config=config)

    def document(self, name: str, data: bytes | str = TEXT, **changes: object) -> Document:
        content = data.encode() if isinstance(data, str) else data
        key, sha256 = self.services.objects.put(self.collection.name, content)
        uri = f"file:///{name}"
        document = Document(
            document_id=document_id(self.collection.key, uri),
            collection_key=self.collection.key,
            name=name,
            uri=uri,
            state=DocumentState.PROCESSING,
            updated_at=0.0,
            sha256=sha256,
            object_key=key,
            bytes=len(content),
        )
        return replace(document, **changes)  # type: ignore[arg-type]

    def run(
        self,
        *documents: Document,
        stages: Sequence[Stage] = STAGES,
        control: NoControl | None = None,
        announce: Announce = frozenset,
        parsers: ParserPool | None = None,
    ) -> list[Work]:
        claim = Claim(1, self.collection.key, "run", documents)
        with self.services.tools(self.collection) as tools:
            used: Tools = replace(tools, parsers=parsers) if parsers else tools
            return stages_run.run(claim, stages, used, control or NoControl(), announce)

    def visible(self) -> dict[str, int]:
        """The number of chunks of each document that readers see, by name."""
        snapshot = self.services.index(self.collection).snapshot()
        known = snapshot.document_names()
        return {known[each.document_id]: each.chunks for each in snapshot.document_versions()}


def computed(work: Work) -> set[Stage]:
    return {stage for stage, step in work.steps.items() if step.computed}


def remembered(work: Work) -> Document:
    """The document as the registry knows it after the work was recorded."""
    stages = {stage: result.fingerprint for stage, result in work.result.stages.items()}
    return replace(work.document, stages={**work.document.stages, **stages})
