from __future__ import annotations

import io

import openpyxl
import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline.parsing.number_formats import shown
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import TABLE, TEXT, TITLE, outline
from ingestion_pipeline_tests.parsing.samples import zipped


def test_a_workbook_is_headings_captions_and_tables_as_people_see_them() -> None:
    document = parse(samples.handbook_xlsx(), "a.xlsx")
    assert outline(document) == [
        (TITLE, "Rates", ()),
        (TEXT, "Travel rates", ("Rates",)),
        (
            TABLE,
            (
                "City | Rate | Share | Since | Paid | Change\n"
                "Oslo | 1,234.50 € | 25.6% | 2024-03-01 | TRUE | (81)\n"
                "Rome | 98.00 € | 100.0% | 2024-03-01 14:30:00 | FALSE | 0.3"
            ),
            ("Rates",),
        ),
        (TITLE, "Cities", ()),
        (TABLE, "Oslo", ("Cities",)),
    ]
    assert document.warnings == ("hidden sheets were left out: 1",)
    html = document.elements[2].html
    assert html is not None
    assert html.startswith("<table><tr><th>City</th>")


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}'
    "</sheetData></worksheet>"
)
RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}'


def workbook(rows: str) -> bytes:
    return zipped(
        {
            "xl/workbook.xml": "<workbook xmlns:r='x/relationships'><sheets>"
            "<sheet name='S' r:id='r1'/></sheets></workbook>",
            "xl/_rels/workbook.xml.rels": RELATIONS.format(
                "<Relationship Id='r1' Type='x/worksheet' Target='s.xml'/></Relationships>"
            ),
            "xl/s.xml": SHEET.format(rows),
        }
    )


def test_cells_stand_in_their_columns_without_styles_and_shared_texts() -> None:
    document = parse(
        workbook(
            '<row><c r="A1" t="inlineStr"><is><t>a</t></is></c>'
            '<c r="C1" t="str"><v>c</v></c></row><row><c r="B2" t="str"><v>b</v></c>'
            '<c r="C2"><v>2</v></c></row><row><c><v>3</v></c></row>'
        ),
        "a.xlsx",
    )
    assert document.elements[1].text == "a |  | c\n | b | 2\n3"


def test_an_empty_workbook_is_empty() -> None:
    with pytest.raises(PermanentError) as raised:
        parse(workbook(""), "a.xlsx")
    assert raised.value.kind is ErrorKind.EMPTY


def test_an_old_workbook_is_read_with_its_formats() -> None:
    document = parse(samples.handbook_xls(), "a.xls")
    assert outline(document) == [
        (TITLE, "Rates", ()),
        (
            TABLE,
            "City | Rate | Since\nOslo | 25.0% | 2024-03-01\nRøros | 98 | 2024-03-02",
            ("Rates",),
        ),
    ]


def test_a_protected_old_workbook_is_encrypted() -> None:
    with pytest.raises(PermanentError) as raised:
        parse(samples.handbook_xls(encrypted=True), "a.xls")
    assert raised.value.kind is ErrorKind.ENCRYPTED


def test_an_opendocument_sheet_shows_what_its_cells_show() -> None:
    assert outline(parse(samples.handbook_ods(), "a.ods")) == [
        (TITLE, "Rates", ()),
        (TABLE, "City | Rate\nOslo | € 1,234.50\n25 % | 25 %", ("Rates",)),
    ]


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (3.0, "General", "3"),
        (0.1 + 0.2, "General", "0.3"),
        (1e20, "General", "1e+20"),
        (3, 'General" pcs"', "3 pcs"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (1234.5, "[$€-407] #,##0.00;[Red]-[$€-407] #,##0.00", "€ 1,234.50"),
        (-81, "#,##0_);(#,##0)", "(81)"),
        (-1.5, "0.00", "-1.50"),
        (0, '_(* #,##0_);_(* (#,##0);_(* "—"_);_(@_)', "—"),
        (0.256, "0%", "26%"),
        (1_234_567, '#,##0,"k"', "1,235k"),
        (5, "00000", "00005"),
        (12.5, "0.0##", "12.5"),
        (1234, "0.00E+00", "1.23E+03"),
        (0.5, "# ?/?", "0.5"),
        (45352, "d/m/yyyy", "2024-03-01"),
        (45352, "[$-409]mmm\\-yy;@", "2024-03"),
        (45352.604167, "m/d/yy h:mm", "2024-03-01 14:30"),
        (0.5, "h:mm AM/PM", "12:00"),
        (1.5, "[h]:mm:ss", "36:00:00"),
        (-1, "yyyy-mm-dd", "-1"),
        (2, '"day; month"0', "day; month2"),
    ],
)
def test_numbers_are_shown_by_their_format(value: float, code: str, text: str) -> None:
    assert shown(value, code) == text


def test_days_may_be_counted_since_1904() -> None:
    assert shown(0, "yyyy-mm-dd", since_1904=True) == "1904-01-01"


def rows_of(*rows: tuple[str | int | None, ...] | None) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row or ())
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_header_may_have_two_rows_and_years() -> None:
    data = rows_of(
        ("Region", "Sales", None, "Costs", None),
        (None, 2022, 2023, 2022, 2023),
        ("North", 1, 2, 3, 4),
        ("South", 5, 6, 7, 8),
    )
    html = parse(data, "a.xlsx").elements[1].html
    assert html is not None
    assert html.count("<tr><th>") == 2
    assert "<tr><td>North</td>" in html


def test_years_in_rows_of_years_are_no_header() -> None:
    html = parse(rows_of(("Ada", 1815, 1852), ("Emmy", 1882, 1935)), "a.xlsx").elements[1].html
    assert html is not None
    assert "<th>" not in html


def test_below_an_empty_row_a_header_begins_another_table() -> None:
    data = rows_of(
        ("First",), ("City", "Rate"), ("Oslo", 120), None, ("Second",), ("Name", "Age"), ("Ada", 36)
    )
    assert outline(parse(data, "a.xlsx"))[1:] == [
        (TEXT, "First", ("Sheet",)),
        (TABLE, "City | Rate\nOslo | 120", ("Sheet",)),
        (TEXT, "Second", ("Sheet",)),
        (TABLE, "Name | Age\nAda | 36", ("Sheet",)),
    ]


def test_empty_rows_between_like_rows_part_no_table() -> None:
    data = rows_of(("City", "Rate"), None, ("Oslo", 120), None, None, ("Rome", 98))
    assert parse(data, "a.xlsx").elements[1].text == "City | Rate\nOslo | 120\nRome | 98"


def test_formulas_that_nobody_computed_are_told_of() -> None:
    document = parse(rows_of(("City", "Rate"), ("Oslo", "=1+1")), "a.xlsx")
    assert document.warnings[0].startswith("1 formulas have no value; open the workbook")
    with pytest.raises(PermanentError, match="formulas have no value") as raised:
        parse(rows_of(("=1+1",)), "a.xlsx")
    assert raised.value.kind is ErrorKind.EMPTY
