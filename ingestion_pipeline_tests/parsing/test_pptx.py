from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import ITEM, TABLE, TEXT, TITLE, outline
from ingestion_pipeline_tests.parsing.samples import zipped

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    "<Relationship Id='r1' Type='x/slide' Target='slides/s.xml'/></Relationships>"
)


def slide_of(shapes: str) -> bytes:
    return zipped(
        {
            "ppt/presentation.xml": "<p xmlns:r='x/relationships'><sldIdLst><sldId r:id='r1'/>"
            "<sldId r:id='gone'/></sldIdLst></p>",
            "ppt/_rels/presentation.xml.rels": RELATIONS,
            "ppt/slides/s.xml": f"<p:sld xmlns:p='p' xmlns:a='{A}' xmlns:m='m'>"
            f"<p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>",
        }
    )


def shape(text: str, kind: str = "") -> str:
    place = f"<p:nvSpPr><p:nvPr><p:ph {kind}/></p:nvPr></p:nvSpPr>" if kind else ""
    return f"<p:sp>{place}<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"


def test_slides_are_pages_with_titles_bullets_tables_and_notes() -> None:
    document = parse(samples.handbook_pptx(), "a.pptx")
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (ITEM, "Keep receipts", ("Travel",)),
        (ITEM, "Hand them in", ("Travel",)),
        (TEXT, "Say it twice.", ("Travel",)),
        (TEXT, "No title here", ()),
        (TABLE, "City | Rate\nOslo | 120", ()),
    ]
    assert [each.page for each in document.elements] == [1, 1, 1, 1, 2, 2]
    assert document.pages == 2
    assert document.title == "Travel"
    html = document.elements[-1].html
    assert html is not None
    assert html.startswith("<table><tr><th>City</th><th>Rate</th></tr>")


def test_the_title_comes_first_and_groups_and_choices_are_entered_once() -> None:
    shapes = (
        f"<p:grpSp>{shape('grouped')}</p:grpSp>"
        f"<m:AlternateContent><m:Choice>{shape('chosen')}</m:Choice>"
        f"<m:Fallback>{shape('fallback')}</m:Fallback></m:AlternateContent>"
        + shape("7", 'type="sldNum"')
        + shape("Head", 'type="title"')
    )
    document = parse(slide_of(shapes), "a.pptx")
    assert outline(document) == [
        (TITLE, "Head", ()),
        (TEXT, "grouped", ("Head",)),
        (TEXT, "chosen", ("Head",)),
    ]
    assert document.pages == 2


def test_merged_cells_have_their_text_once() -> None:
    def cell(text: str, merge: str = "") -> str:
        merge = {"gridSpan": 'gridSpan="2"', "hMerge": 'hMerge="1"'}.get(merge, "")
        return f"<a:tc {merge}><a:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:txBody></a:tc>"

    table = (
        "<p:graphicFrame><a:graphic><a:graphicData><a:tbl>"
        f"<a:tr>{cell('wide', 'gridSpan')}{cell('', 'hMerge')}</a:tr>"
        f"<a:tr>{cell('a')}{cell('b')}</a:tr></a:tbl></a:graphicData></a:graphic></p:graphicFrame>"
    )
    (element,) = parse(slide_of(table), "a.pptx").elements
    assert element.html == (
        '<table><tr><td colspan="2">wide</td></tr><tr><td>a</td><td>b</td></tr></table>'
    )


def test_a_presentation_without_its_main_part_is_broken() -> None:
    data = zipped({"[Content_Types].xml": "presentationml.presentation.main"})
    with pytest.raises(PermanentError) as raised:
        parse(data, "a.pptx")
    assert raised.value.kind is ErrorKind.BROKEN
