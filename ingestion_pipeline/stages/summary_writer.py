"""Writing and embedding summaries, by quoting or with a language model.

Belongs here: who writes, and what happens when the language model does not answer. Does not belong
here: what is summarised (``summarised``), and how a summary or a title is made (``summarising``).
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
from ingestion_pipeline.llm import BudgetSpentError, ChatModel
from ingestion_pipeline.model.collections import RaptorConfig
from ingestion_pipeline.model.summaries import SummaryMethod
from ingestion_pipeline.raptor import Material
from ingestion_pipeline.stages.recipes import summary_tokens
from ingestion_pipeline.stages.side_by_side import in_order
from ingestion_pipeline.stages.wording import sibling_titles, text_tools
from ingestion_pipeline.summarising.abstractive import DEFAULT_PROMPT, write
from ingestion_pipeline.summarising.extractive import extract
from ingestion_pipeline.summarising.text import TextTools, Written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_FEWEST_THREADS = 2
"""While one embeds, another chooses sentences."""


class SummaryWriter:
    """Writes summaries side by side; the counts say what it did so far."""

    def __init__(
        self,
        config: RaptorConfig,
        embedder: Embedder,
        llm: ChatModel | None,
        control: Control,
    ) -> None:
        """Ask nobody yet; without ``llm``, summaries quote sentences."""
        self._embedder = embedder
        self._llm = llm
        self._control = control
        self._prompt = config.prompt or DEFAULT_PROMPT
        self._max_tokens = summary_tokens(config, embedder)
        self._max_errors = config.max_errors
        self._gave_up = False
        self._lock = threading.Lock()
        self.threads = max(_FEWEST_THREADS, llm.max_concurrent if llm else 0)
        self.method = SummaryMethod.ABSTRACTIVE if llm else SummaryMethod.EXTRACTIVE
        """How it writes, unless the language model fails."""
        self.failures = 0
        """Questions that the language model did not answer."""
        self.fallbacks = 0
        """Summaries that quote sentences since it did not, or was not asked any more."""
        self.tokens = 0
        """What asking it cost."""
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="summary")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def make(self, materials: Iterable[Material]) -> Iterator[tuple[Written, NDArray[np.float32]]]:
        """Yield a summary of each, and its vector; raises what ``control.check`` raises."""
        return in_order(self._pool, self._made, materials, 2 * self.threads)

    def titles(self, groups: Sequence[Sequence[str]]) -> list[str]:
        """Return a title for each of some siblings, given the texts below each."""
        return sibling_titles(groups, self._control)

    def _made(self, material: Material) -> tuple[Written, NDArray[np.float32]]:
        self._control.check()
        # The language of these chunks: others of the document must not matter to a summary.
        texts = [chunk.text for chunk in material.chunks]
        tools = text_tools(texts, self._embedder.tokenizer.counts, self._control)
        written = self._written(material, tools)
        # Alone, as in a batch the last bits of a vector depend on the others.
        return written, self._embedder.encode([written.text], self._control)[0]

    def _written(self, material: Material, tools: TextTools) -> Written:
        if self._llm is not None:
            written = self._asked(material, self._llm, tools)
            if written is not None:
                return written
        return extract(material.chunks, material.vectors, self._max_tokens, tools)

    def _asked(self, material: Material, llm: ChatModel, tools: TextTools) -> Written | None:
        """Return what the language model wrote; None if it fails, or failed too often before."""
        tokens = 0
        try:
            written = None
            if not self._gave_up:
                written, tokens = write(
                    material.texts,
                    material.citations,
                    self._max_tokens,
                    self._prompt,
                    tools,
                    llm,
                    self._control,
                )
        except IngestError as error:
            self._failed(error)
        with self._lock:
            self.tokens += tokens
            self.fallbacks += written is None
        return written

    def _failed(self, error: IngestError) -> None:
        logger.warning("a summary quotes sentences, as the language model failed: %s", error)
        with self._lock:
            self.failures += 1
            if self.failures > self._max_errors or isinstance(error, BudgetSpentError):
                self._gave_up = True
