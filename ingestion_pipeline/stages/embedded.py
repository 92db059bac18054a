"""The stage *embedded*: one vector for each chunk.

Reads the chunks, the questions that they answer if there are any, and the document's title. Writes
vectors, normalised: w · title + (1 - w) · text, as the first seed weighs file names against
content. Where there are questions, they and the text count half each; in the first seed they stand
for the text, and nothing else that it says is found. Runs over several documents at once, because
long batches sorted by length are what the model is fast on. The chunks of a long document go
through in parts, each of which is stored before the next is embedded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import title_weighted
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.stages.work import Step, Tools, Work
from ingestion_pipeline.storage.parts import ROWS_IN_PART, StoredVectors

if TYPE_CHECKING:
    import numpy as np

QUESTIONS_WEIGHT = 0.5


def run(works: Sequence[Work], tools: Tools, control: Control) -> None:
    """Embed the chunks of documents, each of which has its chunks at hand."""
    missing = []
    for work in works:
        began = time.perf_counter()
        work.vectors = None if work.is_forced(Stage.EMBEDDED) else load(work, tools)
        work.steps[Stage.EMBEDDED] = Step(work.vectors is None, time.perf_counter() - began)
        if work.vectors is None:
            missing.append(work)
    if missing:
        _embed(missing, tools, control)
    for work in works:
        work.done(Stage.EMBEDDED)


def load(work: Work, tools: Tools) -> StoredVectors | None:
    """Return the stored result, if there is one."""
    return tools.artifacts.get_vectors(
        tools.collection.name, work.document.document_id, work.fingerprints[Stage.EMBEDDED]
    )


@dataclass(frozen=True)
class _Part:
    """Chunks of a document that follow each other, and the questions that each answers."""

    position: int
    """Of the document in its group."""
    title: str
    chunks: Sequence[Chunk]
    questions: Sequence[str]


def _embed(works: Sequence[Work], tools: Tools, control: Control) -> None:
    runtime = tools.embedder.runtime  # loads it, which is no part of its speed
    began = time.perf_counter()
    embedded = _embedded(works, tools, control)
    for position, parts in groupby(embedded, key=itemgetter(0)):
        work = works[position]
        work.vectors = tools.artifacts.put_vectors(
            tools.collection.name,
            work.document.document_id,
            work.fingerprints[Stage.EMBEDDED],
            (vectors for _, vectors in parts),
        )
    seconds = time.perf_counter() - began
    total = sum(len(work.chunks or ()) for work in works)
    for work in works:
        share = len(work.chunks or ()) / max(1, total)
        work.steps[Stage.EMBEDDED] = Step(True, share * seconds)
        work.embedded_by = f"{runtime} {tools.embedder.precision}"


def _embedded(
    works: Sequence[Work], tools: Tools, control: Control
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the vectors of each part with the position of its document."""
    for parts in _together(works):
        for part, vectors in zip(parts, _vectors(parts, tools, control), strict=True):
            yield part.position, vectors


def _together(works: Sequence[Work]) -> Iterator[list[_Part]]:
    """Yield the parts of documents, as many together as one part may hold or little more."""
    together: list[_Part] = []
    for position, work in enumerate(works):
        chunks: Sequence[Chunk] = work.chunks or []
        added = work.enrichment.chunks if work.enrichment else ()
        # After a full part comes another, so that the last one is never full.
        for first in range(0, len(chunks) + 1, ROWS_IN_PART):
            part = slice(first, first + ROWS_IN_PART)
            questions = ["\n".join(each.questions) for each in added[part]]
            some = chunks[part]
            together.append(_Part(position, _title(work), some, questions or [""] * len(some)))
            if sum(len(each.chunks) for each in together) >= ROWS_IN_PART:
                yield together
                together = []
    if together:
        yield together


def _vectors(parts: Sequence[_Part], tools: Tools, control: Control) -> Iterator[np.ndarray]:
    """Yield the vectors of each part."""
    weight = tools.collection.config.title_weight
    texts = [chunk.text for part in parts for chunk in part.chunks]
    questions = [asked for part in parts for asked in part.questions]
    titles = [part.title for part in parts] if weight > 0 else []
    vectors = tools.embedder.encode([*texts, *filter(None, questions), *titles], control)
    of_titles = vectors[len(vectors) - len(titles) :]
    of_texts = _with_questions(vectors[: len(texts)], vectors[len(texts) :], questions)
    start = 0
    for number, part in enumerate(parts):
        own = of_texts[start : start + len(part.chunks)]
        yield title_weighted(own, of_titles[number], weight) if weight > 0 else own
        start += len(part.chunks)


def _with_questions(texts: np.ndarray, asked: np.ndarray, questions: Sequence[str]) -> np.ndarray:
    """Return the texts' vectors, in the middle between text and questions where there are any."""
    rows = [row for row, each in enumerate(questions) if each]
    if not rows:
        return texts
    mixed = texts.copy()
    for row, vector in zip(rows, asked, strict=False):
        mixed[row : row + 1] = title_weighted(texts[row : row + 1], vector, QUESTIONS_WEIGHT)
    return mixed


def _title(work: Work) -> str:
    """Return what the document is called: its own title, else its file name without extension."""
    own = work.parsed.title if work.parsed else None
    return own or work.document.name.rpartition(".")[0] or work.document.name
