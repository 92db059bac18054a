"""The optional language model: any OpenAI-compatible endpoint, and what keeps it affordable.

Belongs here: requests and their retries, limits, the durable cache, and reading what comes back.
Does not belong here: prompts; who asks a question words it (``enrichment``, ``raptor``, ``graph``).
"""

from __future__ import annotations

from ingestion_pipeline.llm.answers import read_json
from ingestion_pipeline.llm.cache import AnswerCache
from ingestion_pipeline.llm.chat import Answer, ChatModel, Usage
from ingestion_pipeline.llm.endpoint import Endpoint, Patience
from ingestion_pipeline.llm.limits import Budget, BudgetSpentError, Slots

__all__ = [
    "Answer",
    "AnswerCache",
    "Budget",
    "BudgetSpentError",
    "ChatModel",
    "Endpoint",
    "Patience",
    "Slots",
    "Usage",
    "read_json",
]
