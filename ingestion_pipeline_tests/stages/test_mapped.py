"""Mind maps of documents and collections, with a tree and without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import CollectionName, RaptorConfig
from ingestion_pipeline.model.enrichment import TocEntry
from ingestion_pipeline.raptor import MindMap, MindMapFormat, from_json, leaves_hash
from ingestion_pipeline.raptor.mind_map import all_chunk_ids, nodes
from ingestion_pipeline.stages.mapped import (
    MOST_NODES,
    MapInputs,
    draw,
    draw_document,
    export,
    load,
    store,
)
from ingestion_pipeline.storage import open_store
from ingestion_pipeline.storage.artifacts import ArtifactStore
from ingestion_pipeline_tests.stages.orchard import Chunks, Documents, Orchard, passage

if TYPE_CHECKING:
    from ingestion_pipeline.indexing import Snapshot
    from ingestion_pipeline.indexing.summaries import SummarySnapshot

COLLECTION = CollectionName("default", "stories")
DOCUMENTS = {f"d{n:02}": [passage(20 * n + m) for m in range(1 + 3 * n)] for n in range(8)}
HEADED = {"d": [f"{part}#{passage(n)}" for n, part in enumerate(["One", "One", "Two", "Three"])]}


def inputs_of(documents: Documents, orchard: Orchard | None = None) -> MapInputs:
    rows = (orchard or Orchard()).rows
    return MapInputs(cast("Snapshot", Chunks(documents)), cast("SummarySnapshot", rows.snapshot()))


def titles(mind_map: MindMap) -> list[str]:
    return [child.title for child in mind_map.children]


def test_a_document_with_headings_is_its_outline() -> None:
    mind_map = draw_document(inputs_of(HEADED), "d", NoControl())

    assert (mind_map.title, titles(mind_map)) == ("d.txt", ["One", "Two", "Three"])
    assert all_chunk_ids(mind_map) == tuple(Chunks(HEADED).leaf_ids())


def test_a_table_of_contents_comes_before_headings() -> None:
    ids = tuple(Chunks(HEADED).leaf_ids())
    toc = (TocEntry("Beginning", 1, ids[:1]), TocEntry("End", 1, ids[1:]))

    mind_map = draw_document(replace(inputs_of(HEADED), contents=lambda *_: toc), "d", NoControl())

    assert titles(mind_map) == ["Beginning", "End"]


def test_a_document_without_headings_has_the_titles_of_its_tree() -> None:
    orchard = Orchard(config=RaptorConfig(max_tokens=64))
    orchard.build(DOCUMENTS)
    of_tree = {row.summary.title for row in orchard.rows.published.values()}

    mind_map = draw_document(inputs_of(DOCUMENTS, orchard), "d07", NoControl())

    assert len(mind_map.children) > 1
    assert of_tree.issuperset(titles(mind_map))
    assert set(all_chunk_ids(mind_map)) == set(Chunks({"d07": DOCUMENTS["d07"]}).leaf_ids())


@pytest.mark.parametrize("built_of", [{}, {"d07": DOCUMENTS["d06"]}])
def test_without_a_tree_or_with_one_of_before_titles_are_found_all_the_same(
    built_of: Documents,
) -> None:
    orchard = Orchard(config=RaptorConfig(max_tokens=64))
    orchard.build(built_of)

    mind_map = draw_document(inputs_of(DOCUMENTS, orchard), "d07", NoControl())

    assert len(mind_map.children) > 1
    assert all(titles(mind_map))
    assert sorted(all_chunk_ids(mind_map)) == sorted(Chunks({"d07": DOCUMENTS["d07"]}).leaf_ids())


def test_a_document_that_is_not_there_has_no_map() -> None:
    with pytest.raises(PermanentError, match="d99"):
        draw_document(inputs_of(DOCUMENTS), "d99", NoControl())


def test_a_few_documents_have_their_own_maps_in_that_of_their_collection() -> None:
    drawn = draw(inputs_of({**DOCUMENTS, **HEADED}), "Stories", NoControl())

    assert drawn.mind_map.title == "Stories"
    assert titles(drawn.mind_map) == ["d.txt", *(f"{each}.txt" for each in DOCUMENTS)]
    assert titles(drawn.mind_map.children[0]) == ["One", "Two", "Three"]
    assert drawn.leaves == leaves_hash(Chunks({**DOCUMENTS, **HEADED}).leaf_ids())


def test_summaries_across_documents_are_the_themes_of_a_collection() -> None:
    documents = {f"{n:02}": [passage(n), passage(n + 100)] for n in range(20)}
    orchard = Orchard()
    orchard.build(documents)
    rows = orchard.rows.published.values()
    across = {row.summary.title for row in rows if row.summary.document_id is None}

    drawn = draw(inputs_of(documents, orchard), "Stories", NoControl())

    assert len(drawn.mind_map.children) > 1
    assert across.issuperset(titles(drawn.mind_map))
    assert documents_of(drawn.mind_map) == set(documents)
    assert set(all_chunk_ids(drawn.mind_map)) == set(Chunks(documents).leaf_ids())


def test_many_documents_without_summaries_across_them_are_grouped_by_what_they_say() -> None:
    documents = {f"{n:03}": [passage(n), passage(n + 300)] for n in range(90)}

    drawn = draw(inputs_of(documents), "Stories", NoControl())

    assert 1 < len(drawn.mind_map.children) < 40
    assert documents_of(drawn.mind_map) == set(documents)
    assert not any(title.endswith(".txt") for title in titles(drawn.mind_map))


@pytest.mark.parametrize("documents", [{}, {"a": [passage(1)]}])
def test_next_to_nothing_has_a_map_too(documents: Documents) -> None:
    drawn = draw(inputs_of(documents), "Stories", NoControl())

    assert titles(drawn.mind_map) == [f"{each}.txt" for each in documents]


def test_the_map_of_many_documents_is_small_enough_to_be_looked_at() -> None:
    documents = {f"{n:05}": [passage(n)] for n in range(2500)}

    drawn = draw(inputs_of(documents), "Stories", NoControl())

    assert 40 < sum(1 for _ in nodes(drawn.mind_map)) <= MOST_NODES


def test_a_map_is_drawn_anew_after_another_tree() -> None:
    orchard = Orchard()
    without = inputs_of(DOCUMENTS, orchard).recipe
    orchard.build(DOCUMENTS)

    assert inputs_of(DOCUMENTS, orchard).recipe != without
    assert draw(inputs_of(DOCUMENTS, orchard), "S", NoControl()) == draw(
        inputs_of(DOCUMENTS, orchard), "S", NoControl()
    )


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(open_store(str(tmp_path), 2))


def test_a_map_that_is_stored_takes_the_place_of_the_one_before(artifacts: ArtifactStore) -> None:
    first = draw(inputs_of(HEADED), "Stories", NoControl())
    second = draw(inputs_of(DOCUMENTS), "Stories", NoControl())
    assert load(artifacts, COLLECTION) is None

    for drawn in (first, second):
        store(artifacts, COLLECTION, drawn)
        assert load(artifacts, COLLECTION) == drawn

    assert list(artifacts.document_ids(COLLECTION)) == []
    artifacts.delete_map(COLLECTION)
    assert load(artifacts, COLLECTION) is None


def test_what_is_no_map_counts_as_none(artifacts: ArtifactStore) -> None:
    artifacts.put_map(COLLECTION, b'{"mind_map": 1}')

    assert load(artifacts, COLLECTION) is None


def test_a_map_leaves_as_json_and_as_a_page_with_the_passages() -> None:
    inputs = inputs_of(HEADED)
    mind_map = draw_document(inputs, "d", NoControl())

    assert from_json(export(mind_map, MindMapFormat.JSON, inputs.snapshot)) == mind_map
    assert passage(3) in export(mind_map, MindMapFormat.HTML, inputs.snapshot)


def documents_of(mind_map: MindMap) -> set[str]:
    return {node.document_id for node in nodes(mind_map) if node.document_id is not None}
