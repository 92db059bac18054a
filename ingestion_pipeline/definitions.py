"""What Dagster loads: what the program brings, and what users declare in ``defs/declared``."""

from __future__ import annotations

import warnings
from pathlib import Path

import dagster as dg

from ingestion_pipeline.dataflow import pipelines_in
from ingestion_pipeline.defs import declared
from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.dataflow.assets import pipeline_defs
from ingestion_pipeline.execution.queues import PIPELINE_TAG
from ingestion_pipeline.settings import Settings, project_dir


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the code location."""
    # By its module: an installed copy has no pyproject.toml that names it.
    tree = dg.ComponentTree.from_module(defs_module=declared, project_root=project_dir())
    with warnings.catch_warnings():  # of previews that Dagster itself uses here
        warnings.simplefilter("ignore", dg.PreviewWarning)
        warnings.simplefilter("ignore", dg.BetaWarning)
        # The folder and not the tree: that takes a second, for all packages with components.
        declared_defs = tree.build_defs(Path())
    users = dg.Definitions.merge(
        declared_defs,
        *map(pipeline_defs, pipelines_in(Settings().pipelines).values()),
    )
    pipeline_jobs = [job for job in users.jobs or () if PIPELINE_TAG in (job.tags or {})]
    return dg.Definitions.merge(build_defs(pipeline_jobs=pipeline_jobs), users)
