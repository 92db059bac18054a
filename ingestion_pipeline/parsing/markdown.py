"""Markdown: CommonMark with tables and strikethrough; inline markup becomes plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import clean
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode
from ingestion_pipeline.parsing.html import add_html
from ingestion_pipeline.parsing.pictures import data_uri
from ingestion_pipeline.parsing.plain_text import add_paragraphs
from ingestion_pipeline.parsing.tables import Cell

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?\n)?\1[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title\s*[:=]\s*(.+?)\s*$", re.MULTILINE)
_DEEPEST = 20
"""Blocks within each other, two for each list, before the reader leaves out what is below."""


def parse_markdown(data: bytes) -> ParsedDocument:
    """Read Markdown; front matter gives the title and is no text."""
    source, title = _without_front_matter(clean(decode(data)))
    builder = DocumentBuilder()
    add_markdown(source, builder)
    return builder.document(FileType.MARKDOWN, title=title)


def add_markdown(source: str, builder: DocumentBuilder) -> None:
    """Add what Markdown says; one that nests too deep is read as the text it is."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable(["table", "strikethrough"])
    tokens = markdown.parse(source)
    if any(token.level >= _DEEPEST - 1 for token in tokens):
        add_paragraphs(source, builder)
    else:
        _add_blocks(tokens, builder)


def _without_front_matter(source: str) -> tuple[str, str | None]:
    matter = _FRONT_MATTER.match(source)
    if matter is None:
        return source, None
    title = _FRONT_TITLE.search(matter[2] or "")
    return source[matter.end() :], title[1].strip("\"'") if title else None


def _add_blocks(tokens: Sequence[Token], builder: DocumentBuilder) -> None:
    list_depth = 0
    position = 0
    while position < len(tokens):
        token = tokens[position]
        match token.type:
            case "table_open":
                end = _closing(tokens, position)
                builder.table(_rows(tokens[position:end]))
                position = end
            case "heading_open":
                builder.heading(_plain(tokens[position + 1]), level=int(token.tag[1:]))
                position += 1
            case "list_item_open":
                list_depth += 1
            case "list_item_close":
                list_depth -= 1
            case "inline":
                category = (
                    ElementCategory.LIST_ITEM if list_depth else ElementCategory.NARRATIVE_TEXT
                )
                builder.text(category, _plain(token))
                _add_pictures(token, builder)
            case "fence" | "code_block":
                builder.text(ElementCategory.CODE_SNIPPET, token.content)
            case "html_block":
                add_html(token.content, builder)
        position += 1


def _add_pictures(token: Token, builder: DocumentBuilder) -> None:
    """Add the pictures that the text holds itself; what they show stands in it."""
    for child in token.children or ():
        if child.type == "image" and (data := data_uri(str(child.attrs.get("src", "")))):
            builder.picture(data)


def _closing(tokens: Sequence[Token], start: int) -> int:
    """Return where the block that opens at ``start`` closes; tables do not nest."""
    closing = tokens[start].type.replace("_open", "_close")
    return next(i for i in range(start, len(tokens)) if tokens[i].type == closing)


def _rows(tokens: Sequence[Token]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for before, token in pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(Cell(_plain(token), header=before.type == "th_open"))
    return rows


def _plain(token: Token) -> str:
    """Return the text of an inline token: link texts, alternative texts of images, code."""
    parts: list[str] = []
    for child in token.children or ():
        match child.type:
            case "text" | "code_inline":
                parts.append(child.content)
            case "softbreak":
                parts.append(" ")
            case "hardbreak":
                parts.append("\n")
            case "image":
                parts.append(_plain(child))
            case "html_inline" if child.content.lower().startswith("<br"):
                parts.append("\n")
    return "".join(parts)
