"""What a language model would be asked for a build, before it is asked anything.

Belongs here: counting questions, tokens and time from what is to be read and from answers that are
kept. Does not belong here: finding out what is to be read (``graphed``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingestion_pipeline.control import Control
from ingestion_pipeline.graph.asked import foreseen
from ingestion_pipeline.graph.document_graph import GLEANINGS
from ingestion_pipeline.graph.doubts import MOST_QUESTIONS
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.collections import GraphConfig

SECONDS_A_CALL = 4.0
"""That an endpoint takes for an answer of some hundred tokens, as a rule of thumb."""
REPORTS_A_CHUNK = 1.5
"""1,530 reports were made of 994 passages."""
TOKENS_A_REPORT = 2_000
TOKENS_OF_DOUBTS = 1_000
"""Of a question about names that may be of one entity, with its answer."""


@dataclass(frozen=True)
class Estimate:
    """What a build would ask a language model, at most; reports are a guess from experience.

    ``documents`` are those that it would read now, with so many ``chunks``. ``seconds`` are of
    asking only.
    """

    documents: int = 0
    chunks: int = 0
    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return it in words."""
        return (
            f"{self.chunks:,} chunks of {self.documents:,} documents to read; at most about "
            f"{self.calls:,} questions to the language model, {self.tokens:,} tokens, "
            f"{self.seconds:,.0f} s"
        )


def questions_about(
    config: GraphConfig, llm: ChatModel, texts: Sequence[str], control: Control
) -> tuple[int, int]:
    """Return how many questions reading a document takes, and how many tokens at most."""
    calls = tokens = 0
    for text in texts:
        control.check()
        turns, most = foreseen(llm, text, GLEANINGS[config.method])
        calls += turns
        tokens += most
    return calls, tokens


def estimated(
    config: GraphConfig,
    llm: ChatModel,
    unread: Sequence[Sequence[str]],
    asked: Iterable[tuple[int, int]],
) -> Estimate:
    """Return what a build of a graph would ask.

    Args:
        config: How it is built.
        llm: The configured language model.
        unread: The texts of each document that is to be read.
        asked: How many questions and tokens that takes, of each document that is read with it.
    """
    calls = tokens = 0
    for turns, most in asked:
        calls += turns
        tokens += most
    to_read = sum(map(len, unread))
    if to_read:
        reports = round(REPORTS_A_CHUNK * to_read) if config.communities else 0
        doubts = MOST_QUESTIONS if config.resolve_with_llm else 0
        calls += reports + doubts
        tokens += reports * TOKENS_A_REPORT + doubts * TOKENS_OF_DOUBTS
    seconds = calls * SECONDS_A_CALL / llm.max_concurrent
    return Estimate(len(unread), to_read, calls, tokens, seconds)
