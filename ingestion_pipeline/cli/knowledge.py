"""Commands about what is built of a collection as a whole: build, export, graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
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
from ingestion_pipeline.model.tasks import Task, TaskType


class Buildable(StrEnum):
    """What can be built."""

    RAPTOR = "raptor"
    GRAPH = "graph"
    MINDMAP = "mindmap"


TYPES = {
    Buildable.RAPTOR: TaskType.RAPTOR,
    Buildable.GRAPH: TaskType.GRAPHRAG,
    Buildable.MINDMAP: TaskType.MINDMAP,
}


class Exportable(StrEnum):
    """What can be exported."""

    GRAPH = "graph"
    MINDMAP = "mindmap"
    TREE = "tree"


class Form(StrEnum):
    """The forms of exports; not all of them are for all that can be exported."""

    JSON = "json"
    GRAPHML = "graphml"
    MERMAID = "mermaid"
    MARKMAP = "markmap"
    OPML = "opml"
    HTML = "html"


FORMS = {
    Exportable.GRAPH: (Form.JSON, Form.GRAPHML, Form.HTML),
    Exportable.MINDMAP: (Form.JSON, Form.MERMAID, Form.MARKMAP, Form.OPML, Form.HTML),
    Exportable.TREE: (Form.JSON,),
}

graph = typer.Typer(name="graph", help="Correct the graph of a collection.", no_args_is_help=True)

DocumentsOption = Annotated[
    list[str] | None, typer.Option("--document", help="Of this document only; may be repeated.")
]


def build(
    what: Annotated[Buildable, typer.Argument(help="What to build.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    documents: DocumentsOption = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what a graph would cost, and start nothing.")
    ] = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build summaries (raptor), the graph or a mind map of a collection, and wait for it."""
    client = IngestionClient()
    if estimate:
        _estimate(client, what, collection, tenant, documents or (), as_json=as_json)
        return
    task = client.build(
        TYPES[what], collection=collection, tenant=tenant, document_ids=documents or ()
    )
    _wait(client, task, timeout, as_json=as_json)


def _estimate(
    client: IngestionClient,
    what: Buildable,
    collection: str,
    tenant: str,
    documents: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Tell what building a graph would cost."""
    if what is not Buildable.GRAPH:
        raise typer.BadParameter("only of a graph is it known before", param_hint="--estimate")
    found = client.estimate_graph(collection=collection, tenant=tenant, document_ids=documents)
    show(asdict(found), as_json, lambda: typer.echo(str(found)))


def _wait(client: IngestionClient, task: Task, timeout: float | None, *, as_json: bool) -> None:
    """Wait for a build and tell how it ended."""
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
    """Export a graph, a mind map or a tree of summaries; to the terminal, or to a file."""
    if form not in FORMS[what]:
        forms = ", ".join(FORMS[what])
        raise typer.BadParameter(f"a {what} leaves as {forms} only", param_hint="--format")
    client = IngestionClient()
    if what is Exportable.GRAPH:
        text = client.export_graph(collection=collection, tenant=tenant, form=form)
    elif what is Exportable.MINDMAP:
        text = client.export_mind_map(
            collection=collection, tenant=tenant, form=form, document_id=document
        )
    else:
        text = client.export_tree(collection=collection, tenant=tenant, document_id=document)
    if to is None:
        show({"format": form, "content": text}, as_json, lambda: typer.echo(text, nl=False))
        return
    to.write_text(text, encoding="utf-8")
    show({"path": str(to), "format": form}, as_json, lambda: typer.echo(f"written to {to}"))


@graph.command()
def merge(
    one: Annotated[str, typer.Argument(metavar="A", help="An entity, by a name or its id.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another, that is the same.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that two entities are one, and build the graph so; later builds go by it too."""
    client = IngestionClient()
    task = client.merge_entities(one, other, collection=collection, tenant=tenant)
    _wait(client, task, timeout, as_json=as_json)


@graph.command()
def split(
    name: Annotated[str, typer.Argument(metavar="A", help="An entity, by a name or its id.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that the names of an entity are of different ones, and build the graph so."""
    client = IngestionClient()
    task = client.split_entity(name, collection=collection, tenant=tenant)
    _wait(client, task, timeout, as_json=as_json)
