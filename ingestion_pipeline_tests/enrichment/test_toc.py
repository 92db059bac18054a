from __future__ import annotations

from dataclasses import replace

from ingestion_pipeline.enrichment import TocEntry, contents
from ingestion_pipeline.enrichment.toc import MAX_ENTRIES
from ingestion_pipeline_tests.enrichment.documents import (
    chunk_per_element,
    chunks,
    document,
    paragraph,
    title,
)


def test_each_heading_has_the_chunks_up_to_the_next() -> None:
    parsed = document(
        paragraph("Before."),
        title("One"),
        paragraph("First."),
        paragraph("Second."),
        title("One\none", level=2),
        title("Two"),
        paragraph("Last."),
    )

    assert contents(parsed, chunk_per_element(parsed)) == (
        TocEntry("One", 1, ("c1", "c2", "c3")),
        TocEntry("One one", 2, ("c4",)),
        TocEntry("Two", 1, ("c5", "c6")),
    )


def test_a_chunk_with_two_sections_belongs_to_both() -> None:
    parsed = document(title("One"), paragraph("First."), title("Two"), paragraph("Second."))

    (whole,) = chunks(parsed.text)

    assert [entry.chunk_ids for entry in contents(parsed, [whole])] == [("c0",), ("c0",)]


def test_overlapping_chunks_are_found_where_they_reach() -> None:
    parsed = document(title("One"), paragraph("First. Second."), title("Two"))
    first, second = chunks("One\n\nFirst. Second.", "Second.\n\nTwo")
    second = replace(second, start=first.end - len("Second."), end=len(parsed.text))

    entries = contents(parsed, [first, second])

    assert [entry.chunk_ids for entry in entries] == [("c0", "c1"), ("c1",)]


def test_what_is_no_heading_is_left_out() -> None:
    parsed = document(title("12 | 3"), title("word " * 60), title("Real"), paragraph("Text."))

    assert [entry.title for entry in contents(parsed, chunk_per_element(parsed))] == ["Real"]


def test_a_document_without_headings_has_no_contents() -> None:
    parsed = document(paragraph("Text."))

    assert contents(parsed, chunk_per_element(parsed)) == ()
    assert contents(parsed, []) == ()


def test_the_deepest_headings_are_left_out_of_long_contents() -> None:
    deep = [title(f"Entry {number}", level=3) for number in range(MAX_ENTRIES)]
    parsed = document(title("Book"), title("Chapter", level=2), *deep)

    entries = contents(parsed, chunk_per_element(parsed))

    assert [entry.title for entry in entries] == ["Book", "Chapter"]
    assert len(entries[1].chunk_ids) == 1 + MAX_ENTRIES


def test_contents_are_never_longer_than_the_limit() -> None:
    parsed = document(*(title(f"Entry {number}") for number in range(MAX_ENTRIES + 9)))

    assert len(contents(parsed, chunk_per_element(parsed))) == MAX_ENTRIES
