"""Indexing: what readers query, in LanceDB.

Belongs here: the tables of a collection, atomic writers, consistent reads, maintenance. Does not
belong here: ranking and fusion (``retrieval``), when to publish and under which lease (``stages``).
"""

from __future__ import annotations

from ingestion_pipeline.indexing.connection import TableCache
from ingestion_pipeline.indexing.graph_rows import FoundReport, IndexedReport
from ingestion_pipeline.indexing.graphs import GraphCounts, GraphIndex, GraphSnapshot
from ingestion_pipeline.indexing.index import (
    CollectionIndex,
    check_readable,
    drop_collection,
    purge_collection,
    stored_of,
)
from ingestion_pipeline.indexing.maintenance import Maintenance
from ingestion_pipeline.indexing.schema import NO_EXTRAS, Extras, IndexedDocument, sql_string
from ingestion_pipeline.indexing.snapshot import Counts, IndexedVersion, RepeatedText, Snapshot
from ingestion_pipeline.indexing.summaries import SummaryIndex, SummarySnapshot
from ingestion_pipeline.indexing.summary_rows import FoundSummary, IndexedSummary, Origin

__all__ = [
    "NO_EXTRAS",
    "CollectionIndex",
    "Counts",
    "Extras",
    "FoundReport",
    "FoundSummary",
    "GraphCounts",
    "GraphIndex",
    "GraphSnapshot",
    "IndexedDocument",
    "IndexedReport",
    "IndexedSummary",
    "IndexedVersion",
    "Maintenance",
    "Origin",
    "RepeatedText",
    "Snapshot",
    "SummaryIndex",
    "SummarySnapshot",
    "TableCache",
    "check_readable",
    "drop_collection",
    "purge_collection",
    "sql_string",
    "stored_of",
]
