"""Plain text: paragraphs between blank lines."""

from __future__ import annotations

import re

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import clean
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode

_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")


def parse_plain_text(data: bytes) -> ParsedDocument:
    """Read text in any encoding; the line breaks within a paragraph stay."""
    builder = DocumentBuilder()
    add_paragraphs(decode(data), builder)
    return builder.document(FileType.PLAIN_TEXT)


def add_paragraphs(text: str, builder: DocumentBuilder) -> None:
    """Add what stands between blank lines."""
    for paragraph in _BLANK_LINES.split(clean(text)):
        builder.text(ElementCategory.NARRATIVE_TEXT, paragraph)
