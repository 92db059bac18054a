"""Chunks along headings: down to a depth, and by headings that patterns describe."""

from __future__ import annotations

from ingestion_pipeline.chunking import ChunkPlan, cut
from ingestion_pipeline.model.collections import ChunkStrategy, ParserKind
from ingestion_pipeline.model.elements import Element
from ingestion_pipeline_tests.chunking.documents import document, embed, paragraph, title
from ingestion_pipeline_tests.fakes import packaged_tokenizer

BOOK = (
    title("One"),
    paragraph("First words.", "One"),
    title("Deep", "One", level=2),
    paragraph("Deep words.", "One", "Deep"),
    title("Two"),
    paragraph("Second words.", "Two"),
)


def cut_at(
    *elements: Element, depth: int = 1, levels: tuple[tuple[str, ...], ...] = ()
) -> list[str]:
    plan = ChunkPlan(ParserKind.GENERAL, ChunkStrategy.HIERARCHY, 128, levels=levels, depth=depth)
    return [each.text for each in cut(document(*elements), "d", packaged_tokenizer(), plan, embed)]


def test_what_is_under_a_heading_of_the_depth_stays_together() -> None:
    assert cut_at(*BOOK, depth=1) == [
        "One\n\nFirst words.\n\nDeep\n\nDeep words.",
        "Two\n\nSecond words.",
    ]


def test_a_deeper_heading_begins_a_chunk_where_the_depth_says_so() -> None:
    assert cut_at(*BOOK, depth=2) == [
        "One\n\nFirst words.",
        "Deep\n\nDeep words.",
        "Two\n\nSecond words.",
    ]


def test_a_heading_stays_with_the_heading_below_it() -> None:
    assert cut_at(
        title("One"), title("Deep", "One", level=2), paragraph("Words.", "One", "Deep"), depth=2
    ) == ["One\n\nDeep\n\nWords."]


def test_lines_that_match_a_pattern_are_headings_of_their_level() -> None:
    text = "PART I\nWords of it.\nItem 1\nWords of one.\nPART II\nOther words."

    assert cut_at(paragraph(text), levels=(("PART [IVX]+",), (r"Item \d+",)), depth=1) == [
        "PART I\nWords of it.\nItem 1\nWords of one.",
        "PART II\nOther words.",
    ]
    assert len(cut_at(paragraph(text), levels=(("PART [IVX]+",), (r"Item \d+",)), depth=2)) == 3


def test_a_long_section_is_cut_to_the_cap() -> None:
    long = paragraph("Some more words stand here. " * 60, "One")

    found = cut_at(title("One"), long, title("Two"), paragraph("Short.", "Two"))

    assert len(found) > 3
    assert found[-1] == "Two\n\nShort."
