"""The stage *indexed*: chunks that readers can find.

Reads chunks and vectors. Writes LanceDB rows: all documents of a batch in one commit, which also
removes what those documents had before. The lease is checked right before each commit attempt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ingestion_pipeline.indexing import IndexedDocument
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.stages.work import Step, Tools, Work


def run(works: Sequence[Work], tools: Tools, fence: int, before_commit: Callable[[], None]) -> None:
    """Publish the documents, each of which has its chunks and vectors at hand."""
    began = time.perf_counter()
    tools.index.publish([_document(work, fence) for work in works], before_commit=before_commit)
    seconds = (time.perf_counter() - began) / len(works)
    for work in works:
        work.steps[Stage.INDEXED] = Step(True, seconds)
        work.result.index_table = tools.index.name
        work.done(Stage.INDEXED)


def _document(work: Work, fence: int) -> IndexedDocument:
    if work.chunks is None or work.vectors is None:
        raise RuntimeError("a document is indexed only after it was chunked and embedded")
    return IndexedDocument(
        document_id=work.document.document_id,
        version=work.version,
        fence=fence,
        name=work.document.name,
        uri=work.document.uri,
        media_type=work.result.media_type or work.document.media_type or "",
        chunks=work.chunks,
        vectors=work.vectors,
    )
