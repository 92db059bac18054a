"""Collects elements and keeps account of the headings above them.

Belongs here: what is the same for every format. Does not belong here: reading one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestion_pipeline.model.elements import Box, Element, ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.cleaning import clean, one_line
from ingestion_pipeline.parsing.pictures import Pictures, caption
from ingestion_pipeline.parsing.tables import Cell, Table

LONGEST_HEADING = 250
"""Characters; a longer "heading" is a paragraph in large type, and would swell every path."""
DEEPEST_LEVEL = 6


@dataclass(frozen=True)
class _Mute:
    """A picture that nobody says anything about, and how many elements stand before it."""

    picture_id: str
    page: int | None
    position: int


class DocumentBuilder:
    """Takes the parts of a document in reading order; parts without text are left out."""

    def __init__(self) -> None:
        self._elements: list[Element] = []
        self._headings: list[tuple[int, str]] = []
        self._pictures = Pictures()
        self._mute: list[_Mute] = []

    def heading(
        self, text: str, level: int, page: int | None = None, *, box: Box | None = None
    ) -> None:
        """Add a heading; it stands above what follows until one of its level or higher."""
        text = one_line(text)
        if len(text) > LONGEST_HEADING:
            self.text(ElementCategory.NARRATIVE_TEXT, text, page, box=box)
            return
        if not text:
            return
        level = min(max(level, 1), DEEPEST_LEVEL)
        self.end_headings(level)
        self._add(Element(ElementCategory.TITLE, text, page, level, self._path(), box=box))
        self._headings.append((level, text))

    def end_headings(self, level: int = 1) -> None:
        """End the sections of this level and below, although no heading follows."""
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()

    def text(
        self,
        category: ElementCategory,
        text: str,
        page: int | None = None,
        *,
        box: Box | None = None,
        picture: str | None = None,
    ) -> None:
        """Add a paragraph, list item or piece of code; ``picture`` is the id of one it is in."""
        lines = [line.rstrip() for line in clean(text).split("\n")]
        text = "\n".join(lines).strip("\n")
        if category is not ElementCategory.CODE_SNIPPET:
            text = text.strip()
        if text.strip():
            path = self._path()
            self._add(Element(category, text, page, heading_path=path, picture=picture, box=box))

    def table(
        self,
        rows: Sequence[Sequence[Cell]],
        page: int | None = None,
        *,
        as_html: bool = True,
        box: Box | None = None,
    ) -> None:
        """Add a table of at least one cell with text."""
        table = Table(rows)
        if text := table.text():
            html = table.html() if as_html else None
            path = self._path()
            self._add(
                Element(ElementCategory.TABLE, text, page, heading_path=path, html=html, box=box)
            )

    def keep(self, data: bytes) -> str | None:
        """Keep a picture; returns its id, None where it is too small or too much."""
        return self._pictures.add(data)

    def picture(
        self, data: bytes, text: str = "", page: int | None = None, *, box: Box | None = None
    ) -> bool:
        """Add a picture and tell whether it was kept; ``text`` is what it shows.

        One without a text is shown by the paragraph before it, else by the one after it.
        """
        picture_id = self.keep(data)
        if picture_id is None:
            return False
        if text := caption(text):
            self._add(_image(text, page, self._path(), picture_id, box))
        else:
            self._mute.append(_Mute(picture_id, page, len(self._elements)))
        return True

    def caption(self, text: str, page: int | None = None, *, box: Box | None = None) -> None:
        """Add what stands below a picture, or a paragraph where there is no picture above it."""
        last = self._elements[-1] if self._elements else None
        text = one_line(text)
        if not text:
            return
        if self._mute and self._mute[-1].position == len(self._elements):
            picture_id = self._mute.pop().picture_id
        elif last is not None and last.category is ElementCategory.IMAGE and last.picture:
            picture_id = last.picture
        else:
            self.text(ElementCategory.NARRATIVE_TEXT, text, page, box=box)
            return
        self._add(_image(text, page, self._path(), picture_id, box))

    def document(
        self,
        media_type: str,
        title: str | None = None,
        pages: int | None = None,
        warnings: Sequence[str] = (),
        scanned_pages: int = 0,
        recognised_pages: int = 0,
    ) -> ParsedDocument:
        """Return what was collected; without a ``title``, the first of the top headings is it."""
        title = one_line(title or "")[:LONGEST_HEADING]
        self._give_mute_pictures_a_place()
        return ParsedDocument(
            media_type=media_type,
            elements=tuple(self._elements),
            title=title or self._top_heading(),
            pages=pages,
            warnings=(*warnings, *self._pictures.warnings),
            scanned_pages=scanned_pages,
            recognised_pages=recognised_pages,
            pictures=self._pictures.kept,
        )

    def _give_mute_pictures_a_place(self) -> None:
        for mute in self._mute:
            beside = (mute.position - 1, mute.position)
            free = [
                index
                for index in beside
                if 0 <= index < len(self._elements)
                and self._elements[index].page == mute.page
                and self._elements[index].picture is None
            ]
            # A heading would do, and a paragraph does better.
            free.sort(key=lambda index: self._elements[index].category is ElementCategory.TITLE)
            if free:
                shown = replace(self._elements[free[0]], picture=mute.picture_id)
                self._elements[free[0]] = shown
        self._mute.clear()

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


def _image(
    text: str, page: int | None, path: tuple[str, ...], picture_id: str, box: Box | None
) -> Element:
    return Element(
        ElementCategory.IMAGE, text, page, heading_path=path, picture=picture_id, box=box
    )
