"""Accepting tasks: from then on they are carried out, whatever dies.

Belongs here: inserting a task once and asking for work on its documents. Does not belong here:
reading messages or files (``tasks``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName, ParserKind
from ingestion_pipeline.model.documents import STANDARD, DocumentState, ErrorInfo, Stage
from ingestion_pipeline.model.tasks import BUILDS, Priority, TaskState, TaskType
from ingestion_pipeline.registry.arrivals import IN_ORDER_SECONDS, NewDocument, upsert
from ingestion_pipeline.registry.database import insert_into, now
from ingestion_pipeline.registry.documents import (
    Rerun,
    Selection,
    forced,
    mark_pending,
    not_found,
    parts,
    require_known,
    said_of,
    selected,
    set_parsers,
    set_pipelines,
)
from ingestion_pipeline.registry.removal import remove_documents, with_attachments
from ingestion_pipeline.registry.schema import document_stages, documents, task_documents, tasks
from ingestion_pipeline.registry.transitions import Ending, TaskUpdate, end, end_each, tell
from ingestion_pipeline.registry.versions import Version, note_versions


@dataclass(frozen=True)
class NewTask:
    """A task to accept.

    An ingest task brings its ``document``, or names a known one by ``document_id``; a reindex
    task brings a ``selection``; a delete task names ``delete_ids``; one to build something names
    its documents, if it is not about all, among its options as ``document_ids``, as does one that
    only tries a pipeline (``dry_run``). A task with an ``error`` is refused: it is recorded as
    failed. ``parser`` is the kind that its document is to be taken for, where that is not the
    collection's. ``pipeline`` is the one that its documents are to belong to from now on, or
    ``standard`` for none; else they belong where they do. ``pipelines`` are the recipes of all
    there are. ``rerun`` says from which of its components on ``force`` does them again.
    """

    task_id: str
    type: TaskType
    collection: str
    tenant: str
    priority: Priority
    recipe: str = ""
    batch_id: str | None = None
    options: dict[str, Any] | None = None
    document: NewDocument | None = None
    document_id: str | None = None
    delete_ids: tuple[str, ...] = ()
    selection: Selection | None = None
    force: bool = False
    rerun: Rerun | None = None
    parser: ParserKind | None = None
    pipeline: str | None = None
    pipelines: Mapping[str, str] = field(default_factory=dict)
    error: ErrorInfo | None = None

    @property
    def is_build(self) -> bool:
        """Whether no document waits with it; see ``is_build``."""
        return self.type in BUILDS or bool((self.options or {}).get("dry_run"))


def is_build() -> sa.ColumnElement[bool]:
    """Whether a task is for a run of its own: it builds something, or only tries a pipeline."""
    tries = sa.and_(tasks.c.type == TaskType.DATAFLOW, tasks.c.options["dry_run"].as_boolean())
    return sa.or_(tasks.c.type.in_(BUILDS), tries)


def accept(connection: sa.Connection, new_tasks: Sequence[NewTask]) -> list[TaskUpdate]:
    """Insert those of the tasks that are not known yet, and mark their documents as wanted.

    As if one came after the other; but those about one document each, which nearly all are, go
    together as long as the documents differ, in a few statements.
    """
    inserted = _insert(connection, new_tasks)
    refused = {
        new.task_id: Ending(TaskState.FAILED, error=new.error) for new in inserted if new.error
    }
    updates = end_each(connection, refused)
    batch: dict[str, NewTask] = {}
    for new in inserted:
        if new.task_id in refused:
            continue
        is_alone = new.is_build or new.type is TaskType.DELETE or new.selection is not None
        document_id = _document_id(new) or ""
        if is_alone or document_id in batch:
            updates += _accept_documents(connection, batch)
            batch = {}
        if is_alone:
            updates += _accept_alone(connection, new)
        else:
            batch[document_id] = new
    return updates + _accept_documents(connection, batch)


def pass_over(connection: sa.Connection, new_tasks: Sequence[NewTask]) -> set[str]:
    """Return the ids of those of some tasks that would end as they are accepted, and need not be.

    What they bring is on record, and published as they ask for it. Stamps of their files may be
    new, and are remembered.
    """
    brought = {
        new.document.document_id: (new, new.document)
        for new in new_tasks
        if new.document and not new.force
    }
    before = _look_up(connection, brought)
    idle = {
        each: (new, document)
        for each, (new, document) in sorted(brought.items())
        if (row := before.get(each)) is not None
        and _is_as_before(replace(document, parser=new.parser, stamp=None), row)
        and (new.pipeline is None or _given(new.pipeline) == row.pipeline)
        and (row.pipeline is None or row.pipeline in new.pipelines)
        and _is_done(new, row, row)
    }
    note_versions(
        connection,
        [
            (each, Version(document.sha256, document.object_key, document.bytes), document.stamp)
            for each, (_, document) in idle.items()
            if document.stamp is not None
            and document.sha256 is not None
            and document.object_key is not None
        ],
    )
    return {new.task_id for new, _ in idle.values()}


def _insert(connection: sa.Connection, new_tasks: Sequence[NewTask]) -> list[NewTask]:
    """Insert tasks; return those that were not known."""
    unique: dict[str, NewTask] = {}
    for new in new_tasks:
        unique.setdefault(new.task_id, new)
    insert = insert_into(connection, tasks).values(
        state=TaskState.WAITING,
        progress=0.0,
        attempts=0,
        tokens=0,
        created_at=now() + sa.bindparam("later", type_=sa.Double),
    )
    rows = [
        {
            "task_id": new.task_id,
            "batch_id": new.batch_id,
            "type": new.type,
            "collection": new.collection,
            "tenant": new.tenant,
            "document_id": _document_id(new),
            "priority": new.priority.rank,
            "options": new.options or {},
            "later": position * IN_ORDER_SECONDS,
        }
        for position, new in enumerate(unique.values())
    ]
    if not rows:
        return []
    statement = insert.on_conflict_do_nothing().returning(tasks.c.task_id)
    inserted = set(connection.scalars(statement, rows))
    return [new for new in unique.values() if new.task_id in inserted]


def _document_id(new: NewTask) -> str | None:
    return new.document.document_id if new.document else new.document_id


def _key(new: NewTask) -> str:
    return CollectionName(new.tenant, new.collection).key


def _accept_alone(connection: sa.Connection, new: NewTask) -> list[TaskUpdate]:
    try:
        if new.is_build:
            return _accept_build(connection, new)
        if new.type is TaskType.DELETE:
            return _accept_deletion(connection, new)
        assert new.selection is not None  # noqa: S101 - the only kind left
        return _accept_selection(connection, new, new.selection)
    except PermanentError as error:
        info = ErrorInfo(kind=error.kind, message=error.message)
        return end(connection, [new.task_id], TaskState.FAILED, error=info)


def _accept_selection(
    connection: sa.Connection, new: NewTask, selection: Selection
) -> list[TaskUpdate]:
    key = _key(new)
    require_known(connection, key, selection.document_ids)
    wanted = selected(connection, key, selection)
    if not wanted:
        message = "Nothing to do: no document is selected."
        return end(connection, [new.task_id], TaskState.SUCCEEDED, message)
    connection.execute(
        task_documents.insert(),
        [{"task_id": new.task_id, "document_id": document_id} for document_id in wanted],
    )
    if new.pipeline is not None:
        set_pipelines(connection, dict.fromkeys(wanted, _given(new.pipeline)))
    mark_pending(connection, wanted, new.priority, force=forced(selection), rerun=selection.rerun)
    return tell(connection, [new.task_id], said_of(connection, wanted, selection.rerun))


def _accept_build(connection: sa.Connection, new: NewTask) -> list[TaskUpdate]:
    require_known(connection, _key(new), (new.options or {}).get("document_ids", ()))
    return tell(connection, [new.task_id], "Task is queued.")


def _accept_documents(connection: sa.Connection, batch: Mapping[str, NewTask]) -> list[TaskUpdate]:
    """Accept tasks about one document each, by the ids of these."""
    if not batch:
        return []
    before = _look_up(connection, batch)
    unknown = {
        document_id: new
        for document_id, new in batch.items()
        if new.document is None and not _is_there(before.get(document_id), _key(new))
    }
    updates = end_each(
        connection,
        {
            new.task_id: Ending(TaskState.FAILED, error=_unknown(_key(new), document_id))
            for document_id, new in unknown.items()
        },
    )
    known = {each: new for each, new in batch.items() if each not in unknown}
    upsert(
        connection,
        [
            (_key(new), replace(new.document, parser=new.parser))
            for document_id, new in known.items()
            if new.document is not None
            and not _is_as_before(replace(new.document, parser=new.parser), before.get(document_id))
        ],
    )
    set_parsers(
        connection,
        {
            document_id: new.parser
            for document_id, new in known.items()
            if new.document is None and new.parser is not None
        },
    )
    set_pipelines(
        connection,
        {each: _given(new.pipeline) for each, new in known.items() if new.pipeline is not None},
    )
    after = _look_up(connection, known)
    updates += end_each(
        connection,
        {
            known[each].task_id: Ending(TaskState.FAILED, error=_without_pipeline(row.pipeline))
            for each, row in after.items()
            if row.pipeline is not None and row.pipeline not in known[each].pipelines
        },
    )
    known = {
        each: new
        for each, new in known.items()
        if after[each].pipeline is None or after[each].pipeline in new.pipelines
    }
    unchanged = [
        new.task_id
        for document_id, new in known.items()
        if not new.force and _is_done(new, before.get(document_id), after[document_id])
    ]
    updates += end(connection, unchanged, TaskState.SUCCEEDED, "Unchanged: nothing to do.")
    wanted = {each: new for each, new in known.items() if new.task_id not in set(unchanged)}
    return updates + _want(connection, wanted)


def _look_up(connection: sa.Connection, document_ids: Collection[str]) -> dict[str, sa.Row[Any]]:
    """Return what is known of documents, and which result of them is published."""
    indexed = (document_stages.c.document_id == documents.c.document_id) & (
        document_stages.c.stage == Stage.INDEXED
    )
    query: sa.Select[Any] = sa.select(
        documents.c.document_id,
        documents.c.collection_key,
        documents.c.name,
        documents.c.parent_id,
        documents.c.fetch,
        documents.c.state,
        documents.c.object_key,
        documents.c.parser,
        documents.c.pipeline,
        documents.c.sha256,
        document_stages.c.version,
        document_stages.c.recipe,
    ).outerjoin(document_stages, indexed)
    return {
        row.document_id: row
        for part in parts(sorted(document_ids))
        for row in connection.execute(query.where(documents.c.document_id.in_(part)))
    }


def _is_as_before(document: NewDocument, row: sa.Row[Any] | None) -> bool:
    """Whether nothing has to be written of a document, of most in a folder that comes again."""
    return row is not None and (
        (document.name, document.parent_id, document.fetch, document.parser)
        == (row.name, row.parent_id, row.fetch, row.parser)
        and (document.sha256, document.object_key, document.stamp)
        == (row.sha256, row.object_key, None)
    )


def _is_there(row: sa.Row[Any] | None, key: str) -> bool:
    return row is not None and row.collection_key == key and row.state != DocumentState.DELETED


def _unknown(key: str, document_id: str) -> ErrorInfo:
    error = not_found(key, document_id)
    return ErrorInfo(kind=error.kind, message=error.message)


def _is_done(new: NewTask, before: sa.Row[Any] | None, after: sa.Row[Any]) -> bool:
    """Whether what is published of a document is what the task asks for."""
    return bool(
        after.state == DocumentState.INDEXED
        and after.version == after.sha256
        and after.recipe == (new.pipelines[after.pipeline] if after.pipeline else new.recipe)
        and after.parser == (before.parser if before else None)
        and not after.fetch
    )


def _given(pipeline: str) -> str | None:
    return None if pipeline == STANDARD else pipeline


def _without_pipeline(pipeline: str) -> ErrorInfo:
    return ErrorInfo(
        kind=ErrorKind.NOT_FOUND,
        message=f"it belongs to the pipeline {pipeline!r}, which there is no more: give it to "
        f"another one, or to {STANDARD!r}, with `ingest submit --pipeline`",
    )


def _want(connection: sa.Connection, wanted: Mapping[str, NewTask]) -> list[TaskUpdate]:
    """Have documents wait for a run, and their tasks for them."""
    if not wanted:
        return []
    connection.execute(
        task_documents.insert(),
        [{"task_id": new.task_id, "document_id": each} for each, new in wanted.items()],
    )
    alike: dict[tuple[Priority, bool, str], list[str]] = {}
    for document_id, new in wanted.items():
        component = new.rerun.component if new.rerun else ""
        alike.setdefault((new.priority, new.force, component), []).append(document_id)
    for (priority, force, _), ids in alike.items():
        mark_pending(connection, ids, priority, force=force, rerun=wanted[ids[0]].rerun)
    return tell(connection, [new.task_id for new in wanted.values()], "Task is queued.")


def _accept_deletion(connection: sa.Connection, new: NewTask) -> list[TaskUpdate]:
    """Remove documents, and what is attached to them."""
    key = _key(new)
    require_known(connection, key, new.delete_ids, deleted_too=True)
    ids = with_attachments(connection, new.delete_ids)
    connection.execute(
        task_documents.insert(),
        [{"task_id": new.task_id, "document_id": document_id} for document_id in ids],
    )
    updates = remove_documents(connection, key, ids, but_for=new.task_id)
    return updates + tell(connection, [new.task_id], f"{len(ids)} documents are being removed.")
