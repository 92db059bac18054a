from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest
from reportlab.lib import colors
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Table, TableStyle

from ingestion_pipeline.model.elements import Element, ElementCategory
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.samples import BODY, write

PRICES = [
    ["Item", "Unit", "Price"],
    ["Paper", "ream", "4.20"],
    ["Ink", "bottle", "12.00"],
    ["Binder", "piece", "1.10"],
]
GRID = [("GRID", (0, 0), (-1, -1), 0.5, colors.black)]


def draw_table(
    canvas: Canvas,
    rows: Sequence[Sequence[str]],
    style: Sequence[tuple[object, ...]] = GRID,
    *,
    x: float = 72,
    top: float = 600,
    widths: Sequence[float] | None = None,
) -> None:
    table = Table([list(row) for row in rows], colWidths=widths)
    table.setStyle(TableStyle(list(style)))
    _, height = table.wrapOn(canvas, 450, 700)
    table.drawOn(canvas, x, top - height)


def tables(*draw: Callable[[Canvas], None]) -> list[Element]:
    document = parse(samples.pdf(draw), "a.pdf")
    return [e for e in document.elements if e.category is ElementCategory.TABLE]


def texts(*draw: Callable[[Canvas], None]) -> list[str]:
    return [element.text for element in parse(samples.pdf(draw), "a.pdf").elements]


def lines(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(" | ".join(row) for row in rows)


def test_a_ruled_table_has_its_cells_its_header_and_its_place() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, BODY)
        draw_table(canvas, PRICES)
        write(canvas, BODY, y=400)

    (table,) = tables(draw)
    assert table.text == lines(PRICES)
    assert table.html is not None
    assert table.html.startswith(
        "<table><tr><th>Item</th><th>Unit</th><th>Price</th></tr><tr><td>Paper</td>"
    )
    assert texts(draw) == [" ".join(BODY), table.text, " ".join(BODY)]
    assert table.box is not None
    left, top, right, bottom = table.box
    assert left == pytest.approx(72 / 595, abs=0.01)
    assert top == pytest.approx((842 - 600) / 842, abs=0.01)
    assert left < right < 1
    assert top < bottom < 0.5


def test_a_cell_of_several_lines_is_one_cell() -> None:
    rows = [["Step", "What to do"], ["1", "Open the valve\nand wait"], ["2", "Close it"]]
    (table,) = tables(lambda canvas: draw_table(canvas, rows))
    assert table.text == "Step | What to do\n1 | Open the valve and wait\n2 | Close it"


def test_cells_that_nearly_touch_are_parted_by_their_ruling() -> None:
    rows = [["alpha beta", "gamma delta"], ["one two", "three four"]]
    style = [*GRID, ("LEFTPADDING", (0, 0), (-1, -1), 1), ("RIGHTPADDING", (0, 0), (-1, -1), 1)]
    (table,) = tables(lambda canvas: draw_table(canvas, rows, style))
    assert table.text == lines(rows)


def test_merged_cells_span_columns_and_rows() -> None:
    rows = [
        ["Region", "Sales", ""],
        ["", "2023", "2024"],
        ["North", "10", "12"],
        ["South", "20", "18"],
    ]
    style = [*GRID, ("SPAN", (1, 0), (2, 0)), ("SPAN", (0, 0), (0, 1))]
    (table,) = tables(lambda canvas: draw_table(canvas, rows, style))
    assert table.html is not None
    assert '<th colspan="2">Sales</th>' in table.html
    assert re.search(r'<t[hd] rowspan="2">Region</t[hd]>', table.html)
    assert "<td>North</td><td>10</td><td>12</td>" in table.html


def test_a_table_without_rulings_at_its_sides_is_one() -> None:
    style = [("INNERGRID", (0, 0), (-1, -1), 0.5, colors.black)]
    (table,) = tables(lambda canvas: draw_table(canvas, PRICES, style))
    assert table.text == lines(PRICES)


