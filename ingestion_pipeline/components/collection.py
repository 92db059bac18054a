"""A collection as a file declares it: its configuration, and when it is reindexed."""

from __future__ import annotations

from typing import Annotated, Any

import dagster as dg
from pydantic import Field

from ingestion_pipeline.components.scaffolding import scaffolded
from ingestion_pipeline.defs.operations.schedules import reindex_schedule
from ingestion_pipeline.defs.partitions import dagster_name
from ingestion_pipeline.model.collections import (
    DEFAULT_TENANT,
    CollectionConfig,
    CollectionName,
    options_of,
)
from ingestion_pipeline.model.times import Cron, TimeZone
from ingestion_pipeline.resources.services import ServicesResource

LOOK_SECONDS = 30
"""How soon a collection is again as it is declared."""


def _options(context: dg.ResolutionContext, values: dict[str, Any]) -> dict[str, Any]:
    """Return options by their keys, after making sure that there are such."""
    options = options_of(dict(context.resolve_value(values)))
    CollectionConfig().updated(options)
    return options


@scaffolded(config={"chunk_tokens": 200}, schedule="0 2 * * *", timezone="UTC")
class Collection(dg.Component, dg.Model, dg.Resolvable):
    """A collection with its configuration, and a schedule that reindexes what is stale.

    Options that are not declared may be set by command; those that are stay as declared.
    """

    name: Annotated[str, Field(description="What the collection is called.")]
    tenant: Annotated[str, Field(description="Whose it is.")] = DEFAULT_TENANT
    config: Annotated[
        dict[str, Any],
        dg.Resolver(
            _options,
            model_field_type=dict[str, Any],
            description="Options, as `ingest collections configure` takes them: `raptor.enabled: "
            "true`, or `raptor: {enabled: true}`. `null` is the default.",
        ),
    ] = {}  # noqa: RUF012 - pydantic copies it
    schedule: Annotated[
        Cron | None,
        Field(
            description="When to reindex what is stale, as a cron expression. Without, that is "
            "at 02:00 in INGEST_TIMEZONE, as for collections that are not declared."
        ),
    ] = None
    timezone: Annotated[
        TimeZone | None, Field(description="Of the schedule; by default that of INGEST_TIMEZONE.")
    ] = None

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """Return the sensor that keeps it so, and the schedule."""
        name = CollectionName(self.tenant, self.name)
        schedules = [reindex_schedule(name, self.schedule, self.timezone)] if self.schedule else []
        own = {"schedule": self.schedule, "timezone": self.timezone}
        options = self.config | {key: value for key, value in own.items() if value is not None}
        return dg.Definitions(sensors=[_sensor(name, options)], schedules=schedules)


def _sensor(name: CollectionName, options: dict[str, Any]) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"{dagster_name(name)}_collection_sensor",
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Keeps the collection {name.key} as it is declared.",
    )
    def keep_collection(
        context: dg.SensorEvaluationContext, services: ServicesResource
    ) -> dg.SkipReason:
        """Compare, and correct."""
        from ingestion_pipeline.tasks.declared import keep_as_declared

        changed = keep_as_declared(services.get(), name, options)
        if changed:
            context.log.info("set as declared: %s", changed)
        return dg.SkipReason(f"set as declared: {changed}" if changed else "as declared")

    return keep_collection
