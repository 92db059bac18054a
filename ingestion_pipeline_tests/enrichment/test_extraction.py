"""Finding what a person described, by a pattern."""

from __future__ import annotations

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.enrichment import extract
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment


def found(text: str, pattern: str | None, into: str = "keywords", most: int = 10) -> Enrichment:
    chunk = Chunk("c", "d", 0, text, tokens=9, start=0, end=len(text))
    prompt = None if pattern else "What is asked?"
    return extract(
        [chunk], into, most, pattern=pattern, prompt=prompt, llm=None, control=NoControl()
    )


@pytest.mark.parametrize(
    ("into", "expected"),
    [
        ("keywords", ChunkEnrichment(keywords=("AB-1", "CD-2"))),
        ("questions", ChunkEnrichment(questions=("AB-1", "CD-2"))),
        ("tags", ChunkEnrichment(tags=(("AB-1", 10), ("CD-2", 10)))),
    ],
)
def test_finds_are_kept_once_in_their_order_where_they_belong(
    into: str, expected: ChunkEnrichment
) -> None:
    assert found("AB-1 and CD-2, then AB-1.", r"[A-Z]+-\d", into).chunks == (expected,)


def test_the_first_group_of_a_pattern_is_the_find() -> None:
    assert found("see form 12, form 7", r"form (\d+)").chunks[0].keywords == ("12", "7")


def test_no_more_are_kept_than_asked_for() -> None:
    assert found("a1 a2 a3", r"a\d", most=2).chunks[0].keywords == ("a1", "a2")


def test_without_a_language_model_a_prompt_finds_nothing_and_says_so() -> None:
    made = found("Anything.", None)

    assert made.chunks == (ChunkEnrichment(),)
    assert made.complete
    assert made.warnings[0].startswith("keywords cannot be extracted without a language model")
