"""Commands that look at tasks: task, tasks, watch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ingestion_pipeline.cli.common import TENANT, JsonOption, TenantOption, show, table
from ingestion_pipeline.cli.dry_runs import show_dry_runs
from ingestion_pipeline.cli.shapes import task_json
from ingestion_pipeline.cli.waiting import (
    TimeoutOption,
    exit_unless_well,
    say_what_is_asked,
    say_who_works,
    wait_for,
)
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Task, TaskState

ReferencesArgument = Annotated[
    list[str], typer.Argument(metavar="ID…", help="Ids of tasks or batches.")
]
COLUMNS = ("task", "state", "progress#", "document", "last message")


def task(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a task.")],
    as_json: JsonOption = False,
) -> None:
    """Show one task with its messages, and what it asks."""
    client = IngestionClient()
    found = client.get_task(task_id)

    def render() -> None:
        value = task_json(found)
        if found.error is not None:
            value["error"] = f"{found.error.kind}: {found.error.message}"
        if found.question is not None:
            value["question"] = f"{found.question.asks}: {found.question.doubt.message}"
        for key, shown in value.items():
            if key != "messages":
                typer.echo(f"{key:12} {'' if shown is None else shown}".rstrip())
        for message in found.messages:
            typer.echo(f"  {message}")
        say_what_is_asked(found)

    if found.options.get("dry_run") and found.state.final:
        show_dry_runs(client, [found], task_json(found), as_json)
    else:
        show(task_json(found), as_json, render)


def tasks(
    collection: Annotated[str | None, typer.Option("--collection", "-c")] = None,
    tenant: TenantOption = TENANT,
    state: Annotated[TaskState | None, typer.Option(help="Only tasks in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """List tasks, newest first; those in state input with what they ask."""
    client = IngestionClient()
    name = CollectionName(tenant, collection) if collection else None
    if name is not None:
        client.services.registry.collections.get(name.key)
    found = client.services.registry.tasks.find(
        name=name, state=state, limit=limit, with_messages=True
    )
    show([task_json(each) for each in found], as_json, lambda: render_tasks(client, found))


def watch(
    references: ReferencesArgument, timeout: TimeoutOption = None, as_json: JsonOption = False
) -> None:
    """Follow tasks until all of them are final, or one asks for input."""
    client = IngestionClient()
    task_ids = named_tasks(client, references)
    done = client.get_tasks(task_ids)
    if not all(each.state.final for each in done):
        named = " ".join(references)
        say_who_works(client, named, wait=True)
        done = wait_for(client, task_ids, named, timeout)
    show([task_json(each) for each in done], as_json, lambda: render_tasks(client, done))
    exit_unless_well(done)


def named_tasks(client: IngestionClient, references: Sequence[str]) -> list[str]:
    """Return the ids of the tasks that ids of tasks and batches mean, each once, in order.

    Raises:
        PermanentError: of kind ``not_found`` for an unknown one.
    """
    return list(
        dict.fromkeys(task_id for reference in references for task_id in client.task_ids(reference))
    )


def render_tasks(client: IngestionClient, found: Sequence[Task]) -> None:
    """Print tasks as a table."""
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
