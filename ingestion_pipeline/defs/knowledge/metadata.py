"""How a build looks in Dagster: numbers that plot over time, and what was made, to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.builds import Built


def metadata_of(built: Built) -> dict[str, dg.RawMetadataValue]:
    """Return what a materialisation shows."""
    shown = {"shown": dg.MetadataValue.md(built.shown)} if built.shown else {}
    return {"summary": built.message, **built.figures, **shown}
