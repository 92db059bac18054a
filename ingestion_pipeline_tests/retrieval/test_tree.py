from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.indexing import (
    CollectionIndex,
    FoundReport,
    FoundSummary,
    IndexedSummary,
    Origin,
    Snapshot,
    SummaryIndex,
    purge_collection,
)
from ingestion_pipeline.model.chunks import Chunk, Parent
from ingestion_pipeline.model.search import Hit, HitKind, SearchMode
from ingestion_pipeline.model.summaries import Citation, Summary, SummaryMethod
from ingestion_pipeline.retrieval import Question, evaluate, search
from ingestion_pipeline.retrieval.fusion import Scored
from ingestion_pipeline.retrieval.tree import LARGEST_SHARE, is_broad, passage, with_summaries
from ingestion_pipeline_tests.indexing.samples import DIMENSION, WordEncoder, document
from ingestion_pipeline_tests.retrieval.samples import report

SUMMARY = HitKind.SUMMARY


def summary(
    name: str, text: str, cited: Sequence[Chunk | str], document_id: str | None
) -> IndexedSummary:
    ids = [each if isinstance(each, str) else each.chunk_id for each in cited]
    made = Summary(
        summary_id=name,
        document_id=document_id,
        layer=1,
        title=f"About {name}",
        text=text,
        tokens=9,
        method=SummaryMethod.EXTRACTIVE,
        children=tuple(ids),
        chunk_ids=(),
        citations=tuple(Citation(each, 0, 3) for each in ids for _ in range(2)),
    )
    (vector,) = WordEncoder().encode([text], NoControl())
    return IndexedSummary(made, vector, "inputs", (document_id or "guide",))


def publish(index: CollectionIndex, *summaries: IndexedSummary) -> None:
    SummaryIndex(index).publish(summaries, Origin("l", "r"), DIMENSION, lambda: None)


GUIDE = document("guide", *(f"travel approved by head {n}" for n in range(12)), name="guide.pdf")
CHUNKS = list(GUIDE.chunks)
TOURS = summary("tours", "travel approved by head tours", CHUNKS[8:11], "guide")
BROAD = "travel approved by head"


@pytest.fixture
def guide(index: CollectionIndex) -> CollectionIndex:
    index.publish([GUIDE, document("other", "trains run daily")])
    return index


def find(index: CollectionIndex, mode: SearchMode, k: int = 10, query: str = BROAD) -> list[Hit]:
    return search(index, WordEncoder(), query, mode, k)


def kinds(hits: Sequence[Hit]) -> list[HitKind]:
    return [hit.kind for hit in hits]


@pytest.mark.parametrize("mode", [SearchMode.TREE, SearchMode.AUTO])
def test_without_a_tree_it_is_hybrid_search(guide: CollectionIndex, mode: SearchMode) -> None:
    expected = find(guide, SearchMode.HYBRID)
    assert find(guide, mode) == expected
    publish(guide)
    assert find(guide, mode) == expected


def test_a_summary_says_what_it_is_of_and_brings_its_best_chunks(guide: CollectionIndex) -> None:
    publish(guide, TOURS)
    hits = find(guide, SearchMode.TREE)
    (hit,) = (hit for hit in hits if hit.kind is SUMMARY)
    assert len(hits) == 10
    assert (hit.chunk_id, hit.document_id, hit.name) == ("tours", "guide", "guide.pdf")
    assert (hit.text, hit.heading_path) == (TOURS.summary.text, ["About tours"])
    assert (hit.pages, hit.sources) == ([9, 10, 11], ["file:///guide"])
    assert {chunk.chunk_id for chunk in hit.chunks} == {chunk.chunk_id for chunk in CHUNKS[8:11]}
    assert all(chunk.kind is HitKind.CHUNK and chunk.score > 0 for chunk in hit.chunks)
    scores = [each.score for each in hits]
    assert scores == sorted(scores, reverse=True)


def test_a_summary_across_documents_has_no_document(guide: CollectionIndex) -> None:
    (train,) = guide.snapshot().chunks_of("other")
    publish(guide, summary("all", "travel approved by head trains", [*CHUNKS[:2], train], None))
    (hit,) = (hit for hit in find(guide, SearchMode.TREE) if hit.kind is SUMMARY)
    assert (hit.document_id, hit.name, hit.pages) == ("", "About all", [])
    assert hit.sources == ["file:///guide", "file:///other"]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7, 10, 1000])
