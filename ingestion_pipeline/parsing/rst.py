"""reStructuredText: read by docutils, which may neither include files nor take raw markup in.

What docutils does not know, as most of what Sphinx adds, is read as the text that it holds.
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import TYPE_CHECKING

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import clean
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode
from ingestion_pipeline.parsing.tables import Cell

if TYPE_CHECKING:
    from docutils.nodes import Element, Node

_ROLE = re.compile(r":[\w:.+-]+:`([^`<]+?)(?:\s*<[^`>]*>)?`", re.DOTALL)
"""Of a role that is not known, the text; what it points to comes after it."""
_DIRECTIVE = re.compile(r"\.\. ([\w:.+-]+)::[ \t]*([^\n]*)\n?")
_OPTION = re.compile(r"\n*[ \t]*:[\w-]+:[^\n]*(?:\n|\Z)")
_NO_CONTENT = frozenset(
    {"toctree", "highlight", "index", "tabularcolumns", "currentmodule"}
    | {"include", "literalinclude", "raw"}
)
_SAFE = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 3,  # an error holds what could not be read
    "warning_stream": False,
    "halt_level": 6,
    "syntax_highlight": "none",
    "_disable_config": True,
    "line_length_limit": 10_000_000,
    "doctitle_xform": False,
}


def parse_rst(data: bytes) -> ParsedDocument:
    """Read a document: its first heading, if there is no other of its level, is its title."""
    builder = DocumentBuilder()
    _add_source(clean(decode(data)), 1, builder)
    return builder.document(FileType.RST)


def _add_source(source: str, level: int, builder: DocumentBuilder) -> None:
    from docutils import nodes
    from docutils.core import publish_doctree

    tree = publish_doctree(source, source_path="document", settings_overrides=_SAFE)
    for unread in list(tree.findall(nodes.problematic)):
        if role := _ROLE.fullmatch(unread.astext()):
            text = role[1].removeprefix("!")
            text = text[1:].rpartition(".")[2] if text.startswith("~") else text
            unread.children = [nodes.Text(text)]
    _add_all(tree, level, builder)


def _add_all(
    parent: Element,
    level: int,
    builder: DocumentBuilder,
    category: ElementCategory = ElementCategory.NARRATIVE_TEXT,
) -> None:
    for child in parent.children:
        _add(child, level, builder, category)


def _add(node: Node, level: int, builder: DocumentBuilder, category: ElementCategory) -> None:
    from docutils import nodes

    match node:
        case nodes.section():
            _add_all(node, level + 1, builder)
        case nodes.title():
            is_section = isinstance(node.parent, nodes.section)
            builder.heading(node.astext(), level - 1 if is_section else level)
        case nodes.literal_block() | nodes.doctest_block() | nodes.math_block():
            builder.text(ElementCategory.CODE_SNIPPET, node.astext())
        case nodes.table():
            _add_table(node, builder)
        case nodes.list_item() | nodes.definition_list_item() | nodes.field():
            _add_item(node, level, builder)
        case nodes.system_message():
            _add_unknown(node, level, builder)
        case nodes.Invisible() | nodes.Text():
            pass
        case nodes.TextElement() | nodes.line_block() | nodes.image():
            builder.text(category, node.astext())
        case nodes.Element():
            _add_all(node, level, builder, category)


def _add_unknown(message: Element, level: int, builder: DocumentBuilder) -> None:
    """Add what an unknown directive says: its argument and its content, but not its options."""
    from docutils import nodes

    block = next(iter(message.findall(nodes.literal_block)), None)
    found = _DIRECTIVE.match(block.astext()) if block is not None else None
    if found is None or found[1] in _NO_CONTENT:
        return
    content = dedent(block.astext()[found.end() :]) if block is not None else ""
    while option := _OPTION.match(content):
        content = content[option.end() :]
    _add_source(f"{found[2]}\n\n{dedent(content)}", level, builder)


def _add_item(item: Element, level: int, builder: DocumentBuilder) -> None:
    """Add an item; a term or a field's name stands before what is said of it."""
    from docutils import nodes

    names = [
        child.astext()
        for child in item.children
        if isinstance(child, nodes.term | nodes.field_name)
    ]
    if not names:
        _add_all(item, level, builder, ElementCategory.LIST_ITEM)
        return
    bodies = [
        child.astext()
        for child in item.children
        if isinstance(child, nodes.definition | nodes.field_body)
    ]
    builder.text(ElementCategory.LIST_ITEM, f"{', '.join(names)}: {' '.join(bodies)}")


def _add_table(table: Element, builder: DocumentBuilder) -> None:
    from docutils import nodes

    for title in table.findall(nodes.title):
        builder.text(ElementCategory.NARRATIVE_TEXT, title.astext())
    builder.table(
        [
            [
                Cell(
                    entry.astext(),
                    header=isinstance(row.parent, nodes.thead),
                    colspan=entry.get("morecols", 0) + 1,
                    rowspan=entry.get("morerows", 0) + 1,
                )
                for entry in row.children
                if isinstance(entry, nodes.entry)
            ]
            for row in table.findall(nodes.row)
        ]
    )
