"""The sensor that tells people what failed: a thin shell over ``tasks.alerts``."""

import time

import dagster as dg

from ingestion_pipeline.resources.services import ServicesResource


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Logs runs, checks and thresholds that fail, each once, and sends them to the "
    "webhook if one is configured.",
)
def alert_sensor(
    context: dg.SensorEvaluationContext, services: ServicesResource
) -> dg.SkipReason | None:
    """Look at what ended since the last look; at the first one, at nothing before it."""
    from ingestion_pipeline.execution.finished import finished_runs
    from ingestion_pipeline.tasks import alerts

    opened, now = services.get(), time.time()
    watch = alerts.loaded(context.cursor)
    since = now if watch.seen_until is None else watch.seen_until
    runs, seen_until = finished_runs(context.instance, since, now)
    found, watch = alerts.plan(watch, runs, alerts.reached_now(opened, now), now)
    watch = alerts.send(opened.settings, found, watch)
    context.update_cursor(watch.model_copy(update={"seen_until": seen_until}).model_dump_json())
    return dg.SkipReason(f"{len(runs)} runs ended; {len(found)} alerts")
