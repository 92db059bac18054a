"""Documents of further formats made for tests, as bytes."""

from __future__ import annotations

import datetime as dt
import io
import struct
import tarfile
from collections.abc import Callable, Sequence
from typing import Literal

import openpyxl
import pptx
from pptx.util import Inches

from ingestion_pipeline_tests.parsing.ole_samples import (
    handbook_doc,
    handbook_msg,
    handbook_ppt,
    ole,
)
from ingestion_pipeline_tests.parsing.samples import EVERY_FORMAT, zipped

CSV = 'City;Rate;Note\nOslo;120,50;"cold; dark"\nGöteborg;98;\n'.encode("cp1252")
TSV = b"City\tRate\nOslo\t120\nBergen\t98\n"

JSON = b"""{"title": "Travel Handbook", "year": 2024, "approved": true, "draft": null,
"rates": [{"city": "Oslo", "rate": 120}, {"city": "Rome", "rate": 98.5}],
"rules": {"receipts": {"where": "office", "list": ["Keep them", "Hand them in"]}}}"""
JSON_LINES = b"""{"city": "Oslo", "rate": 120}
{"city": "Rome", "rate": 98.5}
"""

XML = b"""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE handbook SYSTEM "handbook.dtd">
<handbook version="3"><title>Travel</title>
<section><title>Receipts</title>
<para>Whoever <b>travels</b> keeps them.</para>
<list><item>Keep them</item><item>Hand them in</item></list></section>
<section><title>Rates</title><row city="Oslo"><rate>120</rate></row>
<row city="Rome"><rate>98</rate></row></section>
<contact><name>Office</name><phone>555</phone></contact></handbook>"""

RTF = rb"""{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\froman Times;}{\f1\fcharset204 Cyr;}}
{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 Chapter;}{\s2 heading 2;}}
{\info{\title Travel Handbook}{\author Nobody}}{\header Page header}
\pard\s1 Travel\par\pard The committee approves
 caf\'e9s \u26481?\u20140? and {\f1\'cc\'ee\'f1\'ea\'e2\'e0}.
{\footnote A note.}\par
\pard\s2 Receipts\par{\listtext 1.}\pard\ls1 Keep them\par{\v hidden}{\*\unknown no text}
\trowd\cellx100\cellx200\pard\intbl City\cell Rate\cell\row
\trowd\pard\intbl Oslo\cell 120\cell\row\pard After the table.\par}"""

RST = b"""Travel
======

The *committee* approves `every journey <http://example.com>`_.

.. include:: /etc/hostname
.. raw:: html

   <b>raw</b>

Receipts
--------

- Keep them
- Hand them in

+------+------+
| City | Rate |
+======+======+
| Oslo | 120  |
+------+------+

.. code:: python

   rate = 120

term
   what it means
"""

ORG = b"""#+TITLE: Travel Handbook
# a comment
* TODO Travel :office:
:PROPERTIES:
:ID: 1
:END:
The committee approves
[[http://example.com][every journey]].
** Receipts
- Keep them
- [X] Hand them in
| City | Rate |
|------+------|
| Oslo | 120  |
#+BEGIN_SRC python
* rate = 120
#+END_SRC
"""

NOTEBOOK = b"""{"cells": [
{"cell_type": "markdown", "metadata": {}, "source": ["# Travel\\n", "What cities cost.\\n"]},
{"cell_type": "code", "metadata": {}, "source": "print(rates)", "execution_count": 1,
 "outputs": [{"output_type": "stream", "name": "stdout", "text": ["Oslo 120\\n"]}]}],
"metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5}"""

SVG = b"""<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg"><title>Rates</title><path d="M0 0"/>
<text>Oslo <tspan>120</tspan></text></svg>"""

MBOX = b"""From a@example.com Mon Jan  1 00:00:00 2024
From: a@example.com
Subject: Travel

Hello.

>From here on.

From c@example.com Tue Jan  2 00:00:00 2024
From: c@example.com
Subject: Re: Travel

From me, too.
"""

EML = b"""Received: by a
\tfor b
MIME-Version: 1.0
From: =?utf-8?q?B=C3=BCro?= <office@example.com>
To: all@example.com
Subject: =?utf-8?b?UmVpc2Vu?= handbook
Date: Tue, 01 Oct 2024 12:34:56 -0500
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8

Plain body.
--inner
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

<h2>Receipts</h2><p>Keep them, caf=E9s too.</p>
<table><tr><th>City</th><th>Rate</th></tr><tr><td>Oslo</td><td>120</td></tr></table>
--inner--
--outer
Content-Type: application/pdf; name="rates.pdf"
Content-Disposition: attachment; filename="rates.pdf"
Content-Transfer-Encoding: base64

AAAA
--outer--
"""


