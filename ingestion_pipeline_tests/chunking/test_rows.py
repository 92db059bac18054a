# ruff: noqa: RUF001 - full-width punctuation is meant
from __future__ import annotations

from dataclasses import replace

import pytest

from ingestion_pipeline.chunking.rows import tags_in
from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline_tests.chunking.documents import (
    cut_up,
    document,
    paragraph,
    sentences,
    table,
    texts_of,
    title,
)


class TestRows:
    def test_a_row_is_a_chunk_that_names_its_columns(self) -> None:
        parsed = document(
            title("Staff"), table("Name | Town | Age\nAda | London | 36\nAlan |  | 41", "Staff")
        )
        first, second = cut_up(parsed, kind=ParserKind.TABLE)
        assert first.text == "Name: Ada; Town: London; Age: 36"
        assert second.text == "Name: Alan; Age: 41"
        assert parsed.text[first.start : first.end] == "Ada | London | 36"
        assert first.heading_path == ("Staff",)

    def test_a_table_without_header_gives_its_values(self) -> None:
        assert texts_of(table("1 | 2.5\n2 | 3.5"), kind=ParserKind.TABLE) == ["1; 2.5", "2; 3.5"]

    def test_a_long_row_is_cut_between_fields(self) -> None:
        header = " | ".join(f"column {number}" for number in range(20))
        values = " | ".join(f"value {number}" for number in range(20))
        found = [
            part.text for part in cut_up(table(f"{header}\n{values}"), 32, kind=ParserKind.TABLE)
        ]
        fields = [field for text in found for field in text.split("; ")]
        assert len(found) > 3
        assert fields == [f"column {number}: value {number}" for number in range(20)]

    def test_a_field_that_is_too_long_is_cut_and_each_part_names_its_column(self) -> None:
        found = cut_up(table(f"Id | Story\n1 | {sentences(30)}"), 64, kind=ParserKind.TABLE)
        assert found[0].text == "Id: 1"
        assert all(part.text.startswith("Story: ") for part in found[1:])
        assert " ".join(part.text.removeprefix("Story: ") for part in found[1:]) == sentences(30)

    def test_text_around_tables_is_kept_and_headings_are_in_the_path(self) -> None:
        found = cut_up(
            document(
                title("A"),
                paragraph("Before.", "A"),
                table("x | y\n1 | 2", "A"),
                paragraph("After."),
            ),
            kind=ParserKind.TABLE,
        )
        assert [part.text for part in found] == ["A\n\nBefore.", "x: 1; y: 2", "After."]

    def test_lines_with_tabs_are_rows(self) -> None:
        found = texts_of(paragraph("name\tage\nAda\t36\nAlan\t41"), kind=ParserKind.TABLE)
        assert found == ["name: Ada; age: 36", "name: Alan; age: 41"]


class TestTags:
    def test_the_last_column_holds_the_tags(self) -> None:
        found = cut_up(
            table("Lamps give light | house.light, lamp\nRivers flow | nature"),
            kind=ParserKind.TAG,
        )
        assert [(part.text, part.tags) for part in found] == [
            ("Lamps give light", ("house_light", "lamp")),
            ("Rivers flow", ("nature",)),
        ]

    def test_a_column_named_tags_is_preferred(self) -> None:
        (found,) = cut_up(table("Tags | Content | Source\na,b | Text. | web"), kind=ParserKind.TAG)
        assert found.tags == ("a", "b")
        assert found.text == "Content: Text.; Source: web"

    def test_a_row_without_tags_has_none(self) -> None:
        found = cut_up(table("content | tags\nText.\nMore. | a"), kind=ParserKind.TAG)
        assert [(part.text, part.tags) for part in found] == [("Text.", ()), ("More.", ("a",))]

    def test_the_first_row_that_a_long_sheet_repeats_counts_once(self) -> None:
        pieces = [table("Water is wet | a\nIron is hard | b"), table("Water is wet | a\nFire | c")]
        assert texts_of(*pieces, kind=ParserKind.TAG) == ["Water is wet", "Iron is hard", "Fire"]

    @pytest.mark.parametrize(
        ("cell", "tags"),
        [("a,b，c、d", ("a", "b", "c", "d")), (" a.b , a.b,, ", ("a_b",)), ("", ())],
    )
    def test_tags_are_separated_by_commas(self, cell: str, tags: tuple[str, ...]) -> None:
        assert tags_in(cell) == tags


def test_a_row_names_its_columns_by_all_rows_of_the_header() -> None:
    html = "<tr><th>A</th><th></th></tr><tr><th>b</th><th>c</th></tr><tr><td>1</td><td>2</td></tr>"
    element = replace(table("A\nb | c\n1 | 2\n3 | 4"), html=html)
    assert texts_of(element, kind=ParserKind.TABLE) == ["A b: 1; A c: 2", "A b: 3; A c: 4"]
