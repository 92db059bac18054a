from __future__ import annotations

from collections.abc import Callable

import pytest
from reportlab.lib.utils import simpleSplit
from reportlab.pdfgen.canvas import Canvas

from ingestion_pipeline.model.elements import Element
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.samples import BODY, write

Draw = Callable[[Canvas], None]
SIZE = 10
WIDTH, HEIGHT = 595, 842
"""Of a page of A4 as it is shown, however it is turned."""
COLUMN = 220
LEFT, RIGHT = 60, 315


def prose(topic: str, sentences: int = 12) -> str:
    return (
        ", and ".join(
            f"Clause {number} about {topic} says that much was written and little was read of it"
            for number in range(1, sentences + 1)
        )
        + "."
    )


def wrapped(text: str, width: float = COLUMN) -> list[str]:
    return simpleSplit(text, "Helvetica", SIZE, width)


def elements(*draw: Draw) -> list[Element]:
    return list(parse(samples.pdf(draw), "a.pdf").elements)


def texts(*draw: Draw) -> list[str]:
    return [element.text for element in elements(*draw)]


def column_after_column(canvas: Canvas) -> None:
    write(canvas, wrapped(prose("apples")), x=LEFT)
    write(canvas, wrapped(prose("pears")), x=RIGHT)


def line_by_line(canvas: Canvas) -> None:
    left, right = wrapped(prose("apples")), wrapped(prose("pears"))
    for number in range(max(len(left), len(right))):
        write(canvas, left[number : number + 1], x=LEFT, y=700 - 12 * number)
        write(canvas, right[number : number + 1], x=RIGHT, y=700 - 12 * number)


def right_column_first(canvas: Canvas) -> None:
    for number, line in reversed(list(enumerate(wrapped(prose("pears"))))):
        write(canvas, [line], x=RIGHT, y=700 - 12 * number)
    for number, line in reversed(list(enumerate(wrapped(prose("apples"))))):
        write(canvas, [line], x=LEFT, y=700 - 12 * number)


@pytest.mark.parametrize("draw", [column_after_column, line_by_line, right_column_first])
def test_two_columns_are_read_one_after_the_other_however_they_are_drawn(draw: Draw) -> None:
    assert texts(draw) == [prose("apples"), prose("pears")]


def three_columns(canvas: Canvas) -> None:
    columns = [wrapped(prose(topic), 140) for topic in ("apples", "pears", "plums")]
    for number in range(max(map(len, columns))):
        for place, column in enumerate(columns):
            write(canvas, column[number : number + 1], x=50 + 170 * place, y=700 - 12 * number)


def test_three_columns_are_read_one_after_the_other() -> None:
    assert texts(three_columns) == [prose("apples"), prose("pears"), prose("plums")]


def test_what_stands_across_the_columns_comes_where_it_stands() -> None:
    wide = " ".join(BODY)

    def draw(canvas: Canvas) -> None:
        left, right = wrapped(prose("apples")), wrapped(prose("pears"))
        for number in range(max(len(left), len(right))):
            write(canvas, left[number : number + 1], x=LEFT, y=600 - 12 * number)
            write(canvas, right[number : number + 1], x=RIGHT, y=600 - 12 * number)
        write(canvas, ["A Title that Goes across Both Columns of It"], x=LEFT, y=760, size=20)
        write(canvas, wrapped(wide, 475), x=LEFT, y=700)
        write(canvas, wrapped("Below. " + wide, 475), x=LEFT, y=150)

    assert texts(draw) == [
        "A Title that Goes across Both Columns of It",
        wide,
        prose("apples"),
        prose("pears"),
        "Below. " + wide,
    ]


def test_a_title_that_is_drawn_last_is_read_first() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, BODY)
        write(canvas, ["Title"], y=760, size=20)

    assert texts(draw) == ["Title", " ".join(BODY)]


def test_headings_beside_their_text_stay_with_it() -> None:
    def draw(canvas: Canvas) -> None:
        y = 700.0
        for number in range(4):
            write(canvas, [f"Margin heading {number}", "in two lines here"], x=40, y=y)
            y = write(canvas, wrapped(prose(f"matter {number}", 3), 340), x=200, y=y) - 20

    found = texts(draw)
    for number in range(4):
        place = found.index(f"Margin heading {number} in two lines here")
        assert found[place + 1] == prose(f"matter {number}", 3)


