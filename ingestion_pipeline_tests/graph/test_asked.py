from __future__ import annotations

import json

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.graph import document_graphs
from ingestion_pipeline.llm import Budget
from ingestion_pipeline.model.graph import DocumentGraph, EntityType, ExtractionMethod
from ingestion_pipeline_tests.graph.documents import document, read, stated
from ingestion_pipeline_tests.llm.endpoints import Asked, Reply, Running, serving

ORCHARD = document(
    "orchard", "The grafted Bramley fears fire blight.", "Ada Lovelace met Bob Dylan."
)
ANSWER = {
    "entities": [
        {"name": "Bramley", "type": "product"},
        {"name": "fire blight", "type": "disease"},
        {"name": "Not There", "type": "person"},
        "nonsense",
    ],
    "relations": [
        {"source": "Bramley", "predicate": "Is Afraid Of", "target": "Fire blight"},
        {"source": "Bramley", "predicate": "knows", "target": "Not There"},
        {"source": "Bramley"},
    ],
}


def asked(running: Running, method: ExtractionMethod, **options: object) -> DocumentGraph:
    [graph] = document_graphs([ORCHARD], NoControl(), running.model(**options), method)
    return graph


def test_a_model_adds_what_the_text_bears_out_and_nothing_else() -> None:
    with serving(lambda _: Reply(f"Here it is: {json.dumps(ANSWER)}")) as running:
        graph = asked(running, ExtractionMethod.LIGHT)

    types = {entity.key: entity.type for entity in graph.entities}
    assert types["bramley"] is EntityType.PRODUCT
    assert types["fire blight"] is EntityType.OTHER
    assert "not there" not in types
    assert ("bramley", "is afraid of", "fire blight", False) in stated(graph)
    assert ("ada lovelace", "meet", "bob dylan", False) in stated(graph)
    assert graph.method is ExtractionMethod.LIGHT
    assert graph.tokens == 14
    assert graph.complete


def test_the_general_method_asks_for_what_was_missed() -> None:
    def reply(request: Asked) -> Reply:
        names = ["Bob Dylan"] if "found already" in request.user else ["Ada Lovelace"]
        entities = [{"name": name, "type": "work"} for name in names]
        return Reply(json.dumps({"entities": entities, "relations": []}))

    with serving(reply) as running:
        graph = asked(running, ExtractionMethod.GENERAL)

    types = {entity.key: entity.type for entity in graph.entities}
    assert types["ada lovelace"] is types["bob dylan"] is EntityType.WORK
    assert len(running.asked) == 4


def test_what_a_model_cannot_read_is_read_without_it() -> None:
    [without] = read(ORCHARD)
    with serving(lambda _: Reply("I am sorry.")) as running:
        sorry = asked(running, ExtractionMethod.LIGHT)
    with serving(lambda _: Reply(status=503)) as running:
        away = asked(running, ExtractionMethod.LIGHT)
    with serving(lambda _: Reply(json.dumps(ANSWER))) as running:
        spent = asked(running, ExtractionMethod.LIGHT, budget=Budget(1))

    for graph in (sorry, away, spent):
        assert graph.entities == without.entities
        assert graph.relations == without.relations
    assert sorry.complete
    assert not away.complete
    assert not spent.complete
    assert "2" in away.warnings[0]
