"""HTML: what a reader would see of the page's content.

Nothing is fetched and no entity beyond HTML's own is resolved: pictures are those that the page
holds itself. Scripts, styles, navigation, forms and hidden parts are no content; neither are a
page's own header and footer, unless nothing would be left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import clean, one_line
from ingestion_pipeline.parsing.deep_html import text_of
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode
from ingestion_pipeline.parsing.pictures import data_uri
from ingestion_pipeline.parsing.plain_text import add_paragraphs
from ingestion_pipeline.parsing.tables import Cell

if TYPE_CHECKING:
    from lxml.etree import _Element

_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE
)
_CHARSET_WITHIN = 4096

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_NO_CONTENT = (
    {"head", "script", "style", "noscript", "template", "nav", "svg", "map", "iframe", "object"}
    | {"embed", "canvas", "audio", "video", "button", "select", "input", "textarea", "datalist"}
    | {"dialog", "noframes"}
)
_NO_CONTENT_ROLES = frozenset({"navigation", "search", "menu", "menubar", "dialog"})
_NO_CONTENT_CLASSES = frozenset(
    {"mw-editsection", "headerlink", "anchor-link", "header-anchor", "skip-link", "skip-to-content"}
    | {"sr-only", "visually-hidden", "screen-reader-text", "element-invisible"}
)
"""What sites add for editing, linking and screen readers, and nobody sees on the page."""
_FRAME = frozenset({"header", "footer"})
_FRAME_ROLES = frozenset({"banner", "contentinfo"})
_SECTIONS = frozenset({"article", "main", "section", "blockquote", "figure"})
_BLOCKS = (
    {"html", "body", "main", "article", "section", "header", "footer", "aside", "address", "div"}
    | {"p", "pre", "blockquote", "center", "figure", "figcaption", "hr", "details", "summary"}
    | {"form", "fieldset", "legend", "ul", "ol", "dir", "menu", "li", "dl", "dt", "dd", "hgroup"}
    | {"table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th", *_HEADINGS}
)
_HIDDEN_STYLE = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_WHITE_SPACE = re.compile("[ \t\n\r\f\xa0]+")
_LONGEST_CELL = 2000
"""Characters; a table with a longer cell arranges the page and holds no data."""
_OF_ROWS = frozenset({"thead", "tbody", "tfoot", "form"})
_LONGEST_VALUE = 100
"""Characters; cells of a single row that are no longer are a name and its value."""
_OF_A_PAGE = ("ul", "ol", "dl", "hr", "form", "blockquote", "pre")
_MOST_PARAGRAPHS = 3
"""In a cell; one with more of them, or with what only pages have, arranges a page."""


def parse_html(data: bytes) -> ParsedDocument:
    """Read a page: headings, paragraphs, list items, tables and code."""
    builder = DocumentBuilder()
    root = add_html(decode_html(data), builder)
    title = root.findtext(".//title") if root is not None else None
    return builder.document(FileType.HTML, title=title)


def decode_html(data: bytes, declared: str | None = None) -> str:
    """Return a page's source; what the page itself declares comes after ``declared``."""
    found = _CHARSET.search(data[:_CHARSET_WITHIN])
    return clean(decode(data, declared or (found[1].decode("ascii") if found else None)))


def add_html(
    source: str, builder: DocumentBuilder, picture: Callable[[str], bytes] = data_uri
) -> _Element | None:
    """Add the content of a page or fragment; returns its root, None where it holds no markup.

    ``picture`` returns the bytes of the picture that a URI names, nothing where there is none.
    """
    from lxml import etree

    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True
    )
    try:
        root = etree.fromstring(source.encode(), parser)
    except etree.XMLSyntaxError:  # nothing but comments or white space
        return None
    if any(error.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for error in parser.error_log):
        add_paragraphs(text_of(source, _BLOCKS, {"script", "style"}), builder)
        return root
    if root is None:
        return None
    if not _Walk(builder, picture).add(root, keep_frame=False):
        _Walk(builder, picture).add(root, keep_frame=True)
    return root


