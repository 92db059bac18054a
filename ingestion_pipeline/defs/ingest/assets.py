"""The six ingest assets: one subsettable multi-asset, as one run streams through all stages.

Selecting some of the assets runs just those stages.
"""

from collections.abc import Iterator
from functools import partial

import dagster as dg

from ingestion_pipeline.defs.failures import permanent_errors_fail_for_good
from ingestion_pipeline.defs.ingest.config import IngestConfig
from ingestion_pipeline.defs.ingest.metadata import metadata_of
from ingestion_pipeline.defs.partitions import collections_partitions
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.documents import STAGES, Stage
from ingestion_pipeline.model.tasks import Backend
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.stages.versions import CODE_VERSIONS

OWNERS = ["team:ingestion"]


def _spec(
    key: str, stage: Stage, kinds: set[str], description: str, upstream: dg.AssetSpec | None = None
) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=[upstream] if upstream else [],
        group_name="ingest",
        description=description,
        kinds=kinds,
        owners=OWNERS,
        code_version=CODE_VERSIONS[stage],
        skippable=True,
    )


source_documents = _spec(
    "source_documents",
    Stage.SOURCED,
    {"python"},
    "Which documents and versions a collection has.\n\n"
    "Reads: bytes that clients stored, or the sources that tasks name. Writes: the object store "
    "and the registry.",
)
parsed_documents = _spec(
    "parsed_documents",
    Stage.PARSED,
    {"python", "json"},
    "Documents as typed elements with headings, pages and tables.\n\n"
    "Reads: source bytes. Writes: the artifact store. Each parse runs in a child process with a "
    "limit on time and memory.",
    upstream=source_documents,
)
chunks = _spec(
    "chunks",
    Stage.CHUNKED,
    {"python", "json"},
    "Passages under the embedding model's token limit.\n\n"
    "Reads: parsed documents, chunk size and overlap of the collection. Writes: the artifact "
    "store.",
    upstream=parsed_documents,
)
enriched_chunks = _spec(
    "enriched_chunks",
    Stage.ENRICHED,
    {"python", "json"},
    "What is added to chunks: language, keywords, questions, tags, metadata, contents.\n\n"
    "Reads: parsed documents, chunks, and what the collection asks for. Writes: the artifact "
    "store. Asks the configured language model where statistics cannot serve.",
    upstream=chunks,
)
chunk_embeddings = _spec(
    "chunk_embeddings",
    Stage.EMBEDDED,
    {"python", "arrow"},
    "A vector for each chunk, with the document's title weighted in.\n\n"
    "Reads: chunks and their questions, embedding model and title weight of the collection. "
    "Writes: the artifact store (Arrow).",
    upstream=enriched_chunks,
)
vector_index = _spec(
    "vector_index",
    Stage.INDEXED,
    {"lancedb"},
    "What readers search: text and vectors of every published chunk.\n\n"
    "Reads: chunks, what was added to them, and vectors. Writes: the collection's LanceDB table, "
    "each batch of documents in one atomic commit.",
    upstream=chunk_embeddings,
)

SPECS = {
    Stage.SOURCED: source_documents,
    Stage.PARSED: parsed_documents,
    Stage.CHUNKED: chunks,
    Stage.ENRICHED: enriched_chunks,
    Stage.EMBEDDED: chunk_embeddings,
    Stage.INDEXED: vector_index,
}


@dg.multi_asset(
    name="ingest",
    specs=list(SPECS.values()),
    partitions_def=collections_partitions,
    can_subset=True,
    pool="embedding",  # no limit unless somebody sets one
)
def ingest(
    context: dg.AssetExecutionContext, config: IngestConfig, services: ServicesResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Take the documents of one collection through the selected stages."""
    from ingestion_pipeline.execution.runs import stopped_by_person
    from ingestion_pipeline.tasks.events import tell
    from ingestion_pipeline.tasks.work import WorkRequest, run

    opened = services.get()
    selected = tuple(stage for stage in STAGES if SPECS[stage].key in context.selected_asset_keys)
    with permanent_errors_fail_for_good(context):
        collection = opened.registry.collections.get(_one_collection(context))
        if context.run.parent_run_id:
            # A retry takes up what its parent left, under a new fencing token.
            tell(
                opened.events, opened.registry.claims.give_back_crashed([context.run.parent_run_id])
            )
        report = run(
            opened,
            collection,
            WorkRequest(
                run_id=context.run.run_id,
                backend=Backend.DAGSTER,
                stages=selected,
                only=None if config.waiting_only else config.only.value,
                document_ids=tuple(config.document_ids),
                force=config.force,
                slice_seconds=opened.settings.time_slice_seconds if config.waiting_only else None,
                stopped_by_person=partial(stopped_by_person, context.instance, context.run.run_id),
            ),
        )
    context.log.info("Done: %s", report.summary())
    published = opened.registry.documents.totals(collection.key)
    for stage in selected:
        yield dg.MaterializeResult(
            asset_key=SPECS[stage].key,
            metadata=metadata_of(report, stage, published),
            data_version=dg.DataVersion(
                opened.registry.collections.data_version(collection.key, stage)
            ),
        )


def _one_collection(context: dg.AssetExecutionContext) -> str:
    """Return the collection that a run is about.

    Raises:
        PermanentError: for a run of a range of them.
    """
    if len(context.partition_keys) > 1:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"a run takes one collection, and was given {len(context.partition_keys)}: launch a "
            "backfill of them, which starts a run for each",
        )
    key: str = context.partition_key
    return key
