"""Commands about what was asked for before: cancel, retry, reply, delete."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    CollectionOption,
    JsonOption,
    TenantOption,
    show,
    tell,
)
from ingestion_pipeline.cli.shapes import task_json
from ingestion_pipeline.cli.tasks import ReferencesArgument, named_tasks, render_tasks
from ingestion_pipeline.cli.waiting import (
    TimeoutOption,
    WaitOption,
    exit_unless_well,
    say_who_works,
    wait_for,
)
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.errors import Ask, ErrorKind, PermanentError
from ingestion_pipeline.model.tasks import Task, TaskState

FROM_FILE = "@"


def cancel(references: ReferencesArgument, as_json: JsonOption = False) -> None:
    """Stop tasks; what had ended stays as it is, and what is published of documents too."""
    client = IngestionClient()
    task_ids = named_tasks(client, references)
    canceled = [each for reference in references for each in client.cancel_task(reference)]
    tasks = client.get_tasks(task_ids)
    others = "" if len(canceled) == len(tasks) else "; the others had ended already"

    show(
        {"canceled": canceled, "tasks": [task_json(each) for each in tasks]},
        as_json,
        lambda: typer.echo(f"{len(canceled)} of {len(tasks)} tasks canceled{others}"),
    )


def retry(
    context: typer.Context,
    references: Annotated[
        list[str] | None, typer.Argument(metavar="[ID…]", help="Ids of tasks or batches.")
    ] = None,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Instead of ids, with --failed.")
    ] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All that failed in the collection.")
    ] = False,
    tenant: TenantOption = TENANT,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try tasks once more that failed or ran out of time."""
    client = IngestionClient()
    if references and not (collection or failed):
        retried = client.retry_tasks(named_tasks(client, references))
        if not retried:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                "nothing to try again: only tasks that failed or ran out of time are; a source "
                "that was refused has to be submitted once more",
            )
    elif collection and failed and not references:
        retried = client.retry_failed(collection=collection, tenant=tenant)
    else:
        raise typer.BadParameter("name either tasks, or --collection C --failed", ctx=context)
    if retried:
        named = " ".join(references or ["ID…"])
        say_who_works(client, named, wait=wait)
        if wait:
            wait_for(client, retried, named, timeout)
    tasks = client.get_tasks(retried)

    def render() -> None:
        typer.echo(f"{len(retried)} tasks are tried once more")
        if wait:
            render_tasks(client, tasks)

    show({"retried": retried, "tasks": [task_json(each) for each in tasks]}, as_json, render)
    if wait:
        exit_unless_well(tasks)


def reply(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the task.")],
    answers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[k=v]", help="password=@FILE or go_on=true; else you are asked."),
    ] = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer what a task asks; the first answer wins."""
    client = IngestionClient()
    answer = _read(answers) if answers else _ask(client.get_task(task_id))
    task = client.continue_task(task_id, answer)
    if not task.state.final:
        say_who_works(client, task_id, wait=wait)
        if wait:
            (task,) = wait_for(client, [task_id], task_id, timeout)

    show(task_json(task), as_json, lambda: typer.echo(task.messages[-1]))
    if wait:
        exit_unless_well([task])


def delete(
    document_ids: Annotated[
        list[str], typer.Argument(metavar="DOCUMENT_ID…", help="See `ingest documents`.")
    ],
    collection: CollectionOption,
    tenant: TenantOption = TENANT,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove what is stored of them now, not later.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete documents; from then on nobody finds them."""
    client = IngestionClient()
    task = client.delete_documents(document_ids, collection=collection, tenant=tenant, purge=purge)
    if task.error is not None:
        raise PermanentError(task.error.kind, task.error.message)
    if task.state is not TaskState.SUCCEEDED:
        say_who_works(client, task.task_id, wait=False)

    show(task_json(task), as_json, lambda: typer.echo(task.messages[-1]))


def _read(answers: Sequence[str]) -> dict[str, object]:
    """Read answers ``key=value`` and ``key=@file``; nothing of them is repeated in an error.

    Raises:
        PermanentError: ``invalid_option``, also for a password in plain sight; ``not_found`` for a
            file that cannot be read.
    """
    found: dict[str, object] = {}
    for answer in answers:
        key, equals, value = answer.partition("=")
        if not (key and equals):
            raise _unusable("an answer has the form password=@FILE or go_on=true")
        if value.startswith(FROM_FILE):
            found[key] = _content(Path(value.removeprefix(FROM_FILE)), key)
        elif key == Ask.PASSWORD:
            raise _unusable(
                "a password on the command line is seen by others and kept in the shell's "
                "history: use password=@FILE, or leave it out to be asked for it"
            )
        else:
            found[key] = value
    return found


def _content(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise PermanentError(
            ErrorKind.NOT_FOUND, f"the file of {key}=@FILE cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError:
        raise _unusable(f"the file of {key}=@FILE is not text in UTF-8") from None


def _ask(task: Task) -> dict[str, object]:
    """Ask the person at the terminal what the task asks; a password is not shown."""
    if task.question is None:
        raise _unusable(f"task {task.task_id} asks nothing: it is {task.state}")
    if not sys.stdin.isatty():
        raise _unusable("there is no terminal to ask on: answer password=@FILE or go_on=true")
    tell(task.question.doubt.message)
    if task.question.asks is Ask.PASSWORD:
        return {Ask.PASSWORD: getpass("password: ")}
    return {Ask.GO_ON: typer.confirm("go on?", err=True)}


def _unusable(message: str) -> PermanentError:
    return PermanentError(ErrorKind.INVALID_OPTION, message)
