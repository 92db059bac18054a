from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.indexing.summary_rows import Origin
from ingestion_pipeline.installed import reads_pictures
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import (
    AlertsConfig,
    ChunkStrategy,
    CollectionConfig,
    EnrichmentConfig,
    GraphConfig,
    MindMapConfig,
    ParserKind,
    Partitioner,
    RaptorConfig,
    RaptorMethod,
    RaptorScope,
)
from ingestion_pipeline.model.documents import STAGES, Document, DocumentState, Stage
from ingestion_pipeline.model.graph import (
    EntityType,
    ExtractionMethod,
    Homonym,
    SameEntity,
)
from ingestion_pipeline.stages.recipes import (
    _recipe,
    chunk_tokens,
    document_fingerprint,
    extraction_recipe,
    fingerprints,
    graph_recipe,
    map_recipe,
    recipes,
    report_recipe,
    summary_recipe,
    tree_recipe,
)
from ingestion_pipeline.stages.versions import CODE_VERSIONS
from ingestion_pipeline_tests.fakes import FakeEmbedder

EMBEDDER = cast("Embedder", FakeEmbedder())


def changed(first: dict[Stage, str], second: dict[Stage, str]) -> list[Stage]:
    return [stage for stage in STAGES if first[stage] != second[stage]]


def from_(stage: Stage | None) -> list[Stage]:
    """The stage and those that read what it makes; vectors are of chunks, not of what is added."""
    if stage is None:
        return []
    after = list(STAGES[STAGES.index(stage) :])
    return [each for each in after if (stage, each) != (Stage.ENRICHED, Stage.EMBEDDED)]


OPTIONS: dict[str, tuple[Any, Stage | None]] = {
    "parser": (ParserKind.LAWS, Stage.CHUNKED),
    "partitioner": (Partitioner.UNSTRUCTURED, Stage.PARSED),
    "chunker": (ChunkStrategy.ONE, Stage.CHUNKED),
    "chunk_tokens": (32, Stage.CHUNKED),
    "chunk_overlap": (8, Stage.CHUNKED),
    "chunk_delimiters": (("---",), Stage.CHUNKED),
    "parent_tokens": (2048, Stage.CHUNKED),
    # Of the strategy `hierarchy` only; see below.
    "chunk_levels": ((("Part",),), None),
    "chunk_depth": (3, None),
    "enrichment": (EnrichmentConfig(keywords=5), Stage.ENRICHED),
    "title_weight": (0.5, Stage.EMBEDDED),
    # Its name means nothing, what is in it does.
    "embedding_model": ("another name of the same", None),
    "max_parallel_runs": (4, None),
    "quiet_seconds": (5.0, None),
    "schedule": ("0 3 * * *", None),
    "timezone": ("Asia/Tokyo", None),
    "rollback_days": (1, None),
    "automation": (True, None),
    "alerts": (AlertsConfig(failed_documents=1), None),
    "raptor": (RaptorConfig(enabled=True), None),
    "graph": (GraphConfig(enabled=True), None),
    "mindmap": (MindMapConfig(enabled=True), None),
}


def test_levels_and_depth_count_where_documents_are_cut_by_them() -> None:
    config = CollectionConfig(chunker=ChunkStrategy.HIERARCHY)
    for change in ({"chunk_levels": (("Part",),)}, {"chunk_depth": 3}):
        before, after = (
            recipes(config, EMBEDDER),
            recipes(config.model_copy(update=change), EMBEDDER),
        )
        assert before[Stage.PARSED] == after[Stage.PARSED]
        assert before[Stage.CHUNKED] != after[Stage.CHUNKED]


def test_every_option_of_a_collection_is_tried_here() -> None:
    assert set(OPTIONS) == set(CollectionConfig.model_fields)


@pytest.mark.parametrize(("option", "value", "first"), [(k, *v) for k, v in OPTIONS.items()])
def test_an_option_changes_the_stages_that_read_it_and_those_after_them(
    option: str, value: Any, first: Stage | None
) -> None:
    before = recipes(CollectionConfig(), EMBEDDER)
    after = recipes(CollectionConfig(**{option: value}), EMBEDDER)

    assert changed(before, after) == from_(first)


def test_another_embedding_model_changes_vectors_but_not_chunks() -> None:
    other = cast("Embedder", FakeEmbedder("another"))

    assert changed(
        recipes(CollectionConfig(), EMBEDDER), recipes(CollectionConfig(), other)
    ) == from_(Stage.EMBEDDED)


def test_another_tokenizer_changes_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipes(CollectionConfig(), EMBEDDER)
    monkeypatch.setattr(EMBEDDER.tokenizer, "fingerprint", "another")

    assert changed(before, recipes(CollectionConfig(), EMBEDDER)) == from_(Stage.CHUNKED)


