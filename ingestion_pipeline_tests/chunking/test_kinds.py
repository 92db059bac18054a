# ruff: noqa: RUF001 - full-width punctuation is meant
"""The structure that each kind finds, seen in its chunks."""

from __future__ import annotations

import pytest

from ingestion_pipeline.chunking import kind_of
from ingestion_pipeline.chunking.kinds import KINDS
from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline_tests.chunking.documents import (
    cut_up,
    document,
    paragraph,
    sentences,
    table,
    texts_of,
    title,
)


def lines(*texts: str) -> Element:
    return paragraph("\n".join(texts))


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        (
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            ParserKind.PRESENTATION,
        ),
        ("application/vnd.ms-powerpoint", ParserKind.PRESENTATION),
        ("application/vnd.oasis.opendocument.presentation", ParserKind.PRESENTATION),
        ("image/png", ParserKind.PICTURE),
        ("message/rfc822", ParserKind.EMAIL),
        ("application/vnd.ms-outlook", ParserKind.EMAIL),
        ("audio/mpeg", ParserKind.AUDIO),
        ("application/pdf", ParserKind.GENERAL),
        ("text/csv", ParserKind.GENERAL),
    ],
)
def test_the_format_suggests_the_kind(media_type: str, kind: ParserKind) -> None:
    assert kind_of(ParsedDocument(media_type, ())) is kind


def test_every_kind_is_in_the_table() -> None:
    assert {*KINDS, ParserKind.AUTO} == {*ParserKind}


class TestPaper:
    def test_the_abstract_is_a_chunk_of_its_own(self) -> None:
        abstract = "We show that " + sentences(5)
        elements = (
            paragraph("A Study of Things"),
            paragraph(f"Abstract—{abstract}"),
            paragraph("1 Introduction"),
            paragraph(sentences(4)),
            paragraph("2 Methods"),
            paragraph("2.1 Data"),
            paragraph("Tiny."),
            paragraph("References"),
            paragraph("[1] A book."),
        )
        found = cut_up(document(*elements), kind=ParserKind.PAPER)
        assert [part.text.partition("\n")[0][:20] for part in found] == [
            "A Study of Things",
            "Abstract—We show tha",
            "1 Introduction",
            "2 Methods",
            "References",
        ]
        assert found[1].text == f"Abstract—{abstract}"
        assert [part.heading_path for part in found[1:]] == [
            ("Abstract",),
            ("1 Introduction",),
            ("2 Methods", "2.1 Data"),
            ("References",),
        ]

    def test_the_abstract_is_found_beside_the_parsers_headings(self) -> None:
        found = texts_of(
            title("摘要研究"),
            paragraph("作者"),
            paragraph("摘要：本文研究。"),
            title("引言"),
            paragraph("很好。"),
            kind=ParserKind.PAPER,
        )
        assert found == ["摘要研究\n\n作者", "摘要：本文研究。", "引言\n\n很好。"]