def table_rows(source: str) -> list[list[Cell]]:
    """Return the rows of the first table in ``source``, which is known to be one of data."""
    from lxml import etree

    parser = etree.HTMLParser(no_network=True, remove_comments=True, huge_tree=True)
    root = etree.fromstring(f"<body>{source}</body>", parser)
    table = root.find(".//table")
    if table is None:
        return []
    return [[_cell(cell) for cell in row.iterchildren("td", "th")] for row in _rows(table)]


class _Walk:
    """One walk over a page; text gathers until a block begins or ends, then becomes an element.

    The walk follows events instead of calling itself, for pages nest deeper than Python may.
    """

    def __init__(self, builder: DocumentBuilder, picture: Callable[[str], bytes]) -> None:
        self._builder = builder
        self._picture = picture
        self._blocks: list[str] = []
        self._text: list[str] = []
        self._pictures: list[tuple[bytes, str]] = []
        self._added = False

    def add(self, root: _Element, *, keep_frame: bool) -> bool:
        """Add the visible content below ``root``; tells whether there was any."""
        from lxml import etree

        walk = etree.iterwalk(root, events=("start", "end"))
        skipped: _Element | None = None
        for event, element in walk:
            if event == "start":
                if self._leave_out(element, keep_frame=keep_frame):
                    skipped = element
                    walk.skip_subtree()
                else:
                    self._start(element)
            else:
                if element is skipped:
                    skipped = None
                else:
                    self._end(element)
                if element is not root:
                    self._append(element.tail)
        self._flush()
        return self._added

    def _leave_out(self, element: _Element, *, keep_frame: bool) -> bool:
        """Whether to step over the element, for it is no content or a table just added whole."""
        if _is_no_content(element) or (not keep_frame and _is_page_frame(element)):
            if element.tag in _BLOCKS:
                self._flush()
            return True
        rows = _data_rows(element) if element.tag == "table" else None
        if rows is None:
            return False
        self._flush()
        caption = element.find("caption")
        if caption is not None:
            self._builder.text(ElementCategory.NARRATIVE_TEXT, one_line(_visible_text(caption)))
        self._builder.table(rows)
        self._added = True
        return True

    def _start(self, element: _Element) -> None:
        tag = element.tag
        if tag in _BLOCKS:
            self._flush()
            self._blocks.append(tag)
        elif tag == "br":
            self._text.append("\n")
        elif tag == "img":
            self._show(element)
        self._append(element.text)

    def _end(self, element: _Element) -> None:
        if element.tag in _BLOCKS:
            self._flush()
            self._blocks.pop()

    def _show(self, image: _Element) -> None:
        """Take a picture up; what it shows stands in the text around it."""
        text = image.get("alt") or ""
        if data := self._picture(image.get("src") or ""):
            self._pictures.append((data, text))
        self._append(f" {text} ")

    def _append(self, text: str | None) -> None:
        if text:
            self._text.append(text if "pre" in self._blocks else _WHITE_SPACE.sub(" ", text))

    def _flush(self) -> None:
        text = "".join(self._text)
        pictures = self._pictures[:]
        self._text.clear()
        self._pictures.clear()
        alone = len(pictures) == 1 and text.split() == pictures[0][1].split()
        if alone and self._builder.picture(*pictures[0]):
            self._added = True
            return
        self._add_block(text)
        for data, _ in pictures:
            self._added |= self._builder.picture(data)

    def _add_block(self, text: str) -> None:
        if not text.strip():
            return
        self._added = True
        kind = next((tag for tag in reversed(self._blocks) if tag in _KINDS), "p")
        if kind == "p" and "li" in self._blocks:
            kind = "li"
        if kind == "figcaption":
            self._builder.caption(text)
        elif kind in _HEADINGS:
            self._builder.heading(text, _HEADINGS[kind])
        elif kind == "pre":
            self._builder.text(ElementCategory.CODE_SNIPPET, text)
        else:
            lines = [" ".join(line.split()) for line in text.split("\n")]
            for paragraph in "\n".join(lines).split("\n\n"):
                self._builder.text(_KINDS[kind], paragraph)


