"""Running an embedding model.

Belongs here: loading it once and encoding texts in batches. Does not belong here: where its files
are (``models``), what runs it (``runtimes``), what is done with the vectors (``weighting``,
``indexing``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

from ingestion_pipeline.control import Control, watched
from ingestion_pipeline.embedding import models, runtimes
from ingestion_pipeline.embedding.tokenizer import Tokenizer, without_surrogates
from ingestion_pipeline.embedding.torch_runtime import FEW_TEXTS
from ingestion_pipeline.embedding.turns import turn
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import EmbeddingPrecision, EmbeddingRuntime
from ingestion_pipeline.side_by_side import in_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MODELS_IN_MEMORY = 2
_OWN_FOLDER = Path("~/.cache/ingestion_pipeline")


@dataclass(frozen=True)
class Running:
    """How a model is run, which does not change what its vectors mean."""

    runtime: EmbeddingRuntime = EmbeddingRuntime.AUTO
    precision: EmbeddingPrecision = EmbeddingPrecision.AUTO
    batch_tokens: int = 1024
    folder: Path | None = None
    """Where processes take turns, and where converted models are kept if nothing else is said.
    Without one, nobody waits for anybody, and models are kept in the user's cache."""
    converted: Path | None = None
    """Where converted models are kept, to be shared by several installations."""


class Embedder:
    """A model that turns texts into vectors; may be shared by threads.

    Everything but ``encode`` works without loading the model, where its files tell enough.
    """

    def __init__(self, name: str, running: Running = Running()) -> None:
        """Find the model.

        Raises:
            PermanentError: if it is not on this machine.
        """
        self.name = name
        self._running = running
        self._folder = models.model_folder(name)
        self._lock = RLock()

    @cached_property
    def fingerprint(self) -> str:
        """The model's identity: a hash of its files, equal wherever they lie."""
        return models.fingerprint(self._folder)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return Tokenizer(self._folder)

    @cached_property
    def dimension(self) -> int:
        """The length of a vector."""
        return models.declared_dimension(self._folder) or self._runtime.dimension

    @cached_property
    def max_tokens(self) -> int:
        """The most tokens the model reads of a text, special tokens included."""
        limit = models.declared_max_tokens(self._folder) or self._runtime.max_tokens
        if limit is None:
            raise PermanentError(
                ErrorKind.UNSUPPORTED,
                f"the embedding model {self.name!r} does not say how many tokens it reads; "
                "write max_seq_length into its sentence_bert_config.json",
            )
        return limit

    @cached_property
    def languages(self) -> frozenset[str] | None:
        """The ISO 639 codes of the languages it was made for, None if its files do not tell."""
        return models.declared_languages(self._folder)

    @property
    def runtime(self) -> EmbeddingRuntime:
        """What runs it."""
        return self._runtime.kind

    @property
    def precision(self) -> EmbeddingPrecision:
        """The arithmetic it runs in."""
        return self._runtime.precision

    def load(self) -> None:
        """Load the model now, rather than when it is first needed.

        Raises:
            PermanentError: of kind ``broken`` if that is not possible.
        """
        self._runtime  # noqa: B018

    def rest(self) -> None:
        """Let go of the model, 280 MiB of the packaged one; who needs it loads it again."""
        with self._lock:
            self.__dict__.pop("_opened_runtime", None)

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        """Return one vector of length 1 per text, shaped (texts, dimension), in float32.

        Texts of similar length share a batch, so that little is padded. What a text holds beyond
        ``max_tokens`` is not read. Threads that encode at the same time share the cores.
        """
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        ids = self.tokenizer.ids(texts, self.max_tokens)
        batches = list(_batches([len(own) for own in ids], self._running.batch_tokens))

        def read(batch: list[int]) -> None:
            some = [without_surrogates(texts[index]) for index in batch]
            vectors[batch] = self._read(some, [ids[index] for index in batch])

        if len(batches) > 1:
            self._read_all(batches, read, control)
        else:  # a question, which need not wait for threads
            for batch in watched(batches, control):
                read(batch)
        # Not in the model's own precision, in which lengths would be off by some thousandths.
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors

    def _read_all(
        self, batches: Sequence[list[int]], read: Callable[[list[int]], None], control: Control
    ) -> None:
        """Read batches, as many at the same time as is best."""
        at_once = self._runtime.batches_at_once
        with ThreadPoolExecutor(at_once, thread_name_prefix="embed") as pool:
            # One more waits, so that nobody who has read one waits for us.
            for _ in in_order(pool, read, watched(batches, control), at_once + 1):
                pass

    def _read(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        runtime = self._runtime
        with self._turn(runtime, len(texts)):
            return runtime.encode(texts, ids)

    def _turn(self, runtime: runtimes.Runtime, texts: int) -> AbstractContextManager[None]:
        """Wait for our turn at all cores, where they are needed together."""
        folder = self._running.folder
        takes_all = runtime.batches_at_once == 1 and texts > FEW_TEXTS
        return turn(folder / "turn") if folder and takes_all else nullcontext()

    @property
    def _runtime(self) -> runtimes.Runtime:
        with self._lock:
            return self._opened_runtime

    @cached_property
    def _opened_runtime(self) -> runtimes.Runtime:
        running = self._running
        return runtimes.opened(
            models.Model(self.name, self._folder, self.fingerprint, self.tokenizer.pad_id),
            running.runtime,
            running.precision,
            running.converted or running.folder or _OWN_FOLDER.expanduser(),
        )


def _batches(lengths: Sequence[int], most_tokens: int) -> Iterator[list[int]]:
    """Yield places of texts, longest first, together as many as keep padding and all in bounds."""
    longest_first = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    first = 0
    while first < len(longest_first):
        longest = max(1, lengths[longest_first[first]])
        together = max(1, most_tokens // longest)
        yield longest_first[first : first + together]
        first += together


def load_embedder(name: str, running: Running = Running()) -> Embedder:
    """Return the embedder of that name, one per process, so that its model is loaded once.

    Raises:
        PermanentError: if the model is not on this machine.
    """
    with _CACHE_LOCK:
        return _cached_embedder(name, running)


_CACHE_LOCK = Lock()
_cached_embedder = lru_cache(maxsize=_MODELS_IN_MEMORY)(Embedder)
