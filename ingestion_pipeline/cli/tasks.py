"""Commands about tasks: submit, task, tasks, watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    CollectionOption,
    JsonOption,
    TenantOption,
    parse_assignments,
    show,
    table,
    tell,
)
from ingestion_pipeline.cli.progress import watching
from ingestion_pipeline.cli.shapes import task_json
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Backend, Priority, Task, TaskState

COLUMNS = ("task", "state", "progress#", "document", "last message")


def submit(
    sources: Annotated[list[str], typer.Argument(metavar="PATH_OR_URL…", help="What to ingest.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    priority: Annotated[Priority, typer.Option(help="Urgent work goes first.")] = Priority.NORMAL,
    option: Annotated[
        list[str] | None, typer.Option(help="Task option k=v, e.g. force=true.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when all tasks are final.")] = False,
    timeout: Annotated[float | None, typer.Option(help="Longest wait, in seconds.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Ingest files, folders and URLs: one task each, together a batch."""
    client = IngestionClient()
    batch = client.launch_tasks(
        sources,
        collection=collection,
        tenant=tenant,
        priority=priority,
        options=parse_assignments(option or []),
    )
    backend = client.backend()
    if backend is Backend.IN_PROCESS:
        tell(
            "no daemon is alive: the work is done in this process"
            if wait
            else "no daemon is alive: the tasks are kept and wait for `ingest up`, or use --wait"
        )
    if wait and batch.task_ids:
        with watching(client, batch.task_ids):
            client.await_tasks(batch.task_ids, timeout=timeout)
    done = _in_order(client, batch.task_ids)
    used = next((task.backend for task in done if task.backend), backend)
    value = {
        "batch_id": batch.batch_id,
        "backend": used.value,
        "tasks": [task_json(task) for task in done],
    }
    show(value, as_json, lambda: _render(client, done))
    _exit_with_failures(done)


def task(
    task_id: Annotated[str, typer.Argument(help="The id of a task.")], as_json: JsonOption = False
) -> None:
    """Show one task with its messages."""
    found = IngestionClient().get_task(task_id)

    def render() -> None:
        for key, value in task_json(found).items():
            if key != "messages":
                typer.echo(f"{key:12} {value}")
        for message in found.messages:
            typer.echo(f"  {message}")

    show(task_json(found), as_json, render)


def tasks(
    collection: Annotated[str | None, typer.Option("--collection", "-c")] = None,
    tenant: TenantOption = TENANT,
    state: Annotated[TaskState | None, typer.Option(help="Only tasks in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List tasks, newest first."""
    client = IngestionClient()
    name = CollectionName(tenant, collection) if collection else None
    if name is not None:
        client.services.registry.collections.get(name.key)
    found = client.services.registry.tasks.find(
        name=name, state=state, limit=limit, with_messages=True
    )
    show([task_json(each) for each in found], as_json, lambda: _render(client, found))


def watch(
    task_ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids of tasks.")],
    timeout: Annotated[float | None, typer.Option(help="Longest wait, in seconds.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Follow tasks until all of them are final."""
    client = IngestionClient()
    for task_id in task_ids:
        client.get_task(task_id)
    with watching(client, task_ids):
        client.await_tasks(task_ids, timeout=timeout)
    done = _in_order(client, task_ids)
    show([task_json(each) for each in done], as_json, lambda: _render(client, done))
    _exit_with_failures(done)


def _in_order(client: IngestionClient, task_ids: Sequence[str]) -> list[Task]:
    found = client.services.registry.tasks.find(task_ids=task_ids, with_messages=True)
    by_id = {task.task_id: task for task in found}
    return [by_id[task_id] for task_id in task_ids]


def _exit_with_failures(done: Sequence[Task]) -> None:
    """Exit with 1 and one line if a task did not end well."""
    bad = [task for task in done if task.state.final and task.state is not TaskState.SUCCEEDED]
    asking = [task for task in done if task.state is TaskState.INPUT]
    if asking:
        tell(f"task {asking[0].task_id} waits for input: {asking[0].messages[-1]}")
    if bad:
        tell(f"{len(bad)} of {len(done)} tasks did not succeed")
    if bad or asking:
        raise typer.Exit(1)


def _render(client: IngestionClient, found: Sequence[Task]) -> None:
    names = _document_names(client, found)
    table(
        COLUMNS,
        [
            (
                task.task_id,
                task.state.value,
                f"{task.progress:.0%}",
                names.get(task.document_id or "", ""),
                task.messages[-1] if task.messages else "",
            )
            for task in found
        ],
    )


def _document_names(client: IngestionClient, found: Sequence[Task]) -> dict[str, str]:
    names: dict[str, str] = {}
    for key in {
        CollectionName(task.tenant, task.collection).key for task in found if task.document_id
    }:
        ids = [task.document_id for task in found if task.document_id]
        documents = client.services.registry.documents.find(key, ids)
        names |= {document.document_id: document.name for document in documents}
    return names
