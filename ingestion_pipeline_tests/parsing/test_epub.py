from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import ITEM, TEXT, TITLE, outline


def test_chapters_come_in_the_order_of_the_spine_with_headings() -> None:
    document = parse(samples.handbook_epub(), "a.epub")
    assert document.title == "Travel Handbook"
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TEXT, "The committee approves.", ("Travel",)),
        (TITLE, "Receipts", ()),
        (ITEM, "Keep them", ("Receipts",)),
    ]


def test_a_chapter_that_begins_with_text_is_named_by_the_table_of_contents() -> None:
    sections = "<p>The committee approves.</p><h2>Abroad</h2><p>It is asked first.</p>"
    document = parse(
        samples.handbook_epub(**{"OPS/a a.xhtml": samples.CHAPTER.format(sections)}), "a.epub"
    )
    assert outline(document)[:4] == [
        (TITLE, "Travel", ()),
        (TEXT, "The committee approves.", ("Travel",)),
        (TITLE, "Abroad", ("Travel",)),
        (TEXT, "It is asked first.", ("Travel", "Abroad")),
    ]


@pytest.mark.parametrize("start", ["", "<!-- a --><div class='x'>", "<!-- a --> <!-- b -->"])
def test_a_chapter_that_begins_with_a_heading_keeps_it_alone(start: str) -> None:
    chapter = samples.CHAPTER.format(f"{start}<h2>On travel</h2><p>The committee approves.</p>")
    document = parse(samples.handbook_epub(**{"OPS/a a.xhtml": chapter}), "a.epub")
    assert outline(document)[:2] == [
        (TITLE, "On travel", ()),
        (TEXT, "The committee approves.", ("On travel",)),
    ]


@pytest.mark.parametrize(
    ("target", "kind"), [("OPS/b.xhtml", ErrorKind.ENCRYPTED), ("OPS/font.otf", None)]
)
def test_locked_chapters_are_encrypted_and_locked_fonts_are_not(
    target: str, kind: ErrorKind | None
) -> None:
    locked = f'<encryption><CipherReference URI="{target}"/></encryption>'
    data = samples.handbook_epub(**{"META-INF/encryption.xml": locked})
    if kind is None:
        assert parse(data, "a.epub").title == "Travel Handbook"
        return
    with pytest.raises(PermanentError) as raised:
        parse(data, "a.epub")
    assert raised.value.kind is kind
