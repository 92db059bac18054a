from __future__ import annotations

import sys

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import ole_samples as samples
from ingestion_pipeline_tests.parsing.outline import ITEM, TABLE, TEXT, TITLE, outline, texts


def test_a_word_document_has_headings_lists_and_tables() -> None:
    document = parse(samples.handbook_doc(), "a.doc")
    below = ("Travel", "Receipts")
    assert document.media_type == "application/msword"
    assert document.title == "Travel"
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TEXT, "The committee approves cafés and every journey to 東京.", ("Travel",)),
        (TITLE, "Receipts", ("Travel",)),
        (ITEM, "Keep them", below),
        (ITEM, "Hand them in", below),
        (TABLE, "City | Rate\nOslo | 120", below),
        (TEXT, "After the table.", below),
    ]
    assert document.elements[5].html == (
        "<table><tr><td>City</td><td>Rate</td></tr><tr><td>Oslo</td><td>120</td></tr></table>"
    )


@pytest.mark.parametrize(
    ("others", "added"),
    [
        ({samples.NOTES: "\x02 A note.\r"}, ["A note."]),
        ({samples.PAGE_HEADERS: "Page 1 of 3\r"}, []),
        ({samples.COMMENTS: "\x05Who wrote this?\r"}, []),
        ({samples.TEXT_BOXES: "In a box\r"}, ["In a box"]),
        ({samples.PAGE_HEADERS: "Page 1\r", samples.TEXT_BOXES: "In a box\r"}, ["In a box"]),
        ({samples.PAGE_HEADERS: "\r", samples.TEXT_BOXES: "In a box\r"}, ["In a box"]),
    ],
)
def test_notes_and_text_boxes_of_a_word_document_are_read_but_no_page_headers(
    others: dict[int, str], added: list[str]
) -> None:
    document = parse(samples.handbook_doc(others=others), "a.doc")
    assert texts(document) == [*texts(parse(samples.handbook_doc(), "a.doc")), *added]


@pytest.mark.parametrize("properties", [samples.DELETED, samples.HIDDEN])
def test_deleted_and_hidden_text_of_a_word_document_is_left_out(properties: bytes) -> None:
    document = parse(samples.handbook_doc(marked=("fés", properties)), "a.doc")
    assert texts(document)[1] == "The committee approves ca and every journey to 東京."


def test_a_number_alone_is_no_heading() -> None:
    paragraphs = [samples.Paragraph(text) for text in ("A short one.\r", "12. 5. 2003\r")]
    document = parse(samples.handbook_doc(paragraphs=paragraphs, marked=("12", b"")), "a.doc")
    assert outline(document) == [(TEXT, "A short one.", ()), (TEXT, "12. 5. 2003", ())]


def test_a_slide_is_a_page_below_its_title() -> None:
    document = parse(samples.handbook_ppt(), "a.ppt")
    assert document.media_type == "application/vnd.ms-powerpoint"
    assert document.pages == 2
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TEXT, "Keep receipts", ("Travel",)),
        (TEXT, "Hand them in", ("Travel",)),
        (TEXT, "Say it twice.", ("Travel",)),
        (TITLE, "Réceipts", ()),
        (TEXT, "東京 costs 120", ("Réceipts",)),
    ]
    assert [element.page for element in document.elements] == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    "data", [samples.handbook_doc(encrypted=True), samples.handbook_ppt(encrypted=True)]
)
def test_an_encrypted_document_says_so(data: bytes) -> None:
    with pytest.raises(PermanentError, match="protected by a password") as raised:
        parse(data, "a")
    assert raised.value.kind is ErrorKind.ENCRYPTED


def test_a_word_document_without_its_text_is_broken() -> None:
    with pytest.raises(PermanentError, match="damaged") as raised:
        parse(samples.ole({"WordDocument": b"\xec\xa5" + bytes(100)}), "a.doc")
    assert raised.value.kind is ErrorKind.BROKEN


@pytest.mark.parametrize("name", ["a.doc", "a.ppt"])
def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "office_oxide", None)
    data = samples.handbook_doc() if name.endswith("doc") else samples.handbook_ppt()

    with pytest.raises(PermanentError) as raised:
        parse(data, name)

    assert raised.value.kind is ErrorKind.DEPENDENCY_MISSING
    assert "legacy-office" in raised.value.message
