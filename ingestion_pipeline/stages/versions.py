"""The code version of each stage, and of what is made of whole collections.

Belongs here: nothing else, so that Dagster definitions load without what the stages need.
"""

from __future__ import annotations

from ingestion_pipeline.model.documents import Stage

CODE_VERSIONS: dict[Stage, str] = {
    Stage.SOURCED: "1",
    Stage.PARSED: "4",
    Stage.CHUNKED: "2",
    Stage.ENRICHED: "1",
    Stage.EMBEDDED: "1",
    Stage.INDEXED: "2",
}
"""Raise a stage's version when its code gives other results; documents then become stale."""

TREE_VERSION = "1"
"""Raise it when trees of summaries come out otherwise; all are then built anew."""

GRAPH_VERSION = "2"
"""Raise it when graphs come out otherwise; all documents are then read anew."""

MAP_VERSION = "1"
"""Raise it when mind maps come out otherwise; all are then drawn anew."""
