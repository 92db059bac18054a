"""Org (.org): headings, lists, tables, blocks of code; without the markup within a line."""

from __future__ import annotations

import re

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import clean, one_line
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode
from ingestion_pipeline.parsing.tables import Cell

_HEADING = re.compile(r"(\*+) +(.*)")
_STATE = re.compile(r"(?:TODO|DONE|NEXT|WAITING|CANCELLED) +(?:\[#[A-Z]\] +)?|\[#[A-Z]\] +")
_TAGS = re.compile(r" (?::[\w@#%]+)+:$")
_KEYWORD = re.compile(r"\s*#\+(\w+):\s*(.*)")
_BEGIN = re.compile(r"\s*#\+begin_(\w+)", re.IGNORECASE)
_END = re.compile(r"\s*#\+end_(\w+)", re.IGNORECASE)
_COMMENT = re.compile(r"\s*#(?: |$)")
_DRAWER = re.compile(r"\s*:(?:PROPERTIES|LOGBOOK):\s*$", re.IGNORECASE)
_DRAWER_END = re.compile(r"\s*:END:\s*$", re.IGNORECASE)
_ITEM = re.compile(r"\s*(?:[-+]|\d+[.)])\s+(?:\[[ X-]\]\s+)?(.*)")
_RULE = re.compile(r"\s*\|-")
_LINK = re.compile(r"\[\[(?:[^\[\]]+)\]\[([^\[\]]+)\]\]")
_BARE_LINK = re.compile(r"\[\[([^\[\]]+)\]\]")
_EMPHASIS = re.compile(r"(?<![\w*/=~+])([*/=~+])(?=\S)([^\n]{0,300}?\S)\1(?![\w*/=~+])")
_FIXED = re.compile(r"\s*:(?: |$)")
_CODE = frozenset({"src", "example"})
_NO_CONTENT = frozenset({"comment", "export"})


def parse_org(data: bytes) -> ParsedDocument:
    """Read an outline."""
    reader = _Reader()
    for line in clean(decode(data)).split("\n"):
        reader.line(line)
    reader.flush()
    return reader.builder.document(FileType.ORG, title=reader.title)


class _Reader:
    """Takes line by line; what belongs together gathers until something else begins."""

    def __init__(self) -> None:
        self.builder = DocumentBuilder()
        self.title: str | None = None
        self._category = ElementCategory.NARRATIVE_TEXT
        self._lines: list[str] = []
        self._block: str | None = None
        self._in_drawer = False

    def line(self, line: str) -> None:
        """Take the next line."""
        if self._block is not None:
            self._in_block(line, self._block)
        elif self._in_drawer:
            self._in_drawer = not _DRAWER_END.match(line)
        elif not line.strip() or _COMMENT.match(line):
            self.flush()
        elif not self._begins_something(line):
            self._content(line)

    def flush(self) -> None:
        """Add what has gathered."""
        if self._category is ElementCategory.TABLE:
            self.builder.table(_rows(self._lines))
        else:
            self.builder.text(self._category, "\n".join(self._lines))
        self._lines.clear()
        self._category = ElementCategory.NARRATIVE_TEXT

    def _in_block(self, line: str, block: str) -> None:
        end = _END.match(line)
        if end and end[1].lower() == block:
            self.flush()
            self._block = None
        elif block in _CODE:
            self._category = ElementCategory.CODE_SNIPPET
            self._lines.append(line)
        elif block not in _NO_CONTENT:
            self._lines.append(_plain(line))

    def _begins_something(self, line: str) -> bool:
        if heading := _HEADING.match(line):
            self.flush()
            text = _TAGS.sub("", _STATE.sub("", one_line(heading[2]), count=1))
            self.builder.heading(_plain(text), len(heading[1]))
        elif begin := _BEGIN.match(line):
            self.flush()
            self._block = begin[1].lower()
        elif keyword := _KEYWORD.match(line):
            self.flush()
            if keyword[1].lower() == "title":
                self.title = keyword[2]
        elif _DRAWER.match(line):
            self.flush()
            self._in_drawer = True
        else:
            return False
        return True

    def _content(self, line: str) -> None:
        if line.lstrip().startswith("|"):
            self._switch(ElementCategory.TABLE)
            self._lines.append(line)
            return
        if _FIXED.match(line):
            self._switch(ElementCategory.CODE_SNIPPET)
            self._lines.append(_FIXED.sub("", line, count=1))
            return
        if item := _ITEM.match(line):
            self.flush()
            self._category = ElementCategory.LIST_ITEM
            self._lines.append(_plain(item[1]))
            return
        if self._category in (ElementCategory.TABLE, ElementCategory.CODE_SNIPPET):
            self.flush()
        if self._category is ElementCategory.LIST_ITEM and not line.startswith((" ", "\t")):
            self.flush()
        self._lines.append(_plain(line.strip()))

    def _switch(self, category: ElementCategory) -> None:
        if self._category is not category:
            self.flush()
        self._category = category


def _rows(lines: list[str]) -> list[list[Cell]]:
    """Return a table's rows; those above the first rule are its header."""
    rules = {index for index, line in enumerate(lines) if _RULE.match(line)}
    header = min((index for index in rules if index > 0), default=0)
    return [
        [Cell(_plain(cell), header=number < header) for cell in _cells(line)]
        for number, line in enumerate(lines)
        if number not in rules
    ]


def _cells(line: str) -> list[str]:
    return line.strip().removeprefix("|").removesuffix("|").split("|")


def _plain(text: str) -> str:
    text = _BARE_LINK.sub(r"\1", _LINK.sub(r"\1", text))
    return _EMPHASIS.sub(r"\2", text)
