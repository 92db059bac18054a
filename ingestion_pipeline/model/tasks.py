"""Tasks: what producers ask for, as a message and as a record.

Belongs here: the public message format, task types and states. Does not belong here: the life
of a task (``registry`` enforces transitions, ``tasks`` decides them).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ingestion_pipeline.errors import Ask
from ingestion_pipeline.model.collections import DEFAULT_TENANT, NAME_PATTERN
from ingestion_pipeline.model.documents import ErrorInfo

Name = Annotated[str, StringConstraints(pattern=f"^{NAME_PATTERN.pattern}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]


class TaskType(StrEnum):
    """What a task does. The last two are about another task and have no record of their own."""

    INGEST = "ingest"
    DELETE = "delete"
    REINDEX = "reindex"
    RAPTOR = "raptor"
    GRAPHRAG = "graphrag"
    MINDMAP = "mindmap"
    DATAFLOW = "dataflow"
    CANCEL = "cancel"
    CONTINUE = "continue"


COMMANDS = frozenset({TaskType.CANCEL, TaskType.CONTINUE})
OF_DOCUMENTS = (TaskType.INGEST, TaskType.DATAFLOW)
"""What takes documents through stages; about one of them, unless it names several."""
BUILDS = (TaskType.RAPTOR, TaskType.GRAPHRAG, TaskType.MINDMAP)
"""What is built of a collection as a whole; what comes later reads what comes before."""


class TaskState(StrEnum):
    """Where a task stands."""

    WAITING = "waiting"
    RUNNING = "running"
    INPUT = "input"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMEOUT = "timeout"

    @property
    def final(self) -> bool:
        """Whether nothing follows unless a person retries."""
        return self in FINAL_STATES


FINAL_STATES = frozenset(
    {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELED, TaskState.TIMEOUT}
)


class Priority(StrEnum):
    """Which of the two streams a task travels on."""

    HIGH = "high"
    NORMAL = "normal"

    @property
    def rank(self) -> int:
        """A number for ordering, as the registry stores it; higher goes first."""
        return 1 if self is Priority.HIGH else 0


class ReindexOnly(StrEnum):
    """Which documents a reindex takes."""

    STALE = "stale"
    FAILED = "failed"
    ALL = "all"


class Backend(StrEnum):
    """Who did the work of a task."""

    DAGSTER = "dagster"
    IN_PROCESS = "in_process"


class Source(BaseModel):
    """Where a document's bytes come from: ``object:``, ``file:``, ``http(s):`` or ``s3:``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    name: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None


class TaskMessage(BaseModel):
    """The public message: what any client in any language may XADD, as JSON.

    Unknown fields are refused, so that a typo is not silently ignored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: TaskType
    collection: Name
    task_id: Identifier | None = None
    tenant: Name = DEFAULT_TENANT
    priority: Priority = Priority.NORMAL
    source: Source | None = None
    document_id: Identifier | None = None
    document_ids: Annotated[list[Identifier], Field(min_length=1)] | None = None
    task_ref: Identifier | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        if self.type is TaskType.INGEST and (self.source is None) == (self.document_id is None):
            raise ValueError("an ingest message needs either 'source' or 'document_id'")
        if self.type is TaskType.INGEST and self.document_ids:
            raise ValueError("an ingest message is about one 'document_id', not 'document_ids'")
        named = (self.source, self.document_id, self.document_ids)
        if self.type is TaskType.DATAFLOW and sum(each is not None for each in named) != 1:
            raise ValueError(
                "a dataflow message needs one of 'source', 'document_id' and 'document_ids'"
            )
        if self.type is TaskType.REINDEX and (self.source or self.document_id):
            raise ValueError("a reindex message names documents by 'document_ids' only")
        if self.type is TaskType.DELETE and bool(self.document_id) == bool(self.document_ids):
            raise ValueError("a delete message needs either 'document_id' or 'document_ids'")
        if self.type is TaskType.DELETE and self.source:
            raise ValueError("a delete message names documents, not a 'source'")
        if self.type in BUILDS and (self.source or self.document_id):
            raise ValueError(f"a {self.type} message names documents by 'document_ids' only")
        if (self.type in COMMANDS) != (self.task_ref is not None):
            raise ValueError("'task_ref' names the task that a cancel or continue message is about")
        if self.type in COMMANDS and (self.source or self.document_id or self.document_ids):
            raise ValueError(f"a {self.type} message is about a task, named by 'task_ref' only")
        return self


@dataclass(frozen=True)
class Question:
    """What a task asks a person, and the doubt that is its error if the answer is no."""

    asks: Ask
    doubt: ErrorInfo


@dataclass(frozen=True)
class Task:
    """A registered task. Times are seconds since the epoch, by the database's clock."""

    task_id: str
    batch_id: str | None
    type: TaskType
    collection: str
    tenant: str
    document_id: str | None
    priority: Priority
    options: dict[str, Any]
    state: TaskState
    progress: float
    attempts: int
    tokens: int
    error: ErrorInfo | None
    question: Question | None
    backend: Backend | None
    run_id: str | None
    created_at: float
    started_at: float | None
    deadline: float | None
    """When running, or waiting for input, has to end."""
    finished_at: float | None
    messages: tuple[str, ...] = ()
