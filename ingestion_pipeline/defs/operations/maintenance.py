"""The ops and jobs of maintenance: thin shells over ``execution.upkeep`` and ``tasks``.

One run maintains all collections, one after the other: a purge rewrites an index, and two at once
would only share the machine. It has no partition, so that no collection waits for it. Its ops do
without each other, and each says what it did.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from ingestion_pipeline.execution.queues import QUEUE_TAG, Queue
from ingestion_pipeline.execution.upkeep import PARTS, Part
from ingestion_pipeline.resources.services import ServicesResource

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.maintenance import Report, Value

PRIORITY_TAG = "dagster/priority"


class MaintenanceConfig(dg.Config):
    """How to maintain."""

    dry_run: bool = Field(
        default=False, description="Remove nothing: only say what would be removed."
    )


def _op(part: Part, priority: int) -> dg.OpDefinition:
    @dg.op(
        name=part.name,
        description=part.does,
        out=dg.Out(dg.Nothing),
        tags={PRIORITY_TAG: str(priority)},
    )
    def maintain(
        context: dg.OpExecutionContext, config: MaintenanceConfig, services: ServicesResource
    ) -> None:
        report = part.run(services.get(), context.instance, config.dry_run)
        told = _metadata(report, config.dry_run)
        context.add_output_metadata(told)
        if report.problems:
            raise dg.Failure("; ".join(report.problems), metadata=told, allow_retries=False)

    return maintain


OPS = [_op(part, -number) for number, part in enumerate(PARTS)]


@dg.config_mapping
def for_each_op(config: MaintenanceConfig) -> dict[str, Any]:
    """Give every op the same configuration."""
    return {"ops": {op.name: {"config": {"dry_run": config.dry_run}} for op in OPS}}


@dg.job(
    config=for_each_op,
    tags={QUEUE_TAG: Queue.CPU.value},
    description="Remove what nobody needs any more, and compare each index with the registry.",
)
def maintenance_job() -> None:
    """Maintain everything."""
    for op in OPS:
        op()


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
    description="Remove what is stored of documents that were deleted to be purged at once.",
)
def purge_job() -> None:
    """Purge."""
    purge_documents()


def _metadata(report: "Report", dry_run: bool) -> dict[str, dg.MetadataValue]:
    told: dict[str, dg.MetadataValue] = {
        name: _value(value) for name, value in report.figures.items()
    }
    if dry_run:
        told["dry_run"] = dg.MetadataValue.bool(value=True)
    if report.rows:
        columns = [dg.TableColumn(name, _type(value)) for name, value in report.rows[0].items()]
        told["details"] = dg.MetadataValue.table(
            [dg.TableRecord(dict(row)) for row in report.rows],
            schema=dg.TableSchema(columns=columns),
        )
    return told


def _value(value: "Value") -> dg.MetadataValue:
    if isinstance(value, str):
        return dg.MetadataValue.text(value)
    return dg.MetadataValue.int(value) if isinstance(value, int) else dg.MetadataValue.float(value)


def _type(value: "Value") -> str:
    return {int: "int", float: "float"}.get(type(value), "string")
