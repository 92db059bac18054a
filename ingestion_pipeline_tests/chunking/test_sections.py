from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline_tests.chunking.documents import (
    cut_up,
    document,
    paragraph,
    sentences,
    table,
    title,
    uncovered,
)
from ingestion_pipeline_tests.fakes import packaged_tokenizer

TOKENIZER = packaged_tokenizer()


def chunks_of(
    parsed: ParsedDocument | Element, max_tokens: int = 256, overlap: int = 0
) -> list[Chunk]:
    return cut_up(parsed, max_tokens, overlap=overlap)


def texts_of(*elements: Element, max_tokens: int = 256, overlap: int = 0) -> list[str]:
    return [found.text for found in chunks_of(document(*elements), max_tokens, overlap)]


class TestSections:
    def test_a_large_section_starts_its_own_chunk_with_its_heading(self) -> None:
        first, second = sentences(12), sentences(14)
        assert texts_of(
            title("One"), paragraph(first, "One"), title("Two"), paragraph(second, "Two")
        ) == [f"One\n\n{first}", f"Two\n\n{second}"]

    def test_a_small_section_takes_in_its_sibling(self) -> None:
        elements = [
            title("One", "Top"),
            paragraph("Short."),
            title("Two", "Top"),
            paragraph("Too."),
        ]
        assert texts_of(*elements) == ["One\n\nShort.\n\nTwo\n\nToo."]

    def test_a_small_section_does_not_take_in_a_section_of_another_parent(self) -> None:
        elements = [title("One", "A"), paragraph("Short."), title("Two", "B"), paragraph("Too.")]
        assert texts_of(*elements) == ["One\n\nShort.", "Two\n\nToo."]

    def test_a_small_section_stays_alone_if_both_do_not_fit(self) -> None:
        long = sentences(30)
        found = texts_of(title("One"), paragraph("Short."), title("Two"), paragraph(long))
        assert found[0] == "One\n\nShort."
        assert found[1].startswith("Two\n\nSentence 100")

    def test_headings_that_follow_each_other_stay_with_the_text_below(self) -> None:
        body = sentences(40)
        found = texts_of(
            paragraph(sentences(10)), title("Part"), title("Chapter", "Part"), paragraph(body)
        )
        assert found[1].startswith("Part\n\nChapter\n\nSentence 100")

    def test_a_heading_is_never_alone_even_before_a_text_without_borders(self) -> None:
        found = texts_of(title("Data"), paragraph("x" * 50_000), max_tokens=64)
        assert found[0].startswith("Data\n\nx")

    def test_a_heading_without_text_is_a_chunk_if_there_is_nothing_else(self) -> None:
        (found,) = chunks_of(document(title("Part"), title("Chapter", "Part")))
        assert found.text == "Part\n\nChapter"
        assert found.heading_path == ("Part", "Chapter")

    def test_a_document_without_elements_has_no_chunks(self) -> None:
        assert texts_of() == []

    def test_an_edit_in_one_section_leaves_the_chunks_of_the_others_alone(self) -> None:
        def ids(second: str) -> list[str]:
            sections = [sentences(60), second, sentences(50, words=7)]
            elements = [
                element
                for name, body in zip("ABC", sections, strict=True)
                for element in (title(name), paragraph(body, name))
            ]
            return [found.chunk_id for found in chunks_of(document(*elements))]

        before, after = ids(sentences(40)), ids("New. " + sentences(70))
        assert before[:3] == after[:3]
        assert before[-2:] == after[-2:]


class TestCuts:
    def test_a_paragraph_is_preferred_to_a_sentence(self) -> None:
        paragraphs = [sentences(9), sentences(10), sentences(11), sentences(10)]
        assert texts_of(*map(paragraph, paragraphs), max_tokens=128) == paragraphs

    def test_a_blank_line_within_an_element_is_a_paragraph(self) -> None:
        paragraphs = [sentences(10), sentences(11), sentences(9)]
        assert texts_of(paragraph("\n \n".join(paragraphs)), max_tokens=128) == paragraphs

    @pytest.mark.parametrize(
        "text",
        [
            sentences(100),
            "これは日本語の文です。次の文が続きます！" * 60,  # noqa: RUF001
            "他说。「你好。」她笑了？" * 80,  # noqa: RUF001
        ],
    )
    def test_sentences_stay_whole(self, text: str) -> None:
        found = texts_of(paragraph(text))
        assert len(found) > 1
        assert all(part.endswith((".", "。", "！", "」", "？")) for part in found)  # noqa: RUF001

    def test_words_stay_whole_where_there_are_no_sentences(self) -> None:
        text = " ".join(f"internationalisation{number}" for number in range(500))
        found = texts_of(paragraph(text))
        assert " ".join(found) == text

    @pytest.mark.parametrize(
        "word", ["x" * 100_000, "ab1" * 33_000, "漢字" * 50_000, "é" * 100_000]
    )
    def test_a_huge_word_is_cut_into_readable_pieces(self, word: str) -> None:
        found = chunks_of(paragraph(f"Before. {word} After."))
        assert uncovered(document(paragraph(f"Before. {word} After.")), found).strip() == ""
        assert max(len(part.text) for part in found) <= 256 * 32
        assert max(part.tokens for part in found) <= 256

    @pytest.mark.parametrize("count", [24, 25, 30, 47, 50, 70, 100])
    def test_no_chunk_is_under_a_quarter_of_the_cap(self, count: int) -> None:
        assert min(part.tokens for part in chunks_of(paragraph(sentences(count)))) > 64

    def test_what_is_left_for_the_last_two_chunks_is_shared_evenly(self) -> None:
        first, second = chunks_of(paragraph(sentences(24)))
        assert first.tokens == second.tokens

    def test_a_table_without_header_is_cut_between_rows(self) -> None:
        rows = [f"{number} | {number}.5 | first cell. Second sentence" for number in range(100)]
        found = texts_of(table("\n".join(rows)))
        assert len(found) > 1
        assert "\n".join(found) == "\n".join(rows)

    def test_code_is_cut_between_lines(self) -> None:
        lines = [f"value_{number} = compute(value_{number}).result" for number in range(100)]
        found = texts_of(Element(ElementCategory.CODE_SNIPPET, "\n".join(lines)))
        assert "\n".join(found) == "\n".join(lines)


