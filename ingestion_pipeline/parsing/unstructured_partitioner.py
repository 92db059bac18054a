"""Documents as the partitioners of ``unstructured`` read them, for collections that want those.

Its elements become ours: titles with their depth, tables through our own cleaning, pages. It keeps
the name of a sheet and the head of a mail as metadata; here they stand above what they are of.
Nothing is fetched: its telemetry is off, and the language model by which it tells titles from
sentences comes from an installed package, never from the download that it would start.

Belongs here: which formats it reads from what is installed, and its elements as ours. Does not
belong here: PDFs, for which it needs a layout model, and what it hands to programs that are not
installed (pandoc, LibreOffice); these our own parsers read, whatever a collection says.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.installed import ENGLISH_MODEL
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import clean
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.eml import narrow, parse_eml
from ingestion_pipeline.parsing.encoding import decode
from ingestion_pipeline.parsing.html import decode_html, table_rows
from ingestion_pipeline.parsing.mail import add_header
from ingestion_pipeline.parsing.msg import parse_msg
from ingestion_pipeline.settings import library_default

if TYPE_CHECKING:
    from unstructured.documents.elements import Element, ElementMetadata

_TEXTS = MappingProxyType(
    {FileType.PLAIN_TEXT: "text", FileType.MARKDOWN: "md", FileType.HTML: "html"}
)
_ROWS = MappingProxyType({FileType.CSV: "csv", FileType.TSV: "tsv"})
_FILES = MappingProxyType(
    {
        FileType.XML: "xml",
        FileType.DOCX: "docx",
        FileType.PPTX: "pptx",
        FileType.XLSX: "xlsx",
        FileType.XLS: "xlsx",
    }
)
_MAILS: Mapping[FileType, tuple[str, Callable[[bytes], ParsedDocument]]] = MappingProxyType(
    {FileType.EML: ("email", parse_eml), FileType.MSG: ("msg", parse_msg)}
)
PARTITIONED = frozenset({*_TEXTS, *_ROWS, *_FILES, *_MAILS})
"""The formats that ``unstructured`` reads offline, from what the extra installs."""

_CATEGORIES = MappingProxyType(
    {
        "ListItem": ElementCategory.LIST_ITEM,
        "CodeSnippet": ElementCategory.CODE_SNIPPET,
        "Image": ElementCategory.IMAGE,
        "FigureCaption": ElementCategory.IMAGE,
    }
)
_SHEETS = frozenset({FileType.PPTX, FileType.XLSX, FileType.XLS})
"""What consists of slides or sheets: no heading of one stands above the next."""
_OF_A_PAGE = frozenset({"Header", "Footer", "PageNumber", "PageBreak"})
"""What stands on every page, and would stand between any two paragraphs."""
_REFUSALS = MappingProxyType(
    {
        "password": (ErrorKind.ENCRYPTED, "save a copy without one"),
        "maximum": (ErrorKind.TOO_LARGE, "split the file, or configure partitioner=native"),
    }
)
"""A word in what it says of a file that it refuses, and what that means."""
_WITHOUT_MEMORY = "unknown error"
"""All that libxml2 says where it got no memory for the HTML that a large table was put into."""
_NO_LANGUAGES = ("",)
"""Its way to say that languages are not to be detected; they would not be used."""


def partition(data: bytes, file_type: FileType) -> ParsedDocument:
    """Read a document of one of the formats ``PARTITIONED``.

    Raises:
        PermanentError: ``dependency_missing`` where the extra is not installed, ``encrypted``,
            ``too_large`` or ``broken``. Other errors are the library's own.
    """
    try:
        _prepare()
        return _partition(data, file_type)
    except ImportError as error:
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            f"the partitioner unstructured needs {error.name or error}: install "
            "ingestion-pipeline[unstructured], or configure the collection with "
            "partitioner=native, and retry",
        ) from error


@cache
def _prepare() -> None:
    """Turn off what the library says and sends, before it is imported; give it its model."""
    for name in ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS", "UNSTRUCTURED_DISABLE_NOTICE"):
        library_default(name, "1")
    tokenize: Any = import_module("unstructured.nlp.tokenize")
    model = import_module(ENGLISH_MODEL)

    def load() -> object:
        return model.load(exclude=tokenize._SPACY_EXCLUDE)  # noqa: SLF001 - there is no other way

    tokenize._load_spacy_model = load  # noqa: SLF001 - its own downloads what is not found


def _partition(data: bytes, file_type: FileType) -> ParsedDocument:
    if kind := _TEXTS.get(file_type):
        text = decode_html(data) if file_type is FileType.HTML else clean(decode(data))
        return _document(_elements(kind, text=text), file_type)
    if kind := _ROWS.get(file_type):
        return _document(_elements(kind, file=io.BytesIO(clean(decode(data)).encode())), file_type)
    if kind := _FILES.get(file_type):
        return _document(_elements(kind, file=io.BytesIO(data)), file_type)
    return _mail(data, file_type)


def _mail(data: bytes, file_type: FileType) -> ParsedDocument:
    """Read a mail; what is attached is found by our own parser, to become documents."""
    kind, parse_ours = _MAILS[file_type]
    ours = parse_ours(data)
    if file_type is FileType.EML:
        data = narrow(data)
    elements = _elements(kind, file=io.BytesIO(data), process_attachments=False)
    if not elements:  # then it knows neither the subject nor whom it is from
        return ours
    return replace(_document(elements, file_type, ours.title), attachments=ours.attachments)


def _elements(kind: str, **source: object) -> Sequence[Element]:
    from lxml.etree import XMLSyntaxError

    function = getattr(import_module(f"unstructured.partition.{kind}"), f"partition_{kind}")
    try:
        elements: Sequence[Element] = function(**source, languages=list(_NO_LANGUAGES))
    except import_module("unstructured.errors").UnprocessableEntityError as error:
        reason, advice = next(
            (found for word, found in _REFUSALS.items() if word in str(error)),
            (ErrorKind.BROKEN, "save the file again and retry"),
        )
        raise PermanentError(reason, f"unstructured says: {error} ({advice})") from error
    except XMLSyntaxError as error:
        if _WITHOUT_MEMORY in str(error):
            raise MemoryError from error
        raise
    return elements


def _document(
    elements: Sequence[Element], file_type: FileType, title: str | None = None
) -> ParsedDocument:
    builder = DocumentBuilder()
    if elements:
        _add_mail_header(elements[0].metadata, builder)
    page: int | None = None
    for element in elements:
        if file_type in _SHEETS and element.metadata.page_number != page:
            page = element.metadata.page_number
            builder.end_headings()
            builder.heading(element.metadata.page_name or "", 1, page)
        if element.category not in _OF_A_PAGE:
            _add(element, builder)
    numbers = [element.metadata.page_number or 0 for element in elements]
    return builder.document(file_type, title=title, pages=max(numbers, default=0) or None)


def _add_mail_header(metadata: ElementMetadata, builder: DocumentBuilder) -> None:
    people = {"From": metadata.sent_from, "To": metadata.sent_to, "Cc": metadata.cc_recipient}
    fields = {name: ", ".join(each) for name, each in people.items() if each}
    add_header(metadata.subject or "", fields, builder)


def _add(element: Element, builder: DocumentBuilder) -> None:
    metadata = element.metadata
    if element.category == "Title":
        below = 2 if metadata.page_name or metadata.subject else 1
        builder.heading(element.text, below + (metadata.category_depth or 0), metadata.page_number)
    elif metadata.text_as_html and element.category == "Table":
        builder.table(table_rows(metadata.text_as_html), metadata.page_number)
    else:
        category = _CATEGORIES.get(element.category, ElementCategory.NARRATIVE_TEXT)
        builder.text(category, element.text, metadata.page_number)
