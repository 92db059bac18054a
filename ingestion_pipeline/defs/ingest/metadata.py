"""How the report of a run looks in Dagster: numbers that plot over time, and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from ingestion_pipeline.model.documents import Stage

if TYPE_CHECKING:
    from ingestion_pipeline.registry.documents import Totals
    from ingestion_pipeline.tasks.work import WorkReport

TABLE_SCHEMA = dg.TableSchema(
    columns=[
        dg.TableColumn("document", "string"),
        dg.TableColumn("outcome", "string"),
        dg.TableColumn("chunks", "int"),
        dg.TableColumn("tokens", "int"),
        dg.TableColumn("seconds", "float"),
        dg.TableColumn("error", "string"),
    ]
)


def metadata_of_step(
    report: WorkReport, step: str, published: Totals
) -> dict[str, dg.MetadataValue]:
    """Return what an op shows that is a component of a pipeline: this run, then the collection."""
    return {
        "documents": dg.MetadataValue.int(report.documents),
        "documents_computed": dg.MetadataValue.int(report.computed[step]),
        "documents_reused": dg.MetadataValue.int(report.reused[step]),
        "documents_failed": dg.MetadataValue.int(report.failed),
        "chunks": dg.MetadataValue.int(report.chunks),
        "batches": dg.MetadataValue.int(report.batches),
        "step_seconds": dg.MetadataValue.float(round(report.stage_seconds[step], 3)),
        "run_seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        "collection_documents": dg.MetadataValue.int(published.documents),
        "collection_chunks": dg.MetadataValue.int(published.chunks),
        "batch": _table(report),
    }


def metadata_of(report: WorkReport, stage: Stage, published: Totals) -> dict[str, dg.MetadataValue]:
    """Return what a materialisation of a stage's asset shows: this run, then the collection."""
    rate = report.documents / report.seconds if report.seconds else 0.0
    of_stages = {
        Stage.PARSED: _of_parsed,
        Stage.EMBEDDED: _of_embedded,
        Stage.INDEXED: _of_indexed,
    }
    of_stage = of_stages.get(stage, _of_others)
    return {
        "documents": dg.MetadataValue.int(report.documents),
        "documents_computed": dg.MetadataValue.int(report.computed[stage]),
        "documents_reused": dg.MetadataValue.int(report.reused[stage]),
        "documents_failed": dg.MetadataValue.int(report.failed),
        "documents_waiting_for_upstream": dg.MetadataValue.int(report.waiting),
        "chunks": dg.MetadataValue.int(report.chunks),
        "tokens": dg.MetadataValue.int(report.tokens),
        "batches": dg.MetadataValue.int(report.batches),
        "stage_seconds": dg.MetadataValue.float(round(report.stage_seconds[stage], 3)),
        "run_seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        "documents_per_second": dg.MetadataValue.float(round(rate, 2)),
        "collection_documents": dg.MetadataValue.int(published.documents),
        "collection_chunks": dg.MetadataValue.int(published.chunks),
        "collection_tokens": dg.MetadataValue.int(published.tokens),
        "batch": _table(report),
    } | of_stage(report)


def _of_others(_report: WorkReport) -> dict[str, dg.MetadataValue]:
    """Return nothing: there is nothing to tell of other stages alone."""
    return {}


def _of_embedded(report: WorkReport) -> dict[str, dg.MetadataValue]:
    """Return what is told of embedding alone: what ran the model, and how fast it was."""
    seconds = report.embedding_seconds
    chunks = report.embedded_chunks + report.chunks_read_before
    if report.embedded_by is None or not seconds:
        return {}
    return {
        "embedded_by": dg.MetadataValue.text(report.embedded_by),
        "embedded_chunks": dg.MetadataValue.int(report.embedded_chunks),
        "embedding_cache_hit_rate": dg.MetadataValue.float(
            round(report.chunks_read_before / max(1, chunks), 4)
        ),
        "embedded_chunks_per_second": dg.MetadataValue.float(
            round(report.embedded_chunks / seconds, 1)
        ),
        "embedded_tokens_per_second": dg.MetadataValue.float(
            round(report.embedded_tokens / seconds, 1)
        ),
    }


def _of_indexed(report: WorkReport) -> dict[str, dg.MetadataValue]:
    """Return what is told of indexing alone: how a change of the embedding model stands."""
    if report.change is None:
        return {}
    return {"change_of_embedding_model": dg.MetadataValue.text(report.change)}


def _of_parsed(report: WorkReport) -> dict[str, dg.MetadataValue]:
    """Return what is told of parsing alone: what was parsed, and what was rejected and why."""
    pages_per_second = report.pages / report.seconds if report.seconds else 0.0
    characters = report.page_characters / report.pages if report.pages else 0.0
    recognised = report.recognised_pages / report.pages if report.pages else 0.0
    return {
        "pages": dg.MetadataValue.int(report.pages),
        "pages_per_second": dg.MetadataValue.float(round(pages_per_second, 2)),
        "characters_per_page": dg.MetadataValue.float(round(characters, 1)),
        "pages_read_by_ocr": dg.MetadataValue.int(report.recognised_pages),
        "ocr_share": dg.MetadataValue.float(round(recognised, 4)),
        "pictures": dg.MetadataValue.int(report.pictures),
        "attached_documents": dg.MetadataValue.int(report.attachments),
        "documents_by_media_type": dg.MetadataValue.json(dict(report.media_types.most_common())),
        "documents_rejected": dg.MetadataValue.int(report.rejected.total()),
        "rejected_by_reason": dg.MetadataValue.json(
            {kind.value: count for kind, count in report.rejected.most_common()}
        ),
    }


def _table(report: WorkReport) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "document": row.name,
                    "outcome": row.outcome,
                    "chunks": row.chunks,
                    "tokens": row.tokens,
                    "seconds": round(row.seconds, 3),
                    "error": f"{row.error.kind}: {row.error.message}" if row.error else "",
                }
            )
            for row in report.rows
        ],
        schema=TABLE_SCHEMA,
    )
