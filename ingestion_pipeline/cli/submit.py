"""The command that hands over documents: submit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    CollectionOption,
    JsonOption,
    TenantOption,
    parse_assignments,
    show,
)
from ingestion_pipeline.cli.dry_runs import DryRunOption, show_dry_runs
from ingestion_pipeline.cli.profiling import require_idle, work_profiled
from ingestion_pipeline.cli.shapes import task_json
from ingestion_pipeline.cli.tasks import render_tasks
from ingestion_pipeline.cli.waiting import (
    TimeoutOption,
    WaitOption,
    exit_unless_well,
    say_who_works,
    wait_for,
)
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.documents import STANDARD
from ingestion_pipeline.model.tasks import Priority, Task


def submit(
    sources: Annotated[list[str], typer.Argument(metavar="PATH_OR_URL…", help="What to ingest.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    priority: Annotated[Priority, typer.Option(help="Urgent work goes first.")] = Priority.NORMAL,
    option: Annotated[
        list[str] | None, typer.Option(help="Task option k=v, e.g. force=true.")
    ] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(help="Take them through this pipeline; `standard` is the collection's way."),
    ] = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    profile: Annotated[
        Path | None,
        typer.Option(help="Do the work here, and write into this folder where its time went."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ingest files, folders and URLs: one task each, together a batch."""
    client = IngestionClient()
    if profile:
        require_idle(client, profile)
    options = parse_assignments(option or [])
    if dry_run:
        options["dry_run"], pipeline, wait = True, pipeline or STANDARD, True
    batch = client.launch_tasks(
        sources,
        collection=collection,
        tenant=tenant,
        priority=priority,
        options=options,
        pipeline=pipeline,
    )
    backend = None
    if batch.task_ids:
        backend = say_who_works(client, batch.batch_id, wait=wait or profile is not None)
    if profile:
        work_profiled(client, batch.task_ids, profile)
    if wait and batch.task_ids:
        wait_for(client, batch.task_ids, batch.batch_id, timeout)
    done = batch.tasks()
    used = next((task.backend for task in done if task.backend), backend)
    value = {
        "batch_id": batch.batch_id,
        "backend": used and used.value,
        "unchanged": batch.unchanged,
        "tasks": [task_json(task) for task in done],
    }
    if dry_run:
        show_dry_runs(client, done, value, as_json)
    else:
        show(value, as_json, lambda: _render(client, batch.unchanged, done))
    exit_unless_well(done)


def _render(client: IngestionClient, unchanged: int, done: Sequence[Task]) -> None:
    if done or not unchanged:
        render_tasks(client, done)
    if unchanged:
        typer.echo(f"{unchanged} files of folders are unchanged: nothing to do.")
