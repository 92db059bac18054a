"""Commands about sources that collections follow: list, confirm, forget."""

from __future__ import annotations

from typing import Annotated

import typer

from ingestion_pipeline.cli.common import JsonOption, show, table
from ingestion_pipeline.cli.shapes import source_json
from ingestion_pipeline.client import IngestionClient

app = typer.Typer(help="Folders, buckets and web sites that collections follow.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The source.")]


@app.callback(invoke_without_command=True)
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """List all sources, and how each was last seen."""
    if context.invoked_subcommand:
        return
    found = [source_json(each) for each in IngestionClient().services.registry.sources.all()]

    def render() -> None:
        columns = ("source", "address", "collection", "files", "missing", "looked_at", "problem")
        headings = [f"{each}#" if each in ("files", "missing") else each for each in columns]
        table(headings, [[each[column] for column in columns] for each in found])

    show(found, as_json, render)


@app.command("confirm")
def confirm(name: NameArgument, as_json: JsonOption = False) -> None:
    """Agree that what is missing from a source now is to be deleted."""
    confirmed = IngestionClient().services.registry.sources.confirm(name)
    show(
        {"source": name, "confirmed": confirmed},
        as_json,
        lambda: typer.echo(f"{confirmed} missing files confirmed: their documents go"),
    )


@app.command("forget")
def forget(name: NameArgument, as_json: JsonOption = False) -> None:
    """Forget a source that is not declared any more; its documents stay."""
    IngestionClient().services.registry.sources.forget(name)
    show({"forgotten": name}, as_json, lambda: typer.echo(f"forgot {name}; its documents stay"))