def test_columns_of_numbers_need_no_rulings() -> None:
    rows = [["Year", "Income", "Costs"], *([str(2000 + n), str(n * 111), "7"] for n in range(1, 6))]

    def draw(canvas: Canvas) -> None:
        write(canvas, BODY)
        draw_table(canvas, rows, [("ALIGN", (1, 0), (-1, -1), "RIGHT")], widths=[80, 80, 80])
        write(canvas, BODY, y=300)

    (table,) = tables(draw)
    assert table.text == lines(rows)
    assert texts(draw) == [" ".join(BODY), table.text, " ".join(BODY)]


def test_a_table_stands_under_its_heading() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, ["Prices"], y=760, size=20)
        write(canvas, BODY)
        draw_table(canvas, PRICES)

    (table,) = tables(draw)
    assert table.heading_path == ("Prices",)


def test_a_table_that_goes_on_over_the_page_is_one_with_one_header() -> None:
    rows = [[f"Item {number}", "piece", f"{number}.00"] for number in range(40)]

    def draw(part: Sequence[Sequence[str]]) -> Callable[[Canvas], None]:
        def draw_part(canvas: Canvas) -> None:
            write(canvas, ["Catalogue of everything"], y=800, size=8)
            draw_table(canvas, [PRICES[0], *part], top=780, widths=[120, 80, 80])
            write(canvas, [str(canvas.getPageNumber())], y=30)

        return draw_part

    (table,) = tables(*(draw(rows[start : start + 10]) for start in range(0, 40, 10)))
    assert table.text == lines([PRICES[0], *rows])
    assert table.page == 1
    assert table.html is not None
    assert table.html.count("<th>Item</th>") == 1


def test_tables_of_different_columns_stay_two() -> None:
    other = [["Name", "Place"], ["Anna", "Rome"], ["Ben", "Oslo"]]
    found = tables(
        lambda canvas: draw_table(canvas, PRICES, top=100),
        lambda canvas: draw_table(canvas, other, top=780),
    )
    assert [table.page for table in found] == [1, 2]


def test_a_table_on_a_page_on_its_side_is_found() -> None:
    def draw(canvas: Canvas) -> None:
        canvas.translate(500, 100)
        canvas.rotate(90)
        draw_table(canvas, PRICES, x=0, top=300)

    (table,) = tables(draw)
    assert table.text == lines(PRICES)


@pytest.mark.parametrize("frame", [1, 2])
def test_frames_around_prose_are_no_tables(frame: int) -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(frame):
            canvas.rect(60, 600 - 200 * number, 480, 150)
            write(canvas, BODY, y=700 - 200 * number)

    assert tables(draw) == []


def test_the_grid_of_a_chart_is_no_table() -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(8):
            canvas.line(100, 300 + 30 * number, 400, 300 + 30 * number)
            canvas.line(100 + 40 * number, 300, 100 + 40 * number, 510)
            write(canvas, [str(10 * number)], x=80, y=298 + 30 * number)
        write(canvas, ["peak"], x=210, y=480)

    assert tables(draw) == []


def test_lists_and_columns_of_prose_are_no_tables() -> None:
    def draw(canvas: Canvas) -> None:
        y = 780.0
        for number in range(1, 8):
            write(canvas, [f"{number}."], x=72, y=y)
            y = write(canvas, ["Hand in the receipts within a month"], x=100, y=y)
        half = [part for line in BODY * 6 for part in (line[:44], line[44:])]
        write(canvas, half, x=60, y=600)
        write(canvas, half, x=320, y=600)

    assert tables(draw) == []


def test_authors_beside_each_other_are_no_table() -> None:
    def draw(canvas: Canvas) -> None:
        for x, name in ((150, "Ann Example"), (400, "Bob Example")):
            canvas.setFont("Helvetica", 10)
            for row, text in enumerate((name, "Institute", "Old Town", f"{name[:3]}@site.test")):
                canvas.drawCentredString(x, 700 - 12 * row, text)
        write(canvas, BODY, y=600)

    assert tables(draw) == []
