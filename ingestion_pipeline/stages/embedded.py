"""The stage *embedded*: one vector for each chunk.

Reads the chunks, the questions that they answer if there are any, and the document's title. Writes
vectors, normalised: w · title + (1 - w) · text, as the first seed weighs file names against
content. Where there are questions, they and the text count half each; in the first seed they stand
for the text, and nothing else that it says is found. Runs over several documents at once, because
long batches sorted by length are what the model is fast on. The chunks of a long document go
through in parts, each of which is stored before the next is embedded.

What the model reads is stored with the vectors that are made of it, by text. It reads no text again
that it has read for the document before, or for another of the same collection and the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import Texts, title_weighted
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.stages.work import Step, Tools, Work
from ingestion_pipeline.storage.parts import ROWS_IN_PART, ReadTexts, StoredVectors

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
    title: str | None
    """None where it has no weight."""
    chunks: Sequence[Chunk]
    questions: Sequence[str]

    @property
    def texts(self) -> list[str]:
        """All that its vectors are made of."""
        title = [self.title] if self.title is not None else []
        return [*(chunk.text for chunk in self.chunks), *filter(None, self.questions), *title]


def _embed(works: Sequence[Work], tools: Tools, control: Control) -> None:
    runtime = tools.embedder.runtime  # loads it, which is no part of its speed
    began = time.perf_counter()
    for work in works:
        work.embedded_chunks = work.embedded_tokens = 0
    for position, parts in groupby(_embedded(works, tools, control), key=itemgetter(0)):
        work = works[position]
        work.vectors = tools.artifacts.put_vectors(
            tools.collection.name,
            work.document.document_id,
            work.fingerprints[Stage.EMBEDDED],
            (part for _, part in parts),
        )
    seconds = time.perf_counter() - began
    total = sum(len(work.chunks or ()) for work in works)
    for work in works:
        share = len(work.chunks or ()) / max(1, total)
        work.steps[Stage.EMBEDDED] = Step(True, share * seconds)
        work.embedded_by = f"{runtime} {tools.embedder.precision}"


def _embedded(
    works: Sequence[Work], tools: Tools, control: Control
) -> Iterator[tuple[int, tuple[np.ndarray, ReadTexts]]]:
    """Yield the vectors of each part, and what they are made of, with its document's position."""
    weight = tools.collection.config.title_weight
    before = _before(works, tools)
    for parts in _together(works, titled=weight > 0):
        texts = Texts(chain.from_iterable(part.texts for part in parts), tools.embedder)
        for result in dict.fromkeys(result for part in parts for result in before[part.position]):
            for read in tools.artifacts.read_texts(tools.collection.name, *result):
                texts.take(read.keys, read.vectors)
        texts.read(tools.embedder, control)
        for part in parts:
            _count(part, works[part.position], texts)
            made_of = ReadTexts(*texts.named(part.texts))
            yield part.position, (_vectors(part, texts, weight), made_of)


def _before(works: Sequence[Work], tools: Tools) -> list[list[tuple[str, str]]]:
    """Return for each document what was embedded before that has texts of it: ids, fingerprints.

    That is its last result, and one of another document that has the same bytes. What is done again
    by force is read again.
    """
    keys = [tools.objects.key(tools.collection.name, work.version) for work in works]
    of_bytes = tools.embedded_before(keys)
    before: list[list[tuple[str, str]]] = []
    for work, key in zip(works, keys, strict=True):
        last = work.document.stages.get(Stage.EMBEDDED)
        found = [(work.document.document_id, last)] if last else []
        found += [of_bytes[key]] if key in of_bytes else []
        before.append([] if work.is_forced(Stage.EMBEDDED) else found)
    return before


def _together(works: Sequence[Work], *, titled: bool) -> Iterator[list[_Part]]:
    """Yield the parts of documents, as many together as one part may hold or little more."""
    together: list[_Part] = []
    for position, work in enumerate(works):
        chunks: Sequence[Chunk] = work.chunks or []
        added = work.enrichment.chunks if work.enrichment else ()
        title = _title(work) if titled else None
        # After a full part comes another, so that the last one is never full.
        for first in range(0, len(chunks) + 1, ROWS_IN_PART):
            part = slice(first, first + ROWS_IN_PART)
            questions = ["\n".join(each.questions) for each in added[part]]
            some = chunks[part]
            together.append(_Part(position, title, some, questions or [""] * len(some)))
            if sum(len(each.chunks) for each in together) >= ROWS_IN_PART:
                yield together
                together = []
    if together:
        yield together


def _count(part: _Part, work: Work, texts: Texts) -> None:
    """Count the chunks that the model has read just now."""
    for chunk in part.chunks:
        if texts.takes_new(chunk.text):
            work.embedded_chunks += 1
            work.embedded_tokens += chunk.tokens


def _vectors(part: _Part, texts: Texts, weight: float) -> np.ndarray:
    """Return the vectors of the chunks of a part, with their questions and the title."""
    vectors = texts.vectors([chunk.text for chunk in part.chunks])
    rows = [row for row, each in enumerate(part.questions) if each]
    if rows:
        asked = texts.vectors([part.questions[row] for row in rows])
        vectors[rows] = title_weighted(vectors[rows], asked, QUESTIONS_WEIGHT)
    if part.title is None:
        return vectors
    return title_weighted(vectors, texts.vectors([part.title]), weight)


def _title(work: Work) -> str:
    """Return what the document is called: its own title, else its file name without extension."""
    own = work.parsed.title if work.parsed else None
    return own or work.document.name.rpartition(".")[0] or work.document.name
