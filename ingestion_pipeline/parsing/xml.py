"""XML of any vocabulary: elements without markup of their own are structure, the others text.

A section's heading is the text of its title, like elements below one parent are a table, and
elements of single values are lines of name and value. Attributes count where there is no text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.archive import xml_root
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import one_line
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode, marked_encoding, unmarked_wide_encoding
from ingestion_pipeline.parsing.html import add_html
from ingestion_pipeline.parsing.row_tables import add_sheet

if TYPE_CHECKING:
    from lxml.etree import _Element

_TITLES = frozenset({"title", "head", "heading", "header"})
_NAMES = frozenset({"name", "label"})
_BODIES = frozenset({"content", "text", "body", "abstract", "description", "summary"})
"""What needs no name before it, where there is nothing else."""
_ITEMS = frozenset({"item", "listitem", "li"})
_CODE = frozenset({"programlisting", "screen", "code", "pre", "literallayout", "listing"})
_PROSE = frozenset({"p", "para", "simpara", "paragraph"}) | _ITEMS | _CODE
"""What is never a value of a record."""
_HTML = re.compile(r"<(?:p|div|br|ul|ol|table|h[1-6]|a|b|strong|em|i|span|img)\b[^<>]*>")
"""In text: a page within the document, as feeds have it."""
_LONGEST_CELL = 200
"""Characters; a longer text is a paragraph, not a value."""
_NOT_SHOWN = ("{http://www.w3.org/2001/XMLSchema-instance}", "{http://www.w3.org/XML/1998")


def parse_xml(data: bytes) -> ParsedDocument:
    """Read a document; its schema, its style sheet and entities from outside are of no account."""
    root = _root(_source(data))
    builder = DocumentBuilder()
    _add(root, 1, builder)
    return builder.document(FileType.XML)


def _root(source: bytes) -> _Element:
    from lxml import etree

    try:
        return xml_root(source, own_entities=True)
    except etree.XMLSyntaxError:  # also for an entity from outside, which then stays as written
        return xml_root(source)


def _source(data: bytes) -> bytes:
    """Return what lxml can read: the encoding that is declared, or else the one that is there."""
    if marked_encoding(data) or unmarked_wide_encoding(data):
        text = decode(data).lstrip("\ufeff")
        start = text.find("?>") if text.startswith("<?xml") else -2
        return text[start + 2 :].encode()
    return data.lstrip()


def _add(element: _Element, level: int, builder: DocumentBuilder) -> None:
    """Add an element and what is below it."""
    children = [child for child in element if isinstance(child.tag, str)]
    if _is_mixed(element, children) or not children:
        _add_text(element, builder)
        return
    title = _title(children)
    below = level
    if title is not None:
        builder.heading(_text(title), level)
        below = level + 1
    rest = [child for child in children if child is not title]
    is_record = _is_record(rest) and (len(rest) > 1 or title is not None)
    lines = _lines(element, rest) if is_record else _attributes(element)
    builder.text(ElementCategory.NARRATIVE_TEXT, "\n".join(lines))
    if is_record:
        return
    if rows := _table(rest):
        add_sheet(rows, builder)
        return
    for child in rest:
        builder.end_headings(below)
        _add(child, below, builder)


def _add_text(element: _Element, builder: DocumentBuilder) -> None:
    name = _name(element)
    if name in _CODE:
        builder.text(ElementCategory.CODE_SNIPPET, "".join(element.itertext()))
        return
    parent = element.getparent()
    is_item = name in _ITEMS or (parent is not None and _name(parent) in _ITEMS)
    category = ElementCategory.LIST_ITEM if is_item else ElementCategory.NARRATIVE_TEXT
    if not len(element) and _HTML.search(element.text or ""):
        add_html(element.text or "", builder)
        return
    builder.text(category, _text(element) or "\n".join(_attributes(element)))


def _is_mixed(element: _Element, children: Sequence[_Element]) -> bool:
    """Whether text stands beside the children: then they are markup within it."""
    texts = [element.text, *(child.tail for child in children)]
    return any(text and not text.isspace() for text in texts)


def _title(children: Sequence[_Element]) -> _Element | None:
    """Return the child that is the heading of its siblings; single values have a name at most."""
    names = _TITLES if _is_record(children) else _TITLES | _NAMES
    titles = (child for child in children if _name(child) in names and _is_value(child))
    return next((child for child in titles if _text(child)), None)


def _is_record(children: Sequence[_Element]) -> bool:
    """Whether all children are single values, of which each has its own name."""
    names = {_name(child) for child in children}
    if not children or len(children) > len(names) or names & _PROSE:
        return False
    return all(map(_is_value, children)) and (len(children) > 1 or not names & _BODIES)


def _is_value(element: _Element) -> bool:
    text = element.text or ""
    return not len(element) and len(text) <= _LONGEST_CELL and not _HTML.search(text)


def _table(elements: Sequence[_Element]) -> list[list[str]]:
    """Return rows and their header if the elements are like records, else nothing."""
    if len(elements) < 2 or len({element.tag for element in elements}) > 1:
        return []
    if not all(map(_is_row, elements)):
        return []
    records = [_values(element) for element in elements]
    columns = list(dict.fromkeys(name for record in records for name in record))
    cells = sum(map(len, records))
    if len(columns) < 2 or 2 * cells < len(columns) * len(records):
        return []
    return [columns, *([record.get(name, "") for name in columns] for record in records)]


def _is_row(element: _Element) -> bool:
    children = list(element)
    if _is_mixed(element, children):
        return False
    names = {_name(child) for child in children}
    if len(names) < len(children) or names & _PROSE:
        return False
    return all(map(_is_value, children))


def _values(element: _Element) -> dict[str, str]:
    pairs = (line.partition(": ") for line in _lines(element, list(element)))
    return {name: value for name, _, value in pairs}


def _lines(element: _Element, children: Sequence[_Element]) -> list[str]:
    """Return the attributes and single values of a record as "name: value"."""
    lines = _attributes(element)
    for child in children:
        value = _text(child) or ", ".join(_attributes(child))
        if value:
            lines.append(f"{_tag(child)}: {value}")
    return lines


def _attributes(element: _Element) -> list[str]:
    return [
        f"{name.rpartition('}')[2]}: {value}"
        for name, value in element.items()
        if value and not name.startswith(_NOT_SHOWN)
    ]


def _tag(element: _Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _name(element: _Element) -> str:
    return _tag(element).lower()


def _text(element: _Element) -> str:
    return one_line("".join(element.itertext()))
