from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from pydantic import TypeAdapter

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.enrichment import Enrichment, TagModel, enrich
from ingestion_pipeline.errors import StopWorkError
from ingestion_pipeline.llm import Budget, ChatModel, Patience, Slots
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import EnrichmentConfig
from ingestion_pipeline_tests.enrichment.documents import (
    chunk,
    chunk_per_element,
    chunks,
    document,
    paragraph,
    plain,
    title,
)
from ingestion_pipeline_tests.enrichment.test_tags import EXAMPLES
from ingestion_pipeline_tests.llm.endpoints import IMPATIENT, Asked, Reply, replies, serving
from ingestion_pipeline_tests.llm.test_limits import Stopped

TEXTS = chunks(
    "The bank raised the mortgage rate of the bank.",
    "The goalkeeper of the team saved the match; the match was over.",
)
EVERYTHING = EnrichmentConfig(
    keywords=2, questions=1, tags="topics", metadata={"author": "who wrote it"}, toc=True
)
TAGS = TagModel.learn(EXAMPLES)


def enriched(
    config: EnrichmentConfig = EVERYTHING,
    llm: ChatModel | None = None,
    texts: list[Chunk] = TEXTS,
    control: NoControl | None = None,
) -> Enrichment:
    return enrich(plain(texts), texts, config, llm, TAGS, control or NoControl())


def clever(request: Asked) -> Reply:
    """Answer each kind of question."""
    words = request.system.split()
    if "keywords." in words:
        return Reply("first keyword, second keyword, third")
    if "questions." in words:
        return Reply("1. Is it true?")
    return Reply('{"author": "Ada", "sport": 4}')


def test_nothing_is_made_by_default() -> None:
    result = enriched(EnrichmentConfig())

    assert [(each.keywords, each.questions, each.tags) for each in result.chunks] == [
        ((), (), ())
    ] * 2
    assert result.language == "en"
    assert (result.metadata, result.toc, result.warnings) == ({}, (), ())


def test_without_a_model_statistics_serve_and_a_warning_names_the_rest() -> None:
    result = enriched()

    assert [each.keywords[0] for each in result.chunks] == ["bank", "match"]
    assert [len(each.keywords) for each in result.chunks] == [2, 2]
    assert [each.tags[0][0] for each in result.chunks] == ["finance", "sport"]
    (warning,) = result.warnings
    assert warning.startswith("questions and metadata cannot be made")
    assert "INGEST_LLM_BASE_URL" in warning
    assert (result.tokens, result.complete) == (0, True)


def test_with_a_model_everything_is_made() -> None:
    with serving(clever) as endpoint:
        result = enriched(llm=endpoint.model())
        asked = len(endpoint.asked)

    for each in result.chunks:
        assert each.keywords == ("first keyword", "second keyword")
        assert each.questions == ("Is it true?",)
    assert result.metadata == {"author": "Ada"}
    assert result.warnings == ()
    assert asked == 5  # the tags are known from the examples
    assert result.tokens == 7 * asked


def test_statistics_fill_up_what_the_model_leaves_free() -> None:
    with serving(replies(Reply("Bank"))) as endpoint:
        result = enriched(EnrichmentConfig(keywords=2), endpoint.model())

    assert [each.keywords for each in result.chunks] == [
        ("Bank", "raised"),
        ("Bank", "match"),
    ]


def test_the_model_tags_what_the_examples_do_not() -> None:
    texts = chunks("A canoe glides over the lake.", TEXTS[1].text)

    with serving(clever) as endpoint:
        result = enriched(EnrichmentConfig(tags="topics"), endpoint.model(), texts)
        assert len(endpoint.asked) == 1

    assert [each.tags for each in result.chunks] == [(("sport", 4),), (("sport", 10),)]
    assert all(each.keywords == () for each in result.chunks)


def test_a_model_that_fails_leaves_the_statistical_result_and_a_warning() -> None:
    with serving(replies(Reply(status=500))) as endpoint:
        result = enriched(llm=endpoint.model(slots=Slots(1)))
        assert len(endpoint.asked) == IMPATIENT.attempts  # it is given up after the first failure

    assert [each.keywords[0] for each in result.chunks] == ["bank", "match"]
    assert result.metadata == {}
    (warning,) = result.warnings
    assert "without an answer: 5 (" in warning
    assert "status 500" in warning
    assert not result.complete


