"""Commands about the documents of a collection: documents, document, picture, reindex."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    CollectionOption,
    JsonOption,
    TenantOption,
    show,
    table,
    tell,
)
from ingestion_pipeline.cli.shapes import document_json, enrichment_json, task_json
from ingestion_pipeline.cli.waiting import TimeoutOption, say_who_works, wait_for
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import ReindexOnly, TaskState

COLUMNS = ("document", "state", "bytes#", "pages#", "chunks#", "tokens#", "id", "error")


def documents(
    collection: CollectionOption, tenant: TenantOption = TENANT, as_json: JsonOption = False
) -> None:
    """List the documents of a collection."""
    registry = IngestionClient().services.registry
    known = registry.collections.get(CollectionName(tenant, collection).key)
    found = registry.documents.find(known.key)

    def render() -> None:
        table(
            COLUMNS,
            [
                (
                    document.name,
                    document.state.value,
                    document.bytes,
                    document.pages,
                    document.chunks,
                    document.tokens,
                    document.document_id,
                    f"{document.error.kind}: {document.error.message}" if document.error else "",
                )
                for document in found
            ],
        )

    show([document_json(document) for document in found], as_json, render)


def document(
    document_id: Annotated[str, typer.Argument(help="The document's id.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    as_json: JsonOption = False,
) -> None:
    """Show a document: its state, its language and metadata, its table of contents."""
    found, enrichment = IngestionClient().document(
        document_id, collection=collection, tenant=tenant
    )
    shape = document_json(found) | enrichment_json(enrichment)

    def render() -> None:
        for key, value in shape.items():
            if key not in {"stages", "contents"} and value is not None:
                typer.echo(f"{key:12} {value}")
        for entry in enrichment.toc if enrichment else ():
            typer.echo(f"{'  ' * entry.level}{entry.title}")

    show(shape, as_json, render)


def picture(
    document_id: Annotated[str, typer.Argument(help="The document that a hit is of.")],
    picture_id: Annotated[str, typer.Argument(help="One of the hit's pictures.")],
    collection: CollectionOption,
    to: Annotated[Path, typer.Option(help="The file to write.")],
    tenant: TenantOption = TENANT,
    as_json: JsonOption = False,
) -> None:
    """Write a picture that a search hit shows to a file."""
    data = IngestionClient().picture(
        picture_id, document_id=document_id, collection=collection, tenant=tenant
    )
    to.write_bytes(data)
    show(
        {"path": str(to), "bytes": len(data)},
        as_json,
        lambda: typer.echo(f"{len(data)} bytes in {to}"),
    )


def reindex(
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    only: Annotated[
        ReindexOnly, typer.Option(help="Which documents: stale, failed, or all.")
    ] = ReindexOnly.STALE,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do now what the nightly schedule does: bring what is stale up to date."""
    client = IngestionClient()
    task = client.reindex(collection=collection, tenant=tenant, only=only)
    if not task.state.final:
        say_who_works(client, task.task_id, wait=True)
        (task,) = wait_for(client, [task.task_id], task.task_id, timeout)
    done = task
    change = client.change_of_model(collection=collection, tenant=tenant)
    if change:
        tell(f"{collection}: {change}")
    show(task_json(done), as_json, lambda: typer.echo(done.messages[-1]))
    if done.state is not TaskState.SUCCEEDED:
        raise typer.Exit(1)
