"""What Dagster loads."""

from __future__ import annotations

import dagster as dg

from ingestion_pipeline.defs.build import build_defs


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the code location."""
    return build_defs()
