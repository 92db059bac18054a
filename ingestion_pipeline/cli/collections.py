"""Commands about collections: list, show, create, configure, delete."""

from __future__ import annotations

from typing import Annotated

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    JsonOption,
    TenantOption,
    parse_assignments,
    show,
    table,
)
from ingestion_pipeline.cli.shapes import collection_json
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.collections import Collection, CollectionConfig, CollectionName

app = typer.Typer(help="Knowledge bases and their configuration.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(metavar="C", help="The collection.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Setting k=v; null restores a default.")
]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List all collections."""
    registry = IngestionClient().services.registry
    found = registry.collections.all()

    def render() -> None:
        rows = []
        for collection in found:
            counts = registry.documents.counts(collection.key)
            states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            rows.append(
                (collection.name.name, collection.name.tenant, sum(counts.values()), states)
            )
        table(("collection", "tenant", "documents#", "states"), rows)

    show([collection_json(collection) for collection in found], as_json, render)


@app.command("show")
def show_(
    collection: NameArgument, tenant: TenantOption = TENANT, as_json: JsonOption = False
) -> None:
    """Show a collection and its configuration."""
    key = CollectionName(tenant, collection).key
    _show(IngestionClient().services.registry.collections.get(key), as_json)


@app.command("create")
def create(
    collection: NameArgument,
    tenant: TenantOption = TENANT,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a collection."""
    config = CollectionConfig().updated(parse_assignments(settings or []))
    registry = IngestionClient().services.registry
    _show(registry.collections.create(CollectionName(tenant, collection), config), as_json)


@app.command("configure")
def configure(
    collection: NameArgument,
    settings: SetOption = None,
    tenant: TenantOption = TENANT,
    as_json: JsonOption = False,
) -> None:
    """Change a collection's configuration; documents it makes stale wait for a reindex."""
    key = CollectionName(tenant, collection).key
    registry = IngestionClient().services.registry
    changes = parse_assignments(settings or [])
    _show(registry.collections.configure(key, changes), as_json)


@app.command("delete")
def delete(
    collection: NameArgument, tenant: TenantOption = TENANT, as_json: JsonOption = False
) -> None:
    """Delete a collection with its documents, index, objects and artifacts."""
    from ingestion_pipeline.tasks.deletion import delete_collection

    name = CollectionName(tenant, collection)
    delete_collection(IngestionClient().services, name)
    show({"deleted": name.key}, as_json, lambda: typer.echo(f"deleted {name.key}"))


def _show(collection: Collection, as_json: bool) -> None:
    def render() -> None:
        for key, value in collection_json(collection).items():
            if key != "config":
                typer.echo(f"{key:18} {value}")
        for key, value in collection.config.flat().items():
            typer.echo(f"  {key:24} {'(default)' if value is None else value}")

    show(collection_json(collection), as_json, render)
