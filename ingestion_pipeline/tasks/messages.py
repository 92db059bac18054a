"""Reading task messages: from raw JSON to a validated message, or to a reason.

Belongs here: validation that needs nothing but the message. Does not belong here: whether its
collection or source exists (``intake``).
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.tasks import Identifier, ReindexOnly, TaskMessage, TaskType

MAX_MESSAGE_CHARACTERS = 1_000_000
SHOWN_CHARACTERS = 200
"""How much of a field's name an error repeats."""


class IngestOptions(BaseModel):
    """Options of an ingest task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    force: bool = False
    """Process the document although nothing changed."""
    parser: ParserKind | None = None
    """The document's kind, where it is not the collection's."""


class DataflowOptions(BaseModel):
    """Options of a task that takes documents through a pipeline."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    """Its name, or ``standard`` for what the collection does by itself."""
    force: bool = False
    """Process documents although nothing changed."""
    from_component: str | None = None
    """The same from this component of the pipeline on; what is before it is kept."""
    dry_run: bool = False
    """Say what each component would give, and publish nothing; see ``tasks.dry_runs``."""


class ReindexOptions(BaseModel):
    """Options of a reindex task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    only: ReindexOnly = ReindexOnly.STALE
    """Which documents to take."""


class DeleteOptions(BaseModel):
    """Options of a delete task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purge: bool = False
    """Remove what is stored now, instead of leaving it to maintenance."""


class BuildOptions(BaseModel):
    """Options of a task that builds something of a collection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document_ids: Annotated[list[Identifier], Field(min_length=1)] | None = None
    """The only documents it is about; a message has them beside its options."""


class GraphOptions(BuildOptions):
    """Options of a task that builds a graph; what is not said is as the collection has it."""

    resolution: bool | None = None
    """Whether different names of one entity are brought together."""
    community: bool | None = None
    """Whether communities are found, and reports written of them."""


class CancelOptions(BaseModel):
    """A cancellation has no options."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What a person answers to what a task asks; exactly one of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    password: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    go_on: bool | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.password is None) == (self.go_on is None):
            raise ValueError("an answer is either 'password' or 'go_on'")
        return self


Options = (
    IngestOptions
    | DataflowOptions
    | ReindexOptions
    | DeleteOptions
    | BuildOptions
    | CancelOptions
    | Answer
)
OPTIONS: dict[TaskType, type[Options]] = {
    TaskType.INGEST: IngestOptions,
    TaskType.DELETE: DeleteOptions,
    TaskType.REINDEX: ReindexOptions,
    TaskType.RAPTOR: BuildOptions,
    TaskType.GRAPHRAG: GraphOptions,
    TaskType.MINDMAP: BuildOptions,
    TaskType.DATAFLOW: DataflowOptions,
    TaskType.CANCEL: CancelOptions,
    TaskType.CONTINUE: Answer,
}


def parse_message(raw: str | None) -> TaskMessage:
    """Validate a raw message.

    Raises:
        PermanentError: of kind ``invalid_message``, saying what is wrong and where.
    """
    if raw is None:
        raise _invalid("the stream entry has no field 'message'")
    if len(raw) > MAX_MESSAGE_CHARACTERS:
        raise _invalid(f"the message is longer than {MAX_MESSAGE_CHARACTERS:,} characters")
    try:
        content = json.loads(raw)
        json.dumps(content, allow_nan=False)  # NaN and the like are no JSON to a database
    except (ValueError, RecursionError) as error:
        raise _invalid(f"the message is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise _invalid("the message is not a JSON object")
    try:
        return TaskMessage.model_validate(content)
    except ValidationError as error:
        raise _invalid(_first_error(error)) from None  # what was sent may be a secret


def parse_options(type_: TaskType, options: dict[str, Any]) -> Options:
    """Validate the options of a task.

    Raises:
        PermanentError: of kind ``invalid_option``, naming the options there are.
    """
    model = OPTIONS[type_]
    try:
        return model.model_validate(options)
    except ValidationError as error:
        known = ", ".join(model.model_fields) or "none"
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"{type_} task: {_first_error(error)}; the options are: {known}",
        ) from None  # what was sent may be a secret


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))[:SHOWN_CHARACTERS]
    return f"{where}: {first['msg']}" if where else first["msg"]


def _invalid(reason: str) -> PermanentError:
    return PermanentError(ErrorKind.INVALID_MESSAGE, reason)


def without_answer(raw: str | None) -> str:
    """Return a message as it may be kept for people to look at: without what somebody answered.

    What cannot be read, and might be an answer, is not shown at all.
    """
    if raw is None or f"{TaskType.CONTINUE}" not in raw:
        return raw or ""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return "(not shown: it may hold an answer)"
    if isinstance(content, dict) and content.get("type") != TaskType.CONTINUE:
        return raw
    return json.dumps(content | {"options": "(not shown)"}) if isinstance(content, dict) else ""
