from __future__ import annotations

import pytest

from ingestion_pipeline.graph.terms import abbreviations, terms
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.graph import Term, TermKind


def chunk(text: str, *headings: str) -> Chunk:
    return Chunk("c", "d", 0, text, 1, 0, len(text), heading_path=headings)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("magnetic resonance imaging (MRI)", [("MRI", "magnetic resonance imaging")]),
        ("the World Health Organization (WHO)", [("WHO", "World Health Organization")]),
        ("tumor necrosis factor alpha (TNF-alpha)", [("TNF-alpha", "tumor necrosis factor alpha")]),
        ("We saw it. Red apples (RA) fall.", [("RA", "Red apples")]),
        ("infants (n = 17) and adults (see below)", []),
        ("the harbour (XYZ)", []),
        ("(ABC) first", []),
    ],
)
def test_what_stands_before_a_bracket_is_what_it_abbreviates(
    text: str, pairs: list[tuple[str, str]]
) -> None:
    assert list(abbreviations(text)) == pairs


def test_a_document_gives_its_title_its_headings_and_what_it_defines() -> None:
    found = terms(
        "Orchard Act",
        [
            chunk("“Apple” means any pome.", "1.2 Scope of the Act"),
            chunk("Pear Ltd (hereinafter “the Grower”) plants.", "1.2 Scope of the Act"),
        ],
    )

    assert found == (
        Term("Orchard Act", TermKind.TITLE),
        Term("Scope of the Act", TermKind.HEADING),
        Term("Apple", TermKind.DEFINED),
        Term("the Grower", TermKind.DEFINED),
    )


def test_a_title_that_is_a_sentence_is_no_name() -> None:
    title = "Early pruning of apple trees makes for larger fruit in wet years"

    assert terms(title, []) == ()
