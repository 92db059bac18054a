"""Collects elements and keeps account of the headings above them.

Belongs here: what is the same for every format. Does not belong here: reading one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.cleaning import clean, one_line
from ingestion_pipeline.parsing.tables import Cell, Table

LONGEST_HEADING = 250
"""Characters; a longer "heading" is a paragraph in large type, and would swell every path."""
DEEPEST_LEVEL = 6


class DocumentBuilder:
    """Takes the parts of a document in reading order; parts without text are left out."""

    def __init__(self) -> None:
        self._elements: list[Element] = []
        self._headings: list[tuple[int, str]] = []

    def heading(self, text: str, level: int, page: int | None = None) -> None:
        """Add a heading; it stands above what follows until one of its level or higher."""
        text = one_line(text)
        if len(text) > LONGEST_HEADING:
            self.text(ElementCategory.NARRATIVE_TEXT, text, page)
            return
        if not text:
            return
        level = min(max(level, 1), DEEPEST_LEVEL)
        self.end_headings(level)
        self._add(Element(ElementCategory.TITLE, text, page, level, self._path()))
        self._headings.append((level, text))

    def end_headings(self, level: int = 1) -> None:
        """End the sections of this level and below, although no heading follows."""
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()

    def text(self, category: ElementCategory, text: str, page: int | None = None) -> None:
        """Add a paragraph, list item or piece of code."""
        lines = [line.rstrip() for line in clean(text).split("\n")]
        text = "\n".join(lines).strip("\n")
        if category is not ElementCategory.CODE_SNIPPET:
            text = text.strip()
        if text.strip():
            self._add(Element(category, text, page, heading_path=self._path()))

    def table(
        self, rows: Sequence[Sequence[Cell]], page: int | None = None, *, as_html: bool = True
    ) -> None:
        """Add a table of at least one cell with text."""
        table = Table(rows)
        if text := table.text():
            html = table.html() if as_html else None
            path = self._path()
            self._add(Element(ElementCategory.TABLE, text, page, heading_path=path, html=html))

    def document(
        self,
        media_type: str,
        title: str | None = None,
        pages: int | None = None,
        warnings: Sequence[str] = (),
        scanned_pages: int = 0,
    ) -> ParsedDocument:
        """Return what was collected; without a ``title``, the first of the top headings is it."""
        title = one_line(title or "")[:LONGEST_HEADING]
        return ParsedDocument(
            media_type=media_type,
            elements=tuple(self._elements),
            title=title or self._top_heading(),
            pages=pages,
            warnings=tuple(warnings),
            scanned_pages=scanned_pages,
        )

    def _add(self, element: Element) -> None:
        self._elements.append(element)

    def _path(self) -> tuple[str, ...]:
        return tuple(text for _, text in self._headings)

    def _top_heading(self) -> str | None:
        """Return the first of the highest headings, of the first page where there are pages."""
        titles = [
            (element.level, element.text)
            for element in self._elements
            if element.level is not None and element.page == self._elements[0].page
        ]
        return min(titles, key=lambda title: title[0])[1] if titles else None
