"""The application: its commands, and how an error becomes one line and an exit code."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

import typer

from ingestion_pipeline.cli import (
    backups,
    collections,
    demo,
    documents,
    knowledge,
    maintenance,
    metrics,
    operations,
    orders,
    pipelines,
    search,
    sources,
    submit,
    tasks,
)
from ingestion_pipeline.errors import ErrorKind, IngestError
from ingestion_pipeline.logs import Role, set_up_logging
from ingestion_pipeline.settings import Settings, hold_little_memory

INTERRUPTED = 130

app = typer.Typer(
    name="ingest",
    help="Documents go in, knowledge that can be searched comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(operations.up)
app.command("worker")(operations.worker)
app.command("demo")(demo.demo)
app.command("submit")(submit.submit)
app.command("task")(tasks.task)
app.command("tasks")(tasks.tasks)
app.command("watch")(tasks.watch)
app.command("cancel")(orders.cancel)
app.command("retry")(orders.retry)
app.command("reply")(orders.reply)
app.command("continue", hidden=True)(orders.reply)  # as the message that does the same is called
app.command("documents")(documents.documents)
app.command("document")(documents.document)
app.command("picture")(documents.picture)
app.command("delete")(orders.delete)
app.command("reindex")(documents.reindex)
app.add_typer(collections.app, name="collections")
app.add_typer(sources.app, name="sources")
app.add_typer(pipelines.app, name="pipelines")
app.command("build")(knowledge.build)
app.command("export")(knowledge.export)
app.add_typer(knowledge.graph, name="graph")
app.command("search")(search.search)
app.command("evaluate")(search.evaluate)
app.command("status")(operations.status)
app.command("workers")(operations.workers)
app.command("operations")(operations.operations)
app.command("dead-letters")(operations.dead_letters)
app.command("metrics")(metrics.metrics)
app.command("maintain")(maintenance.maintain)
app.command("backup")(backups.backup)
app.command("restore")(backups.restore)


@app.callback()
def before_each_command() -> None:
    """Set up what all commands need."""
    signal.signal(signal.SIGTERM, _interrupt)
    set_up_logging(Settings(), Role.CLI)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as with Ctrl-C: what is under way is given back."""
    raise KeyboardInterrupt


def main() -> NoReturn:
    """Run a command, and end the process without taking it down object by object.

    That takes a second and more where a model and tables were loaded, and changes nothing: what
    is left to be done at the end of a process is done, as in a child of `multiprocessing`.
    """
    code = 0
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - nothing public does it
    atexit._run_exitfuncs()  # noqa: SLF001
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads what was said, or it cannot be written
        code = code or 1
    os._exit(code)


def run() -> None:
    """Run a command: exit code 0 on success, 1 with one line on failure, 2 on wrong usage."""
    hold_little_memory()
    if logging.lastResort:  # what other packages say, of which a person gets to see errors only
        logging.lastResort.setLevel(logging.ERROR)
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
