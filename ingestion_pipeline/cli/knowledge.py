"""Commands about what is built of a collection as a whole: build, export."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    CollectionOption,
    JsonOption,
    TenantOption,
    show,
)
from ingestion_pipeline.cli.shapes import task_json
from ingestion_pipeline.cli.waiting import (
    TimeoutOption,
    exit_unless_well,
    say_who_works,
    wait_for,
)
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.tasks import TaskType


class Buildable(StrEnum):
    """What can be built."""

    RAPTOR = "raptor"
    MINDMAP = "mindmap"


class Exportable(StrEnum):
    """What can be exported."""

    MINDMAP = "mindmap"
    TREE = "tree"


class Form(StrEnum):
    """The forms of exports; a tree leaves as JSON only."""

    JSON = "json"
    MERMAID = "mermaid"
    MARKMAP = "markmap"
    OPML = "opml"
    HTML = "html"


DocumentsOption = Annotated[
    list[str] | None, typer.Option("--document", help="Of this document only; may be repeated.")
]


def build(
    what: Annotated[Buildable, typer.Argument(help="What to build.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    documents: DocumentsOption = None,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build summaries (raptor) or a mind map of a collection, and wait for it."""
    client = IngestionClient()
    task = client.build(
        TaskType(what), collection=collection, tenant=tenant, document_ids=documents or ()
    )
    if not task.state.final:
        say_who_works(client, task.task_id, wait=True)
        (task,) = wait_for(client, [task.task_id], task.task_id, timeout)
    done = task
    show(task_json(done), as_json, lambda: typer.echo(done.messages[-1]))
    exit_unless_well([done])


def export(
    what: Annotated[Exportable, typer.Argument(help="What to export.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    form: Annotated[Form, typer.Option("--format", help="The form it is to have.")] = Form.JSON,
    document: Annotated[
        str | None, typer.Option("--document", help="The map or tree of this document.")
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="The file to write.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Export a mind map or a tree of summaries; to the terminal, unless a file is named."""
    client = IngestionClient()
    if what is Exportable.MINDMAP:
        text = client.export_mind_map(
            collection=collection, tenant=tenant, form=form, document_id=document
        )
    elif form is Form.JSON:
        text = client.export_tree(collection=collection, tenant=tenant, document_id=document)
    else:
        raise typer.BadParameter("a tree leaves as json only", param_hint="--format")
    if to is None:
        show({"format": form, "content": text}, as_json, lambda: typer.echo(text, nl=False))
        return
    to.write_text(text, encoding="utf-8")
    show({"path": str(to), "format": form}, as_json, lambda: typer.echo(f"written to {to}"))
