"""The forms in which a mind map leaves: JSON, Mermaid, Markmap, OPML, a page for the browser.

Belongs here: writing a map, and reading back what this module wrote as JSON. Does not belong here:
what is in a map (``mind_map``), and the page itself (``mind_map.html``).

Titles and texts come from documents, which anybody may have written: in every form they are text
and nothing else, whatever they look like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import resources
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree as ET

from pydantic import TypeAdapter, ValidationError

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.pages import filled, for_xml, one_line
from ingestion_pipeline.raptor.mind_map import MindMap, all_chunk_ids

_MAP = TypeAdapter(MindMap)
_MERMAID_SPECIAL = re.compile(r"[^0-9A-Za-z .,!?/\u0080-\U0010ffff-]")
"""All that might have a meaning in some place of some version; ``#code;`` always is the sign."""
_MARKDOWN_SPECIAL = re.compile(r"([!-/:-@\[-`{-~])")
"""ASCII punctuation, which a backslash takes any meaning from (CommonMark 2.4)."""
_NO_TEXTS: Mapping[str, str] = MappingProxyType({})


class MindMapFormat(StrEnum):
    """The forms a map can be exported in."""

    JSON = "json"
    MERMAID = "mermaid"
    MARKMAP = "markmap"
    OPML = "opml"
    HTML = "html"


def exported(mind_map: MindMap, form: MindMapFormat, texts: Mapping[str, str] = _NO_TEXTS) -> str:
    """Return a map in a form; ``texts`` of chunks by their ids are shown where it has a place."""
    match form:
        case MindMapFormat.JSON:
            return as_json(mind_map)
        case MindMapFormat.MERMAID:
            return as_mermaid(mind_map)
        case MindMapFormat.MARKMAP:
            return as_markmap(mind_map)
        case MindMapFormat.OPML:
            return as_opml(mind_map)
        case MindMapFormat.HTML:
            return as_html(mind_map, texts)


def as_json(mind_map: MindMap) -> str:
    """Return a map as JSON, whole: ``from_json`` makes the same map of it."""
    return json.dumps(_plain(mind_map), indent=1)


def from_json(text: str) -> MindMap:
    """Read a map that ``as_json`` wrote.

    Raises:
        PermanentError: ``broken`` where it is none.
    """
    try:
        return _MAP.validate_python(json.loads(text))
    except (ValueError, ValidationError, RecursionError) as error:
        raise PermanentError(
            ErrorKind.BROKEN, "this is no mind map; export it again as json"
        ) from error


def as_mermaid(mind_map: MindMap) -> str:
    """Return a map as a Mermaid diagram of the kind ``mindmap``."""
    lines = ["mindmap"]
    for number, (depth, node) in enumerate(_by_depth(mind_map)):
        title = _MERMAID_SPECIAL.sub(lambda sign: f"#{ord(sign[0])};", one_line(node.title))
        brackets = ("((", "))") if depth == 0 else ("[", "]")
        lines.append(f'{"  " * (depth + 1)}n{number}{brackets[0]}"{title}"{brackets[1]}')
    return "\n".join(lines) + "\n"


def as_markmap(mind_map: MindMap) -> str:
    """Return a map as Markdown, of which Markmap makes a picture: a heading and nested lists."""
    lines = []
    for depth, node in _by_depth(mind_map):
        title = _MARKDOWN_SPECIAL.sub(r"\\\1", one_line(node.title))
        lines += [f"{'  ' * (depth - 1)}- {title}"] if depth else [f"# {title}", ""]
    return "\n".join(lines) + "\n"


def as_opml(mind_map: MindMap) -> str:
    """Return a map as OPML 2.0; ``documentId`` and ``chunkIds`` are attributes of our own."""
    opml = ET.Element("opml", version="2.0")
    head = ET.SubElement(opml, "head")
    ET.SubElement(head, "title").text = for_xml(mind_map.title)
    open_elements = [ET.SubElement(opml, "body")]
    for depth, node in _by_depth(mind_map):
        attributes = {"text": for_xml(node.title)}
        if node.document_id is not None:
            attributes["documentId"] = for_xml(node.document_id)
        if node.chunk_ids:
            attributes["chunkIds"] = for_xml(" ".join(node.chunk_ids))
        del open_elements[depth + 1 :]
        open_elements.append(ET.SubElement(open_elements[-1], "outline", attributes))
    ET.indent(opml)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(opml, "unicode")}\n'


def as_html(mind_map: MindMap, texts: Mapping[str, str] = _NO_TEXTS) -> str:
    """Return a map as a page that needs nothing else: neither a server nor a network.

    Args:
        mind_map: The map; more than some thousand nodes are slow to look at.
        texts: Texts of its chunks by their ids, shown when their node is clicked; without them the
            ids are shown.
    """
    page = resources.files(__package__).joinpath("mind_map.html").read_text(encoding="utf-8")
    shown = {each: texts[each] for each in all_chunk_ids(mind_map) if each in texts}
    return filled(page, mind_map.title, {"map": _plain(mind_map), "passages": shown})


def _by_depth(mind_map: MindMap) -> Iterator[tuple[int, MindMap]]:
    """Yield each node after the one it is below, with how deep it is."""
    waiting = [(0, mind_map)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting += ((depth + 1, child) for child in reversed(node.children))


def _plain(node: MindMap) -> dict[str, Any]:
    return {
        "title": node.title,
        "document_id": node.document_id,
        "chunk_ids": node.chunk_ids,
        "children": [_plain(child) for child in node.children],
    }
