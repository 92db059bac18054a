"""JSON and JSON Lines: keys are headings, values are text, lists of like objects are tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode
from ingestion_pipeline.parsing.plain_text import add_paragraphs
from ingestion_pipeline.parsing.row_tables import add_sheet

_LONGEST_CELL = 200
"""Characters; a longer text is a paragraph, not a value."""
_ELEMENT = frozenset({"type", "element_id", "text", "metadata"})
_KNOWN = frozenset({"ListItem", "CodeSnippet"})
_NO_TEXT = frozenset({"Header", "Footer", "PageNumber", "PageBreak"})
_BLANK = re.compile(r"[\s\x1e]*")
_NAMES = ("title", "name", "heading", "label")
"""Keys whose value names the object."""
_BODIES = frozenset({"text", "content", "body"})
"""Keys of what is the object's own text, and needs no heading."""


def parse_json(data: bytes) -> ParsedDocument:
    """Read a JSON document."""
    builder = DocumentBuilder()
    values = list(_values(decode(data).lstrip("\ufeff")))
    _add(values[0] if len(values) == 1 else values, "", 1, builder)
    return builder.document(FileType.JSON)


def _values(text: str) -> Iterator[object]:
    """Yield the values in a text, which are one, or several one after the other."""
    decoder = json.JSONDecoder()
    position = 0
    while blank := _BLANK.match(text, position):
        if blank.end() == len(text) and position:
            return
        value, position = decoder.raw_decode(text, blank.end())
        yield value


def parse_json_lines(data: bytes) -> ParsedDocument:
    """Read JSON Lines: one value a line; lines that are none are left out, with a warning.

    Where no line is one, values may stand over several lines each.

    Raises:
        PermanentError: ``broken`` if no line is JSON.
    """
    values: list[object] = []
    wrong: list[int] = []
    lines = decode(data).lstrip("\ufeff").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except ValueError:
            wrong.append(number)
    if not values:
        try:
            return replace(parse_json(data), media_type=FileType.JSON_LINES)
        except ValueError as error:
            raise PermanentError(
                ErrorKind.BROKEN, "no line is JSON; export the file again"
            ) from error
    builder = DocumentBuilder()
    _add(values, "", 1, builder)
    warnings = [f"{len(wrong)} lines are no JSON, the first is line {wrong[0]}"] if wrong else []
    return builder.document(FileType.JSON_LINES, warnings=warnings)


def _add(value: object, key: str, level: int, builder: DocumentBuilder) -> None:
    """Add a value below its key; one that is no object or list is text."""
    if isinstance(value, dict):
        _add_object(value, key, level, builder)
    elif isinstance(value, list):
        _add_list(value, key, level, builder)
    elif text := _text(value):
        if key not in _BODIES:
            builder.heading(key, level)
        add_paragraphs(text, builder)


def _add_object(
    value: Mapping[str, object], key: str, level: int, builder: DocumentBuilder
) -> None:
    """Add an object: its name, its short values together, then what is long or nested."""
    name = next((each for each in _NAMES if _is_name(value.get(each))), None)
    heading = key if name is None else _text(value[name])
    builder.heading(heading, level)
    below = level + 1 if heading else level
    short = {each: _text(it) for each, it in value.items() if each != name and _is_short(it)}
    lines = (f"{each}: {text}" for each, text in short.items() if text)
    builder.text(ElementCategory.NARRATIVE_TEXT, "\n".join(lines))
    for each, it in value.items():
        if not _is_short(it):
            builder.end_headings(below)
            _add(it, each, below, builder)


def _add_list(values: Sequence[object], key: str, level: int, builder: DocumentBuilder) -> None:
    builder.heading(key, level)
    below = level + 1 if key else level
    elements = [each for each in values if isinstance(each, dict) and each.keys() >= _ELEMENT]
    if elements and len(elements) == len(values):
        for element in elements:
            _add_element(element, below, builder)
        return
    if len(values) > 1 and all(isinstance(each, dict) for each in values):
        objects = [each for each in values if isinstance(each, dict)]
        if _are_rows(objects):
            columns = list(dict.fromkeys(column for each in objects for column in each))
            rows = ([_text(each.get(column)) for column in columns] for each in objects)
            add_sheet([columns, *rows], builder)
            return
    if all(isinstance(each, int | float) for each in values):
        builder.text(ElementCategory.NARRATIVE_TEXT, ", ".join(map(_text, values)))
        return
    for each in values:
        if isinstance(each, dict | list):
            builder.end_headings(below)
            _add(each, "", below, builder)
        else:
            builder.text(ElementCategory.LIST_ITEM, _text(each))


def _add_element(element: Mapping[str, Any], level: int, builder: DocumentBuilder) -> None:
    """Add an element of a document that the ``unstructured`` library has read."""
    category, text, metadata = element["type"], _text(element["text"]), element["metadata"]
    metadata = metadata if isinstance(metadata, dict) else {}
    page, depth = metadata.get("page_number"), metadata.get("category_depth")
    page = page if isinstance(page, int) else None
    if category == ElementCategory.TITLE:
        builder.heading(text, level + (depth if isinstance(depth, int) else 0), page)
    elif category not in _NO_TEXT:
        known = category in _KNOWN
        narrative = ElementCategory.NARRATIVE_TEXT
        builder.text(ElementCategory(category) if known else narrative, text, page)


def _are_rows(objects: Sequence[Mapping[str, object]]) -> bool:
    """Whether objects are the rows of one table: short values, mostly under the same keys."""
    columns = {column for each in objects for column in each}
    cells = sum(map(len, objects))
    return 2 * cells >= len(columns) * len(objects) > 0 and _all_short(
        value for each in objects for value in each.values()
    )


def _all_short(values: Iterable[object]) -> bool:
    return all(map(_is_short, values))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and _is_short(value)


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_CELL and "\n" not in value.strip()
    return not isinstance(value, dict | list)


def _text(value: object) -> str:
    """Return a single value as text; nothing for null."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
