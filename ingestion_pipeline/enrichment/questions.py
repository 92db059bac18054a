"""Questions that a chunk answers; people search with questions rather than with statements.

Belongs here: the question to the model and what is read from its answer. Statistics cannot serve.
"""

from __future__ import annotations

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.asking import Asked, items, quoted
from ingestion_pipeline.llm import ChatModel

_LONGEST_QUESTION = 300
"""Characters."""
_MOST_LINES = 100
_QUESTION_MARKS = ("?", "？", "؟", ";")  # noqa: RUF001
"""Latin and others, fullwidth, Arabic, Greek; what ends with none is no question."""


def asked_questions(text: str, limit: int, llm: ChatModel, control: Control) -> Asked[str]:
    """Return at most ``limit`` questions that the text answers, the most important first."""
    answer = llm.chat(
        f"You write questions. Give {limit} questions that the text answers, in the language of "
        "the text, most important first. They must not overlap, and each must be understood "
        "without the text. Answer with the questions only, one per line.",
        quoted(text),
        max_tokens=64 + 48 * limit,
        temperature=0.2,
        control=control,
    )
    lines = items(answer.text, r"\n", _MOST_LINES, _LONGEST_QUESTION)
    questions = [line for line in lines if line.endswith(_QUESTION_MARKS)]
    return Asked(tuple(questions[:limit]), answer.tokens)
