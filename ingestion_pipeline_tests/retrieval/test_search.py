from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.indexing import CollectionIndex, Extras, Snapshot, purge_collection
from ingestion_pipeline.model.chunks import Parent
from ingestion_pipeline.model.search import SearchMode
from ingestion_pipeline.retrieval import search
from ingestion_pipeline_tests.indexing.samples import WordEncoder, document

MODES = list(SearchMode)


class NoEncoder:
    """An embedding model that must not be used."""

    def encode(self, texts: Sequence[str], control: Control) -> NDArray[np.float32]:
        raise AssertionError("the embedder was used")


@pytest.fixture
def filled(index: CollectionIndex) -> CollectionIndex:
    index.publish(
        [
            document("travel", "travel must be approved by the head", "trains before planes"),
            document("expense", "expenses are paid monthly", name="expenses.pdf"),
            document("chinese", "费用报销由部门经理批准", name="手册.md"),
        ]
    )
    return index


@pytest.mark.parametrize("mode", MODES)
def test_the_best_chunk_comes_first(filled: CollectionIndex, mode: SearchMode) -> None:
    hits = search(filled, WordEncoder(), "who must travel approved", mode, k=2)
    assert hits[0].document_id == "travel"
    assert hits[0].text == "travel must be approved by the head"
    assert hits[0].sources == ["file:///travel"]
    assert hits[0].pages == [1]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_indexed_finds_nothing(index: CollectionIndex, mode: SearchMode) -> None:
    assert search(index, NoEncoder(), "travel", mode) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("query", ["", "   ", "\n\t", "\u3000"])
def test_an_empty_query_finds_nothing(
    filled: CollectionIndex, mode: SearchMode, query: str
) -> None:
    assert search(filled, NoEncoder(), query, mode) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "query",
    [
        '"travel" AND (approved',
        "travel' OR 1=1 --",
        "text:travel^2 ~ [a TO b]",
        '{"match": {"column": "text", "terms": "travel"}}',
        "travel * ? + - \\ / \0",
        "travel \ud800",
        "travel " * 10_000,
        "travel " + "x" * 100_000,
    ],
)
def test_no_character_of_a_query_is_special(
    filled: CollectionIndex, mode: SearchMode, query: str
) -> None:
    hits = search(filled, WordEncoder(), query, mode)
    assert "travel" in {hit.document_id for hit in hits}
    assert len(hits) <= 10


def test_text_mode_does_not_need_the_embedder(filled: CollectionIndex) -> None:
    hits = search(filled, NoEncoder(), "expense", SearchMode.TEXT)
    assert [hit.document_id for hit in hits] == ["expense"]


def test_chinese_is_found_by_its_words(filled: CollectionIndex) -> None:
    for mode in (SearchMode.TEXT, SearchMode.AUTO):
        assert search(filled, WordEncoder(), "报销", mode)[0].document_id == "chinese"


@pytest.mark.parametrize("mode", MODES)
def test_a_filter_limits_what_is_found(filled: CollectionIndex, mode: SearchMode) -> None:
    query = "travel approved expenses"
    hits = search(filled, WordEncoder(), query, mode, filter_expression="name CONTAINS '.PDF'")
    assert {hit.document_id for hit in hits} == {"expense"}
    assert search(filled, WordEncoder(), query, mode, filter_expression="page > 9") == []


@pytest.mark.parametrize("mode", MODES)
def test_the_sentinel_is_never_found(filled: CollectionIndex, mode: SearchMode) -> None:
    hits = search(filled, WordEncoder(), "travel expenses 报销 sentinel", mode, k=1000)
    assert {hit.document_id for hit in hits} <= {"travel", "expense", "chinese"}
    if mode is SearchMode.VECTOR:
        assert len(hits) == 4


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_k_has_bounds(filled: CollectionIndex, k: int) -> None:
    with pytest.raises(PermanentError) as caught:
        search(filled, NoEncoder(), "travel", k=k)
    assert caught.value.kind is ErrorKind.INVALID_OPTION


def test_a_broken_filter_is_reported_before_anything_is_searched(index: CollectionIndex) -> None:
    with pytest.raises(PermanentError, match="unknown filter column"):
        search(index, NoEncoder(), "travel", filter_expression="colour = 'red'")


class Interrupted(CollectionIndex):
    """An index that is purged right after a reader has opened it, the first few times."""

    purges = 1

    def snapshot(self) -> Snapshot:
        opened = super().snapshot()
        if self.purges:
            self.purges -= 1
            purge_collection(self.uri, self.table)
        return opened


@pytest.mark.parametrize("mode", MODES)
def test_a_purge_shows_to_no_reader(filled: CollectionIndex, mode: SearchMode) -> None:
    filled.publish([], removed=["chinese"])
    interrupted = Interrupted(filled.uri, filled.table, filled.fingerprint)

    hits = search(interrupted, WordEncoder(), "who must travel approved", mode)

    assert interrupted.purges == 0
    assert hits == search(filled, WordEncoder(), "who must travel approved", mode)
    assert hits[0].document_id == "travel"


def test_a_reader_who_is_interrupted_again_is_told_to_ask_again(filled: CollectionIndex) -> None:
    interrupted = Interrupted(filled.uri, filled.table, filled.fingerprint)
    interrupted.purges = 2

    with pytest.raises(TransientError, match="ask again"):
        search(interrupted, WordEncoder(), "travel")


@pytest.fixture
def families(index: CollectionIndex) -> CollectionIndex:
    """Three passages of one document with three chunks each, about the same things."""
    made = document("guide", *(f"travel {number} approved" for number in range(9)))
    parents = [Parent(f"p{number}", f"The whole of passage {number}.", 0, 9) for number in range(3)]
    chunks = [
        replace(chunk, parent=parents[chunk.ordinal // 3], pictures=(f"i{chunk.ordinal}",))
        for chunk in made.chunks
    ]
    index.publish([replace(made, chunks=chunks)])
    return index


@pytest.mark.parametrize("mode", MODES)
def test_the_passage_around_a_chunk_is_given_once(
    families: CollectionIndex, mode: SearchMode
) -> None:
    hits = search(families, WordEncoder(), "travel approved", mode, k=3)

    assert sorted(hit.text for hit in hits) == [f"The whole of passage {n}." for n in range(3)]
    assert sorted(str(hit.parent_id) for hit in hits) == ["p0", "p1", "p2"]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_the_best_chunk_of_a_passage_says_where_and_what_it_shows(
    families: CollectionIndex,
) -> None:
    (hit,) = search(families, WordEncoder(), "travel 4 approved", SearchMode.TEXT, k=1)

    assert (hit.parent_id, hit.pictures, hit.pages) == ("p1", ["i4"], [5])


def test_what_was_added_to_a_chunk_is_found_shown_and_filtered_by(index: CollectionIndex) -> None:
    plain, rich = document("plain", "trains run daily"), document("rich", "trains run daily")
    extras = [Extras(keywords=["railway"], questions=["When do wagons go?"], tags=["transport"])]
    index.publish([plain, replace(rich, extras=extras, language="en")])

    for word in ("railway", "wagons", "transport"):
        (hit,) = search(index, WordEncoder(), word, SearchMode.TEXT)
        assert (hit.document_id, hit.keywords, hit.tags) == ("rich", ["railway"], ["transport"])
    for condition in ("tag = 'transport'", "keyword = 'railway'", "language = 'en'"):
        found = search(index, WordEncoder(), "trains", SearchMode.TEXT, filter_expression=condition)
        assert [hit.document_id for hit in found] == ["rich"], condition
    assert list(index.snapshot().tagged()) == [("trains run daily", ("transport",))]
