"""OLE containers made for tests, as bytes: Word 97, PowerPoint 97 and Outlook documents.

Written from [MS-CFB], [MS-DOC], [MS-PPT] and [MS-OXMSG], with as little in them as readers need.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

Tree = Mapping[str, "bytes | Tree"]

_END, _FREE, _TABLE, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF
_SECTOR, _SMALL_SECTOR, _SMALL = 512, 64, 4096


@dataclass
class _Entry:
    name: str
    kind: int
    child: int = _NONE
    right: int = _NONE
    start: int = _END
    size: int = 0

    def packed(self) -> bytes:
        text = self.name.encode("utf-16-le")
        return struct.pack(
            "<64sHBBIII36xIII",
            text, len(text) + 2, self.kind, 1, _NONE, self.right, self.child,
            self.start, self.size, 0,
        )  # fmt: skip


@dataclass
class _Container:
    entries: list[_Entry] = field(default_factory=lambda: [_Entry("Root Entry", 5)])
    small: bytearray = field(default_factory=bytearray)
    small_table: list[int] = field(default_factory=list)
    large: list[tuple[_Entry, bytes]] = field(default_factory=list)

    def add(self, tree: Tree) -> int:
        """Add streams and folders; returns the number of the first."""
        above: _Entry | None = None
        first = _NONE
        for name in sorted(tree, key=lambda name: (len(name), name.upper())):
            content = tree[name]
            number = len(self.entries)
            entry = _Entry(name, 2 if isinstance(content, bytes) else 1)
            self.entries.append(entry)
            if isinstance(content, bytes):
                self._add_stream(entry, content)
            else:
                entry.child = self.add(content)
            if above is None:
                first = number
            else:
                above.right = number
            above = entry
        return first

    def _add_stream(self, entry: _Entry, content: bytes) -> None:
        entry.size = len(content)
        if len(content) >= _SMALL:
            self.large.append((entry, content))
        elif content:
            entry.start = len(self.small_table)
            self.small_table += _chain(entry.start, -(-len(content) // _SMALL_SECTOR))
            self.small += _padded(content, _SMALL_SECTOR)


def _chain(start: int, length: int) -> list[int]:
    return [*range(start + 1, start + length), _END] if length else []


def _padded(content: bytes, size: int) -> bytes:
    return content + bytes(-len(content) % size)


def ole(tree: Tree) -> bytes:
    """Return a container of streams, by name, and folders of them."""
    container = _Container()
    root = container.entries[0]
    root.child = container.add(tree)
    root.size = len(container.small)
    small_table = struct.pack(f"<{len(container.small_table)}I", *container.small_table)
    small_table += b"\xff" * (-len(small_table) % _SECTOR)
    directory_size = -(-len(container.entries) * 128 // _SECTOR) * _SECTOR
    chains = [
        directory_size, len(small_table), len(container.small),
        *(len(content) for _, content in container.large),
    ]  # fmt: skip
    lengths = [-(-size // _SECTOR) for size in chains]
    tables = next(count for count in range(1, 110) if count * 127 >= sum(lengths))
    table = [_TABLE] * tables
    starts = []
    for length in lengths:
        starts.append(len(table) if length else _END)
        table += _chain(len(table), length)
    table += [_FREE] * (tables * 128 - len(table))
    root.start = starts[2]
    for (entry, _), start in zip(container.large, starts[3:], strict=True):
        entry.start = start
    directory = b"".join(entry.packed() for entry in container.entries)
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        0x3E, 3, 0xFFFE, 9, 6, 0, tables, starts[0], 0, _SMALL,
        starts[1], lengths[1], _END, 0,
    )  # fmt: skip
    header += struct.pack("<109I", *range(tables), *[_FREE] * (109 - tables))
    body = [directory, small_table, bytes(container.small), *(each for _, each in container.large)]
    packed_table = struct.pack(f"<{len(table)}I", *table)
    return header + packed_table + b"".join(_padded(part, _SECTOR) for part in body)


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of a Word document: its text with the mark at its end, style and properties."""

    text: str
    style: int = 0
    properties: bytes = b""


