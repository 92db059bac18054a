"""How a build looks in Dagster: numbers that plot over time, and what was made, to be read."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.builds import Built


def metadata_of(built: Built) -> dict[str, dg.RawMetadataValue]:
    """Return what a materialisation shows."""
    shown = {"shown": dg.MetadataValue.md(built.shown)} if built.shown else {}
    return {"summary": built.message, **built.figures, **shown}


def picture_of(built: Built) -> dict[str, dg.RawMetadataValue]:
    """Return the picture of what was built: as an image, in which no script is run."""
    if not built.picture:
        return {}
    data = base64.b64encode(built.picture.encode()).decode()
    return {"picture": dg.MetadataValue.md(f"![what was built](data:image/svg+xml;base64,{data})")}
