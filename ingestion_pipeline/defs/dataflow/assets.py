"""A pipeline as Dagster shows it: an asset backed by a graph with an op for each component.

Each op takes all documents that wait for its component through it, batch after batch, and records
that; the next one finds them in the registry. So nothing but order goes from op to op, a run that
dies goes on where it was, and an op costs Dagster a few events, however many documents there are.
"""

from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from ingestion_pipeline.dataflow import Node, Pipeline
from ingestion_pipeline.defs.failures import permanent_errors_fail_for_good
from ingestion_pipeline.defs.ingest.assets import OWNERS
from ingestion_pipeline.defs.ingest.config import Only
from ingestion_pipeline.defs.operations.jobs import INGEST_TAGS
from ingestion_pipeline.defs.partitions import collections_partitions
from ingestion_pipeline.execution.queues import PIPELINE_ASSETS, PIPELINE_TAG
from ingestion_pipeline.model.documents import STAGES, Stage
from ingestion_pipeline.model.tasks import Backend
from ingestion_pipeline.resources.services import ServicesResource

KINDS = {"python", "lancedb"}


class PipelineConfig(dg.Config):
    """What to take through the pipeline; as it stands, its own documents that are stale."""

    only: Only = Field(
        default=Only.stale,
        description="Which of the pipeline's documents to take: 'stale' (new, changed, or made "
        "with other settings), 'failed' (try those again), or 'all' (even if unchanged).",
    )
    document_ids: list[str] = Field(
        default_factory=list,
        description="Take just these documents of the collection; they belong to the pipeline from "
        "now on. See `ingest documents --collection C`.",
    )
    all_documents: bool = Field(
        default=False,
        description="Take every document of the collection; they belong to the pipeline from now "
        "on.",
    )
    force: bool = Field(
        default=False, description="Process documents again although nothing changed."
    )
    from_component: str | None = Field(
        default=None,
        description="Process documents again from this component of the pipeline on, although "
        "nothing changed. What is stored of the components before it, and beside it, is used.",
    )
    waiting_only: bool = Field(
        default=False,
        description="Take only what tasks wait for, for about a minute in each op. Set by the "
        "stream's sensor; without it, a run goes on until nothing selected is left.",
    )


def pipeline_defs(pipeline: Pipeline) -> dg.Definitions:
    """Return the asset of a pipeline, and the job that carries out its tasks."""
    asset = dg.AssetsDefinition.from_graph(
        _graph(pipeline),
        keys_by_output_name={"result": _key(pipeline)},
        partitions_def=collections_partitions,
        group_name=PIPELINE_ASSETS,
        descriptions_by_output_name={"result": _description(pipeline)},
    ).map_asset_specs(lambda spec: spec.replace_attributes(owners=OWNERS, kinds=KINDS))
    job = dg.define_asset_job(
        f"{pipeline.name}_job",
        selection=dg.AssetSelection.assets(asset),
        config={"ops": {pipeline.name: {"config": {"waiting_only": True}}}},
        tags={**INGEST_TAGS, PIPELINE_TAG: pipeline.name},
        description=f"Carry out what tasks wait for of the pipeline {pipeline.name} in a "
        "collection, for about a minute in each op.",
    )
    return dg.Definitions(assets=[asset], jobs=[job])


def _key(pipeline: Pipeline) -> dg.AssetKey:
    return dg.AssetKey([PIPELINE_ASSETS, pipeline.name])


def _description(pipeline: Pipeline) -> str:
    steps = "\n".join(
        f"{number}. **{node.name}** ({node.component.type})"
        for number, node in enumerate(pipeline.nodes, start=1)
    )
    return (
        f"{pipeline.description}\n\n{steps}\n\nReads: the documents of a collection that belong to "
        "the pipeline. Writes: the artifact store, and the collection's index."
    )


