"""Waiting for tasks: who does the work, what is said when the wait ends early, and exit codes.

Belongs here: what submit, watch, reindex, retry and reply have in common. Does not belong here: how
progress looks (``progress``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ingestion_pipeline.cli.common import tell
from ingestion_pipeline.cli.progress import watching
from ingestion_pipeline.client import IngestionClient, TaskTimeoutError
from ingestion_pipeline.model.tasks import Backend, Task, TaskState

WaitOption = Annotated[bool, typer.Option("--wait", help="Return when all tasks are final.")]
TimeoutOption = Annotated[float | None, typer.Option(help="Longest wait, in seconds.")]


def say_who_works(client: IngestionClient, reference: str, *, wait: bool) -> Backend:
    """Return who does the work, and say so if it is nobody but this process.

    ``reference`` is what the tasks are called on a command line: ids of tasks or batches.
    """
    backend = client.backend()
    if backend is Backend.IN_PROCESS:
        tell(
            "no daemon takes tasks up: the work is done in this process"
            if wait
            else "no daemon takes tasks up: the work is kept and waits for `ingest up`, or for "
            f"`ingest watch {reference}`"
        )
    return backend


def wait_for(
    client: IngestionClient, task_ids: Sequence[str], reference: str, timeout: float | None
) -> list[Task]:
    """Show progress until all tasks are final, or one asks for input; return them in order.

    Whoever ends the wait early is told what becomes of the tasks.
    """
    try:
        with watching(client, task_ids):
            return client.await_tasks(task_ids, timeout=timeout)
    except (KeyboardInterrupt, TaskTimeoutError):
        if client.backend() is Backend.DAGSTER:
            tell(f"the tasks go on; `ingest cancel {reference}` stops them")
        else:
            tell(
                f"the work is kept and waits for `ingest up`, or for `ingest watch {reference}`; "
                f"`ingest cancel {reference}` gives it up"
            )
        raise


def exit_unless_well(done: Sequence[Task]) -> None:
    """Exit with 1 if a task did not end well, or waits for a person; say which and what to do."""
    asking = [task for task in done if task.state is TaskState.INPUT]
    bad = [task for task in done if task.state.final and task.state is not TaskState.SUCCEEDED]
    if asking:
        say_what_is_asked(asking[0])
    if len(asking) > 1:
        tell(f"{len(asking) - 1} more wait for input: `ingest tasks --state input`")
    if bad:
        tell(f"{len(bad)} of {len(done)} tasks did not succeed")
    if asking or bad:
        raise typer.Exit(1)


def say_what_is_asked(task: Task) -> None:
    """Say what a task asks, and how to answer."""
    if task.question is not None:
        tell(
            f"task {task.task_id} asks for {task.question.asks}: {task.question.doubt.message}; "
            f"answer with `ingest reply {task.task_id}`"
        )
