from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest

from ingestion_pipeline.graph.exports import (
    MOST_SHOWN,
    GraphFormat,
    View,
    as_graphml,
    as_html,
    as_json,
    exported,
)
from ingestion_pipeline.model.graph import (
    Community,
    Entity,
    EntityType,
    KnowledgeGraph,
    Relation,
    RelationKind,
    Report,
)
from ingestion_pipeline.model.summaries import Citation, SummaryMethod

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e&\"'\x00"


def entity(key: str, name: str, rank: float = 1.0) -> Entity:
    return Entity(
        key, key, name, EntityType.PERSON, (name, f"{name}!"), 2, ("d",), ("c",), rank=rank
    )


def view(*names: str) -> View:
    entities = tuple(entity(f"e{number:03}", name, 1 + number) for number, name in enumerate(names))
    relations = tuple(
        Relation(
            f"r{number}",
            one.entity_id,
            other.entity_id,
            RelationKind.STATED,
            f"knows {one.name}",
            True,
            0.5,
            3,
            ("d",),
            (Citation("c", 0, 5), Citation("gone", 0, 5)),
        )
        for number, (one, other) in enumerate(pairwise(entities))
    )
    report = Report(
        "k",
        f"About {names[0]}",
        "It is said.",
        SummaryMethod.EXTRACTIVE,
        (Citation("c", 0, 5),),
        ("e000",),
        (),
        ("d",),
        (1994, 2007),
        9.5,
        "hash",
    )
    return View(
        title=f"All {names[0]}",
        graph=KnowledgeGraph(entities, relations),
        communities=[Community("k", 0, None, tuple(each.entity_id for each in entities))],
        reports=[report],
        texts={"c": f"Hello {names[0]}"},
        documents={"d": f"The {names[0]}"},
    )


class Page(HTMLParser):
    """Collects what a browser would do."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.policy = ""
        self.feed(text)
        found = re.search(
            r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL
        )
        assert found
        self.data: dict[str, Any] = json.loads(found[1])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.links += [value or "" for key, value in attrs if key in {"src", "href"}]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"] or ""


def test_json_has_the_whole_graph() -> None:
    whole = json.loads(as_json(view("Ada", "Bo", "Cy")))
    assert [each["name"] for each in whole["entities"]] == ["Ada", "Bo", "Cy"]
    assert whole["relations"][0]["evidence"][0] == {"chunk_id": "c", "start": 0, "end": 5}
    assert whole["communities"][0]["entity_ids"] == ["e000", "e001", "e002"]
    assert whole["reports"][0]["period"] == [1994, 2007]


@pytest.mark.parametrize("name", ["Ada", HOSTILE, "\ud800", "日本", "a]]>b"])
def test_graphml_can_be_read_back_whatever_a_name_is(name: str) -> None:
    graph = nx.read_graphml(io.BytesIO(as_graphml(view(name, "Bo")).encode()))
    assert set(graph.nodes) == {"e000", "e001"}
    readable = re.sub("[\x00\ud800]", " ", name)
    assert graph.nodes["e000"]["label"].strip() == readable.strip()
    assert graph.nodes["e000"]["community"] == "k"
    ((_, _, edge),) = graph.edges(data=True)
    assert (edge["negated"], edge["count"], edge["kind"]) == (True, 3, "stated")


def test_relations_of_one_pair_are_edges_of_their_own() -> None:
    whole = view("Ada", "Bo")
    (relation,) = whole.graph.relations
    other = Relation(
        "r9", relation.target, relation.source, RelationKind.TOGETHER, "", False, 1, 1, (), ()
    )
    both = View("t", KnowledgeGraph(whole.graph.entities, (relation, other)))
    graph = nx.read_graphml(io.BytesIO(as_graphml(both).encode()))
    assert graph.number_of_edges() == 2


def test_the_page_needs_nothing_from_elsewhere_and_runs_only_its_own_script() -> None:
    page = Page(as_html(view("Ada", "Bo")))
    assert page.links == []
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in page.policy


@pytest.mark.parametrize("name", [HOSTILE, "<!--", "</title><b>", "\ud800 x"])
def test_names_are_text_and_nothing_else(name: str) -> None:
    harmless = Page(as_html(view("Ada", "Bo")))
    written = as_html(view(name, "Bo"))
    written.encode()
    page = Page(written)
    assert page.tags == harmless.tags
    assert {each["name"] for each in page.data["entities"]} == {
        "Bo",
        " ".join(re.sub("[\x00\u202e\ud800]", " ", name).split()),
    }


def test_the_page_shows_evidence_and_reports() -> None:
    data = Page(as_html(view("Ada", "Bo"))).data
    assert data["relations"][0]["evidence"] == ["Hello"]
    assert data["communities"] == [
        {
            "title": "About Ada",
            "text": "It is said.",
            "rating": 9.5,
            "documents": 1,
            "period": [1994, 2007],
        }
    ]
    assert data["entities"][0]["passages"] == ["Hello Ada"]
    assert data["entities"][0]["documents"] == ["The Ada"]


def test_the_page_shows_the_most_central_entities_only() -> None:
    data = Page(as_html(view(*(f"n{number}" for number in range(MOST_SHOWN + 20))))).data
    assert len(data["entities"]) == MOST_SHOWN
    assert data["entities"][0]["name"] == f"n{MOST_SHOWN + 19}"
    assert data["of"] == [MOST_SHOWN + 20, MOST_SHOWN + 19]
    assert all(end < MOST_SHOWN for each in data["relations"] for end in each["ends"])


@pytest.mark.parametrize("form", GraphFormat)
def test_an_empty_graph_can_be_exported_and_equal_ones_are_equal(form: GraphFormat) -> None:
    assert exported(View("", KnowledgeGraph()), form)
    assert exported(view("Ada", "Bo"), form) == exported(view("Ada", "Bo"), form)
