"""The resource through which assets, checks, sensors and schedules reach the services."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from ingestion_pipeline.logs import Role, set_up_logging
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.services import Services


class ServicesResource(dg.ConfigurableResource[Services]):
    """Registry, streams, stores, models and indexes, as the settings describe them."""

    def get(self) -> Services:
        """Return the services, opened once per process and settings."""
        return _opened(Settings())


@lru_cache(maxsize=4)
def _opened(settings: Settings) -> Services:
    set_up_logging(settings, Role.DAGSTER)
    return Services(settings)
