"""The Dagster instance of this project."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from ingestion_pipeline.settings import dagster_home


@lru_cache(maxsize=1)
def open_instance() -> dg.DagsterInstance:
    """Open the instance that the ``dagster.yaml`` in force describes."""
    return dg.DagsterInstance.from_config(str(dagster_home()))
