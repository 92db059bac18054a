"""The resource through which assets, checks, sensors and schedules reach the services."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import dagster as dg

from ingestion_pipeline.logs import Role, set_up_logging
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.services import Services


class S3Sources(dg.Config):
    """How ``s3:`` sources are reached: what dagster-aws' ``S3Resource`` takes, by its names.

    What is left out comes from the environment, as with every client of AWS.
    """

    endpoint_url: str | None = None
    region_name: str | None = None
    profile_name: str | None = None
    use_unsigned_session: bool = False
    use_ssl: bool = True
    verify: str | None = None
    max_attempts: int = 3

    def client(self) -> Any:
        """Return a client of boto3, made by dagster-aws."""
        from dagster_aws.s3 import S3Resource

        return S3Resource(**self.model_dump(exclude_none=True)).get_client()


class ServicesResource(dg.ConfigurableResource[Services]):
    """Registry, streams, stores, models and indexes, as the settings describe them."""

    s3_sources: S3Sources = S3Sources()

    def get(self) -> Services:
        """Return the services, opened once per process and settings."""
        return _opened(Settings(), self.s3_sources)


@lru_cache(maxsize=4)
def _opened(settings: Settings, s3_sources: S3Sources) -> Services:
    set_up_logging(settings, Role.DAGSTER)
    return Services(settings, s3_client=s3_sources.client, stay_warm=True)
