"""The application: its commands, and how an error becomes one line and an exit code."""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

import typer

from ingestion_pipeline.cli import collections, demo, documents, operations, search, tasks
from ingestion_pipeline.errors import ErrorKind, IngestError

INTERRUPTED = 130

app = typer.Typer(
    name="ingest",
    help="Documents go in, knowledge that can be searched comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(operations.up)
app.command("demo")(demo.demo)
app.command("submit")(tasks.submit)
app.command("task")(tasks.task)
app.command("tasks")(tasks.tasks)
app.command("watch")(tasks.watch)
app.command("documents")(documents.documents)
app.command("reindex")(documents.reindex)
app.add_typer(collections.app, name="collections")
app.command("search")(search.search)
app.command("evaluate")(search.evaluate)
app.command("status")(operations.status)
app.command("operations")(operations.operations)
app.command("dead-letters")(operations.dead_letters)


def main() -> None:
    """Run a command: exit code 0 on success, 1 with one line on failure, 2 on wrong usage."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s", stream=sys.stderr)
    try:
        app()
    except IngestError as error:
        _fail(error.kind, error.message)
    except OSError as error:  # a folder that cannot be written to, a full disk
        _fail(ErrorKind.UNAVAILABLE, str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fail(kind: ErrorKind, message: str) -> NoReturn:
    typer.echo(f"error: {kind}: {message}", err=True)
    sys.exit(1)
