from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion_pipeline.chunking import ChunkPlan, cut
from ingestion_pipeline.model.collections import ChunkStrategy, ParserKind
from ingestion_pipeline.model.elements import Element
from ingestion_pipeline_tests.chunking.documents import document, paragraph, table, title
from ingestion_pipeline_tests.fakes import packaged_tokenizer

SUBJECTS = ("cats", "ships", "bread")


def by_subject(texts: Sequence[str]) -> NDArray[np.float32]:
    """Embed by the subject that a sentence names."""
    vectors = np.zeros((len(texts), len(SUBJECTS) + 1), dtype=np.float32)
    for row, text in zip(vectors, texts, strict=True):
        row[next((i for i, name in enumerate(SUBJECTS) if name in text), len(SUBJECTS))] = 1
    return vectors


def on(subject: str, count: int) -> str:
    return " ".join(f"Sentence {number} is about {subject}." for number in range(count))


def texts_of(*elements: Element, max_tokens: int = 128) -> list[str]:
    plan = ChunkPlan(ParserKind.GENERAL, ChunkStrategy.SEMANTIC, max_tokens)
    chunks = list(cut(document(*elements), "doc", packaged_tokenizer(), plan, by_subject))
    return [chunk.text for chunk in chunks]


def test_a_chunk_ends_where_the_subject_changes() -> None:
    text = [on("cats", 9), on("ships", 12), on("bread", 8)]
    assert texts_of(paragraph(" ".join(text))) == text


def test_a_change_is_found_before_the_chunk_is_full() -> None:
    text = [on("cats", 5), on("ships", 5)]
    assert texts_of(paragraph(" ".join(text))) == text


@pytest.mark.parametrize("count", [2, 9])
def test_a_section_of_one_subject_stays_whole(count: int) -> None:
    assert texts_of(paragraph(on("cats", count))) == [on("cats", count)]


def test_a_section_of_one_subject_is_cut_at_sentences_where_it_must_be() -> None:
    found = texts_of(paragraph(on("cats", 60)))
    assert len(found) > 3
    assert all(text.endswith("cats.") for text in found)
    assert " ".join(found) == on("cats", 60)


def test_a_table_is_not_cut_for_its_subjects() -> None:
    rows = "\n".join(f"{name} | {number}" for number in range(4) for name in SUBJECTS)
    assert texts_of(paragraph("Numbers."), table(rows)) == [f"Numbers.\n\n{rows}"]


def test_subjects_are_compared_within_a_section_only() -> None:
    found = texts_of(title("A"), paragraph(on("cats", 8)), title("B"), paragraph(on("ships", 8)))
    assert found == [f"A\n\n{on('cats', 8)}", f"B\n\n{on('ships', 8)}"]