@pytest.mark.parametrize("stage", STAGES)
def test_another_code_version_changes_its_stage_and_those_after_it(
    monkeypatch: pytest.MonkeyPatch, stage: Stage
) -> None:
    before = recipes(CollectionConfig(), EMBEDDER)
    monkeypatch.setitem(CODE_VERSIONS, stage, "next")

    assert changed(before, recipes(CollectionConfig(), EMBEDDER)) == from_(stage)


def test_another_table_layout_changes_the_index_only(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipes(CollectionConfig(), EMBEDDER)
    monkeypatch.setattr("ingestion_pipeline.stages.recipes.SCHEMA_VERSION", 999)

    assert changed(before, recipes(CollectionConfig(), EMBEDDER)) == [Stage.INDEXED]


@pytest.mark.parametrize(("configured", "used"), [(None, 64), (32, 32), (64, 64), (8192, 64)])
def test_chunks_are_never_longer_than_the_model_reads(configured: int | None, used: int) -> None:
    config = CollectionConfig(chunk_tokens=configured)

    assert chunk_tokens(config, EMBEDDER) == used
    limit = recipes(CollectionConfig(), EMBEDDER)
    assert (recipes(config, EMBEDDER) == limit) == (used == 64)


def test_what_our_own_parsers_read_before_there_were_others_is_used_on() -> None:
    found = recipes(CollectionConfig(partitioner=Partitioner.NATIVE), EMBEDDER)

    without = _recipe(Stage.PARSED, found[Stage.SOURCED], recognises_text=reads_pictures())
    assert found[Stage.PARSED] == without


def test_a_recipe_is_the_same_in_every_process() -> None:
    assert recipes(CollectionConfig(), EMBEDDER) == recipes(CollectionConfig(), EMBEDDER)
    assert all(len(recipe) == 64 for recipe in recipes(CollectionConfig(), EMBEDDER).values())


def document(name: str = "a.txt", identity: str = "id") -> Document:
    return Document(identity, "docs", name, f"file:///{name}", DocumentState.PENDING, 0.0)


@pytest.mark.parametrize(
    ("other", "version"),
    [(document(identity="other"), "v1"), (document("b.txt"), "v1"), (document(), "v2")],
    ids=["another document", "another name", "another version"],
)
def test_no_two_documents_or_versions_share_a_result(other: Document, version: str) -> None:
    known = recipes(CollectionConfig(), EMBEDDER)

    first = fingerprints(document(), "v1", known)
    second = fingerprints(other, version, known)

    assert not set(first.values()) & set(second.values())
    assert len(set(first.values())) == len(STAGES)


def test_questions_are_embedded_and_so_change_vectors() -> None:
    before = recipes(CollectionConfig(), EMBEDDER)
    after = recipes(CollectionConfig(enrichment=EnrichmentConfig(questions=2)), EMBEDDER)

    assert changed(before, after) == [Stage.ENRICHED, Stage.EMBEDDED, Stage.INDEXED]


def test_another_language_model_matters_where_something_is_asked_of_it() -> None:
    plain, asking = CollectionConfig(), CollectionConfig(enrichment=EnrichmentConfig(keywords=3))

    assert recipes(plain, EMBEDDER, llm="a") == recipes(plain, EMBEDDER, llm="b")
    first, second = recipes(asking, EMBEDDER, llm="a"), recipes(asking, EMBEDDER, llm="b")
    assert changed(first, second) == from_(Stage.ENRICHED)


def test_other_tagged_chunks_teach_other_tags() -> None:
    config = CollectionConfig(enrichment=EnrichmentConfig(tags="teacher"))
    first = recipes(config, EMBEDDER, lessons="1")

    assert changed(first, recipes(config, EMBEDDER, lessons="2")) == from_(Stage.ENRICHED)


def test_semantic_chunks_depend_on_the_model() -> None:
    config = CollectionConfig(chunker=ChunkStrategy.SEMANTIC)
    other = cast("Embedder", FakeEmbedder("another"))

    assert changed(recipes(config, EMBEDDER), recipes(config, other)) == from_(Stage.CHUNKED)


def test_a_kind_of_its_own_changes_the_fingerprints_of_a_document() -> None:
    plain = recipes(CollectionConfig(), EMBEDDER)
    document = Document("id", "docs", "a.txt", "file:///a.txt", DocumentState.PENDING, 0.0)
    of_a_kind = replace(document, parser=ParserKind.LAWS)

    assert changed(
        fingerprints(document, "version", plain), fingerprints(of_a_kind, "version", plain)
    ) == list(STAGES)


COMMUNITIES = RaptorConfig(scope=RaptorScope.COLLECTION, max_tokens=32)
CLASSIC = COMMUNITIES.model_copy(update={"method": RaptorMethod.CLASSIC})


@pytest.mark.parametrize(
    ("config", "changes", "tree", "summaries"),
    [
        (COMMUNITIES, {"enabled": True, "max_errors": 9}, False, False),
        (COMMUNITIES, {"max_tokens": 40}, True, True),
        (COMMUNITIES, {"max_tokens": 2048}, True, True),
        (COMMUNITIES, {"scope": RaptorScope.DOCUMENT}, True, False),
        (COMMUNITIES, {"seed": 1}, True, False),
        (COMMUNITIES, {"threshold": 0.5, "max_cluster": 8}, False, False),
        (COMMUNITIES, {"method": RaptorMethod.CLASSIC}, True, False),
        (CLASSIC, {"threshold": 0.5}, True, False),
        (CLASSIC, {"max_cluster": 8}, True, False),
        (RaptorConfig(), {"method": RaptorMethod.CLASSIC, "seed": 1}, False, False),
        (COMMUNITIES, {"prompt": "Shorter!"}, False, False),
    ],
)
def test_options_of_trees_renew_what_they_matter_to(
    config: RaptorConfig, changes: dict[str, Any], tree: bool, summaries: bool
) -> None:
    other = config.model_copy(update=changes)

    assert (tree_recipe(config, EMBEDDER) != tree_recipe(other, EMBEDDER)) == tree
    assert (summary_recipe(config, EMBEDDER) != summary_recipe(other, EMBEDDER)) == summaries


def test_a_language_model_and_its_prompt_renew_all_summaries() -> None:
    shorter = COMMUNITIES.model_copy(update={"prompt": "Shorter!"})
    found = {
        summary_recipe(COMMUNITIES, EMBEDDER),
        summary_recipe(COMMUNITIES, EMBEDDER, llm="a model"),
        summary_recipe(COMMUNITIES, EMBEDDER, llm="another"),
        summary_recipe(shorter, EMBEDDER, llm="a model"),
        summary_recipe(COMMUNITIES, cast("Embedder", FakeEmbedder("another"))),
    }

    assert len(found) == 5


@pytest.mark.parametrize(
    ("changes", "graph", "extraction"),
    [
        ({"enabled": True}, False, False),
        ({"method": ExtractionMethod.LIGHT}, False, False),
        ({"resolution": False}, True, False),
        ({"communities": False}, True, False),
        ({"entity_types": (EntityType.PLACE,)}, True, False),
    ],
)
def test_options_of_graphs_renew_what_they_matter_to(
    changes: dict[str, Any], graph: bool, extraction: bool
) -> None:
    first, other = GraphConfig(), GraphConfig(**changes)

    assert (graph_recipe(first, EMBEDDER) != graph_recipe(other, EMBEDDER)) == graph
    assert (extraction_recipe(first) != extraction_recipe(other)) == extraction


def test_a_language_model_renews_what_it_is_asked_for() -> None:
    asking = GraphConfig(method=ExtractionMethod.LIGHT)
    general = GraphConfig(method=ExtractionMethod.GENERAL)

    assert extraction_recipe(GraphConfig(), llm="a") == extraction_recipe(GraphConfig())
    assert len({extraction_recipe(each, llm="a") for each in (GraphConfig(), asking, general)}) == 3
    assert len({extraction_recipe(asking, llm=each) for each in (None, "a", "b")}) == 3
    assert len({report_recipe(EMBEDDER, llm=each) for each in (None, "a", "b")}) == 3
    assert len({graph_recipe(GraphConfig(), EMBEDDER, llm=each) for each in (None, "a", "b")}) == 3


def test_whether_a_language_model_resolves_names_matters_where_there_is_one() -> None:
    plain, asked = GraphConfig(), GraphConfig(resolve_with_llm=True)

    assert graph_recipe(plain, EMBEDDER) == graph_recipe(asked, EMBEDDER)
    assert graph_recipe(plain, EMBEDDER, llm="a") != graph_recipe(asked, EMBEDDER, llm="a")


def test_what_persons_said_of_names_renews_the_graph() -> None:
    said = [(), (SameEntity("a", "b"),), (SameEntity("b", "a"),), (Homonym("a", ("d",), "b"),)]

    assert len({graph_recipe(GraphConfig(), EMBEDDER, each) for each in said}) == len(said)


def test_a_graph_of_a_document_is_of_its_title_and_chunks() -> None:
    chunk = Chunk("id", "d", 0, "text", 1, 0, 4)
    others = [replace(chunk, text="other"), replace(chunk, heading_path=("A heading",))]
    found = {document_fingerprint("title", [each], "recipe") for each in (chunk, *others)}
    found.add(document_fingerprint("other", [chunk], "recipe"))
    found.add(document_fingerprint("title", [chunk], "another"))

    assert len(found) == 5
    assert document_fingerprint("title", [replace(chunk, tokens=9)], "recipe") in found


def test_another_tree_asks_for_another_map() -> None:
    trees = [None, Origin("a", "r"), Origin("b", "r"), Origin("a", "s")]

    assert len({map_recipe(tree) for tree in trees}) == len(trees)