def _graph(pipeline: Pipeline) -> dg.GraphDefinition:
    @dg.config_mapping
    def for_each_op(config: PipelineConfig) -> dict[str, Any]:
        values = config._convert_to_config_dictionary()  # noqa: SLF001 - enums as Dagster reads them
        return {node.name: {"config": values} for node in pipeline.nodes}

    last = pipeline.of(Stage.INDEXED)
    return dg.GraphDefinition(
        name=pipeline.name,
        description=pipeline.description,
        node_defs=[_op(pipeline, node) for node in pipeline.nodes],
        dependencies={
            dg.NodeInvocation(_op_name(pipeline, node), alias=node.name): {
                name: dg.DependencyDefinition(name) for name in node.inputs
            }
            for node in pipeline.nodes
        },
        output_mappings=[
            dg.OutputMapping(
                graph_output_name="result",
                mapped_node_name=last.name,
                mapped_node_output_name="result",
            )
        ],
        config=for_each_op,
    )


def _op_name(pipeline: Pipeline, node: Node) -> str:
    return f"{pipeline.name}__{node.name}"


def _op(pipeline: Pipeline, node: Node) -> dg.OpDefinition:
    @dg.op(
        name=_op_name(pipeline, node),
        description=type(node.component).__doc__,
        ins={name: dg.In(dg.Nothing) for name in node.inputs},
        out=dg.Out(dg.Nothing),
        code_version=node.component.version,
        pool="embedding" if node.step == Stage.EMBEDDED else None,
        tags={f"dagster/kind/{node.component.type.rpartition('.')[2].lower()}": ""},
    )
    def component(
        context: dg.OpExecutionContext, config: PipelineConfig, services: ServicesResource
    ) -> dg.Output[None]:
        return _done(context, config, services, pipeline, node)

    return component


def _done(
    context: dg.OpExecutionContext,
    config: PipelineConfig,
    services: ServicesResource,
    pipeline: Pipeline,
    node: Node,
) -> dg.Output[None]:
    """Take what waits for a component through it."""
    from ingestion_pipeline.defs.ingest.metadata import metadata_of_step
    from ingestion_pipeline.execution.runs import stopped_by_person
    from ingestion_pipeline.tasks.events import tell
    from ingestion_pipeline.tasks.work import WorkRequest, run

    opened = services.get()
    chooses = node.step == Stage.SOURCED and not config.waiting_only
    with permanent_errors_fail_for_good(context):
        collection = opened.registry.collections.get(context.partition_key)
        if context.run.parent_run_id:
            # A retry takes up what its parent left, under a new fencing token.
            tell(
                opened.events, opened.registry.claims.give_back_crashed([context.run.parent_run_id])
            )
        if chooses and (config.document_ids or config.all_documents):
            opened.registry.documents.give(collection.key, config.document_ids, pipeline.name)
        report = run(
            opened,
            collection,
            WorkRequest(
                run_id=context.run.run_id,
                backend=Backend.DAGSTER,
                stages=_stages(node),
                only=config.only.value if chooses else None,
                document_ids=tuple(config.document_ids),
                force=config.force,
                from_component=config.from_component,
                pipeline=pipeline.name,
                step=node.step,
                slice_seconds=opened.settings.time_slice_seconds if config.waiting_only else None,
                stopped_by_person=partial(stopped_by_person, context.instance, context.run.run_id),
            ),
        )
    context.log.info(
        "%s: %d documents computed, %d reused, %d failed, in %.1f s",
        node.name,
        report.computed[node.step],
        report.reused[node.step],
        report.failed,
        report.stage_seconds[node.step],
    )
    for row in report.rows:
        if row.error is not None:
            context.log.warning("%s: %s: %s", row.name, row.error.kind, row.error.message)
    published = opened.registry.documents.totals(collection.key)
    if node.step == Stage.INDEXED:
        version = opened.registry.documents.data_version(collection.key, pipeline.name)
        context.set_data_version(_key(pipeline), dg.DataVersion(version))
    return dg.Output(None, metadata=metadata_of_step(report, node.step, published))


def _stages(node: Node) -> tuple[Stage, ...]:
    """Return the stages up to a component, without that which it is only a part of."""
    last = STAGES.index(node.stage)
    return STAGES[: last + (node.step == node.stage)]
