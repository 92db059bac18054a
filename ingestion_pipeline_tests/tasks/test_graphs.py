"""The graph of a collection: built by task, followed by deletions, corrected by people."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.graph.exports import GraphFormat
from ingestion_pipeline.indexing.graphs import GraphIndex, GraphSnapshot
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.tasks import (
    Backend,
    Priority,
    TaskMessage,
    TaskState,
    TaskType,
)
from ingestion_pipeline.tasks.builds import BuildRequest, Built, build
from ingestion_pipeline.tasks.exports import export_graph
from ingestion_pipeline.tasks.graphs import (
    graph_is_current,
    look_at_graph,
    merge_entities,
    split_entity,
)
from ingestion_pipeline.tasks.intake import new_task
from ingestion_pipeline.tasks.submission import submit, submit_deletion
from ingestion_pipeline.tasks.work import WorkRequest, run
from ingestion_pipeline_tests.fakes import FakeServices

TEXTS = {
    "Ada Lovelace": "Ada Lovelace was born in London. She worked with Charles Babbage on the "
    "Analytical Engine, and wrote the first program for it.",
    "Charles Babbage": "Charles Babbage designed the Analytical Engine in London. The Royal "
    "Society of London elected him.",
    "Konrad Zuse": "Konrad Zuse built the Z3 in Berlin. He had never heard of Charles Babbage.",
}


class Desk:
    """One collection about three people."""

    def __init__(
        self, services: FakeServices, collection: Collection, write: Callable[..., Path]
    ) -> None:
        self.services = services
        self.collection = collection
        self._write = write

    def ingest(self, texts: dict[str, str]) -> None:
        paths = [self._write(f"{name}.txt", text) for name, text in texts.items()]
        submit(self.services, self.collection, paths, Priority.NORMAL, {})
        run(self.services, self.collection, WorkRequest("ingest", Backend.IN_PROCESS))

    def build(self) -> Built:
        request = BuildRequest(uuid.uuid4().hex, Backend.IN_PROCESS, TaskType.GRAPHRAG)
        built = build(self.services, self.collection, request)
        assert built is not None
        return built

    @property
    def graph(self) -> GraphSnapshot:
        return GraphIndex(self.services.index(self.collection)).snapshot()

    def names(self) -> set[str]:
        return {entity.name for entity in self.graph.entities()}

    def id_of(self, name: str) -> str:
        found = self.services.registry.documents.find("docs")
        return next(each.document_id for each in found if each.name == f"{name}.txt")


@pytest.fixture
def desk(services: FakeServices, collection: Collection, write: Callable[..., Path]) -> Desk:
    desk = Desk(services, collection, write)
    desk.ingest(TEXTS)
    return desk


def test_a_graph_says_who_has_to_do_with_whom_and_where_it_is_written(desk: Desk) -> None:
    built = desk.build()

    assert built.figures["documents_read"] == len(TEXTS)
    assert {"Ada Lovelace", "Charles Babbage", "Konrad Zuse", "London"} <= desk.names()
    babbage = desk.graph.entity("Charles Babbage")
    assert babbage is not None
    assert set(babbage.document_ids) == {desk.id_of(name) for name in TEXTS}
    look = look_at_graph(desk.services, "docs")
    assert (look.uncovered, look.unproven) == ((), 0)
    assert graph_is_current(desk.services, "docs")[0]
    assert "Charles Babbage" in built.shown


def test_only_changed_documents_are_read_again(desk: Desk) -> None:
    desk.build()
    desk.ingest({"Konrad Zuse": "Konrad Zuse built the Z4 in Zurich."})
    assert not graph_is_current(desk.services, "docs")[0]

    built = desk.build()

    assert built.figures["documents_read"] == 1
    assert "Berlin" not in desk.names()
    assert graph_is_current(desk.services, "docs")[0]


def test_what_only_a_deleted_document_said_is_gone_at_once(desk: Desk) -> None:
    desk.build()

    submit_deletion(desk.services, desk.collection, [desk.id_of("Konrad Zuse")], purge=False)

    assert "Konrad Zuse" not in desk.names()
    assert "Charles Babbage" in desk.names()
    gone = desk.id_of("Ada Lovelace")
    assert any(gone in entity.document_ids for entity in desk.graph.entities())


def test_what_people_say_of_names_is_kept_through_builds(desk: Desk) -> None:
    desk.build()
    assert desk.graph.entity("Ada Lovelace") != desk.graph.entity("Konrad Zuse")

    merge_entities(desk.services, desk.collection, "Ada Lovelace", "Konrad Zuse")
    assert not graph_is_current(desk.services, "docs")[0]
    desk.build()

    one = desk.graph.entity("Ada Lovelace")
    assert one is not None
    assert {"Ada Lovelace", "Konrad Zuse"} <= set(one.aliases)
    split_entity(desk.services, desk.collection, "Ada Lovelace")
    desk.build()
    assert desk.graph.entity("Ada Lovelace") != desk.graph.entity("Konrad Zuse")


def test_only_what_is_there_can_be_corrected(desk: Desk) -> None:
    desk.build()

    with pytest.raises(PermanentError) as unknown:
        merge_entities(desk.services, desk.collection, "Ada Lovelace", "Nobody")
    with pytest.raises(PermanentError) as single:
        split_entity(desk.services, desk.collection, "Berlin")

    assert unknown.value.kind is ErrorKind.NOT_FOUND
    assert single.value.kind is ErrorKind.INVALID_OPTION


def test_a_message_may_leave_communities_out(desk: Desk) -> None:
    fields: dict[str, Any] = {"type": TaskType.GRAPHRAG, "collection": "docs"}
    message = TaskMessage(**fields, options={"community": False})
    desk.services.registry.tasks.accept([new_task(desk.services, message, "from-elsewhere")])

    desk.build()

    task = desk.services.registry.tasks.get("from-elsewhere")
    assert task.state is TaskState.SUCCEEDED
    assert list(desk.graph.communities()) == list(desk.graph.reports()) == []
    refused = new_task(
        desk.services, TaskMessage(**fields, options={"communities": False}), "wrong"
    )
    assert refused.error is not None
    assert refused.error.kind is ErrorKind.INVALID_OPTION


@pytest.mark.parametrize("form", GraphFormat)
def test_a_graph_leaves_in_every_form(desk: Desk, form: GraphFormat) -> None:
    with pytest.raises(PermanentError, match="ingest build graph"):
        export_graph(desk.services, desk.collection, form)
    desk.build()

    assert "Charles Babbage" in export_graph(desk.services, desk.collection, form)
