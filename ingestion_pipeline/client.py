"""The Python client: launching tasks, waiting for them, watching, searching.

Belongs here: what producers and applications call. Does not belong here: how it is done
(``tasks``, ``retrieval``).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.model.collections import DEFAULT_TENANT, CollectionName
from ingestion_pipeline.model.documents import Document, Stage
from ingestion_pipeline.model.enrichment import Enrichment
from ingestion_pipeline.model.search import Hit, SearchMode
from ingestion_pipeline.model.tasks import (
    BUILDS,
    Backend,
    Priority,
    ReindexOnly,
    Task,
    TaskState,
    TaskType,
)
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.services import Services

if TYPE_CHECKING:
    from ingestion_pipeline.retrieval import Evaluation
    from ingestion_pipeline.stages.foreseen import Estimate
    from ingestion_pipeline.streams.events import TaskEvent
    from ingestion_pipeline.tasks.dry_runs import DryRun
    from ingestion_pipeline.tasks.work import WorkReport

POLL_SECONDS = 0.2
POLL_SECONDS_PER_TASK = 0.001
"""What a wait for many tasks waits longer: looking at one takes some microseconds, of the same
processor perhaps that does the work."""
PROBE_SECONDS = 5.0
"""How often a wait makes sure that somebody still carries tasks out."""
EVENT_SECONDS = 5.0
"""How long a watcher waits for an event before it looks at the registry."""
LAST_EVENT_SECONDS = 1.0
"""The same once the task has ended."""


class TaskNotFound(PermanentError):  # noqa: N818 - the public name
    """There is no task with this id; a foreign producer's task exists after intake."""

    def __init__(self, task_id: str) -> None:
        super().__init__(ErrorKind.NOT_FOUND, f"there is no task {task_id!r}: see `ingest tasks`")


class TaskTimeoutError(IngestError):
    """Tasks were not done in the time the caller gave; they go on."""


@dataclass(frozen=True)
class Batch:
    """Tasks that were launched together; ``unchanged`` files of folders needed none."""

    batch_id: str
    task_ids: tuple[str, ...]
    unchanged: int
    client: IngestionClient

    def tasks(self) -> list[Task]:
        """Return the tasks with their messages, in the order in which they were launched."""
        return self.client.get_tasks(self.task_ids)

    def progress(self) -> float:
        """Return how far the batch is, in 0..1; a task that ended is done, however it ended."""
        tasks = self.client.services.registry.tasks.find(task_ids=self.task_ids)
        done = sum(1.0 if task.state.final else task.progress for task in tasks)
        return done / len(tasks) if tasks else 1.0

    def cancel(self) -> list[str]:
        """Cancel what is not final; return the ids of what was canceled."""
        return self.client.cancel_task(self.batch_id) if self.task_ids else []

    def wait(self, *, timeout: float | None = None) -> list[Task]:
        """Wait for all tasks; see ``IngestionClient.await_tasks``."""
        return self.client.await_tasks(self.task_ids, timeout=timeout)


