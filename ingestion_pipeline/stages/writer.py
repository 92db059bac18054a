"""Writing about many things side by side, by quoting or with a language model.

Belongs here: who writes, and what happens when the language model does not answer. Does not belong
here: what is written about (``summarised``, ``graphed``), and how a text or a title is made
(``summarising``, ``graph``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from ingestion_pipeline.control import Control
from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.llm import BudgetSpentError, ChatModel
from ingestion_pipeline.model.summaries import Citation, SummaryMethod
from ingestion_pipeline.side_by_side import in_order
from ingestion_pipeline.stages.wording import sibling_titles, text_tools
from ingestion_pipeline.summarising.abstractive import write
from ingestion_pipeline.summarising.text import TextTools, Written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_FEWEST_THREADS = 2
"""While one embeds, another chooses sentences."""


class Subject(Protocol):
    """What can be written about."""

    @property
    def texts(self) -> Sequence[str]:
        """What a language model is to read."""

    @property
    def citations(self) -> tuple[Citation, ...]:
        """What that stands for."""


About = TypeVar("About", bound=Subject)


@dataclass(frozen=True)
class Manner(Generic[About]):
    """How texts of one kind are written.

    ``prompt`` is the language model's, ``max_tokens`` the most that it writes, of the embedding
    model; after more than ``max_errors`` it is asked no more. ``samples`` are texts that tell the
    language of a subject, ``quote`` writes without a language model.
    """

    prompt: str
    max_tokens: int
    max_errors: int
    samples: Callable[[About], Sequence[str]]
    quote: Callable[[About, TextTools], Written]


class Writer(Generic[About]):
    """Writes texts of one kind; the counts say what it did so far."""

    def __init__(
        self,
        manner: Manner[About],
        embedder: Embedder,
        llm: ChatModel | None,
        control: Control,
    ) -> None:
        """Ask nobody yet; without ``llm``, texts quote sentences."""
        self._manner = manner
        self._embedder = embedder
        self._llm = llm
        self._control = control
        self._gave_up = False
        self._lock = threading.Lock()
        self.threads = max(_FEWEST_THREADS, llm.max_concurrent if llm else 0)
        self.method = SummaryMethod.ABSTRACTIVE if llm else SummaryMethod.EXTRACTIVE
        """How it writes, unless the language model fails."""
        self.failures = 0
        """Questions that the language model did not answer."""
        self.fallbacks = 0
        """Texts that quote sentences since it did not, or was not asked any more."""
        self.tokens = 0
        """What asking it cost."""
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="writer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def write(self, subjects: Iterable[About]) -> Iterator[Written]:
        """Yield a text about each, in their order; raises what ``control.check`` raises."""
        return in_order(self._pool, self._written, subjects, 2 * self.threads)

    def make(self, subjects: Iterable[About]) -> Iterator[tuple[Written, NDArray[np.float32]]]:
        """Yield a text about each, and its vector; raises what ``control.check`` raises."""
        return in_order(self._pool, self._made, subjects, 2 * self.threads)

    def titles(self, groups: Sequence[Sequence[str]]) -> list[str]:
        """Return a title for each of some siblings, given texts of each."""
        self._control.check()
        return sibling_titles(groups, self._control)

    def _made(self, subject: About) -> tuple[Written, NDArray[np.float32]]:
        written = self._written(subject)
        # Alone, as in a batch the last bits of a vector depend on the others.
        return written, self._embedder.encode([written.text], self._control)[0]

    def _written(self, subject: About) -> Written:
        self._control.check()
        # The language of this subject: nothing beside it must matter to what is written of it.
        samples = self._manner.samples(subject)
        tools = text_tools(samples, self._embedder.tokenizer.counts, self._control)
        asked = self._asked(subject, self._llm, tools) if self._llm else None
        return asked or self._manner.quote(subject, tools)

    def _asked(self, subject: About, llm: ChatModel, tools: TextTools) -> Written | None:
        """Return what the language model wrote; None if it fails, or failed too often before."""
        written, tokens = None, 0
        try:
            if not self._gave_up:
                written, tokens = write(
                    subject.texts,
                    subject.citations,
                    self._manner.max_tokens,
                    self._manner.prompt,
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
        logger.warning("sentences are quoted, as the language model failed: %s", error)
        with self._lock:
            self.failures += 1
            if self.failures > self._manner.max_errors or isinstance(error, BudgetSpentError):
                self._gave_up = True