def pages_of(text: str, *, x: float = 72, width: float = 450, footnote: str = "") -> list[Draw]:
    """Cut a paragraph in two after half of its lines."""
    lines = wrapped(text, width)
    half = len(lines) // 2

    def first(canvas: Canvas) -> None:
        write(canvas, ["Report of the year"], y=810, size=8)
        write(canvas, lines[:half], x=x, y=300)
        write(canvas, [footnote], x=x, y=60, size=7)
        write(canvas, ["1"], x=300, y=30)

    def second(canvas: Canvas) -> None:
        write(canvas, ["Report of the year"], y=810, size=8)
        y = write(canvas, lines[half:], x=x, y=780) - 20
        write(canvas, BODY, x=x, y=y)
        write(canvas, ["2"], x=300, y=30)

    def third(canvas: Canvas) -> None:
        write(canvas, ["Report of the year"], y=810, size=8)
        write(canvas, BODY, x=x, y=780)
        write(canvas, ["3"], x=300, y=30)

    return [first, second, third]


@pytest.mark.parametrize("footnote", ["", "1 A footnote stands below the text."])
def test_a_paragraph_that_goes_on_over_the_page_is_one(footnote: str) -> None:
    text = prose("the Council of Old Town and its Mayor", 6)
    found = elements(*pages_of(text, footnote=footnote))
    (paragraph,) = (element for element in found if element.text == text)
    assert paragraph.page == 1
    assert paragraph.box is not None
    assert paragraph.box[1] == pytest.approx((842 - 310) / 842, abs=0.01)
    assert [element.page for element in found if element.text == " ".join(BODY)] == [2, 3]


def test_a_word_that_is_cut_by_the_page_is_one() -> None:
    def draw(lines: list[str], y: float) -> Draw:
        return lambda canvas: void(write(canvas, lines, y=y))

    found = elements(
        draw(["The members of the com-"], 60), draw(["mittee met again before the winter."], 780)
    )
    assert [element.text for element in found] == [
        "The members of the committee met again before the winter."
    ]


def void(_: object) -> None:
    return None


def test_a_paragraph_that_ends_on_its_page_is_not_joined() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, BODY, y=200)

    assert [element.page for element in elements(draw, draw)] == [1, 2]


def test_a_column_goes_on_over_the_page() -> None:
    lines = wrapped(prose("apples", 30))
    third = len(lines) // 3

    def first(canvas: Canvas) -> None:
        write(canvas, lines[:third], x=LEFT)
        write(canvas, lines[third : 2 * third], x=RIGHT)

    def second(canvas: Canvas) -> None:
        write(canvas, lines[2 * third :], x=LEFT)

    assert texts(first, second) == [prose("apples", 30)]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_boxes_are_those_of_the_page_as_it_is_shown(rotation: int) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setPageRotation(rotation)
        match rotation:
            case 90:
                canvas.rotate(90)
                canvas.translate(0, -HEIGHT)
            case 180:
                canvas.rotate(180)
                canvas.translate(-WIDTH, -HEIGHT)
            case 270:
                canvas.rotate(270)
                canvas.translate(-WIDTH, 0)
        write(canvas, BODY, x=0.1 * WIDTH, y=0.8 * HEIGHT)

    (element,) = elements(draw)
    assert element.box is not None
    left, top, right, bottom = element.box
    assert left == pytest.approx(0.1, abs=0.01)
    assert right - left == pytest.approx(400 / WIDTH, rel=0.1)
    assert top == pytest.approx(0.2 - 10 / HEIGHT, abs=0.02)
    assert bottom == pytest.approx(0.2 + 26 / HEIGHT, abs=0.02)


def test_what_lies_outside_the_page_is_not_read() -> None:
    def draw(canvas: Canvas) -> None:
        write(canvas, BODY)
        write(canvas, ["The other half of the double page"], x=700)

    assert texts(draw) == [" ".join(BODY)]


def test_running_text_at_one_height_on_every_page_is_no_header() -> None:
    lines = [f"Paragraph {number} reads like all of the others." for number in range(40)]

    def draw(canvas: Canvas) -> None:
        write(canvas, ["Handbook of Handbooks"], y=810, size=8)
        write(canvas, lines, y=760)

    text = parse(samples.pdf([draw] * 4), "a.pdf").text
    assert "Handbook of Handbooks" not in text
    assert all(text.count(line) == 4 for line in lines)
