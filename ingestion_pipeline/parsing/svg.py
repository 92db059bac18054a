"""Drawings (.svg): the text in them; shapes say nothing."""

from __future__ import annotations

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.archive import xml_root
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType


def parse_svg(data: bytes) -> ParsedDocument:
    """Read a drawing: its title, its description and its labels, as they follow each other.

    Raises:
        PermanentError: ``empty`` for one without text, as it is if its letters are shapes.
    """
    root = xml_root(data.lstrip())
    builder = DocumentBuilder()
    builder.heading(root.findtext("{*}title") or "", 1)
    for element in root.iter("{*}desc", "{*}text"):
        text = " ".join(" ".join(element.itertext()).split())
        builder.text(ElementCategory.NARRATIVE_TEXT, text)
    document = builder.document(FileType.SVG)
    if not document.elements:
        raise PermanentError(
            ErrorKind.EMPTY, "the drawing holds no text; export it as PNG to have it read"
        )
    return document
