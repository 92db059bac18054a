"""Writing and embedding reports of communities, by quoting or with a language model.

Belongs here: who writes, what need not be written again, and what happens when the language model
does not answer. Does not belong here: what is reported on, and which sentences are quoted
(``graph``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.graph.reports import PROMPT, Material, quoted
from ingestion_pipeline.indexing.graph_rows import IndexedReport
from ingestion_pipeline.llm import BudgetSpentError, ChatModel
from ingestion_pipeline.model.graph import Report
from ingestion_pipeline.model.summaries import SummaryMethod
from ingestion_pipeline.stages.side_by_side import in_order
from ingestion_pipeline.stages.wording import sibling_titles, text_tools
from ingestion_pipeline.summarising.abstractive import write
from ingestion_pipeline.summarising.text import TextTools, Written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

logger = logging.getLogger(__name__)

MAX_ERRORS = 3
"""After more, the language model is asked no more in this build."""
_FEWEST_THREADS = 2
"""While one embeds, another chooses sentences."""
_SAMPLES = 20
"""Sentences that tell the language of a report."""


class ReportWriter:
    """Writes reports side by side; the counts say what it did so far."""

    def __init__(self, embedder: Embedder, llm: ChatModel | None, control: Control) -> None:
        """Ask nobody yet; without ``llm``, reports quote sentences."""
        self._embedder = embedder
        self._llm = llm
        self._control = control
        self._method = SummaryMethod.ABSTRACTIVE if llm else SummaryMethod.EXTRACTIVE
        self._vectors: dict[str, Vector] = {}
        self._lock = threading.Lock()
        self._errors = 0
        self._gave_up = False
        self.known: list[Report] = []
        """What need not be written again, if its community is as it was."""
        self.written = 0
        """Reports that were written and embedded."""
        self.fallbacks = 0
        """Those that quote sentences since the language model did not answer, or was not asked."""
        self.tokens = 0
        """What asking it cost."""
        self._threads = max(_FEWEST_THREADS, llm.max_concurrent if llm else 0)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="report")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def know(self, before: Iterable[IndexedReport]) -> None:
        """Have reports of before used again; not those that quote since the model failed."""
        for each in before:
            if each.report.method is self._method:
                self.known.append(each.report)
                # Copied, as a part of an array keeps all of it in memory.
                self._vectors[each.report.text] = each.vector.copy()

    def write(self, materials: Iterable[Material]) -> Iterator[Written]:
        """Yield a report of each; raises what ``control.check`` raises."""
        for written, vector in in_order(self._pool, self._made, materials, 2 * self._threads):
            self._vectors[written.text] = vector
            self.written += 1
            yield written

    def vector(self, text: str) -> Vector:
        """Return the vector of a report that was written, or is known, float32, (dimension,)."""
        return self._vectors[text]

    def titles(self, groups: Sequence[Sequence[str]]) -> list[str]:
        """Return a title for each of some siblings, given texts of each."""
        self._control.check()
        return sibling_titles(groups, self._control)

    def _made(self, material: Material) -> tuple[Written, Vector]:
        self._control.check()
        texts = [each.text for each in material.quotable[:_SAMPLES]]
        tools = text_tools(texts, self._embedder.tokenizer.counts, self._control)
        written = self._asked(material, tools) or quoted(material, tools)
        # Alone, as in a batch the last bits of a vector depend on the others.
        return written, self._embedder.encode([written.text], self._control)[0]

    def _asked(self, material: Material, tools: TextTools) -> Written | None:
        """Return what the language model wrote; None if there is none, it fails or failed often."""
        if self._llm is None:
            return None
        written, tokens = None, 0
        try:
            if not self._gave_up:
                written, tokens = write(
                    material.texts,
                    material.citations,
                    self._embedder.max_tokens,
                    PROMPT,
                    tools,
                    self._llm,
                    self._control,
                )
        except IngestError as error:
            self._failed(error)
        with self._lock:
            self.tokens += tokens
            self.fallbacks += written is None
        return written

    def _failed(self, error: IngestError) -> None:
        logger.warning("a report quotes sentences, as the language model failed: %s", error)
        with self._lock:
            self._errors += 1
            if self._errors > MAX_ERRORS or isinstance(error, BudgetSpentError):
                self._gave_up = True