IN_TABLE = struct.pack("<HB", 0x2416, 1)
_TWO_COLUMNS = struct.pack("<B3h", 2, 0, 1000, 2000) + bytes(2 * 20)
ROW_END = (
    IN_TABLE
    + struct.pack("<HB", 0x2417, 1)
    + struct.pack("<HH", 0xD608, len(_TWO_COLUMNS) + 1)
    + _TWO_COLUMNS
)
IN_LIST = struct.pack("<HBHH", 0x260A, 0, 0x460B, 1)

WORD: Sequence[Paragraph] = (
    Paragraph("Travel\r", style=1),
    Paragraph(
        'The committee approves caf\u00e9s and \x13HYPERLINK "http://example.com"\x14every '
        "journey\x15 to \u6771\u4eac.\r"
    ),
    Paragraph("Receipts\r", style=2),
    Paragraph("Keep them\r", properties=IN_LIST),
    Paragraph("Hand them in\r", properties=IN_LIST),
    Paragraph("City\x07", properties=IN_TABLE),
    Paragraph("Rate\x07", properties=IN_TABLE),
    Paragraph("\x07", properties=ROW_END),
    Paragraph("Oslo\x07", properties=IN_TABLE),
    Paragraph("120\x07", properties=IN_TABLE),
    Paragraph("\x07", properties=ROW_END),
    Paragraph("After the table.\r"),
)
DELETED, HIDDEN = struct.pack("<HB", 0x0800, 1), struct.pack("<HB", 0x083C, 1)
NOTES, PAGE_HEADERS, COMMENTS, TEXT_BOXES = 0x50, 0x54, 0x5C, 0x64
_TEXT_AT = 1536


