"""How tests look at a parsed document."""

from __future__ import annotations

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument

TITLE = ElementCategory.TITLE
TEXT = ElementCategory.NARRATIVE_TEXT
ITEM = ElementCategory.LIST_ITEM
TABLE = ElementCategory.TABLE
CODE = ElementCategory.CODE_SNIPPET


def outline(document: ParsedDocument) -> list[tuple[ElementCategory, str, tuple[str, ...]]]:
    """Return category, text and headings above of each element."""
    return [(each.category, each.text, each.heading_path) for each in document.elements]


def texts(document: ParsedDocument) -> list[str]:
    """Return the elements' texts."""
    return [each.text for each in document.elements]
