"""Graphs in their tables: published whole, read whole, removed, purged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import ErrorKind, LeaseLostError, PermanentError, TransientError
from ingestion_pipeline.indexing import (
    CollectionIndex,
    GraphCounts,
    GraphIndex,
    GraphSnapshot,
    IndexedReport,
    Origin,
    drop_collection,
    graphs,
    maintenance,
    purge_collection,
    purging,
)
from ingestion_pipeline.indexing.graph_rows import ROWS_AT_ONCE
from ingestion_pipeline.model.graph import (
    Community,
    Entity,
    EntityType,
    Relation,
    RelationKind,
    Report,
)
from ingestion_pipeline.model.summaries import Citation, SummaryMethod
from ingestion_pipeline_tests.indexing.samples import DIMENSION, WordEncoder, document

ORIGIN = Origin(leaves="leaves", recipe="recipe")
TABLES = ("communities", "entities", "relations", "reports")


def entity(name: str, *documents: str, rank: float = 1.0, chunks: tuple[str, ...] = ()) -> Entity:
    return Entity(
        entity_id=f"e-{name}",
        key=name.lower(),
        name=name,
        type=EntityType.PLACE,
        aliases=(name, f"the {name}"),
        mentions=3,
        document_ids=documents,
        chunk_ids=chunks or tuple(f"{each}#0" for each in documents),
        titles=documents[:1],
        rank=rank,
    )


def relation(one: str, other: str, *documents: str, weight: float = 1.0) -> Relation:
    return Relation(
        relation_id=f"r-{one}-{other}",
        source=f"e-{one}",
        target=f"e-{other}",
        kind=RelationKind.STATED,
        predicate="is near",
        negated=one == "Oslo",
        weight=weight,
        count=2,
        document_ids=documents,
        evidence=tuple(Citation(f"{each}#0", 0, 5) for each in documents),
    )


def report(name: str, *documents: str, text: str = "places by the sea") -> IndexedReport:
    made = Report(
        community_id=name,
        title=f"title of {name}",
        text=text,
        method=SummaryMethod.EXTRACTIVE,
        citations=tuple(Citation(f"{each}#0", 2, 9) for each in documents),
        entity_ids=("e-Oslo",),
        relation_ids=("r-Oslo-Bergen",),
        document_ids=documents,
        period=(1900, 1999) if len(documents) > 1 else None,
        rating=7.5,
        inputs=f"inputs of {name}",
    )
    (vector,) = WordEncoder().encode([text], NoControl())
    return IndexedReport(made, vector)


ENTITIES = [
    entity("Bergen", "a", "b", rank=2.0),
    entity("Narvik", "b"),
    entity("Oslo", "a", rank=0.5),
]
RELATIONS = [
    relation("Bergen", "Narvik", "b", weight=3.0),
    relation("Bergen", "Oslo", "a", "b"),
    relation("Oslo", "Bergen", "a"),
]
COMMUNITIES = [
    Community("top", 0, None, ("e-Bergen", "e-Narvik", "e-Oslo")),
    Community("low", 1, "top", ("e-Bergen", "e-Oslo")),
    Community("alone", 1, "top", ("e-Narvik",)),
]
REPORTS = [report("top", "a", "b"), report("low", "a"), report("alone", "b", text="northern ore")]


def nothing() -> None:
    pass


def publish(
    index: CollectionIndex,
    entities: list[Entity] = ENTITIES,
    before_commit: Callable[[], None] = nothing,
    origin: Origin = ORIGIN,
) -> GraphCounts:
    return GraphIndex(index).publish(
        entities, RELATIONS, COMMUNITIES, REPORTS, origin, DIMENSION, before_commit
    )


def everything(found: GraphSnapshot) -> tuple[list[object], ...]:
    return (
        list(found.entities()),
        list(found.relations()),
        list(found.communities()),
        list(found.reports()),
    )


def parts_of(index: CollectionIndex) -> list[str]:
    """Return the tables of graphs that there are, without the names of publications."""
    prefix = f"{index.name}.graph"
    names = sorted(path.stem for path in Path(index.uri).glob(f"{prefix}*"))
    return [name.removeprefix(prefix).rpartition(".")[2] for name in names]


def test_a_collection_without_a_graph_is_empty(index: CollectionIndex) -> None:
    found = GraphIndex(index).snapshot()

    assert found.empty
    assert (found.origin, found.version, found.counts()) == (None, "", GraphCounts())
    assert everything(found) == ([], [], [], [])
    assert (
        list(found.indexed_reports()) == found.relations_of("e-Oslo") == found.named("Oslo") == []
    )
    assert found.entity("Oslo") is found.report("top") is None
    assert found.nearest_reports(np.ones(DIMENSION, dtype=np.float32), 5) == []
    assert GraphIndex(index).remove(["a"]) == 0
    GraphIndex(index).drop()


def test_a_graph_comes_back_as_it_was_published(index: CollectionIndex) -> None:
    assert publish(index, ENTITIES[::-1]) == GraphCounts(3, 3, 3, 3)

    found = GraphIndex(index).snapshot()

    assert not found.empty
    assert found.origin == ORIGIN
    assert found.counts() == GraphCounts(3, 3, 3, 3)
    assert everything(found) == (
        ENTITIES,
        RELATIONS,
        COMMUNITIES,
        [each.report for each in REPORTS],
    )
    for read, published in zip(found.indexed_reports(), REPORTS, strict=True):
        assert read.report == published.report
        assert np.array_equal(read.vector, published.vector)


def test_a_graph_of_nothing_says_what_it_was_made_from(index: CollectionIndex) -> None:
    graph = GraphIndex(index)

    assert graph.publish([], [], [], [], ORIGIN, DIMENSION, nothing) == GraphCounts()

    found = graph.snapshot()
    assert (found.empty, found.origin, found.counts()) == (False, ORIGIN, GraphCounts())
    assert everything(found) == ([], [], [], [])
    assert list(found.indexed_reports()) == []
    assert found.nearest_reports(np.ones(DIMENSION, dtype=np.float32), 5) == []
    assert graph.remove(["a"]) == 0


def test_more_rows_than_are_written_at_once_keep_their_order(index: CollectionIndex) -> None:
    many = [Community(f"c{n}", 0, None, ()) for n in range(ROWS_AT_ONCE + 3)]
    reports = [
        replace(report("top"), report=replace(report("top").report, community_id=each.community_id))
        for each in many
    ]

    counts = GraphIndex(index).publish([], [], many, reports, ORIGIN, DIMENSION, nothing)

    found = GraphIndex(index).snapshot()
    assert counts.communities == counts.reports == len(many)
    assert list(found.communities()) == many
    assert [each.community_id for each in found.reports()] == [each.community_id for each in many]


@pytest.mark.parametrize("name", ["e-Bergen", "Bergen", "BERGEN", "the Bergen"])
def test_an_entity_is_found_by_its_id_and_its_names(index: CollectionIndex, name: str) -> None:
    publish(index)

    assert GraphIndex(index).snapshot().entity(name) == ENTITIES[0]


def test_of_entities_of_one_name_the_one_of_the_highest_rank_comes_first(
    index: CollectionIndex,
) -> None:
    other = replace(ENTITIES[0], entity_id="e-other", rank=9.0)
    publish(index, [*ENTITIES, other])
    found = GraphIndex(index).snapshot()

    assert found.entity("Bergen") == other
    assert found.named("Bergen") == [other, ENTITIES[0]]
    assert found.named("it's nothing' OR true --") == []


def test_relations_communities_and_reports_are_found_by_what_they_are_of(
    index: CollectionIndex,
) -> None:
    publish(index)
    found = GraphIndex(index).snapshot()

    assert found.relations_of("e-Bergen") == RELATIONS
    assert found.relations_of("e-Narvik") == RELATIONS[:1]
    assert found.communities_of("e-Oslo") == COMMUNITIES[:2]
    assert found.report("low") == REPORTS[1].report
    assert found.report("unknown") is None


def test_the_nearest_report_comes_first(index: CollectionIndex) -> None:
    publish(index)
    (vector,) = WordEncoder().encode(["northern ore"], NoControl())

    best, second = GraphIndex(index).snapshot().nearest_reports(vector, 2)

    assert best.report == REPORTS[2].report
    assert best.score == pytest.approx(1, abs=1e-5)
    assert second.score < best.score


@pytest.mark.parametrize(
    "vector",
    [
        np.ones(DIMENSION + 1, dtype=np.float32),
        np.full(DIMENSION, np.nan, dtype=np.float32),
    ],
)
def test_a_vector_that_does_not_fit_is_refused_and_nothing_changes(
    index: CollectionIndex, vector: np.ndarray
) -> None:
    publish(index)
    bad = IndexedReport(REPORTS[0].report, vector)

    with pytest.raises(PermanentError, match="report top") as raised:
        GraphIndex(index).publish([], [], [], [bad], ORIGIN, DIMENSION, nothing)

    assert raised.value.kind is ErrorKind.INTERNAL
    assert GraphIndex(index).snapshot().counts() == GraphCounts(3, 3, 3, 3)
    assert parts_of(index) == ["", *TABLES]


class _StoppedError(BaseException):
    """As hard as being killed, but for what a test must do afterwards."""


@pytest.mark.parametrize("killed_in", [*range(4), "commit"])
def test_a_publication_that_ends_anywhere_leaves_the_old_graph(
    index: CollectionIndex, killed_in: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(index)
    written = []
    create = graphs._create

    def watched(*arguments: object) -> object:
        if len(written) == killed_in:
            raise _StoppedError
        written.append(arguments)
        return create(*arguments)  # type: ignore[arg-type]

    def refuse() -> None:
        if killed_in == "commit":
            raise _StoppedError

    monkeypatch.setattr(graphs, "_create", watched)
    # Who is killed does not tidy up either.
    monkeypatch.setattr(graphs, "_drop", lambda *_: None)
    with pytest.raises(_StoppedError):
        publish(index, ENTITIES[:1], refuse, Origin("new", "new"))
    monkeypatch.undo()

    found = GraphIndex(index).snapshot()
    assert found.origin == ORIGIN
    assert found.counts() == GraphCounts(3, 3, 3, 3)
    publish(index, ENTITIES[:1])
    assert list(GraphIndex(index).snapshot().entities()) == ENTITIES[:1]


def test_a_lost_lease_prevents_the_commit_and_leaves_no_tables(index: CollectionIndex) -> None:
    def refuse() -> None:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        publish(index, before_commit=refuse)

    assert GraphIndex(index).snapshot().empty
    assert parts_of(index) == []


def test_readers_during_publications_see_one_graph_whole(index: CollectionIndex) -> None:
    def graph_of(number: int) -> list[Entity]:
        return [entity(f"N{number}-{place}", "a") for place in range(number + 1)]

    publish(index, graph_of(0), origin=Origin("0", ""))
    seen: list[tuple[int, int, int]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            found = GraphIndex(index).snapshot()
            assert found.origin is not None
            names = [each.name for each in found.entities()]
            seen.append((int(found.origin.leaves), len(names), found.counts().reports))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for each in readers:
        each.start()
    for number in range(1, 6):
        publish(index, graph_of(number), origin=Origin(str(number), ""))
    done.set()
    for each in readers:
        each.join()

    assert seen
    assert all((entities, reports) == (number + 1, 3) for number, entities, reports in seen)


def test_a_reader_goes_on_with_the_graph_that_it_opened(index: CollectionIndex) -> None:
    publish(index)
    before = GraphIndex(index).snapshot()
    publish(index, ENTITIES[:1])

    assert list(before.entities()) == ENTITIES
    assert before.version != GraphIndex(index).snapshot().version


def test_with_documents_goes_what_rests_on_them(index: CollectionIndex) -> None:
    publish(index)
    graph = GraphIndex(index)
    version = graph.snapshot().version

    assert graph.remove(["b", "unknown", "it's"]) == 5

    found = graph.snapshot()
    assert everything(found) == (
        [ENTITIES[0], ENTITIES[2]],
        [RELATIONS[2]],
        COMMUNITIES,
        [REPORTS[1].report],
    )
    assert found.origin == ORIGIN
    assert found.version != version
    # However many there are: an entity that only two of them name goes, too.
    assert graph.remove([f"d{number}" for number in range(2500)] + ["a", "b"]) == 4
    assert graph.snapshot().counts() == GraphCounts(0, 0, 3, 0)


def test_documents_that_are_no_longer_indexed_are_removed(index: CollectionIndex) -> None:
    index.publish([document("a", "one")])
    publish(index)

    assert GraphIndex(index).remove_missing(["a"]) == 0
    assert GraphIndex(index).remove_missing(["a", "b"]) == 5
    assert [each.name for each in GraphIndex(index).snapshot().entities()] == ["Bergen", "Oslo"]


def test_a_graph_that_is_dropped_is_gone_and_may_come_again(index: CollectionIndex) -> None:
    publish(index)
    publish(index)
    GraphIndex(index).drop()

    assert GraphIndex(index).snapshot().empty
    assert parts_of(index) == []
    publish(index)
    assert GraphIndex(index).snapshot().counts() == GraphCounts(3, 3, 3, 3)


def test_a_graph_goes_with_its_generation_and_no_other(index: CollectionIndex) -> None:
    other = CollectionIndex(index.uri, index.table, "model-b")
    neighbour = CollectionIndex(index.uri, "handbook2", "model-a")
    for each in (index, other, neighbour):
        each.publish([document("a", "one")])
        publish(each)

    assert index.drop_others() == 1
    assert GraphIndex(other).snapshot().empty
    assert parts_of(other) == []
    assert GraphIndex(index).snapshot().counts().entities == 3

    assert drop_collection(index.uri, index.table) == 1
    assert parts_of(index) == []
    assert parts_of(neighbour) == ["", *TABLES]


def test_graphs_of_before_go_when_nobody_can_be_reading_them(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.publish([document("a", "one")])
    for _ in range(3):
        publish(index)
    assert parts_of(index) == ["", *TABLES * 3]
    index.maintain(thorough=True)
    assert parts_of(index) == ["", *TABLES * 3]

    monkeypatch.setattr(maintenance, "KEEP_VERSIONS", timedelta(milliseconds=1))
    index.maintain(thorough=True)

    assert parts_of(index) == ["", *TABLES]
    assert everything(GraphIndex(index).snapshot())[0] == ENTITIES


def test_what_a_killed_publication_left_goes_after_a_while(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.publish([document("a", "one")])
    publish(index)

    def killed() -> None:
        monkeypatch.setattr(graphs, "_drop", lambda *_: None)
        raise _StoppedError

    with pytest.raises(_StoppedError):
        publish(index, before_commit=killed)
    monkeypatch.undo()
    index.maintain()
    assert parts_of(index) == ["", *TABLES * 2]

    monkeypatch.setattr(purging, "ABANDONED_AFTER", timedelta(0))
    index.maintain()

    assert parts_of(index) == ["", *TABLES]
    assert everything(GraphIndex(index).snapshot())[0] == ENTITIES


def test_a_purge_leaves_no_trace_of_what_is_gone_in_any_graph(index: CollectionIndex) -> None:
    index.publish([document("a", "one"), document("b", "two")])
    (chunk_a,) = (each.chunk_id for each in index.snapshot().chunks_of("a"))
    (chunk_b,) = (each.chunk_id for each in index.snapshot().chunks_of("b"))
    secret = entity("zqxcanaryvv", "b", chunks=(chunk_b,))
    shared = replace(
        entity("Oslo", "a", "b"), aliases=("zqxcanaryvv",), chunk_ids=(chunk_a, chunk_b)
    )
    kept = entity("Bergen", "a", chunks=(chunk_a,))
    tainted = report("top", text="zqxcanaryvv text")
    cites_b = replace(
        tainted, report=replace(tainted.report, citations=(Citation(chunk_b, 0, 3),), entity_ids=())
    )
    stays = relation("Bergen", "Bergen", "a")
    stays = replace(stays, evidence=(Citation(chunk_a, 0, 3),))
    says_b = replace(stays, relation_id="r", predicate="zqxcanaryvv")
    says_b = replace(says_b, evidence=(Citation(chunk_b, 0, 3),))
    graph = GraphIndex(index)
    for _ in range(2):
        graph.publish(
            [secret, shared, kept],
            [stays, says_b],
            COMMUNITIES,
            [cites_b],
            ORIGIN,
            DIMENSION,
            nothing,
        )
    held = graph.snapshot()
    assert held.counts().entities == 3

    assert purge_collection(index.uri, index.table, removed=["b"]) == 1

    found = graph.snapshot()
    assert everything(found) == ([kept], [stays], COMMUNITIES, [])
    assert found.origin == ORIGIN
    assert parts_of(index) == ["", *TABLES]
    files = [path for path in Path(index.uri).rglob("*") if path.is_file()]
    assert [path for path in files if b"zqxcanaryvv" in path.read_bytes()] == []
    with pytest.raises(TransientError, match="ask again"):
        list(held.entities())


def test_a_purge_of_an_empty_graph_and_of_none_does_no_harm(index: CollectionIndex) -> None:
    index.publish([document("a", "one")])
    assert purge_collection(index.uri, index.table) == 1
    GraphIndex(index).publish([], [], [], [], ORIGIN, DIMENSION, nothing)

    assert purge_collection(index.uri, index.table) == 1

    assert GraphIndex(index).snapshot().origin == ORIGIN


def rows_of(number: int) -> Iterator[Entity]:
    for place in range(number):
        yield entity(f"N{place:06}", "a")


def test_entities_are_taken_as_they_are_written(index: CollectionIndex) -> None:
    graph = GraphIndex(index)

    counts = graph.publish(rows_of(5000), [], [], [], ORIGIN, DIMENSION, nothing)

    assert counts.entities == 5000
    assert [each.name for each in graph.snapshot().entities()] == [
        each.name for each in rows_of(5000)
    ]
