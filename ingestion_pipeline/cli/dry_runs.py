"""How dry runs of pipelines look: what each component would give, and the chunks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestion_pipeline.cli.common import show, table
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.tasks import Task

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.dry_runs import DryRun, TriedChunk

SHOWN_CHUNKS = 20
SHOWN_CHARACTERS = 300
HOW = {True: "", False: "stored", None: "not done"}

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what each component gives; publish nothing.")
]


def show_dry_runs(
    client: IngestionClient, tasks: Sequence[Task], value: dict[str, Any], as_json: bool
) -> None:
    """Print what came of dry runs; as JSON under ``dry_runs``, in full."""
    found: list[DryRun] = []
    errors = []
    for task in tasks:
        with suppress(PermanentError):  # of one that failed at once, its error says why
            found += client.dry_runs(task.task_id)
            continue
        if task.error is not None:
            errors.append(f"{task.error.kind}: {task.error.message}")
    value = value | {"dry_runs": [asdict(each) for each in found]}
    show(value, as_json, lambda: _render(found, errors))


def _render(found: Sequence[DryRun], errors: Sequence[str]) -> None:
    for each in found:
        typer.echo(f"{each.document} through {each.pipeline}:")
        rows = [
            (step.name, f"{step.seconds:.2f}", HOW[step.computed], step.gives)
            for step in each.components
        ]
        table(("component", "seconds#", "", "gives"), rows)
        if each.error:
            typer.echo(f"it ends here: {each.error}")
        for number, chunk in enumerate(each.chunks[:SHOWN_CHUNKS], start=1):
            _render_chunk(number, chunk)
        if len(each.chunks) > SHOWN_CHUNKS:
            typer.echo(f"… and {len(each.chunks) - SHOWN_CHUNKS} more: --json has all of them")
    for error in errors:
        typer.echo(error)


def _render_chunk(number: int, chunk: TriedChunk) -> None:
    where = " > ".join(chunk.heading_path)
    pages = f", pages {', '.join(map(str, chunk.pages))}" if chunk.pages else ""
    typer.echo(f"\n[{number}] {chunk.tokens} tokens{pages}{f': {where}' if where else ''}")
    text = " ".join(chunk.text.split())
    typer.echo(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…")
    for name in ("keywords", "questions", "tags"):
        if added := getattr(chunk, name):
            typer.echo(f"{name}: {', '.join(added)}")