def test_a_few_hits_are_summaries_and_the_better_half_are_the_chunks_of_before(
    guide: CollectionIndex, k: int
) -> None:
    publish(
        guide,
        *(summary(f"s{n}", f"{BROAD} {n}", CHUNKS[n : n + 2], "guide") for n in range(9)),
    )
    before, hits = find(guide, SearchMode.HYBRID, k), find(guide, SearchMode.TREE, k)
    shown = [hit for hit in hits if hit.kind is SUMMARY]
    chunks = [hit for hit in hits if hit.kind is HitKind.CHUNK]
    assert len(shown) == int(LARGEST_SHARE * len(before))
    assert len(before) <= len(hits) <= k
    half = (len(before) + 1) // 2
    assert chunks[:half] == before[:half]
    assert chunks == [hit for hit in before if hit in chunks]


def test_a_summary_is_hidden_as_soon_as_something_it_cites_is_changed(
    guide: CollectionIndex,
) -> None:
    other = summary("others", f"{BROAD} others", CHUNKS[:2], "guide")
    publish(guide, TOURS, other)
    assert [hit.chunk_id for hit in find(guide, SearchMode.TREE) if hit.kind is SUMMARY] != []
    texts = [chunk.text for chunk in CHUNKS]
    guide.publish([document("guide", *texts[:9], "something else", *texts[10:], version="v2")])
    shown = [hit.chunk_id for hit in find(guide, SearchMode.TREE) if hit.kind is SUMMARY]
    assert shown == ["others"]
    guide.publish([], removed=["guide"])
    assert SummaryIndex(guide).snapshot().count() == 2
    assert SUMMARY not in kinds(find(guide, SearchMode.TREE, query=f"{BROAD} trains"))


def test_a_summary_that_cites_nothing_is_not_shown(guide: CollectionIndex) -> None:
    publish(guide, summary("empty", BROAD, [], "guide"))
    assert SUMMARY not in kinds(find(guide, SearchMode.TREE))


def test_a_filter_holds_for_all_that_a_summary_cites(guide: CollectionIndex) -> None:
    publish(guide, TOURS, summary("late", f"{BROAD} late", CHUNKS[10:12], "guide"))
    hits = search(
        guide, WordEncoder(), BROAD, SearchMode.TREE, 10, filter_expression="page NOT IN (9)"
    )
    assert [hit.chunk_id for hit in hits if hit.kind is SUMMARY] == ["late"]


def test_auto_shows_summaries_to_broad_questions_only(guide: CollectionIndex) -> None:
    publish(guide, TOURS)
    assert find(guide, SearchMode.AUTO) == find(guide, SearchMode.TREE)
    assert SUMMARY in kinds(find(guide, SearchMode.AUTO))
    narrow = "trains run daily"
    assert find(guide, SearchMode.AUTO, query=narrow) == find(
        guide, SearchMode.HYBRID, query=narrow
    )


def test_no_other_mode_shows_summaries(guide: CollectionIndex) -> None:
    publish(guide, TOURS)
    for mode in (SearchMode.TEXT, SearchMode.VECTOR, SearchMode.HYBRID):
        assert SUMMARY not in kinds(find(guide, mode))


def test_a_purge_beside_it_shows_to_no_reader(guide: CollectionIndex) -> None:
    publish(guide, TOURS)
    expected = [hit.chunk_id for hit in find(guide, SearchMode.TREE)]

    class Interrupted(CollectionIndex):
        purged = False

        def snapshot(self) -> Snapshot:
            opened = super().snapshot()
            if not self.purged:
                self.purged = True
                purge_collection(self.uri, self.table)
            return opened

    interrupted = Interrupted(guide.uri, guide.table, guide.fingerprint)
    assert [hit.chunk_id for hit in find(interrupted, SearchMode.TREE)] == expected
    assert interrupted.purged


