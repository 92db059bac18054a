"""Jupyter notebooks (.ipynb): Markdown, code, and what the code printed or drew.

Source: the notebook format 4 of nbformat.
"""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Iterator, Mapping

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode
from ingestion_pipeline.parsing.markdown import add_markdown
from ingestion_pipeline.parsing.plain_text import add_paragraphs

_LONGEST_OUTPUT = 10_000
"""Characters; what is printed beyond them is a log, and no text of the document."""
_PICTURES = ("image/png", "image/jpeg")


def parse_notebook(data: bytes) -> ParsedDocument:
    """Read a notebook, cell by cell."""
    notebook = json.loads(decode(data).lstrip("\ufeff"))
    if not isinstance(notebook.get("cells"), list):
        raise PermanentError(
            ErrorKind.UNSUPPORTED, "the notebook is of a format before 4; open and save it again"
        )
    builder = DocumentBuilder()
    for cell in notebook["cells"]:
        source = _text(cell.get("source"))
        match cell.get("cell_type"):
            case "markdown":
                add_markdown(source, builder)
            case "code":
                builder.text(ElementCategory.CODE_SNIPPET, source)
                for output in cell.get("outputs", ()):
                    _add_output(output, builder)
            case _:
                add_paragraphs(source, builder)
    return builder.document(FileType.NOTEBOOK)


def _add_output(output: Mapping[str, object], builder: DocumentBuilder) -> None:
    """Add a picture if there is one, else the text; errors are no content."""
    forms = output.get("data")
    forms = forms if isinstance(forms, dict) else {}
    if any(builder.picture(data) for data in _pictures(forms)):
        return
    text = _text(output.get("text") or forms.get("text/markdown") or forms.get("text/plain"))
    builder.text(ElementCategory.CODE_SNIPPET, text[:_LONGEST_OUTPUT])


def _pictures(forms: Mapping[str, object]) -> Iterator[bytes]:
    for kind in _PICTURES:
        try:
            yield b64decode(_text(forms.get(kind)))
        except (binascii.Error, ValueError):
            continue


def _text(lines: object) -> str:
    """Return a text, which may be written as the list of its lines."""
    return "".join(map(str, lines)) if isinstance(lines, list) else str(lines or "")
