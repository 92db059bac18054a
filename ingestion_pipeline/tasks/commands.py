"""What people do to tasks: cancel, try again, answer. The effects are the registry's.

Belongs here: finding the tasks that a reference means, and sealing answers. Does not belong here:
transport (``intake``, ``client``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ingestion_pipeline.errors import Ask, ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Task, TaskState, TaskType
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.messages import Answer, parse_options
from ingestion_pipeline.tasks.services import Services


def referenced(services: Services, reference: str, owner: CollectionName | None) -> list[Task]:
    """Return the tasks that an id of a task or batch means.

    Raises:
        PermanentError: of kind ``not_found`` when there are none, or none of the ``owner``.
    """
    tasks = services.registry.tasks
    found = tasks.find(task_ids=[reference]) or tasks.find(batch_id=reference)
    if owner is not None:
        found = [
            task for task in found if (task.tenant, task.collection) == (owner.tenant, owner.name)
        ]
    if not found:
        raise PermanentError(
            ErrorKind.NOT_FOUND, f"there is no task or batch {reference!r}: see `ingest tasks`"
        )
    return found


def cancel(services: Services, reference: str, owner: CollectionName | None = None) -> list[str]:
    """Cancel a task, or those of a batch; return the ids of what was canceled by this."""
    ids = [task.task_id for task in referenced(services, reference, owner)]
    updates = services.registry.tasks.cancel(ids)
    tell(services.events, updates)
    return [update.task_id for update in updates]


def retry(services: Services, task_ids: Sequence[str]) -> list[str]:
    """Have tasks carried out once more that failed or ran out of time; return their ids."""
    updates = services.registry.tasks.retry(task_ids)
    tell(services.events, updates)
    return [update.task_id for update in updates]


def retry_failed(services: Services, name: CollectionName) -> list[str]:
    """Do so with every such task of a collection."""
    find = services.registry.tasks.find
    found = [*find(name=name, state=TaskState.FAILED), *find(name=name, state=TaskState.TIMEOUT)]
    return retry(services, [task.task_id for task in found])


def answer(
    services: Services,
    task_id: str,
    options: dict[str, Any],
    owner: CollectionName | None = None,
) -> None:
    """Answer what a task asks; the first answer wins.

    Raises:
        PermanentError: of kind ``not_found``, or ``invalid_option`` when it is no answer to what
            the task asks.
    """
    task = referenced(services, task_id, owner)[0]
    given = parse_options(TaskType.CONTINUE, options)
    assert isinstance(given, Answer)  # noqa: S101 - what continue messages bring
    tasks = services.registry.tasks
    tell(services.events, tasks.expire())  # an answer that comes too late is none
    if given.password is not None:
        updates = tasks.answer(task.task_id, Ask.PASSWORD, services.sealer.seal(given.password))
    elif given.go_on:
        updates = tasks.answer(task.task_id, Ask.GO_ON, "")
    else:
        updates = tasks.decline(task.task_id)
    tell(services.events, updates)
