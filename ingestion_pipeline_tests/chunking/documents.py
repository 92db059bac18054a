"""Documents for the chunking tests, built by hand and by hypothesis, and how to cut them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingestion_pipeline.chunking import ChunkPlan, Tokenizer, cut
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import ChunkStrategy, ParserKind
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline_tests.fakes import packaged_tokenizer

WORDS = (
    *(
        "a",
        "the",
        "model",
        "reads",
        "extraordinarily",
        "antidisestablishmentarianism",
        "3.14",
        "e.g.",
    ),
    *(
        "end.",
        "Why?",
        "No!",
        "文書を読む。",
        "東京は首都です！",  # noqa: RUF001
        "[SEP]",
        "<|endoftext|>",
        "x" * 130,
    ),
    *("Q:", "A:", "答：", "\n第三条　", "\nArticle 4", "\nAbstract.", "\nChapter 1\n"),  # noqa: RUF001
    *("\ud800", "e\u0301", "👩‍👩‍👧", "한국어", "|", "\u200b", "--------"),
)
BLANKS = (" ", " ", " ", "\n", "\n\n", "\t  ")


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Give each text a vector that depends on nothing but the text."""
    digests = [hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in texts]
    vectors = np.array([list(digest) for digest in digests], dtype=np.float32) - 127.5
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths


def cut_up(
    parsed: ParsedDocument | Element,
    max_tokens: int = 256,
    *,
    kind: ParserKind = ParserKind.GENERAL,
    strategy: ChunkStrategy | None = None,
    overlap: int = 0,
    delimiters: tuple[str, ...] = (),
    parent_tokens: int = 1024,
    tokenizer: Tokenizer | None = None,
) -> list[Chunk]:
    """Cut with everything that a test does not care for set to something usual."""
    parsed = document(parsed) if isinstance(parsed, Element) else parsed
    plan = ChunkPlan(kind, strategy, max_tokens, overlap, delimiters, parent_tokens)
    return list(cut(parsed, "doc", tokenizer or packaged_tokenizer(), plan, embed))


def texts_of(*elements: Element, kind: ParserKind = ParserKind.GENERAL) -> list[str]:
    """Cut a document of one kind into chunks of usual size; return what they say."""
    return [chunk.text for chunk in cut_up(document(*elements), kind=kind)]


def uncovered(parsed: ParsedDocument, chunks: Sequence[Chunk]) -> str:
    """Return the characters of a document that no chunk stands for."""
    covered = bytearray(len(parsed.text))
    for chunk in chunks:
        covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
    return "".join(
        character for character, seen in zip(parsed.text, covered, strict=True) if not seen
    )


def title(text: str, *path: str, level: int = 1, page: int | None = None) -> Element:
    return Element(ElementCategory.TITLE, text, page, level, path)


def paragraph(text: str, *path: str, page: int | None = None) -> Element:
    return Element(ElementCategory.NARRATIVE_TEXT, text, page, heading_path=path)


def table(text: str, *path: str) -> Element:
    return Element(ElementCategory.TABLE, text, heading_path=path)


def document(*elements: Element) -> ParsedDocument:
    return ParsedDocument("text/plain", elements)


def sentences(count: int, *, words: int = 9) -> str:
    """Return ``count`` sentences of ``words`` + 2 tokens each, all different."""
    return " ".join(
        f"Sentence {number}{' word' * (words - 1)}." for number in range(100, 100 + count)
    )


def _texts(max_words: int) -> st.SearchStrategy[str]:
    word = st.sampled_from(WORDS) | st.text(min_size=1, max_size=12)
    pairs = st.lists(st.tuples(word, st.sampled_from(BLANKS)), min_size=1, max_size=max_words)
    return pairs.map(lambda parts: "".join(word + blank for word, blank in parts))


@st.composite
def documents(draw: st.DrawFn) -> ParsedDocument:
    """Draw a document with a consistent outline and ascending pages."""
    elements: list[Element] = []
    path: tuple[str, ...] = ()
    page = 1
    for category in draw(st.lists(st.sampled_from(ElementCategory), max_size=12)):
        page += draw(st.integers(0, 1))
        if category is ElementCategory.TITLE:
            text = draw(_texts(4))
            level = draw(st.integers(1, len(path) + 1))
            path = path[: level - 1]
            elements.append(title(text, *path, level=level, page=page))
            path = (*path, text)
        else:
            elements.append(Element(category, draw(_texts(120)), page, heading_path=path))
    return document(*elements)
