from __future__ import annotations

import pytest

from ingestion_pipeline.chunking.tables import header, rows
from ingestion_pipeline.model.elements import Element, ElementCategory


def table(text: str, html: str | None = None) -> Element:
    return Element(ElementCategory.TABLE, text, html=html)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("a | b\nc | d", [["a", "b"], ["c", "d"]]),
        (" | b\n\n |  | c", [["", "b"], ["", "", "c"]]),
        ("question\tanswer", [["question", "answer"]]),
        ("one||two|three", [["one||two|three"]]),
        (" \n", []),
    ],
)
def test_a_row_is_a_line_of_cells(text: str, cells: list[list[str]]) -> None:
    found = list(rows(text))
    assert [row.texts for row in found] == cells
    for row in found:
        for cell in row.cells:
            assert text[cell.start : cell.start + len(cell.text)] == cell.text


def test_a_column_that_a_row_does_not_reach_is_empty() -> None:
    (row,) = rows("a | b")
    assert row.cell(1).text == "b"
    assert row.cell(7).text == ""


@pytest.mark.parametrize(
    ("element", "has_header"),
    [
        (table("Name | Age\nAda | 36"), True),
        (table("Item | 2023 | 2024\nA | 1 | 2"), False),
        (table("1 | 2.5\n2 | 3.5"), False),
        (table("2023 | 2024\n1 | 2", "<table><tr><th>2023</th><th>2024</th></tr></table>"), True),
        (table("Name | Age"), False),
        (table(" "), False),
    ],
)
def test_the_first_row_is_a_header_if_it_names_the_columns(
    element: Element, has_header: bool
) -> None:
    found = header(element)
    assert (found is not None) == has_header
    assert found is None or element.text[found.start : found.end] == element.text.split("\n")[0]
