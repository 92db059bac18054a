"""Documents made for tests, as bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence

import docx
import pypdfium2
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

BODY = (
    "The committee approves every journey that lasts longer than a week, before it starts and",
    "before anybody books it. Tickets are booked by the office, receipts are handed in within",
    "a month of the return, and whoever travels alone tells a colleague where they are staying.",
)


def pdf(
    draw: Sequence[Callable[[Canvas], None]], *, title: str = "", password: str | None = None
) -> bytes:
    """Return a PDF with one page for each function that draws one."""
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, encrypt=password)
    if title:
        canvas.setTitle(title)
    for draw_page in draw:
        draw_page(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def write(
    canvas: Canvas,
    lines: Sequence[str],
    *,
    x: float = 72,
    y: float = 700,
    size: float = 10,
    font: str = "Helvetica",
) -> float:
    """Write lines below each other; returns the height of the line that would be next."""
    canvas.setFont(font, size)
    for line in lines:
        canvas.drawString(x, y, line)
        y -= 1.2 * size
    return y


def chapter(number: int) -> Callable[[Canvas], None]:
    """Return a page with a running header, a heading, a section and a page number."""

    def draw(canvas: Canvas) -> None:
        write(canvas, ["Travel Handbook"], y=800, size=8)
        y = write(canvas, [f"Chapter {number}"], y=720, size=20) - 10
        y = write(canvas, BODY, y=y) - 10
        y = write(canvas, ["Receipts"], y=y, size=10, font="Helvetica-Bold") - 4
        write(canvas, [*BODY, f"This ends the chapter {'ABCDE'[number - 1]}."], y=y)
        write(canvas, [str(number)], x=290, y=40, size=8)

    return draw


def handbook_pdf(pages: int = 4, **options: str) -> bytes:
    """Return a PDF of several chapters."""
    return pdf([chapter(number) for number in range(1, pages + 1)], **options)


def empty_page(canvas: Canvas) -> None:
    """Draw a page that has a picture of nothing, and no text."""
    canvas.rect(100, 100, 200, 200)


def image(canvas: Canvas, x: float, y: float, width: float, height: float) -> None:
    """Draw a small picture, stretched to a place on the page."""
    canvas.drawInlineImage(Image.new("L", (8, 8), 200), x, y, width, height)


def scanned_page(canvas: Canvas) -> None:
    """Draw a page that is a picture."""
    image(canvas, 0, 0, *A4)


def pdf_with_font_map(lines: Sequence[str], font_map: Mapping[str, str]) -> bytes:
    """Return a PDF that shows ``lines`` and whose font says that its letters are others."""
    entries = "".join(
        f"<{ord(shown):02X}> <{said.encode('utf-16-be').hex()}>\n"
        for shown, said in font_map.items()
    )
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        "1 begincodespacerange <00> <FF> endcodespacerange\n"
        f"{len(font_map)} beginbfchar\n{entries}endbfchar endcmap end end"
    )
    shown = "".join(f"({line}) Tj T* " for line in lines)
    objects = (
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>",
        "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        _stream(f"BT /F 10 Tf 12 TL 72 700 Td {shown}ET"),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 6 0 R>>",
        _stream(cmap),
    )
    body = "%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(f"{len(body):010} 00000 n \n")
        body += f"{number} 0 obj {content} endobj\n"
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{''.join(places)}"
    trailer = f"trailer <</Root 1 0 R/Size {len(objects) + 1}>>\nstartxref\n{len(body)}\n%%EOF"
    return (body + table + trailer).encode("ascii")


def _stream(content: str) -> str:
    return f"<</Length {len(content)}>> stream\n{content}\nendstream"


def pdf_without_pages() -> bytes:
    """Return a PDF that is well-formed and has no pages."""
    buffer = io.BytesIO()
    pypdfium2.PdfDocument.new().save(buffer)
    return buffer.getvalue()


def save(document: docx.document.Document) -> bytes:
    """Return a Word document's bytes."""
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def handbook_docx() -> bytes:
    """Return a Word document with headings, a list and a table."""
    document = docx.Document()
    document.core_properties.title = "Travel Handbook"
    document.add_heading("Travel", level=1)
    document.add_paragraph(BODY[0])
    document.add_heading("Receipts", level=2)
    document.add_paragraph("Keep them", style="List Bullet")
    document.add_paragraph("Hand them in", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ("City", "Rate", "Oslo", "120"), strict=True):
        cell.text = text
    document.add_paragraph("After the table.")
    return save(document)


def zipped(members: dict[str, bytes | str]) -> bytes:
    """Return a ZIP archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


DOCUMENT_XML = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:v="urn:schemas-microsoft-com:vml"><w:body>{body}</w:body></w:document>'
)


def docx_of_body(body: str) -> bytes:
    """Return a Word document with the given WordprocessingML in its body."""
    return zipped({"word/document.xml": DOCUMENT_XML.format(body=body)})


MARKDOWN = b"""---
title: "Travel Handbook"
draft: true
---
# Travel

The *committee* approves [every journey](http://example.com/journey)
that is `long`. ![A map](map.png)

## Receipts

- Keep them
- Hand them ~~in~~ over
  1. within a month

| City | Rate |
|------|-----:|
| Oslo | 120  |

```python
def rate(city):
    return 120
```

<div>An <b>HTML</b> block.<script>no()</script></div>
"""

HTML = b"""<!doctype html><html><head><meta charset="utf-8"><title>Travel Handbook</title>
<style>p {}</style></head><body><header><p>Site menu</p></header><nav><a>Home</a></nav>
<main><article><header><h1>Travel</h1><p>By the office</p></header>
<p>The <b>committee</b> approves<br>every&nbsp;journey.</p><p hidden>secret</p>
<p style="display: none">secret</p><template>secret</template>
<h2>Receipts</h2><ul><li>Keep them<ul><li>in a box</li></ul></li><li>Hand them in</li></ul>
<table class="x"><caption>Rates</caption><tr><th colspan="2">City &amp; rate</th></tr>
<tr><td rowspan="2">Oslo</td><td>120</td></tr><tr><td>130</td></tr></table>
<pre>def rate():
    return 120</pre>
<script>secret()</script></article></main><footer>Imprint</footer></body></html>
"""

PLAIN = "First paragraph,\nsecond line.\n\nSecond paragraph: Größe, 東京.\n".encode()

EVERY_FORMAT: dict[str, Callable[[], bytes]] = {
    "handbook.txt": lambda: PLAIN,
    "handbook.md": lambda: MARKDOWN,
    "handbook.html": lambda: HTML,
    "handbook.pdf": handbook_pdf,
    "handbook.docx": handbook_docx,
}
