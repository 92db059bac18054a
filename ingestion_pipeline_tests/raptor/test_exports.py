"""The forms that maps leave in, and that nothing in a title gets out of its place there."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.raptor.exports import (
    MindMapFormat,
    as_html,
    as_json,
    as_markmap,
    as_mermaid,
    as_opml,
    exported,
    from_json,
)
from ingestion_pipeline.raptor.mind_map import MindMap, nodes

NASTY = (
    '<script>alert("x")</script>',
    "</script><!--",
    "<!--data--> <!--policy-->",
    "\"quotes\" and 'quotes'",
    "`ticks` ``` and [a](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "line\none\r\nline two\u2028line three",
    "- 1. # *not* _a_ ~~list~~ $x^2$ | a |",
    "&lt;b&gt; #quot; #35; %%{init: {}}%% ))((",
    "style a:b#c; classDef x:#fff;",
    "back\\slash ]]> \x00\x1b\ufffe",
    "\ud800 alone",
    "日本語 👩‍👩‍👧 العربية मानचित्र",
    "\u202etxt.exe",
    "",
)
SAMPLE = MindMap(
    "Handbook & more",
    None,
    ("c0",),
    (
        MindMap("One", "d1", ("c1", "c2"), (MindMap("Deep", "d1", ("c3",)),)),
        MindMap("Two", "d2"),
    ),
)
TITLES = st.sampled_from(NASTY) | st.text(max_size=30)
MAPS = st.recursive(
    st.builds(MindMap, TITLES, st.none() | TITLES, st.lists(TITLES, max_size=2).map(tuple)),
    lambda below: st.builds(
        MindMap, TITLES, st.none(), st.just(()), st.lists(below, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


CUT = {"Cc", "Cs", "Zl", "Zp"}
TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def one_line(title: str) -> str:
    kept = (" " if unicodedata.category(c) in CUT or c in TURNS else c for c in title)
    return " ".join("".join(kept).split()) or "…"


@settings(deadline=None)
@given(MAPS)
def test_json_comes_back_as_it_was(mind_map: MindMap) -> None:
    text = as_json(mind_map)

    assert from_json(text) == mind_map
    text.encode()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"title": 1, "document_id": null}', "[" * 9999])
def test_what_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(PermanentError, match="no mind map"):
        from_json(text)


def test_mermaid_has_a_line_per_node_indented_by_depth() -> None:
    assert as_mermaid(SAMPLE) == (
        'mindmap\n  n0(("Handbook #38; more"))\n    n1["One"]\n      n2["Deep"]\n    n3["Two"]\n'
    )


@settings(deadline=None)
@given(MAPS)
def test_mermaid_titles_are_quoted_text_whatever_is_in_them(mind_map: MindMap) -> None:
    first, *lines = as_mermaid(mind_map).splitlines()

    assert first == "mindmap"
    pattern = re.compile(r' +n\d+(?:\(\("(.*)"\)\)|\["(.*)"\])')
    matches = [pattern.fullmatch(line) for line in lines]
    titles = [match[1] or match[2] for match in matches if match]
    assert not any(re.search(r'["`<>&:{}%\[\]()\\]|#(?!\d+;)|(?<!\d);', title) for title in titles)
    read = [re.sub(r"#(\d+);", lambda code: chr(int(code[1])), title) for title in titles]
    assert read == [one_line(node.title) for node in nodes(mind_map)]


def test_markmap_is_a_heading_and_nested_lists() -> None:
    assert as_markmap(SAMPLE) == "# Handbook \\& more\n\n- One\n  - Deep\n- Two\n"


@settings(deadline=None)
@given(MAPS)
def test_markdown_titles_are_text_whatever_is_in_them(mind_map: MindMap) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).parse(as_markmap(mind_map))

    inline = [token for token in tokens if token.type == "inline"]
    for token in inline:
        assert {child.type for child in token.children or ()} <= {"text", "text_special"}
    read = ["".join(child.content for child in token.children or ()) for token in inline]
    assert read == [one_line(node.title) for node in nodes(mind_map)]
    assert {token.tag for token in tokens} <= {"h1", "ul", "li", "p", ""}


@settings(deadline=None)
@given(MAPS)
def test_opml_is_valid_xml_with_an_outline_per_node(mind_map: MindMap) -> None:
    text = as_opml(mind_map)

    opml = ET.fromstring(text.encode())
    assert (opml.tag, opml.get("version")) == ("opml", "2.0")
    assert [child.tag for child in opml] == ["head", "body"]
    assert len(opml[1]) == 1
    outlines = list(opml.iter("outline"))
    assert len(outlines) == sum(1 for _ in nodes(mind_map))
    assert all("text" in outline.attrib for outline in outlines)


def test_opml_has_titles_chunks_and_documents() -> None:
    (root,) = ET.fromstring(as_opml(SAMPLE)).iter("body")

    one = root[0][0]
    assert root[0].get("text") == "Handbook & more"
    assert one.attrib == {"text": "One", "documentId": "d1", "chunkIds": "c1 c2"}
    assert one[0].get("text") == "Deep"


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and the text in scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open, []).append(data)


PLAIN_PAGE = Page(as_html(SAMPLE))


@settings(deadline=None)
@given(MAPS, st.dictionaries(TITLES, TITLES, max_size=3))
def test_a_page_has_the_same_elements_whatever_is_in_titles_and_texts(
    mind_map: MindMap, texts: dict[str, str]
) -> None:
    text = as_html(mind_map, texts)
    page = Page(text)

    assert page.elements == PLAIN_PAGE.elements
    assert page.texts["script"][1:] == PLAIN_PAGE.texts["script"][1:]
    assert text.count("<!--") == 0
    data = json.loads(page.texts["script"][0])
    assert from_json(json.dumps(data["map"])) == mind_map
    assert page.texts["title"][0] == one_line(mind_map.title)
    text.encode()


def test_a_page_asks_nobody_for_anything() -> None:
    text = as_html(SAMPLE, {"c1": "Text."})

    assert not {"src", "href", "action"} & {key for _, each in Page(text).elements for key in each}
    assert not re.search(r"//[a-z]|url\(|@import|fetch\(|eval\(", text)
    assert "innerHTML" not in text
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert html.unescape(policy).startswith("default-src 'none'; script-src 'sha256-")


def test_a_page_has_the_texts_of_its_own_chunks_only() -> None:
    page = Page(as_html(SAMPLE, {"c1": "Ours.", "c9": "Another's."}))

    assert json.loads(page.texts["script"][0])["passages"] == {"c1": "Ours."}


@pytest.mark.parametrize("form", MindMapFormat)
def test_a_map_can_be_exported_in_every_form(form: MindMapFormat) -> None:
    text = exported(SAMPLE, form, {"c1": "Text."})

    assert "Deep" in text
    assert exported(SAMPLE, form, {"c1": "Text."}) == text
