"""What a person can set in the launchpad when materialising the ingest assets."""

from __future__ import annotations

from enum import Enum

import dagster as dg
from pydantic import Field

from ingestion_pipeline.model.tasks import ReindexOnly


class Only(Enum):
    """Which documents to take when none is named (lower case, as one types it)."""

    stale = ReindexOnly.STALE
    failed = ReindexOnly.FAILED
    all = ReindexOnly.ALL


class IngestConfig(dg.Config):
    """What to bring up to date; as it stands, all that is stale."""

    only: Only = Field(
        default=Only.stale,
        description="Documents to take when none is named: 'stale' (new, changed, or made with "
        "another configuration), 'failed' (try those again), or 'all' (even if unchanged).",
    )
    document_ids: list[str] = Field(
        default_factory=list,
        description="Take just these documents; see `ingest documents --collection C`.",
    )
    force: bool = Field(
        default=False, description="Process documents again although nothing changed."
    )
    waiting_only: bool = Field(
        default=False,
        description="Take only what tasks wait for, for about a minute. Set by the stream's "
        "sensor; without it, a run goes on until nothing selected is left.",
    )