def test_a_single_refused_text_costs_nothing_else() -> None:
    def handler(request: Asked) -> Reply:
        return Reply(status=400) if "mortgage" in request.user else clever(request)

    with serving(handler) as endpoint:
        result = enriched(EnrichmentConfig(keywords=2), endpoint.model())

    assert [each.keywords[0] for each in result.chunks] == ["bank", "first keyword"]
    assert "without an answer: 1 (" in result.warnings[0]
    assert result.complete


def test_a_model_that_refuses_everything_is_soon_asked_no_more() -> None:
    texts = chunks(*(f"Turbine number{number}." for number in range(40)))

    with serving(replies(Reply(status=401))) as endpoint:
        result = enriched(EnrichmentConfig(keywords=2), endpoint.model(slots=Slots(1)), texts)
        assert len(endpoint.asked) == 3

    assert all(each.keywords for each in result.chunks)
    assert "without an answer: 40 (" in result.warnings[0]
    assert "INGEST_LLM_API_KEY" in result.warnings[0]


def test_a_spent_budget_leaves_the_statistical_result_and_a_warning() -> None:
    with serving(clever) as endpoint:
        model = endpoint.model(budget=Budget(260), slots=Slots(1))
        result = enriched(
            EnrichmentConfig(keywords=2), model, texts=[*TEXTS * 20, chunk("The turbine.", 40)]
        )
        asked = len(endpoint.asked)

    assert 0 < asked < 41
    assert result.chunks[0].keywords == ("first keyword", "second keyword")
    assert result.chunks[-1].keywords == ("turbine",)
    assert "budget of 260 tokens" in result.warnings[0]
    assert not result.complete


def test_tags_without_examples_are_warned_of() -> None:
    for tags in (None, TagModel.learn([])):
        config = EnrichmentConfig(tags="topics")
        result = enrich(plain(TEXTS), TEXTS, config, None, tags, NoControl())
        assert "'topics' has no tagged chunks" in result.warnings[0]


def test_chunks_are_asked_about_side_by_side() -> None:
    met = threading.Barrier(4, timeout=5)

    def handler(_: Asked) -> Reply:
        met.wait()
        return Reply("yes")

    texts = chunks(*(f"Turbine number{number}." for number in range(8)))
    with serving(handler) as endpoint:
        result = enriched(EnrichmentConfig(keywords=1), endpoint.model(slots=Slots(4)), texts)

    assert [each.keywords for each in result.chunks] == [("yes",)] * 8


def test_it_stops_at_once_when_the_work_must_stop() -> None:
    silence = threading.Event()

    def handler(_: Asked) -> Reply:
        silence.wait(5)
        return Reply("late")

    with serving(handler) as endpoint:
        began = time.monotonic()
        with pytest.raises(StopWorkError):
            enriched(llm=endpoint.model(patience=Patience()), control=Stopped(0.2))
        assert time.monotonic() - began < 1.5
        silence.set()


def test_the_contents_come_from_the_headings() -> None:
    parsed = document(title("Ports"), paragraph("The harbour is deep."), title("Ships"))
    texts = chunk_per_element(parsed)

    result = enrich(parsed, texts, EnrichmentConfig(toc=True), None, None, NoControl())

    assert [(entry.title, entry.chunk_ids) for entry in result.toc] == [
        ("Ports", ("c0", "c1")),
        ("Ships", ("c2",)),
    ]


def test_the_result_is_the_same_after_json() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Enrichment)
    with serving(clever) as endpoint:
        result = enriched(llm=endpoint.model())

    assert adapter.validate_json(adapter.dump_json(result)) == result


def test_a_document_without_chunks_is_enriched_with_nothing() -> None:
    with serving(clever) as endpoint:
        result = enriched(llm=endpoint.model(), texts=[])

    assert (result.chunks, result.language, result.metadata, result.toc) == ((), None, {}, ())