def handbook_doc(
    *,
    encrypted: bool = False,
    paragraphs: Sequence[Paragraph] = WORD,
    others: Mapping[int, str] = MappingProxyType({}),
    marked: tuple[str, bytes] = ("After", b""),
) -> bytes:
    """Return a Word 97 document in two pieces, the first of which has a byte per character.

    ``others`` are the texts besides the body, each by the place where its length is said;
    ``marked`` is a part of the second piece, and the properties of its characters.
    """
    body = sum(len(paragraph.text) for paragraph in paragraphs)
    if others:
        paragraphs = [*paragraphs, *map(Paragraph, others.values()), Paragraph("\r")]
    first = paragraphs[0].text
    rest = "".join(paragraph.text for paragraph in paragraphs[1:])
    wide_at = _TEXT_AT + len(first) + len(first) % 2
    end = wide_at + 2 * len(rest)
    papx_at = -(-end // _SECTOR)
    places = [_TEXT_AT]
    position = wide_at
    for paragraph in paragraphs[1:]:
        places.append(position)
        position += 2 * len(paragraph.text)
    places.append(position)
    stream = bytearray(papx_at * _SECTOR)
    stream[_TEXT_AT : _TEXT_AT + len(first)] = first.encode("cp1252")
    stream[wide_at:end] = rest.encode("utf-16-le")
    stream += _papx(paragraphs, places)
    run_at = wide_at + 2 * rest.index(marked[0])
    runs = (_TEXT_AT, run_at, run_at + 2 * len(marked[0]), end)
    stream += _chpx(runs, marked[1])
    count = len(first) + len(rest)
    pieces = struct.pack("<III", 0, len(first), count)
    pieces += struct.pack("<HIHHIH", 0, _TEXT_AT * 2 | 0x40000000, 0, 0, wide_at, 0)
    parts = {
        1: _styles(),
        12: struct.pack("<III", _TEXT_AT, end, papx_at + 1),
        13: struct.pack("<III", _TEXT_AT, end, papx_at),
        33: struct.pack("<BI", 2, len(pieces)) + pieces,
    }
    table = bytearray()
    fib = bytearray(0x9A + 8 * 93 + 2)
    struct.pack_into("<HHHHHH", fib, 0, 0xA5EC, 0xC1, 0, 0x409, 0, 0x0200 | 0x100 * encrypted)
    struct.pack_into("<H", fib, 0x20, 14)
    struct.pack_into("<H", fib, 0x3E, 22)
    struct.pack_into("<I", fib, 0x40, len(stream))
    struct.pack_into("<I", fib, 0x4C, body)
    for place, text in others.items():
        struct.pack_into("<I", fib, place, len(text))
    struct.pack_into("<H", fib, 0x98, 93)
    for index, part in parts.items():
        struct.pack_into("<II", fib, 0x9A + 8 * index, len(table), len(part))
        table += part
    stream[: len(fib)] = fib
    return ole({"WordDocument": bytes(stream), "1Table": bytes(table)})


def _papx(paragraphs: Sequence[Paragraph], places: Sequence[int]) -> bytes:
    """Return the page that says where paragraphs are and what style and properties they have."""
    page = bytearray(_SECTOR)
    struct.pack_into(f"<{len(places)}I", page, 0, *places)
    at = _SECTOR - 2
    for number, paragraph in enumerate(paragraphs):
        content = struct.pack("<H", paragraph.style) + paragraph.properties
        content += bytes(len(content) % 2 == 0)
        at = (at - 1 - len(content)) // 2 * 2
        page[at : at + 1 + len(content)] = bytes([(len(content) + 1) // 2]) + content
        page[4 * len(places) + 13 * number] = at // 2
    page[-1] = len(paragraphs)
    return bytes(page)


def _chpx(runs: Sequence[int], properties: bytes) -> bytes:
    """Return the page that says where runs of characters are; the second has ``properties``."""
    page = bytearray(_SECTOR)
    struct.pack_into(f"<{len(runs)}I", page, 0, *runs)
    at = 400
    page[4 * len(runs) + 1] = at // 2
    page[at : at + 1 + len(properties)] = bytes([len(properties)]) + properties
    page[-1] = len(runs) - 1
    return bytes(page)


def _styles() -> bytes:
    """Return the styles Normal, heading 1 and heading 2."""
    header = struct.pack("<9H", 15, 10, 1, 105, 15, 0, 0, 0, 0)
    styles = struct.pack("<H", len(header)) + header
    for number, name in enumerate(("Normal", "heading 1", "heading 2")):
        base = 0 if number else 0xFFF
        style = struct.pack("<5H", number, 1 | base << 4, 2 | number << 4, 0, 0)
        style += struct.pack("<H", len(name)) + name.encode("utf-16-le") + bytes(2)
        properties = struct.pack("<H", number)
        if number:
            properties += struct.pack("<HB", 0x2640, number - 1)
        style += struct.pack("<H", len(properties)) + properties + bytes(len(properties) % 2)
        style += struct.pack("<H", 0)
        styles += struct.pack("<H", len(style)) + style
    return styles + bytes(2 * 12)


def _record(kind: int, content: bytes, *, instance: int = 0, inner: bool = False) -> bytes:
    return struct.pack("<HHI", instance << 4 | 0xF * inner, kind, len(content)) + content


_TITLE, _BODY, _NOTES = 0, 1, 2
SLIDES: Sequence[Sequence[tuple[int, str]]] = (
    ((_TITLE, "Travel"), (_BODY, "Keep receipts\rHand them in"), (_NOTES, "Say it twice.")),
    ((_TITLE, "R\u00e9ceipts"), (_BODY, "\u6771\u4eac costs 120")),
)


def handbook_ppt(*, encrypted: bool = False) -> bytes:
    """Return a presentation of two slides whose texts stand in the outline."""
    outline = b""
    for number, texts in enumerate(SLIDES):
        outline += _record(
            0x03F3, struct.pack("<IIiII", number + 2, 4, len(texts), 256 + number, 0)
        )
        for kind, text in texts:
            outline += _record(0x0F9F, struct.pack("<I", kind))
            if text.isascii():
                outline += _record(0x0FA8, text.encode())
            else:
                outline += _record(0x0FA0, text.encode("utf-16-le"))
    document = _record(0x03E9, bytes(40))
    document += _record(0x0FF0, outline, inner=True) + _record(0x03EA, b"")
    parts = [_record(0x03E8, document, inner=True)]
    for texts in SLIDES:
        boxes = b"".join(
            _record(0xF004, _record(0xF00D, reference, inner=True), inner=True)
            for reference in (
                _record(0x0F9E, struct.pack("<I", number)) for number in range(len(texts))
            )
        )
        drawing = _record(0xF002, _record(0xF003, boxes, inner=True), inner=True)
        slide = _record(0x03EF, bytes(24)) + _record(0x040C, drawing, inner=True)
        parts.append(_record(0x03EE, slide, inner=True))
    places = [sum(map(len, parts[:number])) for number in range(len(parts))]
    body = b"".join(parts)
    directory_at = len(body)
    body += _record(0x1772, struct.pack(f"<I{len(places)}I", len(places) << 20 | 1, *places))
    edit_at = len(body)
    body += _record(0x0FF5, struct.pack("<IIIIIIHH", 256, 0x03000000, 0, directory_at, 1, 4, 1, 0))
    token = 0xF3D1C4DF if encrypted else 0xE391C05F
    user = _record(0x0FF6, struct.pack("<IIIHHBBHI", 20, token, edit_at, 0, 0x3F4, 3, 0, 0, 8))
    return ole({"Current User": user, "PowerPoint Document": body})


def _properties(
    values: Mapping[int, str | bytes | int | dt.datetime], header: int
) -> dict[str, bytes]:
    """Return the streams of properties; a text in bytes is one of eight bits."""
    table = bytes(header)
    streams: dict[str, bytes] = {}
    for identity, value in values.items():
        match value:
            case bool() | int():
                table += struct.pack("<HHIQ", 3, identity, 6, value)
            case dt.datetime():
                since = value - dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
                ticks = since // dt.timedelta(microseconds=1) * 10
                table += struct.pack("<HHIQ", 0x40, identity, 6, ticks)
            case str():
                table += struct.pack("<HHIQ", 0x1F, identity, 6, 2 * len(value) + 2)
                streams[f"__substg1.0_{identity:04X}001F"] = value.encode("utf-16-le")
            case bytes():
                kind = 0x0102 if identity in {0x1009, 0x1013, 0x3701} else 0x1E
                table += struct.pack("<HHIQ", kind, identity, 6, len(value))
                streams[f"__substg1.0_{identity:04X}{kind:04X}"] = value
    return {"__properties_version1.0": table, **streams}


def msg(
    values: Mapping[int, str | bytes | int | dt.datetime],
    *,
    recipients: Sequence[Mapping[int, str | int]] = (),
    attachments: Sequence[Mapping[int, str | bytes | int] | Tree] = (),
    header: int = 32,
) -> Tree:
    """Return the tree of a message; an attachment that has a tree is a message itself."""
    tree: dict[str, bytes | Tree] = dict(_properties(values, header))
    for number, recipient in enumerate(recipients):
        tree[f"__recip_version1.0_#{number:08X}"] = _properties(recipient, 8)
    for number, attachment in enumerate(attachments):
        name = f"__attach_version1.0_#{number:08X}"
        if "__properties_version1.0" in attachment:
            inner = {"__substg1.0_3701000D": attachment, **_properties({0x3705: 5}, 8)}
            tree[name] = inner  # type: ignore[assignment]
        else:
            tree[name] = _properties(attachment, 8)  # type: ignore[arg-type]
    return tree


def handbook_msg() -> bytes:
    """Return a message with an HTML body that shows a picture, a file and a message attached."""
    inner = msg({0x0037: "Rates", 0x1000: "Oslo is 120."}, header=24)
    return ole(
        msg(
            {
                0x0037: "Reisen handbook",
                0x0039: dt.datetime(2024, 10, 1, 12, 34, 56, tzinfo=dt.UTC),
                0x0C1A: "Büro",
                0x0C1F: "office@example.com",
                0x3FDE: 28591,
                0x1000: "Plain body.",
                0x1013: b"<h2>Receipts</h2><p>Keep them, caf\xe9s too.<img src='cid:map'></p>",
            },
            recipients=[
                {0x0C15: 1, 0x3001: "All", 0x39FE: "all@example.com"},
                {0x0C15: 2, 0x3001: "Desk", 0x3003: "/o=Exchange/cn=desk"},
            ],
            attachments=[
                {0x3707: "rates.csv", 0x370E: "text/csv", 0x3701: b"City;Rate\nOslo;120\n"},
                {0x3707: "map.png", 0x3712: "map", 0x3701: b"\x89PNG"},
                inner,
            ],
        )
    )