class IngestionClient:
    """Everything a producer or an application needs; settings come from the environment."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.services = Services(settings or Settings())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened; a client that is used again opens it again."""
        self.services.close()

    def launch_task(
        self,
        source: str | Path,
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        priority: Priority = Priority.NORMAL,
        options: dict[str, object] | None = None,
        pipeline: str | None = None,
    ) -> Task:
        """Accept one file or URL; durable when it returns, never blocks on the work."""
        batch = self.launch_tasks(
            [source],
            collection=collection,
            tenant=tenant,
            priority=priority,
            options=options,
            pipeline=pipeline,
        )
        return self.get_task(batch.task_ids[0])

    def launch_tasks(
        self,
        sources: Sequence[str | Path],
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        priority: Priority = Priority.NORMAL,
        options: dict[str, object] | None = None,
        pipeline: str | None = None,
    ) -> Batch:
        """Accept files, folders and URLs as tasks with one batch id.

        Files within folders that are published as they are get no task, unless forced to. With
        ``pipeline`` the documents belong to it from now on, and are taken through it; with
        ``standard`` they go the collection's own way again. A collection that does not exist is
        created with the default configuration.
        """
        from ingestion_pipeline.tasks.submission import submit

        known, _ = self.services.registry.collections.ensure(CollectionName(tenant, collection))
        submitted = submit(self.services, known, sources, priority, options or {}, pipeline)
        return Batch(submitted.batch_id, submitted.task_ids, submitted.unchanged, self)

    def launch_and_await_task(
        self,
        source: str | Path,
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        timeout: float | None = None,
        cancel_on_timeout: bool = False,
    ) -> Task:
        """Accept one file or URL and wait until it is done, or asks for input.

        Raises:
            TaskTimeoutError: when it is not done after ``timeout`` seconds; it goes on, unless it
                is to be canceled then.
        """
        task = self.launch_task(source, collection=collection, tenant=tenant)
        try:
            return self.await_tasks([task.task_id], timeout=timeout)[0]
        except TaskTimeoutError:
            if cancel_on_timeout:
                self.cancel_task(task.task_id)
            raise

    def cancel_task(self, reference: str) -> list[str]:
        """Cancel a task, or every task of a batch; return the ids of what was canceled.

        What is final stays as it is; what was published of the documents too.

        Raises:
            PermanentError: of kind ``not_found`` for an unknown id.
        """
        from ingestion_pipeline.tasks.commands import cancel

        return cancel(self.services, reference)

    def retry_tasks(self, task_ids: Sequence[str]) -> list[str]:
        """Have tasks carried out once more that failed or ran out of time; return their ids.

        Raises:
            TaskNotFound: for an unknown id.
        """
        from ingestion_pipeline.tasks.commands import retry

        self.get_tasks(task_ids)
        return retry(self.services, task_ids)

    def retry_failed(self, *, collection: str, tenant: str = DEFAULT_TENANT) -> list[str]:
        """Do so with every such task of a collection."""
        from ingestion_pipeline.tasks.commands import retry_failed

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return retry_failed(self.services, known.name)

    def continue_task(self, task_id: str, answer: dict[str, object]) -> Task:
        """Answer what a task asks: ``{"password": "…"}`` or ``{"go_on": True}``.

        The first answer wins. A password is encrypted at once and erased after use.

        Raises:
            TaskNotFound: for an unknown id.
            PermanentError: of kind ``invalid_option`` when it is no answer to what the task asks.
        """
        from ingestion_pipeline.tasks.commands import answer as give

        self.get_task(task_id)
        give(self.services, task_id, answer)
        return self.get_task(task_id)

    def delete_documents(
        self,
        document_ids: Sequence[str],
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        purge: bool = False,
    ) -> Task:
        """Delete documents; when this returns, no reader finds them.

        What is stored of them is removed by maintenance, or now with ``purge``.
        """
        from ingestion_pipeline.tasks.submission import submit_deletion

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return self.get_task(submit_deletion(self.services, known, document_ids, purge=purge))

    def reindex(
        self,
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        only: ReindexOnly = ReindexOnly.STALE,
    ) -> Task:
        """Accept a reindex of a collection."""
        from ingestion_pipeline.tasks.submission import submit_reindex

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return self.get_task(submit_reindex(self.services, known, only))

    def change_of_model(self, *, collection: str, tenant: str = DEFAULT_TENANT) -> str | None:
        """Say how a change of the embedding model stands after a reindex; None without one.

        A switch that is about to be made is waited for; what nobody else switches is switched.
        """
        from ingestion_pipeline.tasks.generations import conclude

        return conclude(self.services, CollectionName(tenant, collection).key)

    def roll_back(self, *, collection: str, tenant: str = DEFAULT_TENANT) -> tuple[str, bool]:
        """Go back to the embedding model before; say how that went, and whether it is done.

        If not, the kept index has to get what came since: see ``reindex``.

        Raises:
            PermanentError: of kind ``not_found`` if there is nothing to go back to.
        """
        from ingestion_pipeline.tasks.generations import prepare, roll_back

        key = CollectionName(tenant, collection).key
        return roll_back(self.services, key), prepare(self.services, key)[1] is None

    def run_pipeline(
        self,
        pipeline: str,
        document_ids: Sequence[str] = (),
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        from_component: str | None = None,
        dry_run: bool = False,
    ) -> Task:
        """Give documents to a pipeline and take them through it; all of the collection by default.

        With ``from_component`` they are done again from that component on, also if nothing changed;
        with ``dry_run`` nothing is done but what ``dry_runs`` then says.

        Raises:
            PermanentError: of kind ``not_found`` if there is no such pipeline, of kind
                ``invalid_option`` if it has no such component.
        """
        from ingestion_pipeline.tasks.submission import submit_dataflow

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        ids = document_ids or [
            document.document_id for document in self.services.registry.documents.find(known.key)
        ]
        return self.get_task(
            submit_dataflow(
                self.services,
                known,
                pipeline,
                ids,
                from_component=from_component,
                dry_run=dry_run,
            )
        )

    def dry_runs(self, task_id: str) -> list[DryRun]:
        """Return what each component would have given, by document, in a task with ``dry_run``.

        Raises:
            TaskNotFound: for an unknown id.
            PermanentError: of kind ``not_found`` if it is not done, or was some nights ago.
        """
        from ingestion_pipeline.tasks.dry_runs import outcome

        return outcome(self.services, self.get_task(task_id))

    def build(
        self,
        kind: TaskType,
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        document_ids: Sequence[str] = (),
    ) -> Task:
        """Accept a build of a collection, or of some documents: one of ``model.tasks.BUILDS``."""
        from ingestion_pipeline.tasks.submission import submit_build

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return self.get_task(submit_build(self.services, known, kind, document_ids))

    def estimate_graph(
        self, *, collection: str, tenant: str = DEFAULT_TENANT, document_ids: Sequence[str] = ()
    ) -> Estimate:
        """Return what building the graph would read and ask a language model; nothing is begun."""
        from ingestion_pipeline.tasks.graphs import estimate_graph

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return estimate_graph(self.services, known, document_ids)

    def export_mind_map(
        self,
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        form: str = "json",
        document_id: str | None = None,
    ) -> str:
        """Return the mind map of a collection, or of one document, in a form.

        That is ``json``, ``mermaid``, ``markmap``, ``opml`` or ``html``.

        Raises:
            PermanentError: of kind ``not_found`` where none was built.
        """
        from ingestion_pipeline.raptor import MindMapFormat
        from ingestion_pipeline.tasks.exports import export_map

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return export_map(self.services, known, MindMapFormat(form), document_id)

    def export_tree(
        self, *, collection: str, tenant: str = DEFAULT_TENANT, document_id: str | None = None
    ) -> str:
        """Return the summaries of a collection, or of one document, as JSON.

        Raises:
            PermanentError: of kind ``not_found`` where no tree was built.
        """
        from ingestion_pipeline.tasks.exports import export_tree

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return export_tree(self.services, known, document_id)

    def export_graph(
        self, *, collection: str, tenant: str = DEFAULT_TENANT, form: str = "json"
    ) -> str:
        """Return the graph of a collection as ``json``, ``graphml`` or ``html``.

        Raises:
            PermanentError: of kind ``not_found`` where none was built.
        """
        from ingestion_pipeline.graph.exports import GraphFormat
        from ingestion_pipeline.tasks.exports import export_graph

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return export_graph(self.services, known, GraphFormat(form))

    def merge_entities(
        self, one: str, other: str, *, collection: str, tenant: str = DEFAULT_TENANT
    ) -> Task:
        """Say that two names are of one entity; return the task that builds the graph so.

        Raises:
            PermanentError: of kind ``not_found`` for a name that the graph does not have.
        """
        from ingestion_pipeline.tasks.graphs import merge_entities

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        merge_entities(self.services, known, one, other)
        return self.build(TaskType.GRAPHRAG, collection=collection, tenant=tenant)

    def split_entity(self, name: str, *, collection: str, tenant: str = DEFAULT_TENANT) -> Task:
        """Say that the names of an entity are of different ones; return the task for it.

        Raises:
            PermanentError: of kind ``not_found`` for a name that the graph does not have,
                ``invalid_option`` for an entity that has but one name.
        """
        from ingestion_pipeline.tasks.graphs import split_entity

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        split_entity(self.services, known, name)
        return self.build(TaskType.GRAPHRAG, collection=collection, tenant=tenant)

    def get_task(self, task_id: str) -> Task:
        """Return a task with its messages.

        Raises:
            TaskNotFound: for an unknown id.
        """
        found = self.services.registry.tasks.find(task_ids=[task_id], with_messages=True)
        if not found:
            raise TaskNotFound(task_id)
        return found[0]

    def task_ids(self, reference: str) -> list[str]:
        """Return the ids of the tasks that an id of a task or batch means.

        Raises:
            PermanentError: of kind ``not_found`` for an unknown id.
        """
        from ingestion_pipeline.tasks.commands import referenced

        return [task.task_id for task in referenced(self.services, reference, owner=None)]

    def get_tasks(self, task_ids: Sequence[str]) -> list[Task]:
        """Return tasks with their messages, in the order asked for.

        Raises:
            TaskNotFound: for an unknown id.
        """
        found = {
            task.task_id: task
            for task in self.services.registry.tasks.find(task_ids=task_ids, with_messages=True)
        }
        for task_id in task_ids:
            if task_id not in found:
                raise TaskNotFound(task_id)
        return [found[task_id] for task_id in task_ids]

    def await_tasks(
        self, task_ids: Sequence[str], *, timeout: float | None = None, in_process: bool = False
    ) -> list[Task]:
        """Wait until all tasks are final, or one asks for input, and return them in order.

        When no daemon is alive, or with ``in_process``, the work is done here.

        Raises:
            TaskTimeoutError: when they are not done after ``timeout`` seconds; they go on.
        """
        deadline = time.monotonic() + timeout if timeout is not None else None
        probed_at = float("-inf")
        waited_for: Sequence[str] = task_ids
        while waited_for := self._open(waited_for):
            if deadline is not None and time.monotonic() > deadline:
                raise TaskTimeoutError(
                    ErrorKind.TIMEOUT, f"not done after {timeout:g} s; the tasks go on"
                )
            if time.monotonic() - probed_at > PROBE_SECONDS:
                in_process = in_process or self.backend() is Backend.IN_PROCESS
                probed_at = time.monotonic()
            if in_process:
                left = deadline - time.monotonic() if deadline is not None else None
                self.work_here(waited_for, slice_seconds=left)
                pause = POLL_SECONDS if self._open(waited_for) else 0
            else:
                pause = POLL_SECONDS + POLL_SECONDS_PER_TASK * len(waited_for)
            time.sleep(pause)
        return self.get_tasks(task_ids)

    def backend(self) -> Backend:
        """Say who would carry a task out now, looking afresh each time.

        Dagster, if its daemon lives, the sensor that takes tasks up is switched on, and its queue
        lets runs through; else this process.
        """
        from ingestion_pipeline.execution.outside import carries_tasks_out

        return Backend.DAGSTER if carries_tasks_out() else Backend.IN_PROCESS

    def work_here(
        self, task_ids: Sequence[str], *, slice_seconds: float | None = None
    ) -> list[WorkReport]:
        """Take what waits in the tasks' collections through all stages, in this process.

        And then build what tasks want built of them.

        After ``slice_seconds`` no further batch is begun. Returns what was done, by collection.
        """
        from ingestion_pipeline.execution.outside import OutsideRuns
        from ingestion_pipeline.tasks.builds import BuildRequest, build
        from ingestion_pipeline.tasks.deletion import finish_purges
        from ingestion_pipeline.tasks.dry_runs import carry_out
        from ingestion_pipeline.tasks.reconciliation import reconcile
        from ingestion_pipeline.tasks.work import WorkRequest, run

        reconcile(self.services, OutsideRuns())
        finish_purges(self.services)
        tasks = self.services.registry.tasks.find(task_ids=task_ids)
        open_tasks = [task for task in tasks if not task.state.final]
        reports = []
        for key in sorted(
            {CollectionName(task.tenant, task.collection).key for task in open_tasks}
        ):
            collection = self.services.registry.collections.get(key)
            run_id = f"in-process-{uuid.uuid4().hex[:12]}"
            for pipeline in (None, *self.services.registry.documents.pipelines_waiting(key)):
                request = WorkRequest(
                    run_id, Backend.IN_PROCESS, pipeline=pipeline, slice_seconds=slice_seconds
                )
                reports.append(run(self.services, collection, request))
            wanted = {task.type for task in open_tasks if task.collection == collection.name.name}
            if any(task.options.get("dry_run") for task in open_tasks):
                carry_out(self.services, collection, run_id, Backend.IN_PROCESS)
            for kind in (kind for kind in BUILDS if kind in wanted):
                with suppress(PermanentError):  # its tasks say so
                    build(self.services, collection, BuildRequest(run_id, Backend.IN_PROCESS, kind))
        return reports

    def events(self, task_id: str, after: str = "0-0") -> Iterator[TaskEvent]:
        """Yield a task's events from a point on, and wait for more until the task is final.

        Any number of readers may replay them; ``event.id`` is the point to go on from.
        """
        told = False
        while not told:
            # The registry knows of the end a moment before it is told: a last look waits for that.
            final = self.get_task(task_id).state.final
            wait_seconds = LAST_EVENT_SECONDS if final else EVENT_SECONDS
            events = self.services.events.read(task_id, after, wait_seconds)
            for event in events:
                after = event.id
                yield event
            told = final and (not events or events[-1].state.final)

    def search(
        self,
        question: str,
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        mode: SearchMode | str = SearchMode.AUTO,
        k: int = 10,
        filter: str | None = None,  # noqa: A002 - the public name
    ) -> list[Hit]:
        """Return the best ``k`` passages of a collection for a question, best first."""
        from ingestion_pipeline.retrieval import search

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        return search(
            self.services.index(known),
            self.services.embedder(known),
            question,
            SearchMode(mode),
            k,
            filter,
        )

    def document(
        self, document_id: str, *, collection: str, tenant: str = DEFAULT_TENANT
    ) -> tuple[Document, Enrichment | None]:
        """Return a document, and what was added to it: language, metadata, contents, keywords.

        Raises:
            PermanentError: of kind ``not_found``.
        """
        name = CollectionName(tenant, collection)
        known = self.services.registry.collections.get(name.key)
        self.services.registry.documents.require(known.key, [document_id])
        (document,) = self.services.registry.documents.find(known.key, [document_id])
        fingerprint = document.stages.get(Stage.ENRICHED)
        if fingerprint is None:
            return document, None
        return document, self.services.artifacts.get_enrichment(name, document_id, fingerprint)

    def picture(
        self, picture_id: str, *, document_id: str, collection: str, tenant: str = DEFAULT_TENANT
    ) -> bytes:
        """Return the bytes of a picture that chunks of a document show.

        Raises:
            PermanentError: of kind ``not_found``.
        """
        name = CollectionName(tenant, collection)
        known = self.services.registry.collections.get(name.key)
        self.services.registry.documents.require(known.key, [document_id])
        data = self.services.artifacts.get_picture(name, document_id, picture_id)
        if data is None:
            raise PermanentError(
                ErrorKind.NOT_FOUND,
                f"document {document_id!r} shows no picture {picture_id!r}: take both from one hit",
            )
        return data

    def evaluate(
        self,
        queries: Path,
        *,
        collection: str,
        tenant: str = DEFAULT_TENANT,
        mode: SearchMode | str = SearchMode.AUTO,
        k: int = 10,
    ) -> Evaluation:
        """Measure retrieval against a file of questions with gold documents."""
        from ingestion_pipeline.retrieval import evaluate, read_questions, search

        known = self.services.registry.collections.get(CollectionName(tenant, collection).key)
        index, embedder = self.services.index(known), self.services.embedder(known)
        search(index, embedder, "load the model before the clock runs", SearchMode(mode), 1)
        return evaluate(
            lambda question, depth: search(index, embedder, question, SearchMode(mode), depth),
            read_questions(queries),
            index.snapshot().document_names(),
            k,
        )

    def _open(self, task_ids: Sequence[str]) -> list[str]:
        """Return the tasks that are to be waited for; none once one of them asks for input."""
        states = self.services.registry.tasks.states(task_ids)
        unknown = next((task_id for task_id in task_ids if task_id not in states), None)
        if unknown is not None:
            raise TaskNotFound(unknown)
        if TaskState.INPUT in states.values():
            return []
        return [task_id for task_id, state in states.items() if not state.final]
