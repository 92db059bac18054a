"""Retrieval: questions become ranked hits, and the ranking is judged.

Belongs here: search modes, fusion, filter expressions, evaluation. Does not belong here: storing
and scanning (``indexing``), running models (``embedding``).
"""

from __future__ import annotations

from ingestion_pipeline.retrieval.evaluation import (
    Evaluation,
    Question,
    evaluate,
    read_questions,
)
from ingestion_pipeline.retrieval.filters import COLUMNS, filter_sql
from ingestion_pipeline.retrieval.search import QueryEncoder, search

__all__ = [
    "COLUMNS",
    "Evaluation",
    "QueryEncoder",
    "Question",
    "evaluate",
    "filter_sql",
    "read_questions",
    "search",
]
