from __future__ import annotations

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.enrichment import TocEntry, enrich
from ingestion_pipeline.enrichment.outline import (
    Section,
    asked_levels,
    asked_sections,
    batches,
    outlined,
)
from ingestion_pipeline.model.collections import EnrichmentConfig
from ingestion_pipeline_tests.enrichment.documents import chunks, plain
from ingestion_pipeline_tests.llm.endpoints import Asked, Reply, replies, serving

TEXTS = chunks("Of pumps.", "They pump.", "Of valves.", "They close.")
BATCH = [(number, chunk.text) for number, chunk in enumerate(TEXTS)]


@pytest.mark.parametrize(
    ("answer", "sections"),
    [
        ('{"0": "Pumps", "1": "-1", "2": "Valves", "9": "Nowhere"}', [(0, "Pumps"), (2, "Valves")]),
        ("```json\n{'2': ' Valves  and more ',}```", [(2, "Valves and more")]),
        ('{"0": 7, "1": "12.3", "2": null, "3": "' + "word " * 40 + '"}', []),
        ("There are none.", []),
    ],
)
def test_sections_are_those_whose_titles_make_sense(
    answer: str, sections: list[tuple[int, str]]
) -> None:
    with serving(replies(Reply(answer))) as endpoint:
        asked = asked_sections(BATCH, endpoint.model(), NoControl())
        assert "[2] Of valves." in endpoint.asked[0].user

    assert [(each.number, each.title) for each in asked.values] == sections


def test_levels_that_are_missing_or_wrong_are_the_first() -> None:
    with serving(replies(Reply('{"0": 1, "1": "2", "2": 9, "3": "deep", "4": 10}'))) as endpoint:
        levels = asked_levels(list("abcdef"), endpoint.model(), NoControl()).values

    assert levels == (1, 2, 6, 1, 1, 1)


def test_each_section_has_the_chunks_up_to_the_next() -> None:
    sections = [Section(0, "Pumps"), Section(2, "Valves")]

    assert outlined(sections, [1, 2], TEXTS) == (
        TocEntry("Pumps", 1, ("c0", "c1")),
        TocEntry("Valves", 2, ("c2", "c3")),
    )


def test_questions_hold_so_many_passages_as_fit() -> None:
    texts = chunks(*["word " * 400] * 5)  # 501 tokens each

    assert [[number for number, _ in part] for part in batches(texts)] == [[0, 1], [2, 3], [4]]
    assert batches([]) == []


def test_a_document_without_headings_gets_contents_from_the_model() -> None:
    def handler(request: Asked) -> Reply:
        if "level" in request.system:
            return Reply('{"0": 1, "1": 1}')
        return Reply('{"0": "Pumps", "2": "Valves"}')

    config = EnrichmentConfig(toc=True)
    with serving(handler) as endpoint:
        result = enrich(plain(TEXTS), TEXTS, config, endpoint.model(), None, NoControl())

    assert [entry.title for entry in result.toc] == ["Pumps", "Valves"]
    assert result.tokens == 14


def test_without_an_answer_there_are_no_contents() -> None:
    config = EnrichmentConfig(toc=True)
    with serving(replies(Reply(status=400))) as endpoint:
        result = enrich(plain(TEXTS), TEXTS, config, endpoint.model(), None, NoControl())

    assert result.toc == ()
    assert len(result.warnings) == 1
