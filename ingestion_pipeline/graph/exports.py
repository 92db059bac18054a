"""The forms in which a graph leaves: JSON, GraphML, a page for the browser.

Belongs here: writing a graph. Does not belong here: what is in it (``merge``, ``communities``,
``reports``), and the page itself (``graph.html``).

Names and texts come from documents, which anybody may have written: in every form they are text and
nothing else, whatever they look like.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from importlib import resources
from typing import Any

from ingestion_pipeline.model.graph import (
    Community,
    Entity,
    EntityType,
    KnowledgeGraph,
    Relation,
    Report,
)
from ingestion_pipeline.model.summaries import Citation
from ingestion_pipeline.pages import filled, for_xml, one_line

MOST_SHOWN = 300
"""Entities on a page, those of the highest rank; more are a thicket."""
_COMMON = frozenset({EntityType.CONCEPT, EntityType.DATE, EntityType.QUANTITY})
_COMMON_PART = 4
"""What has no name of its own counts a fourth: words are central everywhere."""
_PASSAGES_EACH = 5
"""Of an entity, that the page can show."""
_EVIDENCE_EACH = 3


class GraphFormat(StrEnum):
    """The forms a graph can be exported in."""

    JSON = "json"
    GRAPHML = "graphml"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class View:
    """A graph with all that there is to show of it.

    ``texts`` are those of chunks, by id, and ``documents`` the names of documents; what is missing
    is not shown.
    """

    title: str
    graph: KnowledgeGraph
    communities: Sequence[Community] = ()
    reports: Sequence[Report] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)


def exported(view: View, form: GraphFormat) -> str:
    """Return a graph in a form."""
    match form:
        case GraphFormat.JSON:
            return as_json(view)
        case GraphFormat.GRAPHML:
            return as_graphml(view)
        case GraphFormat.HTML:
            return as_html(view)


def as_json(view: View) -> str:
    """Return a graph as JSON: entities, relations, communities and reports, whole."""
    return json.dumps(
        {
            "title": view.title,
            "entities": [asdict(each) for each in view.graph.entities],
            "relations": [asdict(each) for each in view.graph.relations],
            "communities": [asdict(each) for each in view.communities],
            "reports": [asdict(each) for each in view.reports],
        },
        indent=1,
    )


def as_graphml(view: View) -> str:
    """Return entities and relations as GraphML: a directed graph with parallel edges."""
    import networkx as nx

    community_of = _community_of(view)
    graph = nx.MultiDiGraph()
    for each in view.graph.entities:
        graph.add_node(
            each.entity_id,
            label=for_xml(each.name),
            type=str(each.type),
            aliases=for_xml(" | ".join(each.aliases)),
            mentions=each.mentions,
            rank=each.rank,
            community=community_of.get(each.entity_id, ""),
            documents=for_xml(" ".join(each.document_ids)),
        )
    for relation in view.graph.relations:
        graph.add_edge(
            relation.source,
            relation.target,
            key=relation.relation_id,
            kind=str(relation.kind),
            predicate=for_xml(relation.predicate),
            negated=relation.negated,
            weight=relation.weight,
            count=relation.count,
            documents=for_xml(" ".join(relation.document_ids)),
        )
    written = io.BytesIO()
    nx.write_graphml_xml(graph, written, prettyprint=True)
    return written.getvalue().decode()


def as_html(view: View) -> str:
    """Return a graph as a page that needs nothing else: neither a server nor a network.

    It shows the ``MOST_SHOWN`` entities of the highest rank with the relations between them, some
    passages that name them, and the reports of the communities that they are in.
    """
    page = resources.files(__package__).joinpath("graph.html").read_text(encoding="utf-8")
    return filled(page, view.title, _shown(view))


def _shown(view: View) -> dict[str, Any]:
    entities = sorted(view.graph.entities, key=_centrality)
    places = {each.entity_id: place for place, each in enumerate(entities[:MOST_SHOWN])}
    community_of = _community_of(view)
    groups: dict[str, int] = {}
    for each in places:
        if each in community_of:
            groups.setdefault(community_of[each], len(groups))
    reports = {each.community_id: each for each in view.reports}
    relations = [
        each for each in view.graph.relations if each.source in places and each.target in places
    ]
    return {
        "title": one_line(view.title),
        "of": [len(view.graph.entities), len(view.graph.relations)],
        "entities": [
            _entity(each, groups.get(community_of.get(each.entity_id, ""), -1), view)
            for each in entities[:MOST_SHOWN]
        ],
        "relations": [_relation(each, places, view) for each in relations],
        "communities": [_report(reports[each]) if each in reports else None for each in groups],
    }


def _centrality(entity: Entity) -> tuple[float, str]:
    part = _COMMON_PART if entity.type in _COMMON else 1
    return -entity.rank / part, entity.entity_id


def _entity(entity: Entity, community: int, view: View) -> dict[str, Any]:
    known = [each for each in entity.chunk_ids if each in view.texts]
    return {
        "name": one_line(entity.name),
        "type": str(entity.type),
        "aliases": [one_line(each) for each in entity.aliases if each != entity.name],
        "mentions": entity.mentions,
        "rank": entity.rank,
        "community": community,
        "documents": [one_line(view.documents.get(each, each)) for each in entity.document_ids],
        "passages": [view.texts[each] for each in known[:_PASSAGES_EACH]],
    }


def _relation(relation: Relation, places: Mapping[str, int], view: View) -> dict[str, Any]:
    quotes = [_quote(each, view.texts) for each in relation.evidence if each.chunk_id in view.texts]
    return {
        "ends": [places[relation.source], places[relation.target]],
        "says": one_line(relation.predicate) if relation.predicate else "",
        "negated": relation.negated,
        "weight": relation.weight,
        "count": relation.count,
        "evidence": quotes[:_EVIDENCE_EACH],
    }


def _report(report: Report) -> dict[str, Any]:
    return {
        "title": one_line(report.title),
        "text": report.text,
        "rating": report.rating,
        "documents": len(report.document_ids),
        "period": report.period,
    }


def _quote(citation: Citation, texts: Mapping[str, str]) -> str:
    return one_line(texts[citation.chunk_id][citation.start : citation.end])


def _community_of(view: View) -> dict[str, str]:
    """Return the coarsest community of each entity."""
    return {
        entity: each.community_id
        for each in view.communities
        if each.level == 0
        for entity in each.entity_ids
    }
