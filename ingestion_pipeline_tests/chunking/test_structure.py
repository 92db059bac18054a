from __future__ import annotations

import time

import pytest

from ingestion_pipeline.chunking import structure
from ingestion_pipeline.chunking.headings import Parts
from ingestion_pipeline.chunking.kinds import KINDS
from ingestion_pipeline.chunking.layout import placed
from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline_tests.chunking.documents import (
    cut_up,
    document,
    paragraph,
    title,
)


def outline(parts: Parts) -> list[tuple[int | None, str]]:
    return [(part.element.level, part.element.text) for part in parts]


@pytest.mark.parametrize("kind", KINDS)
def test_parts_keep_their_places_in_the_text(kind: ParserKind) -> None:
    parsed = document(
        title("A law"),
        paragraph("Contents\n1. First\n2. Second"),
        paragraph(
            "Abstract: short.\n1. First\nArticle 1. It holds.\n\n  2. Second \nEducation:\nA\tB"
        ),
        paragraph("x\ty\nz\t1"),
    )
    for part in KINDS[kind].restructure(placed(parsed)):
        assert parsed.text[part.start : part.end] == part.element.text
        assert part.element.text.strip()
        assert (part.element.level is not None) == part.is_title


def test_headings_within_a_paragraph_divide_it() -> None:
    parsed = document(paragraph("Before.\n1. One\nText\nof one.\n1.1 Sub\n2. Two"))
    assert outline(structure.numbered(placed(parsed))) == [
        (None, "Before."),
        (1, "1. One"),
        (None, "Text\nof one."),
        (2, "1.1 Sub"),
        (1, "2. Two"),
    ]


def test_numbered_sentences_are_no_headings() -> None:
    parts = placed(document(paragraph("1. We went home.\n2. We slept;\n3. " + "Long " * 40)))
    assert structure.numbered(parts) is parts


def test_only_paragraphs_with_a_tab_in_each_line_become_tables() -> None:
    parts = structure.tabbed(placed(document(paragraph("a\tb\nc\td"), paragraph("a\tb\nc"))))
    assert [part.element.category for part in parts] == [
        ElementCategory.TABLE,
        ElementCategory.NARRATIVE_TEXT,
    ]


@pytest.mark.parametrize(
    "kind", [ParserKind.BOOK, ParserKind.LAWS, ParserKind.PAPER, ParserKind.QA]
)
@pytest.mark.parametrize(
    "pattern", [" ", ".", "1,", "1.", "Q: A:", "第一条", "a\t", " | ", "# ", "…1\n"]
)
def test_monotonous_text_takes_linear_time(kind: ParserKind, pattern: str) -> None:
    text = "Contents\n1" + pattern * (30_000 // len(pattern)) + "x"
    started = time.process_time()
    for category in (ElementCategory.NARRATIVE_TEXT, ElementCategory.TABLE):
        element = paragraph(text)
        parsed = ParsedDocument("text/plain", (type(element)(category, text),))
        cut_up(parsed, kind=kind)
    assert time.process_time() - started < 5
