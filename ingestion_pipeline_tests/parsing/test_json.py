from __future__ import annotations

import json

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import ITEM, TABLE, TEXT, TITLE, outline


def test_keys_are_headings_and_lists_of_like_objects_are_tables() -> None:
    document = parse(samples.JSON, "a.json")
    top = "Travel Handbook"
    assert document.title == top
    assert outline(document) == [
        (TITLE, top, ()),
        (TEXT, "year: 2024\napproved: true", (top,)),
        (TITLE, "rates", (top,)),
        (TABLE, "city | rate\nOslo | 120\nRome | 98.5", (top, "rates")),
        (TITLE, "rules", (top,)),
        (TITLE, "receipts", (top, "rules")),
        (TEXT, "where: office", (top, "rules", "receipts")),
        (TITLE, "list", (top, "rules", "receipts")),
        (ITEM, "Keep them", (top, "rules", "receipts", "list")),
        (ITEM, "Hand them in", (top, "rules", "receipts", "list")),
    ]


def test_long_texts_are_paragraphs_below_their_objects_name() -> None:
    long = "A sentence. " * 50
    data = json.dumps([{"title": "One", "text": long}, {"title": "Two", "notes": f"A\n\n{long}"}])
    assert outline(parse(data.encode(), "a.json")) == [
        (TITLE, "One", ()),
        (TEXT, long.strip(), ("One",)),
        (TITLE, "Two", ()),
        (TITLE, "notes", ("Two",)),
        (TEXT, "A", ("Two", "notes")),
        (TEXT, long.strip(), ("Two", "notes")),
    ]


def test_numbers_in_a_list_are_one_line() -> None:
    assert outline(parse(b'{"line": [1, 2.5, 3]}', "a.json")) == [
        (TITLE, "line", ()),
        (TEXT, "1, 2.5, 3", ("line",)),
    ]


def test_lines_that_are_no_json_are_left_out_with_a_warning() -> None:
    document = parse(samples.JSON_LINES + b'{"cut', "a.jsonl")
    assert document.text == "city | rate\nOslo | 120\nRome | 98.5"
    assert document.warnings == ("1 lines are no JSON, the first is line 3",)


@pytest.mark.parametrize("data", [b'{"a": 1,', b'{"a": ' + b"[" * 100_000])
def test_broken_json_is_broken(data: bytes) -> None:
    with pytest.raises(PermanentError) as raised:
        parse(data, "a.json")
    assert raised.value.kind is ErrorKind.BROKEN


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_values_may_follow_each_other_over_several_lines(name: str) -> None:
    document = parse(
        b'{\n "city": "Oslo",\n "rate": 1\n}\n{\n "city": "Rome",\n "rate": 2\n}\n', name
    )
    assert document.text == "city | rate\nOslo | 1\nRome | 2"


def test_stored_elements_are_the_document_that_they_were_read_from() -> None:
    def element(kind: str, text: str, **metadata: object) -> dict[str, object]:
        return {"type": kind, "element_id": text, "text": text, "metadata": metadata}

    elements = [
        element("Header", "Page 1"),
        element("Title", "Travel", page_number=1),
        element("Title", "Receipts", page_number=2, category_depth=1),
        element("ListItem", "Keep them", page_number=2),
        element("UncategorizedText", "120"),
    ]
    document = parse(json.dumps(elements).encode(), "a.json")
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TITLE, "Receipts", ("Travel",)),
        (ITEM, "Keep them", ("Travel", "Receipts")),
        (TEXT, "120", ("Travel", "Receipts")),
    ]
    assert [each.page for each in document.elements] == [1, 2, 2, None]
