"""What follows from a pipeline: which recipes change with which setting."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from ingestion_pipeline.dataflow import read_pipeline
from ingestion_pipeline.dataflow.way import way
from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.model.collections import ChunkStrategy, CollectionConfig
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.stages.recipes import recipes
from ingestion_pipeline_tests.dataflow.test_reading import GOOD, written
from ingestion_pipeline_tests.fakes import FakeEmbedder

MODEL = cast("Embedder", FakeEmbedder())
PARTS = {"enriched.enricher", "enriched.forms"}
ASKING = GOOD.replace("pattern: '[A-Z]+'", "prompt: What is asked?")


def of(
    folder: Path, text: str, config: CollectionConfig | None = None, llm: str | None = None
) -> dict[str, str]:
    pipeline = read_pipeline(written(folder, text))
    return dict(way(pipeline, config or CollectionConfig(), MODEL, llm, lambda _: None).recipes)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {step for step in before if before[step] != after[step]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "- type: Parser",
            "- type: Parser\n      partitioner: unstructured",
            {"parsed", "chunked", "embedded", "indexed", "enriched", *PARTS},
        ),
        ("tokens: 100", "tokens: 60", {"chunked", "embedded", "indexed", "enriched", *PARTS}),
        ("keywords: 3", "keywords: 4", {"enriched.enricher", "enriched", "indexed"}),
        ("[A-Z]+", "[A-Z]{2}", {"enriched.forms", "enriched", "indexed"}),
        ("- type: Embedder", "- type: Embedder\n      title_weight: 0.5", {"embedded", "indexed"}),
        ("- type: Splitter", "- type: Splitter\n      kind: auto", set()),
    ],
)
def test_a_setting_changes_the_recipes_from_its_component_on(
    tmp_path: Path, before: str, after: str, expected: set[str]
) -> None:
    assert changed(of(tmp_path, GOOD), of(tmp_path, GOOD.replace(before, after))) == expected


@pytest.mark.parametrize(
    ("component", "again"),
    [
        ("file", {"sourced", "parsed", "chunked", "embedded", "indexed", "enriched", *PARTS}),
        ("splitter", {"chunked", "embedded", "indexed", "enriched", *PARTS}),
        ("forms", {"enriched.forms", "enriched", "indexed"}),
        ("embedder", {"embedded", "indexed"}),
        ("indexer", {"indexed"}),
    ],
)
def test_a_component_and_what_reads_it_are_done_again(
    tmp_path: Path, component: str, again: set[str]
) -> None:
    pipeline = read_pipeline(written(tmp_path, GOOD))

    assert pipeline.steps_before(component) == {*of(tmp_path, GOOD)} - again


def test_a_stage_with_the_settings_of_a_collection_has_its_recipe(tmp_path: Path) -> None:
    config = CollectionConfig(chunk_tokens=100)

    found = of(tmp_path, GOOD, config)

    own = recipes(config, MODEL)
    assert {step for step in own if own[step] == found[step]} == {
        Stage.SOURCED,
        Stage.PARSED,
        Stage.CHUNKED,
        Stage.EMBEDDED,
    }


def test_only_what_asks_the_language_model_depends_on_it(tmp_path: Path) -> None:
    assert "enriched.forms" not in changed(of(tmp_path, GOOD), of(tmp_path, GOOD, llm="one"))
    assert "enriched.forms" in changed(of(tmp_path, ASKING), of(tmp_path, ASKING, llm="one"))


def test_vectors_depend_on_questions_and_on_nothing_else_that_is_added(tmp_path: Path) -> None:
    chain = GOOD.replace("      inputs: [splitter]\n    - type: Indexer", "    - type: Indexer")
    asking = chain.replace("into: tags", "into: questions")

    def edited(text: str) -> set[str]:
        return changed(of(tmp_path, text), of(tmp_path, text.replace("[A-Z]+", "[A-Z]")))

    assert Stage.EMBEDDED not in edited(chain)
    assert Stage.EMBEDDED in edited(asking)


def test_a_merger_cuts_by_its_own_levels(tmp_path: Path) -> None:
    text = GOOD.replace(
        "type: Splitter\n",
        "type: HierarchicalMerger\n      name: splitter\n      levels: [['Part \\d+'], ['§']]\n",
    )
    pipeline = read_pipeline(written(tmp_path, text))

    config = way(pipeline, CollectionConfig(), MODEL, None, lambda _: None).config

    assert config.chunker is ChunkStrategy.HIERARCHY
    assert config.chunk_levels == (("Part \\d+",), ("§",))
    assert config.chunk_tokens == 100
