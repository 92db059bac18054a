"""Builds by automation conditions, of collections whose option ``automation`` is set.

The others are planned after ``quiet_seconds`` (``tasks.planning``): one option decides between the
two, so that nothing is ever built twice.
"""

import warnings

import dagster as dg

from ingestion_pipeline.model.tasks import TaskType
from ingestion_pipeline.resources.services import ServicesResource

KINDS = {
    "raptor_summaries": TaskType.RAPTOR,
    "mind_map": TaskType.MINDMAP,
    "document_graphs": TaskType.GRAPHRAG,
    "knowledge_graph": TaskType.GRAPHRAG,
    "community_reports": TaskType.GRAPHRAG,
}


class OfAutomatedCollections(dg.AutomationCondition[dg.AssetKey]):
    """True of the collections that want this asset, and want it by automation."""

    def __init__(self, services: ServicesResource) -> None:
        self._services = services

    def evaluate(
        self, context: dg.AutomationContext[dg.AssetKey]
    ) -> dg.AutomationResult[dg.AssetKey]:
        """Look into the registry, once for all collections."""
        from ingestion_pipeline.tasks.planning import enabled

        kind = KINDS[context.key.to_user_string()]
        keys = {
            each.key
            for each in self._services.get().registry.collections.all()
            if each.config.automation and kind in enabled(each.config)
        }
        wanted = context.candidate_subset.compute_intersection_with_partition_keys(keys)
        return dg.AutomationResult(context, wanted)


def automation_sensor(services: ServicesResource) -> dg.SensorDefinition:
    """Return the sensor that evaluates the condition for everything that is built."""
    conditions = dg.AutomationCondition
    # A run that changed nothing has a materialisation, and no new data version.
    changed = conditions.any_deps_match(conditions.data_version_changed())
    condition = (
        OfAutomatedCollections(services)
        & (changed | conditions.missing()).since_last_handled()
        & ~conditions.any_deps_missing()
        & ~conditions.any_deps_in_progress()
        & ~conditions.in_progress()
    )
    with warnings.catch_warnings():  # Dagster calls it beta to evaluate conditions of our own
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.AutomationConditionSensorDefinition(
            "automation_sensor",
            target=dg.AssetSelection.groups("knowledge").without_checks(),
            default_condition=condition,
            use_user_code_server=True,
            emit_backfills=False,  # a run of each collection, as from the other sensor
            minimum_interval_seconds=30,
            default_status=dg.DefaultSensorStatus.RUNNING,
            description="Starts the builds of collections whose option `automation` is set, when "
            "what they are built of has another data version.",
        )