class TestBook:
    def test_the_table_of_contents_is_left_out(self) -> None:
        elements = (
            title("Contents"),
            lines("Chapter 1 The Start ........ 3", "Chapter 2 The End ........ 90"),
            table("Index | 120"),
            paragraph("Chapter 1 The Start"),
            paragraph(sentences(12)),
            paragraph("Chapter 2 The End"),
            paragraph(sentences(13)),
            paragraph("Index"),
        )
        found = cut_up(document(*elements), kind=ParserKind.BOOK)
        assert [part.heading_path for part in found] == [
            ("Chapter 1 The Start",),
            ("Chapter 2 The End",),
        ]
        assert not any("..." in part.text for part in found)

    def test_a_list_of_what_comes_later_is_a_table_of_contents_too(self) -> None:
        found = texts_of(
            lines("目录", "第一章 总则", "第二章 附则"),
            lines("第一章 总则", "一切开始。"),
            lines("第二章 附则", "一切结束。"),
            kind=ParserKind.BOOK,
        )
        assert "".join(found).count("第一章") == 1
        assert "目录" not in "".join(found)

    def test_a_chapter_named_contents_stays(self) -> None:
        elements = (title("Contents"), paragraph("The box holds a lamp."))
        assert texts_of(*elements, kind=ParserKind.BOOK) == ["Contents\n\nThe box holds a lamp."]

    def test_the_parsers_headings_are_kept(self) -> None:
        elements = (title("A"), lines("1. First", "2. Second"), title("B"), paragraph("Text."))
        assert texts_of(*elements, kind=ParserKind.BOOK) == texts_of(*elements)

    def test_levels_come_from_the_family_of_bullets(self) -> None:
        elements = (
            title("The Book"),
            lines("PART ONE", "Chapter I Youth", sentences(12), "Chapter II Age", sentences(13)),
            lines("PART TWO", "Chapter I Death", sentences(14)),
        )
        found = cut_up(document(*elements), kind=ParserKind.BOOK)
        assert [part.heading_path for part in found] == [
            ("The Book", "PART ONE", "Chapter I Youth"),
            ("The Book", "PART ONE", "Chapter II Age"),
            ("The Book", "PART TWO", "Chapter I Death"),
        ]


class TestLaws:
    def test_an_article_is_a_chunk_under_the_path_of_its_titles(self) -> None:
        parsed = document(
            title("中华人民共和国某法"),
            lines("目　录", "第一编　总则", "第一章　原则"),
            lines("第一编　总则", "第一章　原则"),
            lines("第一条　为了保护权利，制定本法。", "第二条　公民平等。根据第一条执行。"),
            lines("第二编　物权", "第三条　物权法定。", "第三条规定的物权另行处理。"),
        )
        found = cut_up(parsed, kind=ParserKind.LAWS)
        assert [part.heading_path for part in found] == [
            ("中华人民共和国某法", "第一编　总则", "第一章　原则", "第一条"),
            ("中华人民共和国某法", "第一编　总则", "第一章　原则", "第二条"),
            ("中华人民共和国某法", "第二编　物权", "第三条"),
        ]
        assert found[1].text == (
            "中华人民共和国某法\n第一编　总则\n第一章　原则\n第二条　公民平等。根据第一条执行。"
        )
        assert parsed.text[found[1].start : found[1].end] == "第二条　公民平等。根据第一条执行。"
        assert found[2].text.endswith("第三条　物权法定。\n第三条规定的物权另行处理。")

    def test_each_part_of_a_long_article_begins_with_the_path(self) -> None:
        parsed = document(
            paragraph("PART ONE"),
            paragraph("Chapter 1 General"),
            paragraph("Article 1 Scope"),
            paragraph(sentences(30)),
            paragraph("Article 2. The Board shall meet."),
        )
        first, *later, last = cut_up(parsed, 64, kind=ParserKind.LAWS)
        assert first.text.startswith("PART ONE\n\nChapter 1 General\n\nArticle 1 Scope\n\nSentence")
        assert len(later) > 3
        assert all(
            part.text.startswith("PART ONE\nChapter 1 General\nArticle 1 Scope\nSentence")
            for part in later
        )
        assert last.text == "PART ONE\nChapter 1 General\nArticle 2. The Board shall meet."
        assert last.heading_path == ("PART ONE", "Chapter 1 General", "Article 2")

    def test_sections_are_the_units_where_there_are_no_articles(self) -> None:
        found = cut_up(
            document(
                lines("Chapter 1 Names", "Section 1. This act is short.", "Section 2. It ends.")
            ),
            kind=ParserKind.LAWS,
        )
        assert [part.heading_path[-1] for part in found] == ["Section 1", "Section 2"]


