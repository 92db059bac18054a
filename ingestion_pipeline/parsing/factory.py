"""Chooses the parser for a document and gives its errors a type.

Belongs here: which parser reads which format. Does not belong here: isolation (``pool``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.model.collections import Partitioner
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.cleaning import one_line
from ingestion_pipeline.parsing.csv import parse_csv, parse_tsv
from ingestion_pipeline.parsing.detection import FileType, detect
from ingestion_pipeline.parsing.docx import parse_docx
from ingestion_pipeline.parsing.eml import parse_eml
from ingestion_pipeline.parsing.epub import parse_epub
from ingestion_pipeline.parsing.html import parse_html
from ingestion_pipeline.parsing.image import FORMATS, parse_image
from ingestion_pipeline.parsing.json import parse_json, parse_json_lines
from ingestion_pipeline.parsing.legacy_office import parse_doc, parse_ppt
from ingestion_pipeline.parsing.markdown import parse_markdown
from ingestion_pipeline.parsing.mbox import parse_mbox
from ingestion_pipeline.parsing.msg import parse_msg
from ingestion_pipeline.parsing.notebook import parse_notebook
from ingestion_pipeline.parsing.odf import parse_odp, parse_ods, parse_odt
from ingestion_pipeline.parsing.org import parse_org
from ingestion_pipeline.parsing.pdf import parse_pdf
from ingestion_pipeline.parsing.plain_text import parse_plain_text
from ingestion_pipeline.parsing.pptx import parse_pptx
from ingestion_pipeline.parsing.rst import parse_rst
from ingestion_pipeline.parsing.rtf import parse_rtf
from ingestion_pipeline.parsing.subtitles import parse_subtitles
from ingestion_pipeline.parsing.svg import parse_svg
from ingestion_pipeline.parsing.tar import parse_gzip, parse_tar
from ingestion_pipeline.parsing.unstructured_partitioner import PARTITIONED, partition
from ingestion_pipeline.parsing.xls import parse_xls
from ingestion_pipeline.parsing.xlsx import parse_xlsx
from ingestion_pipeline.parsing.xml import parse_xml
from ingestion_pipeline.parsing.zip import parse_zip

_LONGEST_REASON = 300

Parser = Callable[[bytes], ParsedDocument]
"""Reads one format; may raise anything, ``parse`` gives it a type."""

PARSERS: Mapping[FileType, Parser] = MappingProxyType(
    {
        FileType.PLAIN_TEXT: parse_plain_text,
        FileType.MARKDOWN: parse_markdown,
        FileType.HTML: parse_html,
        FileType.DOC: parse_doc,
        FileType.DOCX: parse_docx,
        FileType.ODT: parse_odt,
        FileType.RTF: parse_rtf,
        FileType.PPT: parse_ppt,
        FileType.PPTX: parse_pptx,
        FileType.XLSX: parse_xlsx,
        FileType.XLS: parse_xls,
        FileType.ODS: parse_ods,
        FileType.ODP: parse_odp,
        FileType.CSV: parse_csv,
        FileType.TSV: parse_tsv,
        FileType.EPUB: parse_epub,
        FileType.EML: parse_eml,
        FileType.MSG: parse_msg,
        FileType.MBOX: parse_mbox,
        FileType.SUBTITLES: parse_subtitles,
        FileType.SVG: parse_svg,
        FileType.TAR: parse_tar,
        FileType.XML: parse_xml,
        FileType.JSON: parse_json,
        FileType.JSON_LINES: parse_json_lines,
        FileType.NOTEBOOK: parse_notebook,
        FileType.RST: parse_rst,
        FileType.ORG: parse_org,
        **{picture: partial(parse_image, file_type=picture) for picture in FORMATS},
    }
)
"""Of all formats that are read from their bytes alone."""


def parse(
    data: bytes,
    name: str,
    password: str | None = None,
    partitioner: Partitioner = Partitioner.NATIVE,
) -> ParsedDocument:
    """Read a document in this process, without limits; untrusted ones belong in ``ParserPool``.

    Args:
        data: The file's bytes; they alone decide the format, but for the kinds of text.
        name: The file's name.
        password: Opens the document if it is encrypted; of no account if it is not.
        partitioner: Who reads it; formats that this one cannot read are read by our own parsers.

    Returns:
        The document. It has at least one element, scanned page, picture or attachment.

    Raises:
        InputNeededError: ``encrypted`` where a password would help.
        PermanentError: ``empty``, ``unsupported``, ``encrypted``, ``broken``, ``too_large`` or
            ``dependency_missing``.
        MemoryError: As it is; only the caller knows what the limit was.
    """
    try:
        file_type = detect(data, name)
        if partitioner is Partitioner.UNSTRUCTURED and file_type in PARTITIONED:
            document = partition(data, file_type)
        else:
            document = _read(file_type, data, name, password)
    except (IngestError, MemoryError):
        raise
    except RecursionError as error:
        raise PermanentError(
            ErrorKind.BROKEN, "the file is nested deeper than any document; flatten it and retry"
        ) from error
    except Exception as error:
        reason = one_line(f"{type(error).__name__}: {error}")[:_LONGEST_REASON]
        raise PermanentError(
            ErrorKind.BROKEN, f"the file cannot be read ({reason}); save it again and retry"
        ) from error
    if not (
        document.elements or document.scanned_pages or document.pictures or document.attachments
    ):
        raise PermanentError(ErrorKind.EMPTY, "the file holds no text")
    return document


def _read(file_type: FileType, data: bytes, name: str, password: str | None) -> ParsedDocument:
    """Read one format, with what it needs besides the bytes."""
    match file_type:
        case FileType.PDF:
            return parse_pdf(data, password)
        case FileType.ZIP:
            return parse_zip(data, password)
        case FileType.GZIP:
            return parse_gzip(data, name)
    return PARSERS[file_type](data)
