"""Many at once: the same comes of it as of one after the other, in a few statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.collections import CollectionName, ParserKind
from ingestion_pipeline.model.documents import ErrorInfo, Stage
from ingestion_pipeline.model.tasks import Priority, ReindexOnly, TaskState, TaskType
from ingestion_pipeline.registry.acceptance import NewTask
from ingestion_pipeline.registry.arrivals import Attached, NewDocument
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.documents import Selection
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.results import DocumentResult
from ingestion_pipeline.registry.schema import (
    document_stages,
    document_versions,
    documents,
    operations,
    publications,
    stage_versions,
    task_documents,
    task_messages,
    tasks,
)
from ingestion_pipeline.registry.transitions import TaskUpdate
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    asking,
    done,
    failed,
    id_of,
    names,
    new_task,
    recipes,
    record,
    record_only,
    submit,
    take,
    taken,
)

NAMES = ("a.txt", "b.txt", "c.txt")
MOST_STATEMENTS_TO_ACCEPT = 14
MOST_STATEMENTS_TO_RECORD = 30

in_few_examples = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
document_names = st.sampled_from(NAMES)

ingestions = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["ingest", "fetch", "by id"]),
        "name": document_names,
        "version": st.sampled_from("12"),
        "force": st.booleans(),
        "priority": st.sampled_from(Priority),
        "parser": st.sampled_from([None, ParserKind.QA]),
    }
)
others = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["delete", "reindex", "refused", "unknown", "build"]),
        "name": document_names,
    }
)
orders = st.lists(ingestions | others, min_size=1, max_size=8)
endings = st.lists(
    st.sampled_from(
        ["done", "done", "parsed", "failed", "delayed", "asking", "fetched", "attached", "unheard"]
    ),
    min_size=3,
    max_size=3,
)


@in_few_examples
@given(known=st.sets(document_names), orders=orders)
def test_tasks_accepted_together_come_to_the_same_as_one_by_one(
    registry: Registry, known: set[str], orders: list[dict[str, Any]]
) -> None:
    together, singly = Place(registry), Place(registry)
    for place in (together, singly):
        place.index(sorted(known))
    for place, at_once in ((together, True), (singly, False)):
        new_tasks = [place.task(number, **order) for number, order in enumerate(orders)]
        # One comes twice: it is known then.
        parts = [[*new_tasks, new_tasks[0]]] if at_once else [[new] for new in new_tasks]
        for part in parts:
            place.updates += registry.tasks.accept(part)

    assert together.contents() == singly.contents()
    assert together.told() == singly.told()
    assert together.waiting() == singly.waiting()


@in_few_examples
@given(endings=endings, again=st.sets(document_names), reindexed=st.booleans())
def test_results_recorded_together_come_to_the_same_as_one_by_one(
    registry: Registry, endings: list[str], again: set[str], reindexed: bool
) -> None:
    together, singly = Place(registry), Place(registry)
    for place, at_once in ((together, True), (singly, False)):
        place.index(NAMES[:1])
        place.accept([{"kind": "ingest", "name": each, "version": "2"} for each in NAMES])
        if reindexed:
            place.accept([{"kind": "reindex", "name": ""}])
        claim = taken(registry, key=place.key)
        registry.publications.announce(
            claim.claim_id, [each.document_id for each in claim.documents]
        )
        place.accept([{"kind": "ingest", "name": each, "version": "3"} for each in sorted(again)])
        results = [place.result(claim, *each) for each in zip(NAMES, endings, strict=True)]
        for part in [results] if at_once else [[result] for result in results]:
            updates, lost = record_only(registry, claim, *part)
            place.updates += updates
            place.lost += lost
        registry.claims.release(claim.claim_id)

    assert together.contents() == singly.contents()
    assert together.told() == singly.told()
    assert len(together.lost) == len(singly.lost) == endings.count("unheard")


@pytest.mark.parametrize("count", [2, 64, 400])
def test_a_batch_takes_a_few_statements_whatever_its_size(registry: Registry, count: int) -> None:
    with statements(registry) as accepting:
        submit(registry, *(f"{number}.txt" for number in range(count)))
    claim = taken(registry, max_documents=count)
    registry.publications.announce(claim.claim_id, [each.document_id for each in claim.documents])
    results = [done(each, chunks=number) for number, each in enumerate(claim.documents)]
    with statements(registry) as recording:
        record_only(registry, claim, *results)

    assert len(accepting) <= MOST_STATEMENTS_TO_ACCEPT, accepting
    assert len(recording) <= MOST_STATEMENTS_TO_RECORD, recording


def test_unchanged_documents_take_a_few_statements(registry: Registry) -> None:
    many = [f"{number}.txt" for number in range(64)]
    submit(registry, *many)
    claim = taken(registry)
    record(registry, claim, *map(done, claim.documents))

    with statements(registry) as accepting:
        submit(registry, *many)

    assert len(accepting) <= MOST_STATEMENTS_TO_ACCEPT, accepting


def test_documents_that_come_together_are_taken_in_their_order(registry: Registry) -> None:
    many = [f"{number * 7 % 64}.txt" for number in range(64)]
    submit(registry, *many)

    assert [name for _ in many for name in names(taken(registry, max_documents=1))] == many
    assert [task.document_id for task in reversed(registry.tasks.find())] == list(map(id_of, many))


@contextmanager
def statements(registry: Registry) -> Iterator[list[str]]:
    """Collect what is sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


