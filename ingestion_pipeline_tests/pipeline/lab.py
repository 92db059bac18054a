"""A place to run the definitions in: services, an instance, and short ways to use them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import dagster as dg

from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.documents import Document
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.tasks.services import Services
from ingestion_pipeline.tasks.submission import Submission, submit

ASSETS = (
    "source_documents",
    "parsed_documents",
    "chunks",
    "enriched_chunks",
    "chunk_embeddings",
    "vector_index",
)
CHECKS = (
    "every_document_is_indexed",
    "chunks_fit_the_model",
    "index_matches_registry",
    "deleted_documents_are_invisible",
    "every_document_has_text",
    "embedding_model_covers_languages",
    "few_chunks_are_repeated",
)


@dataclass(frozen=True)
class _Opened:
    services: Services

    def get(self) -> Services:
        return self.services


def opened(services: Services) -> ServicesResource:
    """Return what gives definitions services that are open already."""
    return cast("ServicesResource", _Opened(services))


@dataclass
class Lab:
    """Collections are made on first use."""

    services: Services
    instance: dg.DagsterInstance
    folder: Path
    defs: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        self.defs = build_defs(opened(self.services))

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def submit(self, *paths: Path, collection: str = "papers") -> Submission:
        known, _ = self.services.registry.collections.ensure(CollectionName("default", collection))
        self.instance.add_dynamic_partitions(PARTITIONS_NAME, [known.key])
        return submit(self.services, known, paths, Priority.NORMAL, {})

    def configure(self, collection: str = "papers", **changes: Any) -> CollectionConfig:
        return self.services.registry.collections.configure(collection, changes).config

    def run(
        self,
        *selection: str,
        collection: str = "papers",
        instance: dg.DagsterInstance | None = None,
        **config: Any,
    ) -> Ran:
        """Materialise assets with their checks; those of all stages if none is named."""
        result = self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            run_config={"ops": {"ingest": {"config": config}}} if config else {},
            instance=instance or self.instance,
            partition_key=collection,
            asset_selection=[dg.AssetKey(name) for name in selection or ASSETS],
            raise_on_error=False,
        )
        return Ran(result)

    def documents(self, collection: str = "papers") -> dict[str, Document]:
        found = self.services.registry.documents.find(collection)
        return {document.name: document for document in found}

    def indexed(self, collection: str = "papers") -> dict[str, int]:
        """Return the number of chunks in the index, by document name."""
        known = self.services.registry.collections.get(collection)
        chunks = {
            version.document_id: version.chunks
            for version in self.services.index(known).snapshot().document_versions()
        }
        documents = self.documents(collection).values()
        return {
            document.name: chunks[document.document_id]
            for document in documents
            if document.document_id in chunks
        }


@dataclass(frozen=True)
class Ran:
    """How a run ended."""

    result: dg.ExecuteInProcessResult

    @property
    def success(self) -> bool:
        return self.result.success

    @property
    def versions(self) -> dict[str, str]:
        """The data version of each materialised asset."""
        return {
            asset: event.tags["dagster/data_version"]
            for asset, event in self._materialisations.items()
        }

    def metadata(self, asset: str) -> dict[str, Any]:
        """Return the metadata of an asset's materialisation as plain values."""
        return {
            name: value.value if hasattr(value, "value") else value
            for name, value in self._materialisations[asset].metadata.items()
        }

    def computed(self) -> dict[str, int]:
        """Return for how many documents each stage computed something."""
        return {asset: self.metadata(asset)["documents_computed"] for asset in self.versions}

    @property
    def checks(self) -> dict[str, dg.AssetCheckEvaluation]:
        return {
            evaluation.check_name: evaluation
            for evaluation in self.result.get_asset_check_evaluations()
        }

    def failures(self) -> str:
        """Return what was said about failed steps."""
        return "\n".join(
            f"{event.message} {event.event_specific_data.error}"
            for event in self.result.all_events
            if event.is_step_failure
        )

    @property
    def _materialisations(self) -> dict[str, dg.AssetMaterialization]:
        return {
            event.materialization.asset_key.to_user_string(): event.materialization
            for event in (
                event.step_materialization_data
                for event in self.result.get_asset_materialization_events()
            )
        }
