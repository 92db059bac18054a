from __future__ import annotations

import pytest

from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import ITEM, TABLE, TEXT, TITLE, outline, texts


def test_styles_lists_tables_and_notes_are_elements() -> None:
    document = parse(samples.RTF, "a.rtf")
    below = ("Travel", "Receipts")
    assert document.title == "Travel Handbook"
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TEXT, "The committee approves cafés 東京 and Москва.", ("Travel",)),
        (TEXT, "A note.", ("Travel",)),
        (TITLE, "Receipts", ("Travel",)),
        (ITEM, "Keep them", below),
        (TABLE, "City | Rate\nOslo | 120", below),
        (TEXT, "After the table.", below),
    ]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (rb"{\rtf1 a\tab b\line c\~d\_e\{f\}}", "a\tb\nc d-e{f}"),
        (rb"{\rtf1\uc2 \u8364\'80\'80 5 {\uc0\u8364}6}", "€ 5 €6"),
        (rb"{\rtf1 \u-10179?\u-8704?}", "\U0001f600"),
        (rb"{\rtf1\ansicpg932 \'93\'fa\'96\'7b}", "日本"),
        (rb"{\rtf1 a{\pict\bin5 }}}}}} b}", "a b"),
        (rb"{\rtf1 {\field{\*\fldinst HYPERLINK x}{\fldrslt link}} end}", "link end"),
        (b"{\\rtf1 broken " + b"{" * 5000 + b"deep", "broken deep"),
    ],
)
def test_characters_and_groups_are_read_as_a_word_processor_does(source: bytes, text: str) -> None:
    assert texts(parse(source, "a.rtf")) == [text]
