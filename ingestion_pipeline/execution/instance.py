"""The Dagster instance of this project."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from ingestion_pipeline.settings import project_dir


@lru_cache(maxsize=1)
def open_instance() -> dg.DagsterInstance:
    """Open the instance that the project's ``dagster.yaml`` describes, whatever DAGSTER_HOME is."""
    return dg.DagsterInstance.from_config(str(project_dir()))
