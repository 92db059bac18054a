"""The assets that are built of a collection as a whole, one run at a time each."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from ingestion_pipeline.defs.failures import permanent_errors_fail_for_good
from ingestion_pipeline.defs.ingest.assets import OWNERS, vector_index
from ingestion_pipeline.defs.partitions import collections_partitions
from ingestion_pipeline.model.tasks import Backend, TaskType
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.stages.versions import GRAPH_VERSION, MAP_VERSION, TREE_VERSION

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.builds import Built

GROUP = "knowledge"


class BuildConfig(dg.Config):
    """What to build; as it stands, all of the collection."""

    document_ids: list[str] = Field(
        default_factory=list,
        description="Build of just these documents; see `ingest documents --collection C`.",
    )


@dg.asset(
    deps=[vector_index.key],
    partitions_def=collections_partitions,
    group_name=GROUP,
    kinds={"lancedb", "python"},
    owners=OWNERS,
    code_version=TREE_VERSION,
    pool="embedding",
    output_required=False,
    description="Trees of summaries over the chunks of each document, and across documents where "
    "the collection asks for it (RAPTOR).\n\n"
    "Reads: chunks and vectors in the index. Writes: the collection's table of summaries, in one "
    "atomic commit. What did not change is taken over. Quotes sentences; asks the configured "
    "language model where there is one.",
)
def raptor_summaries(
    context: dg.AssetExecutionContext, config: BuildConfig, services: ServicesResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Build the trees of a collection."""
    yield from map(_result, _built(context, config, services, TaskType.RAPTOR))


@dg.asset(
    deps=[raptor_summaries],
    partitions_def=collections_partitions,
    group_name=GROUP,
    kinds={"json"},
    owners=OWNERS,
    code_version=MAP_VERSION,
    pool="embedding",
    output_required=False,
    description="What a collection is about, as a mind map: the outlines of its documents where "
    "they have headings, the titles of their summaries where not.\n\n"
    "Reads: chunks and summaries. Writes: the artifact store (JSON); `ingest export mindmap` makes "
    "Mermaid, Markmap, OPML or a page of it.",
)
def mind_map(
    context: dg.AssetExecutionContext, config: BuildConfig, services: ServicesResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Draw the mind map of a collection."""
    yield from map(_result, _built(context, config, services, TaskType.MINDMAP))


def _graph_spec(key: str, kinds: set[str], description: str, *deps: dg.AssetKey) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=deps,
        group_name=GROUP,
        description=description,
        kinds=kinds,
        owners=OWNERS,
        code_version=GRAPH_VERSION,
        skippable=True,
    )


document_graphs = _graph_spec(
    "document_graphs",
    {"json", "python"},
    "What each document says of entities and how they are related, with its sentences as "
    "evidence.\n\n"
    "Reads: chunks in the index. Writes: the artifact store; a document that did not change is not "
    "read again. Asks the configured language model where the collection says so.",
    vector_index.key,
)
knowledge_graph = _graph_spec(
    "knowledge_graph",
    {"lancedb", "networkx"},
    "What all documents say together: entities under all their names, relations, communities.\n\n"
    "Reads: the graphs of documents, and what people said of names. Writes: the collection's "
    "tables of entities, relations and communities, in one step.",
    document_graphs.key,
)
community_reports = _graph_spec(
    "community_reports",
    {"lancedb"},
    "What there is to know of each community of entities, every sentence with its source.\n\n"
    "Reads: the knowledge graph. Writes: the collection's table of reports; one whose community "
    "did not change is taken over.",
    knowledge_graph.key,
)
GRAPH_SPECS = (document_graphs, knowledge_graph, community_reports)


@dg.multi_asset(
    name="graph",
    specs=list(GRAPH_SPECS),
    partitions_def=collections_partitions,
    pool="embedding",
)
def graph(
    context: dg.AssetExecutionContext, config: BuildConfig, services: ServicesResource
) -> Iterator[dg.MaterializeResult[None]]:
    """Build the graph of a collection: all of it is published in one step."""
    from ingestion_pipeline.defs.knowledge.metadata import picture_of

    for built in _built(context, config, services, TaskType.GRAPHRAG):
        for spec in GRAPH_SPECS:
            shown = picture_of(built) if spec is community_reports else {}
            result = _result(built)
            yield result._replace(asset_key=spec.key, metadata={**(result.metadata or {}), **shown})


def _result(built: "Built") -> dg.MaterializeResult[None]:
    from ingestion_pipeline.defs.knowledge.metadata import metadata_of

    return dg.MaterializeResult(
        metadata=metadata_of(built), data_version=dg.DataVersion(built.version)
    )


def _built(
    context: dg.AssetExecutionContext,
    config: BuildConfig,
    services: ServicesResource,
    kind: TaskType,
) -> Iterator["Built"]:
    """Yield what was built, nothing if another run is at it."""
    from ingestion_pipeline.execution.runs import stopped_by_person
    from ingestion_pipeline.tasks.builds import BuildRequest, build
    from ingestion_pipeline.tasks.events import tell

    opened = services.get()
    with permanent_errors_fail_for_good(context):
        collection = opened.registry.collections.get(context.partition_key)
        if context.run.parent_run_id:
            # A retry takes up what its parent left.
            tell(
                opened.events, opened.registry.claims.give_back_crashed([context.run.parent_run_id])
            )
        built = build(
            opened,
            collection,
            BuildRequest(
                run_id=context.run.run_id,
                backend=Backend.DAGSTER,
                kind=kind,
                document_ids=tuple(config.document_ids),
                stopped_by_person=partial(stopped_by_person, context.instance, context.run.run_id),
            ),
        )
    if built is None:
        context.log.info("Nothing done: another run is at it, or nobody wants it any more.")
        return
    context.log.info("Done: %s", built.message)
    yield built
