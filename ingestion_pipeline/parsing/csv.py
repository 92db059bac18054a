"""Delimited text (.csv, .tsv), row by row: a large file is never held as rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Literal

from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import guess_encoding
from ingestion_pipeline.parsing.row_tables import add_sheet

_DELIMITERS = (",", ";", "\t", "|")
"""Those named first win where several fit equally well."""
_DECLARED = re.compile(r"\ufeff?sep=([,;\t|])\r?\n")
"""The line by which Excel is told what stands between values."""
_SAMPLE = 64 * 1024
_SAMPLE_ROWS = 100
_LONGEST_FIELD = 100_000
"""Characters; a longer one may begin with a quote that nobody closed, so all quotes must match."""
_LARGEST_WITH_HTML = 16 * 1024**2
"""Bytes; of larger files the tables are text only, for the HTML would be twice or more as large."""


def parse_csv(data: bytes) -> ParsedDocument:
    """Read values between commas, semicolons, tabs or bars, whichever they are."""
    return _parse(data, FileType.CSV, _DELIMITERS)


def parse_tsv(data: bytes) -> ParsedDocument:
    """Read values between tabs, or whatever they are if there is no tab."""
    return _parse(data, FileType.TSV, ("\t", *_DELIMITERS))


def _parse(data: bytes, file_type: FileType, delimiters: tuple[str, ...]) -> ParsedDocument:
    csv.field_size_limit(_LONGEST_FIELD)  # holds for the process, so for whatever comes after, too
    encoding = guess_encoding(data)
    sample = _lines(data, encoding).read(_SAMPLE)
    declared = _DECLARED.match(sample)
    delimiter = declared[1] if declared else _delimiter(sample, delimiters)
    with suppress(csv.Error):
        return _read(data, encoding, delimiter).document(file_type)
    csv.field_size_limit(len(data))
    with suppress(csv.Error):
        return _read(data, encoding, delimiter, strict=True).document(file_type)
    warning = "quotes do not match; they were read as characters"
    builder = _read(data, encoding, delimiter, quoting=csv.QUOTE_NONE)
    return builder.document(file_type, warnings=[warning])


def _lines(data: bytes, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding, errors="replace", newline="")


def _read(
    data: bytes,
    encoding: str,
    delimiter: str,
    *,
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL,
    strict: bool = False,
) -> DocumentBuilder:
    builder = DocumentBuilder()
    lines = _without_declaration(_without_zeros(_lines(data, encoding)))
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=strict)
    add_sheet(_stripped(reader), builder, as_html=len(data) <= _LARGEST_WITH_HTML)
    return builder


def _without_zeros(lines: Iterator[str]) -> Iterator[str]:
    return (line.replace("\0", "") for line in lines)


def _without_declaration(lines: Iterator[str]) -> Iterator[str]:
    first = next(lines, "")
    return lines if _DECLARED.match(first) else chain([first], lines)


def _stripped(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    return ([cell.strip() for cell in row] for row in rows)


def _delimiter(sample: str, delimiters: tuple[str, ...]) -> str:
    """Return the delimiter that gives most rows the same number of cells, and many of them."""
    return max(delimiters, key=lambda delimiter: _fit(sample, delimiter))


def _fit(sample: str, delimiter: str) -> tuple[float, int]:
    """Return the share of rows that are as wide as most, and that width."""
    widths: Counter[int] = Counter()
    try:
        for row in csv.reader(sample.splitlines(keepends=True)[:_SAMPLE_ROWS], delimiter=delimiter):
            widths[len(row)] += bool(row)
    except csv.Error:
        return 0, 0
    width, rows = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    return (rows / widths.total(), width) if width > 1 else (0, 0)
