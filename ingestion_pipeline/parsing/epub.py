"""Books (.epub): the pages of the spine in their order, each read as HTML.

A page without a main heading, that does not begin with another, gets the one that the table of
contents gives it. The table of contents is no text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.archive import Archive, resolve
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.html import add_html, decode_html
from ingestion_pipeline.parsing.pictures import data_uri

if TYPE_CHECKING:
    from lxml.etree import _Element

_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})
_NCX = "application/x-dtbncx+xml"
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_EPUB_TYPE = "{http://www.idpf.org/2007/ops}type"
_MAIN_HEADING = re.compile(r"<h1\b", re.IGNORECASE)
_BEGINS_WITH_HEADING = re.compile(
    r"(?>.*?<body\b[^>]*>)(?:\s|<!--.*?-->|<(?!h[1-6]\b|!--)[^>]*>)*+<h[1-6]\b",
    re.IGNORECASE | re.DOTALL,
)


def parse_epub(data: bytes) -> ParsedDocument:
    """Read a book; its pages depend on the screen, so it has none."""
    builder = DocumentBuilder()
    with Archive(data) as archive:
        container = archive.xml("META-INF/container.xml")
        root = container.find(".//{*}rootfile") if container is not None else None
        part = root.get("full-path", "") if root is not None else ""
        package = archive.xml(part)
        if package is None:
            raise PermanentError(ErrorKind.BROKEN, "the book has no package; export it again")
        locked = _locked(archive)
        items = {item.get("id", ""): item for item in package.iterfind("{*}manifest/{*}item")}
        folder = posixpath.dirname(part)
        labels = _labels(archive, folder, items)
        for reference in package.iterfind("{*}spine/{*}itemref"):
            item = items.get(reference.get("idref", ""))
            if item is None or item.get("media-type") not in _PAGES or _is_contents(item):
                continue
            page = resolve(folder, item.get("href", ""))
            if page in locked:
                raise PermanentError(
                    ErrorKind.ENCRYPTED, "the book is protected against copying (DRM)"
                )
            picture = partial(_picture, archive, posixpath.dirname(page))
            _add_page(decode_html(archive.read(page)), labels.get(page), builder, picture)
    title = package.findtext(f".//{_DC_TITLE}")
    return builder.document(FileType.EPUB, title=title)


def _locked(archive: Archive) -> set[str]:
    encryption = archive.xml("META-INF/encryption.xml")
    found = encryption.iterfind(".//{*}CipherReference") if encryption is not None else ()
    return {resolve("", each.get("URI", "")) for each in found}


def _is_contents(item: _Element) -> bool:
    return "nav" in item.get("properties", "").split()


def _labels(archive: Archive, folder: str, items: dict[str, _Element]) -> dict[str, str]:
    """Return what the table of contents calls each page."""
    labels: dict[str, str] = {}
    for item in items.values():
        part = resolve(folder, item.get("href", ""))
        if part not in archive:
            continue
        if _is_contents(item):
            entries = _navigation(archive, part)
        elif item.get("media-type") == _NCX:
            entries = _ncx(archive, part)
        else:
            continue
        for target, label in entries:
            labels.setdefault(resolve(posixpath.dirname(part), target), label)
    return labels


def _navigation(archive: Archive, part: str) -> list[tuple[str, str]]:
    root = archive.xml(part)
    lists = root.iter("{*}nav") if root is not None else ()
    return [
        (link.get("href", ""), "".join(link.itertext()))
        for each in lists
        if each.get(_EPUB_TYPE, "toc") == "toc"
        for link in each.iter("{*}a")
    ]


def _ncx(archive: Archive, part: str) -> list[tuple[str, str]]:
    root = archive.xml(part)
    points = root.iter("{*}navPoint") if root is not None else ()
    return [
        (
            point.find("{*}content").get("src", ""),
            point.findtext("{*}navLabel/{*}text") or "",
        )
        for point in points
        if point.find("{*}content") is not None
    ]


def _picture(archive: Archive, folder: str, uri: str) -> bytes:
    """Return the bytes of a picture that a page in ``folder`` shows."""
    return data_uri(uri) or archive.read(resolve(folder, uri))


def _add_page(
    source: str, label: str | None, builder: DocumentBuilder, picture: Callable[[str], bytes]
) -> None:
    if label and not (_MAIN_HEADING.search(source) or _BEGINS_WITH_HEADING.match(source)):
        builder.heading(label, level=1)
    add_html(source, builder, picture)