def handbook_xlsx() -> bytes:
    """Return a workbook with captions, a header, formats of numbers and a hidden sheet."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Rates"
    sheet.append(["Travel rates"])
    sheet.append([])
    sheet.append(["City", "Rate", "Share", "Since", "Paid", "Change"])
    sheet.append(["Oslo", 1234.5, 0.256, dt.date(2024, 3, 1), True, -81])
    sheet.append(["Rome", 98, 1, dt.datetime(2024, 3, 1, 14, 30), False, 0.1 + 0.2])  # noqa: DTZ001
    for row in (4, 5):
        sheet.cell(row, 2).number_format = '#,##0.00\\ "€"'
        sheet.cell(row, 3).number_format = "0.0%"
    sheet["F4"].number_format = r"#,##0\ ;\(#,##0\)"
    second = book.create_sheet("Cities")
    second.append(["Oslo"])
    book.create_sheet("Empty")
    hidden = book.create_sheet("Hidden")
    hidden.append(["secret"])
    hidden.sheet_state = "hidden"
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def handbook_pptx() -> bytes:
    """Return two slides: a title with bullets and notes, and one with a table and a text box."""
    show = pptx.Presentation()
    first = show.slides.add_slide(show.slide_layouts[1])
    first.shapes.title.text = "Travel"
    body = first.placeholders[1].text_frame
    body.text = "Keep receipts"
    body.add_paragraph().text = "Hand them in"
    first.notes_slide.notes_text_frame.text = "Say it twice."
    second = show.slides.add_slide(show.slide_layouts[6])
    second.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "No title here"
    table = second.shapes.add_table(2, 2, 0, 0, Inches(2), Inches(1)).table
    for cell, text in zip(table.iter_cells(), ("City", "Rate", "Oslo", "120"), strict=True):
        cell.text = text
    buffer = io.BytesIO()
    show.save(buffer)
    return buffer.getvalue()


_ODF = "urn:oasis:names:tc:opendocument:xmlns"
ODF_XML = (
    f'<office:document-content xmlns:office="{_ODF}:office:1.0" xmlns:text="{_ODF}:text:1.0" '
    f'xmlns:table="{_ODF}:table:1.0" xmlns:style="{_ODF}:style:1.0" '
    f'xmlns:draw="{_ODF}:drawing:1.0" xmlns:presentation="{_ODF}:presentation:1.0">'
    "{body}</office:document-content>"
)


def odf(kind: str, body: str, styles: str = "") -> bytes:
    """Return an OpenDocument file; ``kind`` is "text", "spreadsheet" or "presentation"."""
    content = (
        f"<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    )
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": ODF_XML.format(body=content),
        }
    )


def _odf_row(*cells: str) -> str:
    texts = "".join(
        f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in cells
    )
    return f"<table:table-row>{texts}</table:table-row>"


def handbook_odt() -> bytes:
    """Return a text with a title, headings, a list, a table, a note and a tracked deletion."""
    return odf(
        "text",
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        '<text:p text:style-name="P1">Travel Handbook</text:p>'
        '<text:h text:outline-level="2">Receipts</text:h>'
        '<text:p>The  <text:span>committee</text:span><text:s text:c="2"/>approves.<text:note>'
        "<text:note-citation>1</text:note-citation><text:note-body><text:p>A note.</text:p>"
        "</text:note-body></text:note></text:p>"
        "<text:list><text:list-item><text:p>Keep them</text:p></text:list-item></text:list>"
        "<table:table><table:table-header-rows>"
        + _odf_row("City", "Rate")
        + "</table:table-header-rows>"
        + _odf_row("Oslo", "120")
        + "</table:table>",
        '<style:style style:name="P1" style:parent-style-name="Title"/>',
    )


def handbook_odp() -> bytes:
    """Return two slides: one whose title comes last, with notes, and one with a table."""
    box = "<draw:frame{}><draw:text-box>{}</draw:text-box></draw:frame>".format
    item = "<text:list><text:list-item><text:p>Keep receipts</text:p></text:list-item></text:list>"
    rows = _odf_row("City", "Rate") + _odf_row("Oslo", "120")
    return odf(
        "presentation",
        f"<draw:page>{box('', item)}"
        + box(' presentation:class="title"', "<text:p>Travel</text:p>")
        + "<presentation:notes>"
        + box(' presentation:class="notes"', "<text:p>Say it twice.</text:p>")
        + "</presentation:notes></draw:page>"
        f"<draw:page>{box('', '<text:p>No title here</text:p>')}"
        f"<draw:frame><table:table>{rows}</table:table></draw:frame></draw:page>",
    )


def handbook_ods() -> bytes:
    """Return a sheet with what its cells show, repeated cells, and an endless empty rest."""
    rest = (
        '<table:table-row table:number-rows-repeated="1048000">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
    )
    repeated = (
        '<table:table-row><table:table-cell table:number-columns-repeated="2">'
        "<text:p>25 %</text:p></table:table-cell></table:table-row>"
    )
    return odf(
        "spreadsheet",
        f'<table:table table:name="Rates">{_odf_row("City", "Rate")}'
        f"{_odf_row('Oslo', '€ 1,234.50')}{repeated}{rest}</table:table>",
    )


CHAPTER = (
    '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head>'
    "<title>x</title></head><body>{}</body></html>"
)


def handbook_epub(**members: bytes | str) -> bytes:
    """Return a book of two chapters, the first named only in its table of contents."""
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:'
            'container"><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>',
            "OPS/book.opf": '<package xmlns="http://www.idpf.org/2007/opf" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>Travel Handbook'
            "</dc:title></metadata><manifest>"
            '<item id="b" href="b.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="a" href="a%20a.xhtml" media-type="application/xhtml+xml"/>'
            '<item id="n" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
            '</manifest><spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/>'
            "</spine></package>",
            "OPS/a a.xhtml": CHAPTER.format("<p>The committee approves.</p>"),
            "OPS/b.xhtml": CHAPTER.format("<h1>Receipts</h1><ul><li>Keep them</li></ul>"),
            "OPS/nav.xhtml": CHAPTER.format(
                '<nav><ol><li><a href="a%20a.xhtml">Travel</a></li>'
                '<li><a href="b.xhtml">Receipts</a></li></ol></nav>'
            ),
            **members,
        }
    )


def handbook_xls(*, encrypted: bool = False) -> bytes:
    """Return an Excel 97 workbook of one sheet: texts, and numbers in three formats."""
    rows: Sequence[Sequence[str | tuple[float, int]]] = (
        ("City", "Rate", "Since"),
        ("Oslo", (0.25, 1), (45352.0, 2)),
        ("Røros", (98.0, 0), (45353.0, 2)),
    )
    return ole({"Workbook": _biff(rows, formats=("General", "0.0%", "d/m/yyyy"), lock=encrypted)})


def _record(kind: int, content: bytes) -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def _string(text: str, length: str) -> bytes:
    return struct.pack(f"<{length}B", len(text), 1) + text.encode("utf-16-le")


def _biff(
    rows: Sequence[Sequence[str | tuple[float, int]]], formats: Sequence[str], *, lock: bool
) -> bytes:
    """Return a BIFF8 stream; a number stands with its format."""
    font = struct.pack("<HHHHHBBBB", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 0) + b"\5\0Arial"
    start = _record(0x0809, struct.pack("<HHHHII", 0x0600, 5, 0, 0, 0, 0))
    if lock:
        start += _record(0x002F, struct.pack("<HHH", 1, 1, 1) + bytes(48))
    start += _record(0x0031, font)
    for number, code in enumerate(formats):
        start += _record(0x041E, struct.pack("<H", 164 + number) + _string(code, "H"))
    for number in range(len(formats)):
        start += _record(0x00E0, struct.pack("<HHH", 0, 164 + number, 0) + bytes(14))
    name = _string("Rates", "B")
    place = len(start) + 4 + 6 + len(name) + 4
    start += _record(0x0085, struct.pack("<IH", place, 0) + name) + _record(0x000A, b"")
    sheet = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x10, 0, 0, 0, 0))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            if isinstance(cell, str):
                place_and_style = struct.pack("<HHH", row, column, 0)
                sheet += _record(0x0204, place_and_style + _string(cell, "H"))
            else:
                value, style = cell
                sheet += _record(0x0203, struct.pack("<HHHd", row, column, style, value))
    return start + sheet + _record(0x000A, b"")


def archive_zip() -> bytes:
    """Return an archive of two files in folders."""
    return zipped({"texts/handbook.md": "# Travel", "rates.csv": CSV})


def archive_tar(mode: Literal["w", "w:gz"] = "w") -> bytes:
    """Return an archive of two files in folders, packed or not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in (("texts/handbook.md", b"# Travel"), ("rates.csv", CSV)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


ALL_FORMATS: dict[str, Callable[[], bytes]] = EVERY_FORMAT | {
    "handbook.csv": lambda: CSV,
    "handbook.tsv": lambda: TSV,
    "handbook.json": lambda: JSON,
    "handbook.jsonl": lambda: JSON_LINES,
    "handbook.xml": lambda: XML,
    "handbook.rtf": lambda: RTF,
    "handbook.rst": lambda: RST,
    "handbook.org": lambda: ORG,
    "handbook.eml": lambda: EML,
    "handbook.mbox": lambda: MBOX,
    "handbook.svg": lambda: SVG,
    "handbook.ipynb": lambda: NOTEBOOK,
    "handbook.xlsx": handbook_xlsx,
    "handbook.xls": handbook_xls,
    "handbook.pptx": handbook_pptx,
    "handbook.odt": handbook_odt,
    "handbook.ods": handbook_ods,
    "handbook.odp": handbook_odp,
    "handbook.epub": handbook_epub,
    "handbook.doc": handbook_doc,
    "handbook.ppt": handbook_ppt,
    "handbook.msg": handbook_msg,
    "handbook.zip": archive_zip,
    "handbook.tar": archive_tar,
    "handbook.tar.gz": lambda: archive_tar("w:gz"),
}
