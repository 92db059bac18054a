"""The stage *embedded*: one vector for each chunk.

Reads the chunks, the questions that they answer if there are any, and the document's title. Writes
vectors, normalised: w · title + (1 - w) · text, as the first seed weighs file names against
content. Where there are questions, they and the text count half each; in the first seed they stand
for the text, and nothing else that it says is found. Runs over several documents at once, because
long batches sorted by length are what the model is fast on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import title_weighted
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.stages.work import Step, Tools, Work

if TYPE_CHECKING:
    import numpy as np

QUESTIONS_WEIGHT = 0.5


def run(works: Sequence[Work], tools: Tools, control: Control) -> None:
    """Embed the chunks of documents, each of which has its chunks at hand."""
    missing = []
    for work in works:
        began = time.perf_counter()
        work.vectors = None if work.document.force else load(work, tools)
        work.steps[Stage.EMBEDDED] = Step(work.vectors is None, time.perf_counter() - began)
        if work.vectors is None:
            missing.append(work)
    if missing:
        _embed(missing, tools, control)
    for work in works:
        work.done(Stage.EMBEDDED)


def load(work: Work, tools: Tools) -> np.ndarray | None:
    """Return the stored result, if there is one: float32 (chunks, dimension)."""
    return tools.artifacts.get_vectors(
        tools.collection.name, work.document.document_id, work.fingerprints[Stage.EMBEDDED]
    )


def _embed(works: Sequence[Work], tools: Tools, control: Control) -> None:
    began = time.perf_counter()
    weight = tools.collection.config.title_weight
    texts = [chunk.text for work in works for chunk in work.chunks or ()]
    questions = [asked for work in works for asked in _questions(work)]
    titles = [_title(work) for work in works] if weight > 0 else []
    vectors = tools.embedder.encode([*texts, *filter(None, questions), *titles], control)
    of_titles = vectors[len(vectors) - len(titles) :]
    of_texts = _with_questions(vectors[: len(texts)], vectors[len(texts) :], questions)
    start = 0
    for position, work in enumerate(works):
        end = start + len(work.chunks or ())
        work.vectors = of_texts[start:end]
        if weight > 0:
            work.vectors = title_weighted(work.vectors, of_titles[position], weight)
        fingerprint = work.fingerprints[Stage.EMBEDDED]
        tools.artifacts.put_vectors(
            tools.collection.name, work.document.document_id, fingerprint, work.vectors
        )
        share = (end - start) / max(1, len(texts))
        work.steps[Stage.EMBEDDED] = Step(True, share * (time.perf_counter() - began))
        start = end


def _questions(work: Work) -> list[str]:
    """Return the questions that each chunk answers, in one text; empty where there are none."""
    extras = work.enrichment.chunks if work.enrichment else ()
    asked = ["\n".join(each.questions) for each in extras]
    return asked or [""] * len(work.chunks or ())


def _with_questions(texts: np.ndarray, asked: np.ndarray, questions: Sequence[str]) -> np.ndarray:
    """Return the texts' vectors, in the middle between text and questions where there are any."""
    rows = [row for row, each in enumerate(questions) if each]
    mixed = texts.copy()
    for row, vector in zip(rows, asked, strict=False):
        mixed[row : row + 1] = title_weighted(texts[row : row + 1], vector, QUESTIONS_WEIGHT)
    return mixed


def _title(work: Work) -> str:
    """Return what the document is called: its own title, else its file name without extension."""
    own = work.parsed.title if work.parsed else None
    return own or work.document.name.rpartition(".")[0] or work.document.name
