from __future__ import annotations

from ingestion_pipeline.model.chunks import chunk_id
from ingestion_pipeline.model.collections import ChunkStrategy
from ingestion_pipeline_tests.chunking.documents import (
    cut_up,
    document,
    paragraph,
    sentences,
    title,
    uncovered,
)
from ingestion_pipeline_tests.fakes import packaged_tokenizer


def test_children_are_small_and_their_parents_end_at_sections() -> None:
    parsed = document(
        title("A"), paragraph(sentences(20)), title("B"), paragraph(sentences(18, words=7))
    )
    found = cut_up(parsed, 64, strategy=ChunkStrategy.PARENT_CHILD, parent_tokens=300)
    parents = list(dict.fromkeys(part.parent for part in found if part.parent))

    assert [parent.text[:3] for parent in parents] == ["A\n\n", "B\n\n"]
    assert all(packaged_tokenizer().count(parent.text) <= 300 for parent in parents)
    assert max(part.tokens for part in found) <= 64
    assert uncovered(parsed, found).strip() == ""
    for part in found:
        assert part.parent
        assert part.text in part.parent.text


def test_a_parents_id_tells_documents_and_equal_passages_apart() -> None:
    same = (title("A"), paragraph(sentences(12)), title("A"), paragraph(sentences(12)))
    found = cut_up(document(*same), 64, strategy=ChunkStrategy.PARENT_CHILD, parent_tokens=200)
    parents = list(dict.fromkeys(part.parent for part in found if part.parent))

    assert [parent.text for parent in parents] == [f"A\n\n{sentences(12)}"] * 2
    assert [parent.parent_id for parent in parents] == [
        chunk_id("doc", parents[0].text, occurrence) for occurrence in (0, 1)
    ]


def test_children_are_smaller_than_their_parents_even_for_a_model_that_takes_more() -> None:
    found = cut_up(
        document(paragraph(sentences(40))),
        8192,
        strategy=ChunkStrategy.PARENT_CHILD,
        parent_tokens=300,
    )
    assert max(part.tokens for part in found) <= 150
