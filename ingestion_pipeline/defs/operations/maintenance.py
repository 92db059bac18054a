"""The ops and jobs of maintenance: thin shells over ``tasks.maintenance`` and ``execution``.

One run maintains all collections, one after the other: a purge rewrites an index, and two at once
would only share the machine. It has no partition, so that no collection waits for it.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import dagster as dg

from ingestion_pipeline.defs.ingest.assets import SPECS
from ingestion_pipeline.defs.operations.jobs import ingest_job
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.execution.queues import QUEUE_TAG, Queue
from ingestion_pipeline.resources.services import ServicesResource

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.maintenance import Maintained

FIGURES = (
    "documents_purged",
    "differences",
    "artifacts_removed",
    "versions_forgotten",
    "objects_removed",
    "index_rows",
    "index_bytes",
)


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Purge, sweep, compact and compare each collection; fails in the end if one could "
    "not be maintained.",
)
def maintain_collections(context: dg.OpExecutionContext, services: ServicesResource) -> None:
    """Maintain every collection."""
    from ingestion_pipeline.tasks.maintenance import maintain

    done = maintain(services.get())
    context.add_output_metadata(_metadata(done))
    problems = [f"{each.key}: {each.problem}" for each in done if each.problem]
    if problems:
        raise dg.Failure("; ".join(problems), metadata=_metadata(done), allow_retries=False)


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Remove the partitions of deleted collections, and ingest runs that finished long "
    "ago and whose results newer runs have replaced.",
)
def tidy_dagster(context: dg.OpExecutionContext, services: ServicesResource) -> None:
    """Remove what Dagster keeps and nobody needs."""
    from ingestion_pipeline.execution.housekeeping import prune_runs, remove_partitions

    # The partitions first: the collection of one that is new since then is there.
    partitions = context.instance.get_dynamic_partitions(PARTITIONS_NAME)
    known = {collection.key for collection in services.get().registry.collections.all()}
    removed = remove_partitions(context.instance, PARTITIONS_NAME, set(partitions) - known)
    assets = [spec.key for spec in SPECS.values()]
    pruned = prune_runs(context.instance, ingest_job.name, assets)
    context.add_output_metadata({"partitions_removed": len(removed), "runs_deleted": pruned})


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Ask for the summaries and mind maps that somebody had built once and that are out "
    "of date; the build sensor starts them.",
)
def renew_builds(context: dg.OpExecutionContext, services: ServicesResource) -> None:
    """Bring up to date what is not built by itself."""
    from ingestion_pipeline.tasks.due import ask_for_stale_builds

    context.add_output_metadata({"builds_asked_for": ask_for_stale_builds(services.get())})


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Purge what delete tasks ask to be purged; a busy index is left for the next time.",
)
def purge_documents(context: dg.OpExecutionContext, services: ServicesResource) -> None:
    """Purge what nobody else did."""
    from ingestion_pipeline.tasks.deletion import finish_purges

    context.add_output_metadata({"documents_purged": finish_purges(services.get())})


@dg.job(
    tags={QUEUE_TAG: Queue.CPU.value},
    description="Remove what nobody needs any more, and compare each index with the registry.",
)
def maintenance_job() -> None:
    """Maintain everything."""
    maintain_collections()
    tidy_dagster()
    renew_builds()


@dg.job(
    tags={QUEUE_TAG: Queue.CPU.value},
    description="Remove what is stored of documents that were deleted to be purged at once.",
)
def purge_job() -> None:
    """Purge."""
    purge_documents()


def _metadata(done: "Sequence[Maintained]") -> dict[str, dg.MetadataValue]:
    totals = {figure: sum(getattr(each, figure) for each in done) for figure in FIGURES}
    table = dg.MetadataValue.table(
        [dg.TableRecord({**asdict(each), "problem": each.problem or ""}) for each in done],
        schema=dg.TableSchema(
            columns=[
                dg.TableColumn("key", "string"),
                *(dg.TableColumn(figure, "int") for figure in FIGURES),
                dg.TableColumn("problem", "string"),
            ]
        ),
    )
    return {
        "collections": dg.MetadataValue.int(len(done)),
        **{figure: dg.MetadataValue.int(total) for figure, total in totals.items()},
        "by_collection": table,
    }
