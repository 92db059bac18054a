"""Looking at what readers find: whether there is text, in a language the model knows, and once.

Belongs here: warnings about a collection's content, each at a bounded cost, as they are asked for
after every run. Does not belong here: whether the index is what it should be (``inspection``).
Nothing here quotes a document.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice

from ingestion_pipeline.indexing import RepeatedText
from ingestion_pipeline.languages import NAMES, language_of, usual_code
from ingestion_pipeline.model.documents import Document, DocumentState
from ingestion_pipeline.tasks.services import Services

LISTED = 50
"""How many documents or texts a report has a line for."""
NAMED = 3
"""How many documents such a line names."""
HARDLY_ANY_TEXT = 30
"""Characters per page. Measured: 40 and more where there is a sentence, 22 at most on pictures with
a caption and on slides with a title alone."""
CHUNKS_ASKED_FOR_LANGUAGE = 400
"""Enough to tell a share of 5 % from one of 2 %."""
MOST_IN_OTHER_LANGUAGES = 0.05
"""Share of chunks; of English passages under 0.1 % are taken for another language."""
LANGUAGES_NAMED = 4
"""In the line that says it; the metadata has all."""
CHUNKS_COMPARED = 10_000
"""Of twice as many or more, about so many are compared (0.1 s of work)."""
MOST_REPEATED = 0.1
"""Share of chunks; a notice at the end of each document of some pages has less."""


@dataclass(frozen=True)
class SparseDocument:
    """An indexed document with no or hardly any text."""

    name: str
    pages: int | None
    chunks: int
    characters: int
    confirmed: bool
    """Whether a person said to go on with it."""


@dataclass(frozen=True)
class Texts:
    """How many documents are indexed, and those of them in which there is little to find."""

    total: int
    sparse: tuple[SparseDocument, ...]

    @property
    def summary(self) -> str:
        """Say it in one line."""
        if not self.sparse:
            return f"all {self.total} indexed documents have text"
        without = sum(document.chunks == 0 for document in self.sparse)
        return (
            f"of {self.total} indexed documents {without} have no text and "
            f"{len(self.sparse) - without} hardly any: scans, or drawings?"
        )


@dataclass(frozen=True)
class Languages:
    """In which languages the chunks of a sample are, and which ones the model knows.

    ``chunks`` counts them by language, None for those that show none. ``known`` is None if the
    model does not say.
    """

    model: str
    chunks: Counter[str | None]
    known: frozenset[str] | None

    @property
    def shares(self) -> dict[str, float]:
        """The share of each language, by its name, the greatest first."""
        return {
            NAMES[code] if code else "not recognised": count / self.chunks.total()
            for code, count in self.chunks.most_common()
        }

    @property
    def not_known(self) -> dict[str, float]:
        """The shares of the languages that the model does not know."""
        if self.known is None:
            return {}
        known = {NAMES.get(usual_code(code)) for code in self.known} | {"not recognised"}
        return {name: share for name, share in self.shares.items() if name not in known}

    @property
    def covered(self) -> bool:
        """Whether the model knows the languages of all but a small part of the chunks."""
        return sum(self.not_known.values()) < MOST_IN_OTHER_LANGUAGES

    @property
    def summary(self) -> str:
        """Say it in one line, and what to do."""
        if self.known is None:
            return f"the model card of {self.model} does not say which languages it knows"
        if self.covered:
            return f"{self.model} knows the languages of the collection"
        most = islice(self.not_known.items(), LANGUAGES_NAMED)
        named = ", ".join(f"{name} {share:.0%}" for name, share in most)
        return (
            f"{sum(self.not_known.values()):.0%} of the chunks are in languages that {self.model} "
            f"does not know, so searches find little of them: {named}; set the collection's "
            "embedding_model, or INGEST_EMBEDDING_MODEL, to a model that knows these languages"
        )


@dataclass(frozen=True)
class Repeats:
    """How many chunks were compared, and the texts that several of them have."""

    compared: int
    texts: tuple[RepeatedText, ...]
    """The most repeated first."""

    @property
    def repeated(self) -> int:
        """How many chunks have a text that another one has too."""
        return sum(text.chunks for text in self.texts)

    @property
    def share(self) -> float:
        """The part of the chunks that are repeated."""
        return self.repeated / max(self.compared, 1)

    @property
    def few(self) -> bool:
        """Whether that is a small part."""
        return self.share <= MOST_REPEATED

    @property
    def summary(self) -> str:
        """Say it in one line."""
        if not self.texts:
            return f"none of {self.compared} chunks repeats another"
        return (
            f"{self.repeated} of {self.compared} chunks ({self.share:.0%}) have a text that others "
            f"have too; the most repeated one is there {self.texts[0].chunks} times"
        )


def texts(services: Services, collection_key: str) -> Texts:
    """Return which indexed documents have no or hardly any text."""
    collection = services.registry.collections.get(collection_key)
    found = services.registry.documents.find(collection_key)
    containers = {document.parent_id for document in found}  # their text is that of what is in them
    indexed = [
        document
        for document in found
        if document.state is DocumentState.INDEXED
        and (document.chunks or document.document_id not in containers)
    ]
    lengths = services.index(collection).snapshot().text_lengths()
    sparse = [
        SparseDocument(
            document.name,
            document.pages,
            document.chunks or 0,
            lengths.get(document.document_id, 0),
            document.confirmed is not None and document.confirmed == document.sha256,
        )
        for document in indexed
        if not document.chunks or _is_sparse(document, lengths)
    ]
    return Texts(len(indexed), tuple(sorted(sparse, key=lambda each: (each.chunks > 0, each.name))))


def languages(services: Services, collection_key: str) -> Languages:
    """Return the languages of a sample of chunks, always the same ones while nothing changes."""
    collection = services.registry.collections.get(collection_key)
    embedder = services.embedder(collection)
    sample = services.index(collection).snapshot().sample(CHUNKS_ASKED_FOR_LANGUAGE)
    return Languages(embedder.name, Counter(map(language_of, sample)), embedder.languages)


def repeats(services: Services, collection_key: str) -> Repeats:
    """Return which texts several chunks have; of a large collection, among a part of them."""
    collection = services.registry.collections.get(collection_key)
    compared, texts = services.index(collection).snapshot().repeated(CHUNKS_COMPARED)
    return Repeats(compared, tuple(texts))


def _is_sparse(document: Document, lengths: dict[str, int]) -> bool:
    """Whether the pages of a document have hardly any text; one without pages may be a word."""
    length = lengths.get(document.document_id)  # None while it is published or removed just now
    return length is not None and length < HARDLY_ANY_TEXT * (document.pages or 0)