_KINDS = {
    **dict.fromkeys(_HEADINGS, ElementCategory.TITLE),
    "pre": ElementCategory.CODE_SNIPPET,
    "li": ElementCategory.LIST_ITEM,
    "figcaption": ElementCategory.IMAGE,
    "p": ElementCategory.NARRATIVE_TEXT,
}


def _is_no_content(element: _Element) -> bool:
    return (
        element.tag in _NO_CONTENT
        or element.get("role") in _NO_CONTENT_ROLES
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or not _NO_CONTENT_CLASSES.isdisjoint((element.get("class") or "").split())
        or _HIDDEN_STYLE.search(element.get("style") or "") is not None
    )


def _is_page_frame(element: _Element) -> bool:
    """Whether this is the header or footer of the page, not of an article; a main heading stays."""
    if element.tag not in _FRAME and element.get("role") not in _FRAME_ROLES:
        return False
    if any(ancestor.tag in _SECTIONS for ancestor in element.iterancestors()):
        return False
    return element.find(".//h1") is None


def _data_rows(table: _Element) -> list[list[Cell]] | None:
    """Return the rows of a table of data, None for one that only arranges a page.

    What arranges a page is read as the blocks it holds, so that nothing is lost or doubled.
    """
    if table.get("role") in ("presentation", "none"):
        return None
    rows = [list(row.iterchildren("td", "th")) for row in _rows(table)]
    cells = [cell for row in rows for cell in row]
    named = any(cell.tag == "th" for cell in cells)
    if next(table.iterdescendants(*_HEADINGS), None) is not None:
        return None
    if not named and (table.find(".//table") is not None or any(map(_arranges, cells))):
        return None
    found = [[_cell(cell) for cell in row] for row in rows]
    texts = [[cell.text for cell in row if cell.text] for row in found]
    longest = max((len(text) for row in texts for text in row), default=0)
    if len(rows) < 2:
        is_pair = len(texts) == 1 and len(texts[0]) > 1 and longest <= _LONGEST_VALUE
        return found if is_pair else None
    if longest > _LONGEST_CELL or (max(map(len, rows)) < 2 and not named):
        return None
    return found


def _rows(table: _Element) -> Iterator[_Element]:
    """Yield the rows of a table, without those of tables within it."""
    for child in table:
        if child.tag == "tr":
            yield child
        elif child.tag in _OF_ROWS:
            yield from child.iterchildren("tr")


def _arranges(cell: _Element) -> bool:
    """Whether a cell holds a part of a page, of more than one block."""
    if next(cell.iterdescendants(*_OF_A_PAGE), None) is not None:
        return True
    return sum(1 for _ in cell.iterdescendants("p")) > _MOST_PARAGRAPHS


def _cell(cell: _Element) -> Cell:
    return Cell(
        text=_visible_text(cell),
        header=cell.tag == "th",
        colspan=_span(cell.get("colspan")),
        rowspan=_span(cell.get("rowspan")),
    )


def _span(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() else 1


def _visible_text(element: _Element) -> str:
    """Return all visible text below ``element``, its blocks separated by spaces."""
    from lxml import etree

    parts: list[str] = []
    walk = etree.iterwalk(element, events=("start", "end"))
    for event, child in walk:
        block = child.tag in _BLOCKS or child.tag == "br"
        if event == "start":
            if child is not element and _is_no_content(child):
                walk.skip_subtree()
                continue
            parts.append(" " if block else "")
            parts.append((child.get("alt") or "") if child.tag == "img" else child.text or "")
        else:
            parts.append(" " if block else "")
            if child is not element:
                parts.append(child.tail or "")
    return "".join(parts)