class TestManual:
    def test_tiny_sections_join_their_neighbours_under_the_same_heading(self) -> None:
        found = texts_of(
            title("Setup"),
            title("Plug", "Setup", level=2),
            paragraph("Plug it in.", "Setup", "Plug"),
            title("Wait", "Setup", level=2),
            paragraph(sentences(5), "Setup", "Wait"),
            title("Use"),
            paragraph("Press.", "Use"),
            kind=ParserKind.MANUAL,
        )
        assert [text.partition("\n")[0] for text in found] == ["Setup", "Wait", "Use"]

    def test_numbered_lines_are_headings_where_the_parser_gave_none(self) -> None:
        found = cut_up(
            document(
                lines("1. Safety", sentences(4)),
                lines("1.1 Fire", sentences(5)),
                lines("2. Setup", sentences(6)),
            ),
            kind=ParserKind.MANUAL,
        )
        assert [part.heading_path for part in found] == [
            ("1. Safety",),
            ("1. Safety", "1.1 Fire"),
            ("2. Setup",),
        ]


class TestResume:
    def test_usual_names_are_headings(self) -> None:
        found = cut_up(
            document(
                lines("Ada", "ada@example.org"),
                lines("WORK EXPERIENCE", "Wrote programs."),
                lines("Education:", "Mathematics."),
                lines("专业技能", "编程"),
            ),
            kind=ParserKind.RESUME,
        )
        assert [part.heading_path for part in found] == [
            (),
            ("WORK EXPERIENCE",),
            ("Education",),
            ("专业技能",),
        ]
        assert found[2].text == "Education:\nMathematics."


class TestPagesAndPictures:
    def test_a_slide_is_a_chunk(self) -> None:
        slides = [
            element
            for page in (1, 2, 3)
            for element in (
                title(f"Slide {page}", page=page),
                paragraph("A point.", f"Slide {page}", page=page),
                paragraph("Another."),
            )
        ]
        found = cut_up(document(*slides), kind=ParserKind.PRESENTATION)
        assert [part.pages for part in found] == [(1,), (2,), (3,)]
        assert found[1].text == "Slide 2\n\nA point.\n\nAnother."

    def test_a_long_slide_is_cut_under_the_cap(self) -> None:
        slides = [paragraph(sentences(30), page=1), paragraph("Short.", page=2)]
        found = cut_up(document(*slides), 128, kind=ParserKind.PRESENTATION)
        assert [part.pages for part in found] == [(1,), (1,), (1,), (2,)]

    def test_a_picture_is_a_chunk(self) -> None:
        pictures = [
            Element(ElementCategory.IMAGE, "A cat.", picture="cat"),
            Element(ElementCategory.NARRATIVE_TEXT, "Read off it.", picture="cat"),
            Element(ElementCategory.IMAGE, "A dog.", picture="dog"),
        ]
        found = cut_up(document(*pictures), kind=ParserKind.PICTURE)
        assert [part.pictures for part in found] == [("cat",), ("dog",)]
        assert found[0].text == "A cat.\n\nRead off it."


class TestOne:
    def test_the_document_is_one_chunk_if_it_fits(self) -> None:
        elements = (title("One"), paragraph(sentences(8)), title("Two"), paragraph(sentences(8)))
        assert texts_of(*elements, kind=ParserKind.ONE) == [document(*elements).text]

    def test_it_is_cut_only_where_it_must(self) -> None:
        elements = (title("One"), paragraph(sentences(12)), title("Two"), paragraph(sentences(12)))
        assert len(texts_of(*elements, kind=ParserKind.ONE)) == 2


@pytest.mark.parametrize("kind", [ParserKind.EMAIL, ParserKind.AUDIO, ParserKind.AUTO])
def test_mails_and_speech_are_cut_like_text(kind: ParserKind) -> None:
    elements = (title("Lunch"), paragraph("From: a\nTo: b", "Lunch"), paragraph(sentences(40)))
    assert texts_of(*elements, kind=kind) == texts_of(*elements, kind=ParserKind.GENERAL)