def test_a_summary_takes_the_place_of_a_passage_that_it_cites(index: CollectionIndex) -> None:
    parents = [Parent(f"p{n}", f"The whole of passage {n}.", 0, 9) for n in range(6)]
    made = document("guide", *(f"travel approved {'by ' * n}" for n in range(12)))
    chunks = [replace(chunk, parent=parents[chunk.ordinal // 2]) for chunk in made.chunks]
    index.publish([replace(made, chunks=chunks)])
    before = find(index, SearchMode.HYBRID, 6, "travel approved")
    cited = [chunk for chunk in chunks if chunk.parent and chunk.parent.parent_id == "p3"]
    assert "p3" in {hit.parent_id for hit in before}
    publish(index, summary("third", "travel approved", cited, "guide"))
    hits = find(index, SearchMode.TREE, 6, "travel approved")
    (shown,) = (hit for hit in hits if hit.kind is SUMMARY)
    assert {chunk.parent_id for chunk in shown.chunks} == {"p3"}
    lost = {hit.parent_id for hit in before} - {hit.parent_id for hit in hits}
    place = [hit.parent_id for hit in before].index("p3")
    assert lost == ({"p3"} if place >= 3 else {before[-1].parent_id})


def hit(chunk_id: str, document_id: str, score: float) -> Hit:
    return Hit(
        chunk_id=chunk_id,
        document_id=document_id,
        name=document_id,
        kind=HitKind.CHUNK,
        text="",
        score=score,
        pages=[],
        heading_path=[],
        sources=[],
    )


class AllVisible(Snapshot):
    """A snapshot that has every chunk of some hits."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        super().__init__(None)
        self._all = {hit.chunk_id: hit for hit in hits}

    def hits(self, chunk_ids: Sequence[str], where: str | None = None) -> dict[str, Hit]:
        return {each: self._all[each] for each in chunk_ids if each in self._all}


@given(
    documents=st.lists(st.sampled_from("abcdefgh"), max_size=30),
    cited=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", None]),
            st.lists(st.integers(0, 29), max_size=4, unique=True),
        ),
        max_size=12,
    ),
    reported=st.lists(st.lists(st.integers(0, 29), max_size=4, unique=True), max_size=6),
    k=st.integers(1, 20),
)
def test_no_document_is_lost_whatever_is_shown(
    documents: list[str],
    cited: list[tuple[str | None, list[int]]],
    reported: list[list[int]],
    k: int,
) -> None:
    ranking = [hit(f"c{n}", each, 1 - n / 100) for n, each in enumerate(documents)]
    summaries = [
        FoundSummary(f"s{n}", document_id, "title", "text", tuple(f"c{each}" for each in ids), 1.0)
        for n, (document_id, ids) in enumerate(cited)
    ]
    before = ranking[:k]
    reports = [
        FoundReport(report(f"r{n}", *(f"c{each}" for each in ids)), 1.0)
        for n, ids in enumerate(reported)
    ]
    visible = AllVisible(ranking)
    hits = with_summaries(ranking, summaries, visible, k, None, reports)
    assert len(hits) <= k
    assert {each.document_id for each in hits} >= {each.document_id for each in before}
    shown = [each for each in hits if each.kind is not HitKind.CHUNK]
    assert len(shown) <= LARGEST_SHARE * max(1, len(hits))
    chunks = [passage(each) for each in hits if each.kind is HitKind.CHUNK]
    half = (len(before) + 1) // 2
    assert chunks[:half] == [passage(each) for each in before[:half]]
    assert [each.score for each in hits] == sorted((each.score for each in hits), reverse=True)
    assert len({each.chunk_id for each in hits}) == len(hits)


def test_a_question_is_broad_if_a_summary_is_nearly_as_near_as_a_chunk() -> None:
    chunk = hit("c", "d", 0.6)
    near = Scored("s", 0.5)
    assert is_broad([chunk], [near])
    assert not is_broad([chunk], [Scored("s", 0.4)])
    assert not is_broad([], [near])
    assert not is_broad([chunk], [])


def test_what_spans_documents_is_no_document_to_an_evaluation() -> None:
    across = hit("s", "", 1.0)
    result = evaluate(
        lambda question, depth: [across, hit("c", "a", 0.5)],
        [Question(id="q", question="what", gold=["a.txt"])],
        {"a": "a.txt"},
    )
    assert result.mrr_at_10 == 1
    assert result.hits[0].names == ["a.txt"]