class Place:
    """A collection of its own, in which tasks and documents go by short names."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.key = f"c{uuid4().hex}"
        registry.collections.ensure(CollectionName("default", self.key))
        self.updates: list[TaskUpdate] = []
        self.lost: list[str] = []
        self._accepted = 0

    def index(self, which: Sequence[str]) -> None:
        """Have documents indexed."""
        if which:
            self.accept([{"kind": "ingest", "name": name, "version": "1"} for name in which])
            claim = taken(self.registry, key=self.key)
            record(self.registry, claim, *map(done, claim.documents))

    def accept(self, orders: Sequence[dict[str, Any]]) -> None:
        new_tasks = []
        for order in orders:
            self._accepted += 1
            new_tasks.append(self.task(1000 * self._accepted, **order))
        self.updates += self.registry.tasks.accept(new_tasks)

    def task(
        self, number: int, kind: str, name: str, version: str = "1", **changes: Any
    ) -> NewTask:
        """Make a task; its id tells the number."""
        new = new_task(
            name, version=version, collection=self.key, task_id=f"{self.key}-{number}", **changes
        )
        document_id = id_of(name, self.key)
        assert new.document is not None
        match kind:
            case "ingest":
                return new
            case "fetch":
                return replace(new, document=replace(new.document, fetch=True))
            case "by id":
                return replace(new, document=None, document_id=document_id)
            case "delete":
                return replace(new, type=TaskType.DELETE, document=None, delete_ids=(document_id,))
            case "reindex":
                selection = Selection(ReindexOnly.ALL, recipes()[Stage.INDEXED])
                return replace(new, type=TaskType.REINDEX, document=None, selection=selection)
            case "refused":
                error = ErrorInfo(kind=ErrorKind.EMPTY, message=f"{name} is empty")
                return replace(new, document=None, error=error)
            case "unknown":
                return replace(new, document=None, document_id="unheard-of")
            case "build":
                return replace(new, type=TaskType.RAPTOR, document=None)
        raise ValueError(kind)

    def result(self, claim: Claim, name: str, ending: str) -> DocumentResult:
        """Make the result of one document of a claim."""
        (document,) = (each for each in claim.documents if each.name == name)
        match ending:
            case "done":
                return done(document, chunks=len(NAMES) + NAMES.index(name))
            case "parsed":
                return done(document, stages=(Stage.SOURCED, Stage.PARSED))
            case "failed":
                return failed(document)
            case "delayed":
                return failed(document, ErrorKind.UNAVAILABLE, transient=True)
            case "asking":
                return asking(document)
            case "fetched":
                result = done(document)
                result.object_key, result.bytes, result.pages = f"objects/new-{name}", 77, 3
                return result
            case "attached":
                result = done(document)
                inner = f"{name}!/inner"
                new = NewDocument(
                    id_of(inner, self.key), inner, f"file:///{inner}", fetch=False,
                    sha256="1" * 64, object_key="objects/inner", bytes=5,
                    parent_id=document.document_id,
                )  # fmt: skip
                result.attached = Attached((new,))
                return result
            case "unheard":
                return replace(done(document), document_id="unheard-of")
        raise ValueError(ending)

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that the registry says of the collection, but for ids and times."""
        mine = documents.c.collection_key == self.key
        its = (tasks.c.collection == self.key,)
        d, t = documents.c, tasks.c
        queries = {
            "documents": sa.select(
                d.name, d.uri, d.state, d.sha256, d.object_key, d.parser, d.fetch, d.bytes,
                d.pages, d.chunks, d.tokens, d.index_table, d.error_kind, d.error_message,
                d.attempts, d.crashes, d.priority, d.force, d.claim_id, d.requested_by,
                d.not_before > 0,
            ).where(mine),
            "versions": sa.select(d.name, document_versions.c.sha256, document_versions.c.bytes)
            .join(document_versions)
            .where(mine),
            "stages": sa.select(d.name, document_stages.c.stage, document_stages.c.version)
            .join(document_stages)
            .where(mine),
            "stage versions": sa.select(stage_versions.c.stage, stage_versions.c.documents).where(
                stage_versions.c.collection_key == self.key
            ),
            "doubts": sa.select(d.name, publications.c.returned, publications.c.attached)
            .join(publications, publications.c.document_id == d.document_id)
            .where(mine),
            "tasks": sa.select(
                t.task_id, t.type, t.priority, t.options, t.state, t.tokens,
                # One that fails keeps the progress it had reached on the way.
                sa.case((t.state != TaskState.FAILED, t.progress)),
                t.attempts, t.error_kind, t.error_message, t.question,
            ).where(*its),
            "task documents": sa.select(t.task_id, d.name, task_documents.c.outcome)
            .join_from(tasks, task_documents)
            .join(documents, d.document_id == task_documents.c.document_id)
            .where(*its),
            "messages": sa.select(t.task_id, sa.func.substr(task_messages.c.text, 10))
            .join_from(tasks, task_messages)
            .where(*its),
            "operations": sa.select(
                operations.c.task_id, operations.c.state, operations.c.error_message,
                operations.c.tokens, operations.c.name,
            ).where(operations.c.collection == self.key),
        }  # fmt: skip
        with self.registry.database.read() as connection:
            found = {what: connection.execute(query).all() for what, query in queries.items()}
        return {
            what: sorted((tuple(self._short(value) for value in row) for row in rows), key=repr)
            for what, rows in found.items()
        }

    def told(self) -> dict[str, list[tuple[str, str]]]:
        """Return what was told of each task, in order."""
        told: dict[str, list[tuple[str, str]]] = {}
        for update in self.updates:
            said = told.setdefault(self._short(update.task_id), [])
            said.append((update.state, self._short(update.message)))
        return told

    def waiting(self) -> set[str]:
        """Return what a run would take."""
        return set(names(take(self.registry, key=self.key)))

    def _short(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        for name in NAMES:
            value = value.replace(id_of(name, self.key), name)
        return value.replace(self.key, KEY)
