"""Checks of the index, each for one collection at a time.

The check about single documents warns and never blocks; the blocking ones guard what only a fault
of ours could break. They read the index itself, not what was said to be written.
"""

import dagster as dg

from ingestion_pipeline.defs.ingest.assets import vector_index
from ingestion_pipeline.defs.partitions import collections_partitions
from ingestion_pipeline.resources.services import ServicesResource


@dg.asset_check(
    asset=vector_index.key,
    partitions_def=collections_partitions,
    description="Every document of the collection is in the index; lists those that are not.",
)
def every_document_is_indexed(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """List the documents that readers cannot find, with the reason."""
    from ingestion_pipeline.tasks import inspection

    found = inspection.unindexed_documents(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.documents,
        severity=dg.AssetCheckSeverity.WARN,
        description=found.summary,
        metadata={
            "documents": found.total,
            "not_indexed": len(found.documents),
            "not_indexed_documents": dg.MetadataValue.table(
                [
                    dg.TableRecord(
                        {
                            "document": document.name,
                            "state": document.state.value,
                            "reason": f"{document.error.kind}: {document.error.message}"
                            if document.error
                            else "",
                        }
                    )
                    for document in found.documents[: inspection.LISTED]
                ],
                schema=dg.TableSchema(
                    columns=[
                        dg.TableColumn("document", "string"),
                        dg.TableColumn("state", "string"),
                        dg.TableColumn("reason", "string"),
                    ]
                ),
            ),
        },
    )


@dg.asset_check(
    asset=vector_index.key,
    partitions_def=collections_partitions,
    blocking=True,
    description="No chunk in the index is longer than the embedding model reads.",
)
def chunks_fit_the_model(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Compare the longest chunk in the index with the model's limit."""
    from ingestion_pipeline.tasks import inspection

    found = inspection.longest_chunk(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=found.longest <= found.limit,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"the longest chunk has {found.longest} tokens; the model reads {found.limit}",
        metadata={"longest_chunk_tokens": found.longest, "limit_tokens": found.limit},
    )


@dg.asset_check(
    asset=vector_index.key,
    partitions_def=collections_partitions,
    blocking=True,
    description="The index holds exactly what the registry says was published: no document is "
    "missing, left over, of another version, doubled or incomplete.",
)
def index_matches_registry(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Compare index and registry, document by document."""
    from ingestion_pipeline.tasks import inspection

    found = inspection.compare_index_with_registry(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.differences,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(found.differences[: inspection.LISTED]) or "index and registry agree",
        metadata={
            "documents": found.documents,
            "chunks": found.chunks,
            "differences": len(found.differences),
        },
    )


@dg.asset_check(
    asset=vector_index.key,
    partitions_def=collections_partitions,
    blocking=True,
    description="No reader finds a document that was deleted.",
)
def deleted_documents_are_invisible(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Look for deleted documents in the index."""
    from ingestion_pipeline.tasks import inspection

    found = inspection.deleted_documents(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.visible,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"still visible: {', '.join(found.visible[: inspection.LISTED])}"
        if found.visible
        else f"none of the {found.total} deleted documents is visible",
        metadata={"deleted_documents": found.total, "visible": len(found.visible)},
    )
