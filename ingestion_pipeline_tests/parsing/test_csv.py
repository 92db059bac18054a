from __future__ import annotations

import pytest

from ingestion_pipeline.parsing import parse
from ingestion_pipeline.parsing.csv import _LARGEST_WITH_HTML
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import TABLE, TEXT, outline, texts


def test_delimiter_quotes_and_encoding_are_found() -> None:
    document = parse(samples.CSV, "a.csv")
    (table,) = document.elements
    assert table.text == "City | Rate | Note\nOslo | 120,50 | cold; dark\nGöteborg | 98"
    assert table.html is not None
    assert table.html.startswith("<table><tr><th>City</th><th>Rate</th><th>Note</th></tr><tr><td>")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_delimiter_is_read_in_every_encoding(delimiter: str, encoding: str) -> None:
    rows = [["Stadt", "Größe"], ["Köln", "1.1"], ["Rom", "2.8"]]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    assert texts(parse(text.encode(encoding), "a.csv")) == ["Stadt | Größe\nKöln | 1.1\nRom | 2.8"]


def test_commas_in_values_do_not_hide_the_delimiter() -> None:
    data = b"Lorem, ipsum; dolor sit; amet\nsed, do; eiusmod; tempor\nut enim; ad, minim; veniam"
    assert texts(parse(data, "a.csv"))[0].startswith("Lorem, ipsum | dolor sit | amet\n")


def test_tabs_come_first_in_a_tsv() -> None:
    assert texts(parse(samples.TSV, "a.tsv")) == ["City | Rate\nOslo | 120\nBergen | 98"]


def test_a_line_above_the_table_is_its_caption() -> None:
    document = parse(b"Stanley Cups,,\nTeam,Place,Cups\nBlues,STL,1\n", "a.csv")
    assert outline(document) == [
        (TEXT, "Stanley Cups", ()),
        (TABLE, "Team | Place | Cups\nBlues | STL | 1", ()),
    ]


def test_a_row_with_numbers_is_no_header() -> None:
    (table,) = parse(b"Oslo,120\nRome,98\n", "a.csv").elements
    assert table.html is not None
    assert "<th>" not in table.html


def test_long_tables_are_cut_and_each_piece_has_the_header() -> None:
    rows = "".join(f"{number},name {number},{'x' * (number % 50)}\n" for number in range(1000))
    document = parse(f"id,name,text\n{rows}".encode(), "a.csv")
    assert len(document.elements) >= 10
    assert all(table.text.startswith("id | name | text\n") for table in document.elements)
    assert max(len(table.text) for table in document.elements) < 10_000
    lines = [line for table in document.elements for line in table.text.split("\n")[1:]]
    assert [line.split(" | ")[0] for line in lines] == [str(number) for number in range(1000)]


def test_a_quote_that_nobody_closes_swallows_nothing() -> None:
    rows = "".join(f"{number},{'y' * 100}\n" for number in range(2000))
    document = parse(f'id,text\n1,"open\n{rows}'.encode(), "a.csv")
    assert "1999 | yyy" in document.text
    assert document.warnings == ("quotes do not match; they were read as characters",)


def test_long_values_between_quotes_that_match_are_cells() -> None:
    value = "a, b\n" * 50_000
    document = parse(f'name,text\nx,"{value}"\ny,"{value}"\n'.encode(), "a.csv")
    assert document.warnings == ()
    assert document.text.startswith("name | text\nx | a, b")
    assert document.text.count("a, b") == 100_000
    assert '"' not in document.text


def test_long_values_without_quotes_are_kept() -> None:
    assert len(parse(b"id,text\n1," + b"y" * 200_000, "a.csv").text) > 200_000


def test_one_document_does_not_limit_the_next() -> None:
    first = texts(parse(samples.CSV, "a.csv"))
    parse(b'"' * (200_000), "b.csv")
    assert texts(parse(samples.CSV, "a.csv")) == first


def test_large_tables_have_no_html() -> None:
    line = b",".join([b"x" * 3000] * 3) + b"\n"
    document = parse(line * (_LARGEST_WITH_HTML // len(line) + 1), "a.csv")
    assert all(table.html is None for table in document.elements)


def test_the_line_that_tells_excel_the_delimiter_is_no_row() -> None:
    document = parse(b"sep=;\r\nName;Price\r\nTea;1,50\r\n", "a.csv")
    assert document.text == "Name | Price\nTea | 1,50"
