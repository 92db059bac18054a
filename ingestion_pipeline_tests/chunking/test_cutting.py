"""What holds for every kind and every strategy."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.model.collections import ChunkStrategy, ParserKind
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline_tests.chunking.documents import (
    cut_up,
    document,
    documents,
    paragraph,
    sentences,
    table,
    title,
    uncovered,
)
from ingestion_pipeline_tests.fakes import packaged_tokenizer

TOKENIZER = packaged_tokenizer()
SLICES = (
    ChunkStrategy.GENERAL,
    ChunkStrategy.BY_TITLE,
    ChunkStrategy.BY_PAGE,
    ChunkStrategy.PARENT_CHILD,
    ChunkStrategy.SEMANTIC,
    ChunkStrategy.ONE,
)
"""Strategies whose chunks say what stands in the document, in its order."""

caps = st.integers(16, 80).flatmap(
    lambda cap: st.tuples(st.just(cap), st.integers(0, (cap - 1) // 2))
)


@settings(max_examples=150, deadline=None)
@given(
    documents(),
    caps,
    st.sampled_from(ParserKind),
    st.sampled_from([None, *ChunkStrategy]),
    st.sampled_from([(), ("\n", "。"), ("model",)]),
)
def test_no_chunk_exceeds_the_cap_whatever_the_document(
    parsed: ParsedDocument,
    limits: tuple[int, int],
    kind: ParserKind,
    strategy: ChunkStrategy | None,
    delimiters: tuple[str, ...],
) -> None:
    max_tokens, overlap = limits
    chunks, again = (
        cut_up(
            parsed,
            max_tokens,
            kind=kind,
            strategy=strategy,
            overlap=overlap,
            delimiters=delimiters,
            parent_tokens=100,
        )
        for _ in range(2)
    )
    assert chunks == again
    assert [found.ordinal for found in chunks] == list(range(len(chunks)))
    assert len({found.chunk_id for found in chunks}) == len(chunks)
    for found in chunks:
        assert found.text.strip()
        assert found.tokens == TOKENIZER.count(found.text) <= max_tokens
        assert 0 <= found.start < found.end <= len(parsed.text)
        if found.parent:
            assert found.parent.start <= found.start < found.end <= found.parent.end
            assert found.parent.text == parsed.text[found.parent.start : found.parent.end]
            assert TOKENIZER.count(found.parent.text) <= 100


@settings(max_examples=100, deadline=None)
@given(documents(), caps, st.sampled_from(SLICES))
def test_chunks_are_ordered_slices_that_lose_no_text(
    parsed: ParsedDocument, limits: tuple[int, int], strategy: ChunkStrategy
) -> None:
    max_tokens, overlap = limits
    chunks = cut_up(parsed, max_tokens, strategy=strategy, overlap=overlap, parent_tokens=100)

    has_table = any(part.category is ElementCategory.TABLE for part in parsed.elements)
    for found in chunks:
        own = parsed.text[found.start : found.end]
        assert own == own.strip() != ""
        assert found.text.endswith(own) if has_table else found.text == own
    for before, after in pairwise(chunks):
        assert before.start < after.start
        assert before.end < after.end
        assert overlap or before.end <= after.start
    assert uncovered(parsed, chunks).strip() == ""


@settings(max_examples=50, deadline=None)
@given(documents(), caps)
def test_pages_pictures_and_headings_are_those_of_the_elements_a_chunk_touches(
    parsed: ParsedDocument, limits: tuple[int, int]
) -> None:
    offset = 0
    places = []
    for element in parsed.elements:
        places.append((offset, offset + len(element.text), element))
        offset += len(element.text) + 2
    for found in cut_up(parsed, limits[0], overlap=limits[1]):
        touched = [e for start, end, e in places if start < found.end and found.start < end]
        bodies = [e for e in touched if e.category is not ElementCategory.TITLE]
        pictures = [e.picture for e in touched if e.picture]
        assert found.pages == tuple(sorted({e.page for e in touched}))  # type: ignore[type-var]
        assert found.pictures == tuple(dict.fromkeys(pictures))
        assert found.heading_path == (
            bodies[0].heading_path if bodies else (*touched[-1].heading_path, touched[-1].text)
        )


@pytest.mark.parametrize("strategy", ChunkStrategy)
@pytest.mark.parametrize("syllable", ["x", "[SEP]", "漢字", "a;"])
def test_a_giant_word_is_cut_in_every_strategy(strategy: ChunkStrategy, syllable: str) -> None:
    word = syllable * (20_000 // len(syllable))
    parsed = document(
        title("Q: " + word[:200]),
        paragraph(f"Before. {word} After."),
        table(f"name | {word}\nsecond | {word}\nthird | 3"),
    )
    chunks = cut_up(parsed, 64, strategy=strategy, parent_tokens=200)
    assert max(TOKENIZER.count(found.text) for found in chunks) <= 64
    assert uncovered(parsed, chunks).strip() == ""


@pytest.mark.parametrize("kind", [ParserKind.GENERAL, ParserKind.LAWS, ParserKind.BOOK])
@pytest.mark.parametrize("strategy", [None, *SLICES[:2], ChunkStrategy.SEMANTIC])
def test_an_edit_in_one_section_leaves_the_chunks_of_the_others_alone(
    kind: ParserKind, strategy: ChunkStrategy | None
) -> None:
    def ids(second: str) -> list[str]:
        bodies = [sentences(60), second, sentences(50, words=7)]
        elements = [
            element
            for name, body in zip("ABC", bodies, strict=True)
            for element in (title(name), paragraph(body, name))
        ]
        return [
            found.chunk_id for found in cut_up(document(*elements), kind=kind, strategy=strategy)
        ]

    before, after = ids(sentences(40)), ids("New. " + sentences(70))
    assert before[:3] == after[:3]
    assert before[-2:] == after[-2:]


@pytest.mark.parametrize("strategy", SLICES)
def test_the_later_parts_of_a_table_begin_with_its_header(strategy: ChunkStrategy) -> None:
    rows = [f"Person {number} | Town {number} | {number}" for number in range(100)]
    parsed = document(title("People"), table("\n".join(["Name | Town | Age", *rows]), "People"))
    first, *later = cut_up(parsed, 64, strategy=strategy, parent_tokens=200)

    assert first.text.startswith("People\n\nName | Town | Age\nPerson 0 | Town 0 | 0\n")
    assert len(later) > 10
    for found in later:
        header, *own = found.text.split("\n")
        assert header == "Name | Town | Age"
        assert "\n".join(own) == parsed.text[found.start : found.end]
        assert set(own) <= set(rows)


def test_a_header_of_over_half_the_cap_is_not_repeated() -> None:
    header = " | ".join(f"column {number}" for number in range(20))
    rows = [f"{number} one | two" for number in range(100)]
    found = cut_up(table("\n".join([header, *rows])), 64)
    assert not any("column" in part.text for part in found[1:])


def test_a_table_keeps_its_header_when_overlap_repeats_rows() -> None:
    rows = [f"Person {number} | Town {number}" for number in range(100)]
    found = cut_up(table("\n".join(["Name | Town", *rows])), 64, overlap=20)
    assert all(part.text.startswith("Name | Town\nPerson") for part in found)
    assert any(before.end > after.start for before, after in pairwise(found))


def test_a_chunk_ends_after_every_delimiter_but_not_behind_a_heading() -> None:
    parsed = document(title("Poems"), paragraph("One.##Two.##\nThree."), paragraph("Four."))
    found = cut_up(parsed, delimiters=("##", "\n\n"))
    assert [part.text for part in found] == ["Poems\n\nOne.##", "Two.##", "Three.", "Four."]


def test_pictures_are_named_once_in_their_order() -> None:
    parsed = document(
        Element(ElementCategory.IMAGE, "A cat.", picture="b"),
        paragraph("Text."),
        Element(ElementCategory.IMAGE, "A dog.", picture="a"),
        Element(ElementCategory.IMAGE, "The cat again.", picture="b"),
    )
    (found,) = cut_up(parsed)
    assert found.pictures == ("b", "a")