class TestOverlap:
    def test_a_chunk_repeats_whole_sentences_from_the_end_of_the_one_before(self) -> None:
        found = chunks_of(paragraph(sentences(60)), overlap=30)
        for before, after in pairwise(found):
            repeated = before.text[after.start - before.start :]
            assert repeated.startswith("Sentence")
            assert 0 < TOKENIZER.count(repeated) - 2 <= 30

    def test_words_are_repeated_where_no_sentence_is_short_enough(self) -> None:
        found = chunks_of(paragraph("word " * 1000), overlap=20)
        for before, after in pairwise(found):
            assert before.text[after.start - before.start :] == " ".join(["word"] * 20)

    def test_nothing_is_repeated_across_a_heading(self) -> None:
        found = texts_of(
            title("One"),
            paragraph(sentences(15), "One"),
            title("Two"),
            paragraph(sentences(15), "Two"),
            overlap=60,
        )
        assert [text[:3] for text in found] == ["One", "Two"]

    @pytest.mark.parametrize(("max_tokens", "overlap"), [(256, 128), (256, -1), (15, 0), (0, 0)])
    def test_a_cap_or_overlap_that_cannot_work_is_refused(
        self, max_tokens: int, overlap: int
    ) -> None:
        with pytest.raises(PermanentError) as raised:
            chunks_of(paragraph("Text."), max_tokens, overlap)
        assert raised.value.kind is ErrorKind.INVALID_OPTION


class TestOddDocuments:
    @pytest.mark.parametrize(
        "elements", [(), (paragraph(" \n\t "),), (paragraph("\u3000"), title(" "))]
    )
    def test_a_document_without_text_has_no_chunks(self, elements: tuple[Element, ...]) -> None:
        assert texts_of(*elements) == []

    def test_special_tokens_and_lone_surrogates_are_text(self) -> None:
        text = "A [SEP] b [CLS] c <|endoftext|> \ud800 [PAD]"
        (found,) = chunks_of(paragraph(text))
        assert found.text == text

    def test_text_that_has_no_tokens_is_kept(self) -> None:
        text = "\u200b" * 40_000
        found = chunks_of(paragraph(text))
        assert uncovered(document(paragraph(text)), found) == ""

    def test_equal_chunks_of_one_document_have_different_ids(self) -> None:
        same = (title("One", "A"), paragraph("Same."), title("One", "B"), paragraph("Same."))
        first, second = chunks_of(document(*same))
        assert first.text == second.text
        assert first.chunk_id != second.chunk_id

    def test_a_tokenizer_that_finds_more_tokens_in_a_slice_does_not_break_the_cap(self) -> None:
        class Growing:
            """Finds few tokens in the whole text, one per character in a slice."""

            special_tokens_per_text = 2

            def token_starts(self, text: str) -> range:
                return range(0, len(text), 10)

            def counts(self, texts: Sequence[str]) -> list[int]:
                return [len(text) + 2 for text in texts]

        parsed = document(paragraph(sentences(50)))
        found = cut_up(parsed, 64, tokenizer=Growing())
        assert max(part.tokens for part in found) <= 64
        assert uncovered(parsed, found).strip() == ""

    def test_time_grows_with_the_text_not_with_its_square(self) -> None:
        parsed = document(paragraph(sentences(40_000)), table("1 | 2 | 3\n" * 30_000))
        started = time.process_time()
        found = chunks_of(parsed, overlap=30)
        assert len(parsed.text) > 2_000_000
        assert len(found) > 2_000
        assert time.process_time() - started < 20
