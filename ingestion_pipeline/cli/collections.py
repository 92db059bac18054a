"""Commands about collections: list, show, create, configure, delete, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    JsonOption,
    TenantOption,
    parse_assignments,
    show,
    table,
    tell,
)
from ingestion_pipeline.cli.shapes import collection_json, generation_json
from ingestion_pipeline.cli.waiting import (
    TimeoutOption,
    exit_unless_well,
    say_who_works,
    wait_for,
)
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.collections import Collection, CollectionConfig, CollectionName

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.services import Services

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
    services = IngestionClient().services
    _show(services, services.registry.collections.get(key), as_json)


@app.command("create")
def create(
    collection: NameArgument,
    tenant: TenantOption = TENANT,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create a collection."""
    config = CollectionConfig().updated(parse_assignments(settings or []))
    services = IngestionClient().services
    name = CollectionName(tenant, collection)
    _show(services, services.registry.collections.create(name, config), as_json)


@app.command("configure")
def configure(
    collection: NameArgument,
    settings: SetOption = None,
    tenant: TenantOption = TENANT,
    as_json: JsonOption = False,
) -> None:
    """Change a collection's configuration; documents it makes stale wait for a reindex.

    Searches go on with the embedding model before until a reindex with another one is complete.
    """
    from ingestion_pipeline.tasks.generations import configure as apply

    key = CollectionName(tenant, collection).key
    services = IngestionClient().services
    _show(services, apply(services, key, parse_assignments(settings or [])), as_json)


@app.command("delete")
def delete(
    collection: NameArgument, tenant: TenantOption = TENANT, as_json: JsonOption = False
) -> None:
    """Delete a collection with its documents, index, objects and artifacts."""
    from ingestion_pipeline.tasks.deletion import delete_collection

    name = CollectionName(tenant, collection)
    delete_collection(IngestionClient().services, name)
    show({"deleted": name.key}, as_json, lambda: typer.echo(f"deleted {name.key}"))


@app.command("rollback")
def rollback(
    collection: NameArgument,
    tenant: TenantOption = TENANT,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search with the embedding model before again, or give up a change that is under way.

    What was added or edited since goes to the kept index first; what was deleted stays deleted.
    """
    client = IngestionClient()
    said, done = client.roll_back(collection=collection, tenant=tenant)
    if not done:
        task = client.reindex(collection=collection, tenant=tenant)
        if not task.state.final:
            tell(f"{collection}: {said}")
            say_who_works(client, task.task_id, wait=True)
            (task,) = wait_for(client, [task.task_id], task.task_id, timeout)
        said = client.change_of_model(collection=collection, tenant=tenant) or said
        exit_unless_well([task])
    key = CollectionName(tenant, collection).key
    model = client.services.registry.collections.get(key).searched_model
    show(
        {"collection": collection, "tenant": tenant, "searched_model": model, "message": said},
        as_json,
        lambda: typer.echo(f"{collection}: {said}"),
    )


def _show(services: Services, collection: Collection, as_json: bool) -> None:
    from ingestion_pipeline.tasks.generations import states

    shape = collection_json(collection) | {
        "generations": [generation_json(state) for state in states(services, collection.key)]
    }

    def render() -> None:
        for key, value in shape.items():
            if key not in ("config", "generations"):
                typer.echo(f"{key:18} {value}")
        for key, value in collection.config.flat().items():
            typer.echo(f"  {key:24} {'(default)' if value is None else value}")
        for each in shape["generations"]:
            until = f", kept until {each['kept_until']}" if each["kept_until"] else ""
            problem = f"; {each['problem']}" if each["problem"] else ""
            typer.echo(
                f"{each['state']:18} {each['model']}: {each['documents']} of "
                f"{each['documents_searched']} documents{until}{problem}"
            )

    show(shape, as_json, render)
