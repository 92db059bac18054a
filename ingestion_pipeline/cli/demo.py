"""The demonstration: the samples from the stream to answers, told as a short story."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Annotated, Any

import typer

from ingestion_pipeline.cli.common import JsonOption, show
from ingestion_pipeline.cli.search import render_hit
from ingestion_pipeline.cli.shapes import evaluation_json
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.tasks import BUILDS, Backend, Task, TaskState
from ingestion_pipeline.settings import Settings, project_dir

COLLECTION = "samples"
QUESTIONS = (
    "How long do I have to hand in receipts after a business trip?",
    "What caused the outage and how long did it last?",
    "My laptop was stolen on the train. How quickly do I have to tell someone?",
)
REQUIRED_RECALL = 0.9
MAP_LINES = 6
TIMEOUT_SECONDS = 300


def demo(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the web page; a free one if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ingest the sample documents through Redis and Dagster, then ask them questions."""
    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        value = _tell_story(port)
    show(value, as_json, lambda: None)
    if value["recall@5"] < REQUIRED_RECALL:
        raise PermanentError(
            ErrorKind.INTERNAL, f"recall@5 is {value['recall@5']:.2f}, under {REQUIRED_RECALL}"
        )


def _tell_story(port: int | None) -> dict[str, Any]:
    """Do it all, say what happens, and return the figures."""
    samples = project_dir() / "data" / "samples"
    if not samples.is_dir():
        raise PermanentError(ErrorKind.NOT_FOUND, f"the samples are missing: {samples}")
    client = IngestionClient()
    with _running(client, port):
        began = time.monotonic()
        documents = [path for path in samples.iterdir() if path.suffix != ".jsonl"]
        batch = client.launch_tasks(sorted(documents), collection=COLLECTION)
        typer.echo(f"{len(batch.task_ids)} tasks put on the stream in {_since(began)}.")
        done = client.await_tasks(batch.task_ids, timeout=TIMEOUT_SECONDS)
        _tell_outcome(client, done, began)
        for question in QUESTIONS:
            typer.echo(f"\n? {question}")
            render_hit(client.search(question, collection=COLLECTION, k=1)[0])
        evaluation = client.evaluate(samples / "queries.jsonl", collection=COLLECTION)
        typer.echo(
            f"\n{evaluation.queries} questions with known answers: recall@5 "
            f"{evaluation.recall_at_5:.2f}, nDCG@10 {evaluation.ndcg_at_10:.2f}, "
            f"{evaluation.seconds_per_query * 1000:.0f} ms each."
        )
        _build(client)
        began = time.monotonic()
        again = client.launch_tasks(sorted(documents), collection=COLLECTION)
        repeated = client.await_tasks(again.task_ids, timeout=TIMEOUT_SECONDS)
        unchanged = sum(task.run_id is None for task in repeated)
        typer.echo(
            f"Submitted once more: {unchanged} of {len(repeated)} were unchanged, {_since(began)}."
        )
    typer.echo("Everything is stopped again; `ingest up` starts it, its page shows this run.")
    return {
        "tasks": len(done),
        "unchanged": unchanged,
        **evaluation_json(evaluation, with_hits=False),
    }


@contextmanager
def _running(client: IngestionClient, port: int | None) -> Iterator[None]:
    """Use the services that run already, or start them and stop them again."""
    if client.backend() is Backend.DAGSTER:
        typer.echo("Using the services that are running.")
        yield
        return
    from ingestion_pipeline.execution.supervisor import free_port, services

    began = time.monotonic()
    with services(Settings(), port or free_port(), workers=1) as (addresses, _):
        typer.echo(f"Redis and Dagster ({addresses.webserver}) started in {_since(began)}.")
        yield


def _build(client: IngestionClient) -> None:
    """Have summaries and a mind map built, and show what they say."""
    for kind in BUILDS:
        began = time.monotonic()
        asked = client.build(kind, collection=COLLECTION)
        (task,) = client.await_tasks([asked.task_id], timeout=TIMEOUT_SECONDS)
        if task.state is not TaskState.SUCCEEDED:
            raise PermanentError(ErrorKind.INTERNAL, f"{kind}: {task.messages[-1]}")
        said = task.messages[-1].partition("Task done: ")[2]
        typer.echo(f"\n{kind}: {said} {_since(began)}.")
    shown = client.export_mind_map(collection=COLLECTION, form="markmap").splitlines()
    typer.echo("\n".join(shown[2 : 2 + MAP_LINES]))


def _tell_outcome(client: IngestionClient, done: list[Task], began: float) -> None:
    failed = [task for task in done if task.state is not TaskState.SUCCEEDED]
    if failed:
        message = failed[0].error.message if failed[0].error else failed[0].state
        raise PermanentError(ErrorKind.INTERNAL, f"{len(failed)} samples failed: {message}")
    documents = client.services.registry.documents.find(COLLECTION)
    chunks = sum(document.chunks or 0 for document in documents)
    tokens = sum(document.tokens or 0 for document in documents)
    runs = {task.run_id for task in done if task.run_id}
    typer.echo(
        f"{len(documents)} documents are searchable after {_since(began)}: {chunks} chunks, "
        f"{tokens:,} tokens, {len(runs)} Dagster run{'s' if len(runs) != 1 else ''}."
    )


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"
