"""Documents and chunks for the enrichment tests, built by hand."""

from __future__ import annotations

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.elements import SEPARATOR, Element, ElementCategory, ParsedDocument


def chunk(text: str, number: int = 0, *path: str, start: int = 0) -> Chunk:
    return Chunk(
        chunk_id=f"c{number}",
        document_id="d",
        ordinal=number,
        text=text,
        tokens=len(text) // 4 + 1,
        start=start,
        end=start + len(text),
        heading_path=path,
    )


def chunks(*texts: str) -> list[Chunk]:
    """Return chunks of a document that consists of these texts."""
    made, start = [], 0
    for number, text in enumerate(texts):
        made.append(chunk(text, number, start=start))
        start += len(text) + len(SEPARATOR)
    return made


def document(*elements: Element) -> ParsedDocument:
    return ParsedDocument("text/plain", elements)


def title(text: str, level: int = 1) -> Element:
    return Element(ElementCategory.TITLE, text, level=level)


def paragraph(text: str) -> Element:
    return Element(ElementCategory.NARRATIVE_TEXT, text)


def plain(texts: list[Chunk]) -> ParsedDocument:
    return document(*(paragraph(each.text) for each in texts))


def chunk_per_element(parsed: ParsedDocument) -> list[Chunk]:
    return chunks(*(element.text for element in parsed.elements))
