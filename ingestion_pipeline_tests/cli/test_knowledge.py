"""Building summaries and mind maps, and exporting them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline_tests.cli.terminal import said

pytestmark = pytest.mark.xdist_group("cli")  # they share one folder

IN = ("--collection", "handbook")


def value(*arguments: str) -> Any:
    ran = said(*arguments, "--json")
    assert ran.code == 0, ran.err
    return ran.json


@pytest.fixture(scope="module")
def built() -> dict[str, Any]:
    value("collections", "configure", "handbook", "--set", "raptor.scope=collection")
    return {
        "raptor": value("build", "raptor", *IN),
        "graphrag": value("build", "graph", *IN),
        "mindmap": value("build", "mindmap", *IN),
    }


def test_an_estimate_says_what_would_be_read_and_starts_nothing(built: dict[str, Any]) -> None:
    tasks = value("tasks", *IN)

    assert value("build", "graph", *IN, "--estimate")["calls"] == 0
    assert value("tasks", *IN) == tasks
    assert said("build", "raptor", *IN, "--estimate").code == 2


def test_a_build_waits_and_tells_what_it_made(built: dict[str, Any]) -> None:
    for kind, task in built.items():
        assert (task["type"], task["state"], task["progress"]) == (kind, "succeeded", 1.0)
        assert task["backend"] == "in_process"
    assert "summaries of 5 documents" in built["raptor"]["messages"][-1]
    assert "0 of them new" in value("build", "raptor", *IN)["messages"][-1]


def test_a_tree_is_exported_with_what_it_cites(built: dict[str, Any]) -> None:
    assert built
    tree = json.loads(value("export", "tree", *IN)["content"])

    summaries = tree["summaries"]
    assert any(each["document_id"] is None for each in summaries)
    assert all(each["text"] and each["title"] and each["citations"] for each in summaries)
    one = next(each["document_id"] for each in summaries if each["document_id"])
    ran = said("export", "tree", *IN, "--document", one)
    assert {each["document_id"] for each in json.loads(ran.out)["summaries"]} == {one}


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("json", "{"),
        ("mermaid", "mindmap\n"),
        ("markmap", "# handbook\n"),
        ("opml", "<?xml"),
        ("html", "<!doctype html>"),
    ],
)
def test_a_map_leaves_in_every_form(
    built: dict[str, Any], tmp_path: Path, form: str, beginning: str
) -> None:
    assert built
    path = tmp_path / "map"

    ran = said("export", "mindmap", *IN, "--format", form, "--to", str(path))

    assert (ran.code, ran.out) == (0, f"written to {path}\n")
    text = path.read_text()
    assert text.lower().startswith(beginning.lower())
    assert "travel" in text


def test_the_map_of_a_document_is_drawn_when_it_is_asked_for(built: dict[str, Any]) -> None:
    assert built
    documents = value("documents", *IN)
    (travel,) = (each for each in documents if each["name"] == "travel-policy.md")

    ran = said("export", "mindmap", *IN, "--document", travel["document_id"], "--format", "markmap")

    assert ran.out.startswith("# travel")
    assert "Loyalty programmes" in ran.out


def test_a_search_may_use_the_tree(built: dict[str, Any]) -> None:
    assert built
    hits = value("search", "what has to be done before a business trip?", *IN, "--mode", "tree")

    assert "(summary)" in said("search", "what is to be done?", *IN, "--mode", "tree").out
    kinds = [hit["kind"] for hit in hits]
    assert "chunk" in kinds
    assert kinds.count("summary") <= 0.3 * len(kinds)


def test_a_search_may_follow_the_graph(built: dict[str, Any]) -> None:
    assert built
    for mode in ("graph", "auto"):
        hits = value("search", "Who approves a business trip?", *IN, "--mode", mode)
        assert hits[0]["name"] == "travel-policy.md"


def test_what_was_not_built_cannot_be_exported() -> None:
    value("collections", "create", "unbuilt")

    for what in ("tree", "graph", "mindmap"):
        error = said("export", what, "--collection", "unbuilt").error
        assert error.startswith("error: not_found:")
        assert "ingest build" in error


def test_a_tree_leaves_as_json_only(built: dict[str, Any]) -> None:
    assert built
    ran = said("export", "tree", *IN, "--format", "html")
    assert said("export", "graph", *IN, "--format", "opml").code == 2

    assert ran.code == 2
    assert "json only" in ran.err


def test_a_document_there_is_not_is_refused() -> None:
    ran = said("build", "raptor", *IN, "--document", "unheard-of")

    assert ran.code == 1
    assert "not_found" in ran.err + ran.out


def test_people_correct_the_graph(built: dict[str, Any]) -> None:
    assert built
    entities = json.loads(value("export", "graph", *IN)["content"])["entities"]
    one, other = (each["name"] for each in sorted(entities, key=lambda each: -each["rank"])[:2])

    merged = value("graph", "merge", one, other, *IN)
    assert merged["state"] == "succeeded"
    names = {each["name"] for each in _entities()}
    assert len(names & {one, other}) == 1
    assert value("graph", "split", one, *IN)["state"] == "succeeded"
    assert {one, other} <= {each["name"] for each in _entities()}

    assert said("graph", "merge", one, "nobody at all", *IN).error.startswith("error: not_found")


def _entities() -> list[dict[str, Any]]:
    return list(json.loads(value("export", "graph", *IN)["content"])["entities"])
