"""Graph search: what links lead to, without losing what was found."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.graph import Material, document_graphs, known_names, linked, merged
from ingestion_pipeline.indexing import (
    CollectionIndex,
    GraphIndex,
    GraphSnapshot,
    IndexedDocument,
    IndexedReport,
    Origin,
    Snapshot,
)
from ingestion_pipeline.model.graph import Community, Entity
from ingestion_pipeline.model.search import Hit, HitKind, SearchMode
from ingestion_pipeline.retrieval import graph, search
from ingestion_pipeline_tests.indexing.samples import DIMENSION, WordEncoder, document
from ingestion_pipeline_tests.retrieval.samples import report

TWO_HOPS = "who founded the town where Grey Harbour was written"
NOVEL = document(
    "n", "Grey Harbour is a novel that was written in Port Sample.", name="Grey Harbour"
)
TOWN = document("t", "Its founder was Ada Example, a merchant with ships.", name="Port Sample.txt")
OTHERS = [
    document(f"o{n}", f"who founded the mill where flour number {n} was ground", name=f"mill {n}")
    for n in range(20)
]
MODES = [SearchMode.GRAPH, SearchMode.AUTO]


@pytest.fixture
def library(index: CollectionIndex) -> CollectionIndex:
    index.publish([NOVEL, TOWN, *OTHERS])
    return index


def entities(*documents: IndexedDocument) -> Sequence[Entity]:
    """Return what documents name, as a build does."""
    materials = [
        Material(each.document_id, each.chunks, each.name.removesuffix(".txt"), "en")
        for each in documents
    ]
    graphs = list(document_graphs(materials, NoControl()))
    texts = {chunk.chunk_id: chunk.text for each in documents for chunk in each.chunks}
    links = (linked(each, texts, known_names(graphs)) for each in graphs)
    return merged("tests", links, NoControl()).entities


ENTITIES = entities(NOVEL, TOWN)


def publish(
    index: CollectionIndex,
    entities: Sequence[Entity] = ENTITIES,
    reports: Sequence[IndexedReport] = (),
    communities: Sequence[Community] = (),
) -> None:
    origin = Origin("l", "r")
    GraphIndex(index).publish(entities, [], communities, reports, origin, DIMENSION, lambda: None)


def indexed(name: str, text: str, *cited: str) -> IndexedReport:
    (vector,) = WordEncoder().encode([text], NoControl())
    return IndexedReport(report(name, *cited, text=text), vector)


def find(
    index: CollectionIndex,
    mode: SearchMode,
    k: int = 5,
    query: str = TWO_HOPS,
    where: str | None = None,
) -> list[Hit]:
    return search(index, WordEncoder(), query, mode, k, where)


def names(hits: Sequence[Hit]) -> list[str]:
    return [hit.document_id for hit in hits]


@pytest.mark.parametrize("mode", MODES)
def test_without_a_graph_it_is_hybrid_search(library: CollectionIndex, mode: SearchMode) -> None:
    assert find(library, mode) == find(library, SearchMode.HYBRID)


@pytest.mark.parametrize("mode", MODES)
def test_the_second_document_is_found_through_the_name_of_it_in_the_first(
    library: CollectionIndex, mode: SearchMode
) -> None:
    publish(library)
    assert "t" not in names(find(library, SearchMode.HYBRID))
    hits = find(library, mode)
    assert set(names(hits)[:2]) == {"n", "t"}
    assert len(hits) == 5
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("mode", MODES)
def test_all_that_hybrid_search_finds_is_found(library: CollectionIndex, mode: SearchMode) -> None:
    publish(library)
    hybrid = {hit.chunk_id for hit in find(library, SearchMode.HYBRID, 1000)}
    hits = [hit.chunk_id for hit in find(library, mode, 1000)]
    assert hybrid <= set(hits)
    assert len(set(hits)) == len(hits)


def test_auto_is_hybrid_search_where_no_link_leads_on(library: CollectionIndex) -> None:
    publish(library)
    query = "mill where flour number 7 was ground"
    assert find(library, SearchMode.AUTO, query=query) == find(
        library, SearchMode.HYBRID, query=query
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_filter_holds_for_what_links_lead_to(library: CollectionIndex, mode: SearchMode) -> None:
    publish(library)
    assert "t" not in names(find(library, mode, where="name != 'Port Sample.txt'"))
    assert "n" not in names(find(library, mode, where="name != 'Grey Harbour'"))
    # Links lead on through what the filter hides.
    query = "Grey Harbour"
    only = find(library, mode, query=query, where="name = 'Port Sample.txt'")
    assert names(only) == ["t"]


@pytest.mark.parametrize("mode", MODES)
def test_what_was_deleted_or_changed_since_the_graph_was_built_is_not_led_to(
    library: CollectionIndex, mode: SearchMode
) -> None:
    publish(library)
    assert "t" in names(find(library, mode))
    library.publish([], removed=["t"])
    assert "t" not in names(find(library, mode))
    library.publish([document("n", "Grey Harbour is a book.", version="v2")])
    assert find(library, mode)[0].text == "Grey Harbour is a book."


def test_what_was_indexed_since_then_is_found(library: CollectionIndex) -> None:
    publish(library)
    find(library, SearchMode.GRAPH)
    library.publish([document("new", TWO_HOPS)])
    assert "new" in names(find(library, SearchMode.GRAPH))[:2]


def test_a_graph_is_read_once_for_each_publication(
    library: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counted(opened: GraphSnapshot, snapshot: Snapshot) -> graph.Links:
        read.append(opened.version)
        return original(opened, snapshot)

    original = graph._read
    monkeypatch.setattr(graph, "_read", counted)
    publish(library, [])
    for _ in range(3):
        assert "t" not in names(find(library, SearchMode.GRAPH))
    assert len(read) == 1
    publish(library)
    for _ in range(3):
        assert "t" in names(find(library, SearchMode.GRAPH))
    assert len(read) == 2
    GraphIndex(library).drop()
    assert "t" not in names(find(library, SearchMode.GRAPH))


def test_threads_may_ask_while_graphs_are_published(library: CollectionIndex) -> None:
    publish(library)
    found: list[list[str]] = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(names(find(library, SearchMode.GRAPH)) for _ in range(5))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for _ in range(3):
        publish(library)
    for thread in threads:
        thread.join()
    assert len(found) == 15
    assert all("t" in each[:2] for each in found)


def test_who_asks_for_no_overview_is_shown_no_report(library: CollectionIndex) -> None:
    text = "how mills grind flour by water"
    mill = document("mill", *(f"{text} {n}" for n in range(12)))
    library.publish([mill])
    publish(library, [], [indexed("mills", text, *(chunk.chunk_id for chunk in mill.chunks[:3]))])
    hits = find(library, SearchMode.AUTO, 10, query=text)
    assert all(hit.kind is HitKind.CHUNK for hit in hits)


@pytest.fixture
def mills(index: CollectionIndex) -> CollectionIndex:
    """A collection of twenty documents with a graph of four communities."""
    index.publish([document(f"m{n}", f"mill {n} grinds flour by water") for n in range(20)])
    texts = {"water": "mills stand by water", "flour": "flour of mills", "wheels": "water wheels"}
    cited = [hit.chunk_id for hit in find(index, SearchMode.TEXT, 20, query="mill")]
    reports = [
        indexed(name, text, *cited[5 * n : 5 * n + 5])
        for n, (name, text) in enumerate(texts.items())
    ]
    communities = [
        Community("water", 0, None, ("a", "b")),
        Community("flour", 0, None, ("c",)),
        Community("wheels", 1, "water", ("a",)),
    ]
    publish(index, [], reports, communities)
    return index


def test_who_asks_for_an_overview_of_all_is_shown_what_coarse_communities_are_about(
    mills: CollectionIndex,
) -> None:
    hits = find(mills, SearchMode.AUTO, 10, query="What are the main themes of these documents?")
    kinds = [hit.kind for hit in hits]
    assert kinds[:2] == [HitKind.REPORT] * 2
    assert HitKind.REPORT not in kinds[2:]
    assert {hit.chunk_id for hit in hits[:2]} == {"water", "flour"}
    assert all(len(hit.chunks) == 5 for hit in hits[:2])
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_who_asks_for_an_overview_of_something_is_shown_reports_and_loses_no_document(
    mills: CollectionIndex,
) -> None:
    query = "Give an overview of mills that grind flour by water"
    hybrid = find(mills, SearchMode.HYBRID, 10, query=query)
    assert {hit.document_id for hit in hybrid} <= {
        hit.document_id for hit in find(mills, SearchMode.AUTO, 10, query=query)
    }
    several = document("mill", *(f"mills grind flour by water {n}" for n in range(12)))
    mills.publish([several])
    hits = find(mills, SearchMode.AUTO, 10, query=query)
    shown = {hit.chunk_id for hit in hits if hit.kind is HitKind.REPORT}
    assert len(shown) >= 2
    assert shown <= {"water", "flour"} or "water" not in shown


@pytest.mark.parametrize("mode", [SearchMode.HYBRID, SearchMode.GRAPH, SearchMode.TREE])
def test_other_modes_know_of_no_overview(mills: CollectionIndex, mode: SearchMode) -> None:
    hits = find(mills, mode, 10, query="What are the main themes of these documents?")
    assert all(hit.kind is HitKind.CHUNK for hit in hits)


def test_no_overview_quotes_what_was_changed(mills: CollectionIndex) -> None:
    query = "What are the main themes of these documents?"
    before = find(mills, SearchMode.AUTO, 10, query=query)
    changed = before[0].chunks[0].document_id
    mills.publish([document(changed, "something else", version="v2")])
    hits = find(mills, SearchMode.AUTO, 10, query=query)
    assert [hit.chunk_id for hit in hits if hit.kind is HitKind.REPORT] == [before[1].chunk_id]
