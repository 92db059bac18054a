"""Checks of the index, each for one collection at a time.

Checks about what people brought warn and never block; the blocking ones guard what only a fault of
ours could break. They read the index itself, not what was said to be written.
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


@dg.asset_check(
    asset=vector_index.key,
    partitions_def=collections_partitions,
    description="Every indexed document has text to be found by; lists those with none or hardly "
    "any per page.",
)
def every_document_has_text(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """List the indexed documents in which there is little to find."""
    from ingestion_pipeline.tasks import quality

    found = quality.texts(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=not found.sparse,
        severity=dg.AssetCheckSeverity.WARN,
        description=found.summary,
        metadata={
            "documents": found.total,
            "documents_without_text": len(found.sparse),
            "listed_documents": dg.MetadataValue.table(
                [
                    dg.TableRecord(
                        {
                            "document": document.name,
                            "pages": document.pages or 0,
                            "chunks": document.chunks,
                            "characters": document.characters,
                            "a_person_said_go_on": document.confirmed,
                        }
                    )
                    for document in found.sparse[: quality.LISTED]
                ],
                schema=dg.TableSchema(
                    columns=[
                        dg.TableColumn("document", "string"),
                        dg.TableColumn("pages", "int"),
                        dg.TableColumn("chunks", "int"),
                        dg.TableColumn("characters", "int"),
                        dg.TableColumn("a_person_said_go_on", "bool"),
                    ]
                ),
            ),
        },
    )


@dg.asset_check(
    asset=vector_index.key,
    partitions_def=collections_partitions,
    description="The embedding model knows the languages of the collection, judged by a sample of "
    "its chunks; names those it does not know.",
)
def embedding_model_covers_languages(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Compare the languages of the collection with those that the model was made for."""
    from ingestion_pipeline.tasks import quality

    found = quality.languages(services.get(), context.partition_key)
    if not found.covered:
        context.log.warning("%s: %s", context.partition_key, found.summary)
    return dg.AssetCheckResult(
        passed=found.covered,
        severity=dg.AssetCheckSeverity.WARN,
        description=found.summary,
        metadata={
            "embedding_model": found.model,
            "languages_of_the_model": ", ".join(sorted(found.known)) if found.known else "unknown",
            "chunks_looked_at": found.chunks.total(),
            "share_not_known": round(sum(found.not_known.values()), 4),
            "languages": dg.MetadataValue.table(
                [
                    dg.TableRecord({"language": name, "share": round(share, 4)})
                    for name, share in found.shares.items()
                ],
                schema=dg.TableSchema(
                    columns=[
                        dg.TableColumn("language", "string"),
                        dg.TableColumn("share", "float"),
                    ]
                ),
            ),
        },
    )


@dg.asset_check(
    asset=vector_index.key,
    partitions_def=collections_partitions,
    description="Few chunks have a text that others have too; says how many, and in which "
    "documents, but does not quote them.",
)
def few_chunks_are_repeated(
    context: dg.AssetCheckExecutionContext, services: ServicesResource
) -> dg.AssetCheckResult:
    """Count the chunks that repeat others."""
    from ingestion_pipeline.tasks import quality

    found = quality.repeats(services.get(), context.partition_key)
    return dg.AssetCheckResult(
        passed=found.few,
        severity=dg.AssetCheckSeverity.WARN,
        description=found.summary,
        metadata={
            "chunks_compared": found.compared,
            "chunks_repeated": found.repeated,
            "share_repeated": round(found.share, 4),
            "most_repeated": dg.MetadataValue.table(
                [
                    dg.TableRecord(
                        {
                            "times": text.chunks,
                            "documents": len(text.documents),
                            "among_them": ", ".join(text.documents[: quality.NAMED]),
                        }
                    )
                    for text in found.texts[: quality.LISTED]
                ],
                schema=dg.TableSchema(
                    columns=[
                        dg.TableColumn("times", "int"),
                        dg.TableColumn("documents", "int"),
                        dg.TableColumn("among_them", "string"),
                    ]
                ),
            ),
        },
    )
