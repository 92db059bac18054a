"""Commands about retrieval: search, evaluate."""

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
)
from ingestion_pipeline.cli.shapes import evaluation_json
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.model.search import Hit, HitKind, SearchMode

ModeOption = Annotated[SearchMode, typer.Option(help="How to match.")]
SHOWN_CHARACTERS = 300


def search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    mode: ModeOption = SearchMode.AUTO,
    k: Annotated[int, typer.Option(min=1, help="Most hits.")] = 10,
    filter_: Annotated[
        str | None, typer.Option("--filter", help="Expression over columns, e.g. name = 'a.md'.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the passages that answer a question."""
    hits = IngestionClient().search(
        question, collection=collection, tenant=tenant, mode=mode, k=k, filter=filter_
    )

    def render() -> None:
        for hit in hits:
            render_hit(hit)
        if not hits:
            typer.echo("nothing found")

    show([hit.model_dump(mode="json") for hit in hits], as_json, render)


def evaluate(
    collection: CollectionOption,
    queries: Annotated[Path, typer.Option(help="JSON lines {id, question, gold[]}.")],
    tenant: TenantOption = TENANT,
    mode: ModeOption = SearchMode.AUTO,
    k: Annotated[int, typer.Option(min=1, help="Documents ranked per question.")] = 10,
    hits: Annotated[bool, typer.Option("--hits", help="Add the ranked names.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure retrieval against questions with known answers."""
    evaluation = IngestionClient().evaluate(
        queries, collection=collection, tenant=tenant, mode=mode, k=k
    )
    value = evaluation_json(evaluation, with_hits=hits)

    def render() -> None:
        for key, figure in value.items():
            if key not in ("hits", "unknown_gold"):
                typer.echo(f"{key:18} {figure}")
        if evaluation.unknown_gold:
            typer.echo(f"gold that names no document: {', '.join(evaluation.unknown_gold)}")

    show(value, as_json, render)


def render_hit(hit: Hit) -> None:
    """Print a hit: where it is from, and how it begins."""
    place = " > ".join(hit.heading_path)
    pages = f" p. {', '.join(map(str, hit.pages))}" if hit.pages else ""
    kind = "" if hit.kind is HitKind.CHUNK else f" ({hit.kind})"
    typer.secho(f"{hit.score:6.3f}  {hit.name}{pages}{kind}  {place}", bold=True)
    text = " ".join(hit.text.split())
    typer.echo(f"        {text[:SHOWN_CHARACTERS]}{'…' if len(text) > SHOWN_CHARACTERS else ''}")
