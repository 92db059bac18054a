"""Commands about pipelines: list them, take known documents through one."""

from __future__ import annotations

from typing import Annotated

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    CollectionOption,
    JsonOption,
    TenantOption,
    show,
    table,
)
from ingestion_pipeline.cli.dry_runs import DryRunOption, show_dry_runs
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

app = typer.Typer(
    help="Ways that documents take other than their collection's.", no_args_is_help=True
)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List all pipelines, or say what is wrong with one."""
    found = IngestionClient().services.pipelines

    def render() -> None:
        rows = [
            (each.name, " → ".join(node.name for node in each.nodes), each.description)
            for each in found.values()
        ]
        table(("pipeline", "components", "description"), rows)

    value = [
        {
            "name": each.name,
            "description": each.description,
            "components": [
                {
                    "name": node.name,
                    "type": node.component.type,
                    "inputs": list(node.inputs),
                    "settings": node.component.settings(),
                }
                for node in each.nodes
            ],
        }
        for each in found.values()
    ]
    show(value, as_json, render)


@app.command("run")
def run(
    pipeline: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The pipeline, or standard for the collection's way."),
    ],
    collection: CollectionOption,
    document_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[DOCUMENT_ID…]", help="All, if none is named.")
    ] = None,
    tenant: TenantOption = TENANT,
    from_component: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="COMPONENT",
            help="Do them again from this component on, although nothing changed.",
        ),
    ] = None,
    dry_run: DryRunOption = False,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give known documents to a pipeline, and take them through it."""
    client = IngestionClient()
    task = client.run_pipeline(
        pipeline,
        document_ids or (),
        collection=collection,
        tenant=tenant,
        from_component=from_component,
        dry_run=dry_run,
    )
    wait = wait or dry_run
    if not task.state.final:
        say_who_works(client, task.task_id, wait=wait)
        if wait:
            (task,) = wait_for(client, [task.task_id], task.task_id, timeout)

    if dry_run:
        show_dry_runs(client, [task], task_json(task), as_json)
    else:
        show(task_json(task), as_json, lambda: render_tasks(client, [task]))
    if wait or task.state.final:
        exit_unless_well([task])
