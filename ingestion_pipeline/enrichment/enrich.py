"""Everything that a collection wants added to a document, in one call.

Belongs here: which enrichment is made by statistics and which by the language model, side by side,
and what happens when that fails. Does not belong here: how any one of them is made.

Without a model, or after it failed, the statistical result stays and a warning says what is
missing: enrichment never fails a document.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TypeVar

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.asking import Asked, distinct
from ingestion_pipeline.enrichment.keywords import asked_keywords, keywords
from ingestion_pipeline.enrichment.metadata import Metadata, asked_metadata, merged, passages
from ingestion_pipeline.enrichment.outline import asked_levels, asked_sections, batches, outlined
from ingestion_pipeline.enrichment.questions import asked_questions
from ingestion_pipeline.enrichment.tags import KEYWORDS, TagModel, asked_tags
from ingestion_pipeline.enrichment.toc import MAX_ENTRIES, contents
from ingestion_pipeline.errors import IngestError, PermanentError
from ingestion_pipeline.languages import language_of
from ingestion_pipeline.llm import BudgetSpentError, ChatModel
from ingestion_pipeline.logs import in_context
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import EnrichmentConfig
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment, TocEntry

T = TypeVar("T")

_REFUSALS = 3
"""Requests of one document that the endpoint may refuse before it is asked no more."""
_LANGUAGE_SAMPLES = 50
_FEWEST_CHUNKS = 3
"""Of a document whose contents are worth asking for."""


def enrich(
    parsed: ParsedDocument,
    chunks: Sequence[Chunk],
    config: EnrichmentConfig,
    llm: ChatModel | None,
    tags: TagModel | None,
    control: Control,
) -> Enrichment:
    """Make what ``config`` asks for.

    Raises only what ``control.check`` raises; hand in a control that also stops when the document
    is withdrawn.
    """
    control.check()
    language = _language(chunks)
    limit = max(config.keywords, KEYWORDS if config.tags else 0)
    found = keywords(chunks, limit, language, control)
    made = [_chosen(each, config, tags, language, control) for each in found]
    result = Enrichment(
        tuple(made),
        language,
        toc=contents(parsed, chunks) if config.toc else (),
        warnings=_warnings(config, llm, tags),
    )
    if llm is None:
        return result

    model = Model(llm, control)
    jobs = [
        partial(_asked_chunk, chunk, each, by_statistics, config, tags, model)
        for chunk, each, by_statistics in zip(chunks, found, made, strict=True)
    ]
    return replace(  # in this order: what was spent and what failed is known at the end
        result,
        chunks=tuple(side_by_side(jobs, model.threads)),
        metadata=_asked_metadata(chunks, config.metadata or {}, model),
        toc=_asked_contents(chunks, model) if config.toc and not result.toc else result.toc,
        tokens=model.tokens,
        warnings=result.warnings + model.warnings,
        complete=not model.may_recover,
    )


def _chosen(
    found: tuple[str, ...],
    config: EnrichmentConfig,
    tags: TagModel | None,
    language: str | None,
    control: Control,
) -> ChunkEnrichment:
    """Return what statistics give for a chunk with these keywords."""
    control.check()
    return ChunkEnrichment(
        keywords=found[: config.keywords],
        tags=tags.tags_for(found[:KEYWORDS], language) if config.tags and tags else (),
    )


class Model:
    """The language model as one document uses it, from many threads.

    It is given up for the rest of the document once it is out of reach or the budget is spent, or
    after a few refusals; a single refusal may be about a single text.
    """

    def __init__(self, llm: ChatModel, control: Control) -> None:
        self._llm = llm
        self._control = control
        self._unanswered = 0
        self._refusals = 0
        self._reasons: dict[str, None] = {}
        self._lock = threading.Lock()
        self.threads = llm.max_concurrent
        self.may_recover = False
        self.tokens = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What it could not do, and why, in one line."""
        if not self._unanswered:
            return ()
        reasons = "; ".join(self._reasons)
        return (
            f"requests to the language model without an answer: {self._unanswered} ({reasons})",
        )

    def ask(self, question: Callable[[ChatModel, Control], Asked[T]]) -> tuple[T, ...]:
        """Return what the model answers, nothing if it fails or is given up."""
        if self.may_recover or self._refusals >= _REFUSALS:
            with self._lock:
                self._unanswered += 1
            return ()
        try:
            asked = question(self._llm, self._control)
        except IngestError as error:
            self._failed(error)
            return ()
        with self._lock:
            self.tokens += asked.tokens
        return asked.values

    def _failed(self, error: IngestError) -> None:
        with self._lock:
            self._unanswered += 1
            self._reasons[error.message] = None
            if isinstance(error, PermanentError) and not isinstance(error, BudgetSpentError):
                self._refusals += 1
            else:
                self.may_recover = True


