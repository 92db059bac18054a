"""Rich text (.rtf): headings by style or outline level, lists, tables, footnotes.

Not read: page headers and footers, comments, pictures, deleted and hidden text. Source: Rich Text
Format Specification 1.9.1.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field, replace

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.tables import Cell

_TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([^\\{}\r\n]+)",
    re.DOTALL,
)
_NO_CONTENT = frozenset(
    {"colortbl", "pict", "object", "nonshppict", "shprslt", "sp", "fldinst", "annotation", "atnid"}
    | {"header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"}
    | {
        "generator",
        "listtext",
        "pntext",
        "author",
        "operator",
        "company",
        "doccomm",
        "keywords",
        "comment",
    }
    | {"subject", "manager", "category", "bkmkstart", "bkmkend", "xe", "tc", "ftnsep", "ftnsepc"}
    | {"revtbl", "listtable", "listoverridetable", "filetbl", "hlinkbase"}
)
_STARRED_CONTENT = frozenset({"shpinst"})
_SIGNS = {
    "tab": "\t", "line": "\n", "lbr": "\n", "emdash": "\u2014", "endash": "\u2013", "bullet": "•",
    "lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d",
    "emspace": " ", "enspace": " ", "qmspace": " ", "~": " ", "_": "-", "{": "{", "}": "}",
    "\\": "\\", "nestcell": " | ",
}  # fmt: skip
_PARAGRAPH_ENDS = frozenset({"par", "sect", "page", "column", "\n", "\r"})
_CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "big5hkscs",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257",
    204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
_BODY_TEXT_LEVEL = 9
_HEADING_STYLE = re.compile(r"heading (\d)")


def parse_rtf(data: bytes) -> ParsedDocument:
    """Read a document; it has no pages until it is laid out."""
    builder = DocumentBuilder()
    title = add_rtf(data, builder)
    return builder.document(FileType.RTF, title=title)


def add_rtf(data: bytes, builder: DocumentBuilder) -> str:
    """Add the content of a document; returns its title, nothing where it has none."""
    reader = _Reader(builder)
    source = data.decode("latin-1")
    position = 0
    while match := _TOKEN.search(source, position):
        position = match.end()
        if match[1] == "bin":
            position += max(int(match[2] or 0), 0)
        reader.token(match)
    reader.end()
    return reader.title.strip()


@dataclass
class _State:
    """What a group inherits and forgets at its end."""

    destination: str = "text"
    """Where text goes: "text", "footnote", "title", "fonttbl", "stylesheet" or "none"."""
    encoding: str | None = None
    """Of the font; None for that of the document."""
    hidden: bool = False
    fallbacks: int = 1
    """Characters that stand after each Unicode character for readers that know none."""


@dataclass
class _Paragraph:
    style: int = 0
    level: int | None = None
    is_item: bool = False
    in_table: bool = False


@dataclass
class _Table:
    rows: list[list[Cell]] = field(default_factory=list)
    row: list[Cell] = field(default_factory=list)


class _Reader:
    """Takes one token after the other; groups are a stack, so that none is too deep."""

    def __init__(self, builder: DocumentBuilder) -> None:
        self.builder = builder
        self.title = ""
        self._state = _State()
        self._stack: list[_State] = []
        self._paragraph = _Paragraph()
        self._table = _Table()
        self._text: list[str] = []
        self._bytes = bytearray()
        self._footnotes: list[str] = []
        self._starred = False
        self._skip = 0
        self._encoding = "cp1252"
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._styles: dict[int, int] = {}
        self._style = 0
        self._style_name = ""

    def token(self, match: re.Match[str]) -> None:
        """Take the next token."""
        word, number, byte, sign, brace, text = match.groups()
        if brace == "{":
            self._decode()
            self._stack.append(replace(self._state))
        elif brace == "}":
            self._close()
        elif byte is not None:
            self._add_bytes(bytes([int(byte, 16)]))
        elif text is not None:
            self._add_bytes(text.encode("latin-1"))
        elif sign == "*":
            self._starred = True
        else:
            self._control(word or sign, int(number) if number else None)

    def end(self) -> None:
        """Add what no paragraph mark ended."""
        self._end_paragraph()
        self._end_table()

    def _close(self) -> None:
        self._decode()
        ended = self._state.destination
        if self._stack:
            self._state = self._stack.pop()
        if ended == "footnote" != self._state.destination:
            self._footnotes.append("\n")
        self._skip = 0

    def _control(self, word: str, number: int | None) -> None:
        starred, self._starred = self._starred, False
        if word == "u" and number is not None:
            self._add_unicode(number)
            return
        self._decode()
        if (starred and word not in _STARRED_CONTENT) or word in _NO_CONTENT:
            self._paragraph.is_item |= word in {"listtext", "pntext", "pn"}
            self._state.destination = "none"
        elif word in _DESTINATIONS:
            if self._state.destination != "none":
                self._state.destination = _DESTINATIONS[word]
        elif word in _SIGNS:
            self._add(_SIGNS[word])
        elif self._state.destination == "text":
            self._layout(word, number)
        self._property(word, number)

    def _layout(self, word: str, number: int | None) -> None:
        """Take what ends or describes paragraphs, cells and rows."""
        paragraph = self._paragraph
        match word:
            case "cell":
                self._table.row.append(Cell(self._take()))
            case "row":
                self._table.rows.append(self._table.row)
                self._table.row = []
            case "pard":
                self._paragraph = _Paragraph()
            case "intbl":
                paragraph.in_table = True
            case "s":
                paragraph.style = number or 0
            case "outlinelevel":
                paragraph.level = _level(number)
            case "ls":
                paragraph.is_item = number != 0
            case _ if word in _PARAGRAPH_ENDS and paragraph.in_table:
                self._text.append("\n")
            case _ if word in _PARAGRAPH_ENDS:
                self._end_paragraph()

    def _property(self, word: str, number: int | None) -> None:
        """Take what says how bytes become characters, and which styles are headings."""
        state = self._state
        if word == "ansicpg":
            self._encoding = _known(f"cp{number}") or self._encoding
        elif word == "mac":
            self._encoding = "mac_roman"
        elif word == "f" and number is not None:
            self._font = number
            state.encoding = self._fonts.get(number)
        elif word == "fcharset" and state.destination == "fonttbl" and number in _CHARSETS:
            self._fonts[self._font] = _CHARSETS[number]
        elif word == "plain":
            state.hidden = False
        elif word in {"v", "deleted"}:
            state.hidden = number != 0
        elif word == "uc" and number is not None:
            state.fallbacks = max(number, 0)
        elif state.destination == "stylesheet":
            self._style_property(word, number)

    def _style_property(self, word: str, number: int | None) -> None:
        if word == "s" and number is not None:
            self._style = number
        elif word == "outlinelevel" and (level := _level(number)) is not None:
            self._styles[self._style] = level

    def _add_unicode(self, number: int) -> None:
        self._decode()
        self._add(chr(number % 0x10000))
        self._skip = self._state.fallbacks

    def _add_bytes(self, data: bytes) -> None:
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._bytes += data[skipped:]

    def _decode(self) -> None:
        """Turn the bytes since the last change of anything into text."""
        if self._bytes:
            encoding = self._state.encoding or self._encoding
            self._add(self._bytes.decode(encoding, errors="replace"))
            self._bytes.clear()

    def _add(self, text: str) -> None:
        match self._state.destination:
            case "text" if not self._state.hidden:
                self._text.append(text)
            case "footnote":
                self._footnotes.append(text)
            case "title":
                self.title += text
            case "stylesheet":
                self._style_name += text
                if text.endswith(";"):
                    if heading := _HEADING_STYLE.match(self._style_name.strip().lower()):
                        self._styles.setdefault(self._style, int(heading[1]))
                    self._style, self._style_name = 0, ""

    def _take(self) -> str:
        """Return the text that has gathered, surrogates joined."""
        text = "".join(self._text)
        self._text.clear()
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _end_paragraph(self) -> None:
        self._decode()
        text = self._take()
        if text.strip():
            self._end_table()
        paragraph = self._paragraph
        level = paragraph.level or self._styles.get(paragraph.style)
        if level is not None:
            self.builder.heading(text, level)
        elif paragraph.is_item:
            self.builder.text(ElementCategory.LIST_ITEM, text)
        else:
            self.builder.text(ElementCategory.NARRATIVE_TEXT, text)
        self._add_footnotes()

    def _end_table(self) -> None:
        if self._table.row:
            self._table.rows.append(self._table.row)
        cells = [cell for row in self._table.rows for cell in row]
        if len(cells) == 1:
            self.builder.text(ElementCategory.NARRATIVE_TEXT, cells[0].text)
        elif cells:
            self.builder.table(self._table.rows)
            self._add_footnotes()
        self._table = _Table()

    def _add_footnotes(self) -> None:
        notes = "".join(self._footnotes).encode("utf-16", "surrogatepass")
        self._footnotes.clear()
        for note in notes.decode("utf-16", "replace").split("\n"):
            self.builder.text(ElementCategory.NARRATIVE_TEXT, note)


_DESTINATIONS = {
    "footnote": "footnote",
    "title": "title",
    "fonttbl": "fonttbl",
    "stylesheet": "stylesheet",
}


def _level(outline: int | None) -> int | None:
    """Return the level from 1, None for body text; the format's own counts from 0."""
    return outline + 1 if outline is not None and 0 <= outline < _BODY_TEXT_LEVEL else None


def _known(encoding: str) -> str | None:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return None
