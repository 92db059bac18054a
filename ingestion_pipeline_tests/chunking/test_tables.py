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


def test_several_header_rows_are_one_that_names_each_column() -> None:
    element = table(
        "Region | Sales |  | Costs\n | 2022 | 2023 | 2022\nNorth | 1 | 2 | 3",
        "<table><tr><th>Region</th><th>Sales</th><th></th><th>Costs</th></tr><tr><th></th>"
        "<th>2022</th><th>2023</th><th>2022</th></tr><tr><td>North</td></tr></table>",
    )
    found = header(element)
    assert found is not None
    assert found.texts == ["Region", "Sales 2022", "Sales 2023", "Costs 2022"]
    assert element.text[found.end :] == "\nNorth | 1 | 2 | 3"


def test_a_row_that_a_header_cell_begins_is_no_header() -> None:
    found = header(
        table("A | B\nx | 1", "<tr><th>A</th><th>B</th></tr><tr><th>x</th><td>1</td></tr>")
    )
    assert found is not None
    assert found.texts == ["A", "B"]