def _asked_chunk(
    chunk: Chunk,
    found: Sequence[str],
    made: ChunkEnrichment,
    config: EnrichmentConfig,
    tags: TagModel | None,
    model: Model,
) -> ChunkEnrichment:
    """Return what is made of a chunk, with what the model adds to it or knows better."""
    words, questions, chosen = made.keywords, made.questions, made.tags
    if config.keywords:
        better = model.ask(partial(asked_keywords, chunk.text, config.keywords))
        words = tuple(distinct([*better, *made.keywords])[: config.keywords])
    if config.questions:
        questions = model.ask(partial(asked_questions, chunk.text, config.questions))
    if config.tags and tags and not chosen:
        chosen = model.ask(partial(asked_tags, chunk.text, found[:KEYWORDS], tags))
    return ChunkEnrichment(words, questions, chosen)


def _asked_metadata(chunks: Sequence[Chunk], schema: Mapping[str, str], model: Model) -> Metadata:
    questions = [
        partial(model.ask, partial(asked_metadata, passage, schema))
        for passage in (passages(chunks) if schema else ())
    ]
    return merged(list(chain.from_iterable(side_by_side(questions, model.threads))))


def _asked_contents(chunks: Sequence[Chunk], model: Model) -> tuple[TocEntry, ...]:
    if len(chunks) < _FEWEST_CHUNKS:
        return ()
    questions = [partial(model.ask, partial(asked_sections, batch)) for batch in batches(chunks)]
    found = chain.from_iterable(side_by_side(questions, model.threads))
    sections = list(found)[:MAX_ENTRIES]
    if not sections:
        return ()
    titles = [section.title for section in sections]
    levels = model.ask(partial(asked_levels, titles)) or (1,) * len(titles)
    return outlined(sections, levels, chunks)


def side_by_side(jobs: Sequence[Callable[[], T]], threads: int) -> list[T]:
    """Return what the jobs return, in their order; the first that is stopped stops them all."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="enrich")
    try:
        futures = [pool.submit(in_context(job)) for job in jobs]
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def _language(chunks: Sequence[Chunk]) -> str | None:
    """Return the language of most chunks of a sample; of two alike, the one that comes first."""
    step = max(1, len(chunks) // _LANGUAGE_SAMPLES)
    found = Counter(filter(None, (language_of(chunk.text) for chunk in chunks[::step])))
    return found.most_common(1)[0][0] if found else None


def _warnings(
    config: EnrichmentConfig, llm: ChatModel | None, tags: TagModel | None
) -> tuple[str, ...]:
    """Return what is wanted and cannot be made, with what to do about it."""
    warnings = []
    missing = [name for name in ("questions", "metadata") if getattr(config, name)]
    if missing and llm is None:
        warnings.append(
            f"{' and '.join(missing)} cannot be made without a language model: "
            "set INGEST_LLM_BASE_URL and INGEST_LLM_MODEL"
        )
    if config.tags and not (tags and tags.tags):
        warnings.append(
            f"no tags are given, as the collection {config.tags!r} has no tagged chunks: "
            "ingest tables of texts and tags there with the parser 'tag'"
        )
    return tuple(warnings)
