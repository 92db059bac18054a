from __future__ import annotations

from ingestion_pipeline.chunking.contents import without_contents
from ingestion_pipeline.chunking.layout import placed
from ingestion_pipeline_tests.chunking.documents import document, paragraph, sentences


def test_a_document_that_holds_itself_twice_loses_its_contents_only() -> None:
    lines = ["Contents", "Part A", "Part B", "Part A", sentences(3), "Part B", sentences(4)]
    found = without_contents(placed(document(*map(paragraph, lines * 2))))
    assert [part.element.text for part in found] == lines[3:] * 2


def test_dotted_lines_are_a_table_of_contents_without_a_heading() -> None:
    text = "1 One ..... 1\n2 Two . . . . 2\n3 Three … 3\nAnd so it began."
    (found,) = without_contents(placed(document(paragraph(text))))
    assert (found.element.text, found.start) == ("And so it began.", text.index("And"))


def test_two_dotted_lines_are_kept() -> None:
    parts = placed(document(paragraph("Tea ..... 3\nCake ..... 5")))
    assert without_contents(parts) is parts
