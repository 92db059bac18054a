"""Reports on communities, as a graph has them."""

from __future__ import annotations

from ingestion_pipeline.model.graph import Report
from ingestion_pipeline.model.summaries import Citation, SummaryMethod


def report(name: str, *cited: str, text: str = "", rating: float = 5.0) -> Report:
    return Report(
        community_id=name,
        title=f"About {name}",
        text=text,
        method=SummaryMethod.EXTRACTIVE,
        citations=tuple(Citation(each, 0, 3) for each in cited),
        entity_ids=(),
        relation_ids=(),
        document_ids=(),
        period=None,
        rating=rating,
        inputs="",
    )
