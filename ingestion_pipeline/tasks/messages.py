"""Reading task messages: from raw JSON to a validated message, or to a reason.

Belongs here: validation that needs nothing but the message. Does not belong here: whether its
collection or source exists (``intake``).
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.tasks import ReindexOnly, TaskMessage, TaskType

MAX_MESSAGE_CHARACTERS = 1_000_000
SHOWN_CHARACTERS = 200
"""How much of a field's name an error repeats."""


class IngestOptions(BaseModel):
    """Options of an ingest task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    force: bool = False
    """Process the document although nothing changed."""


class ReindexOptions(BaseModel):
    """Options of a reindex task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    only: ReindexOnly = ReindexOnly.STALE
    """Which documents to take."""


OPTIONS: dict[TaskType, type[IngestOptions | ReindexOptions]] = {
    TaskType.INGEST: IngestOptions,
    TaskType.REINDEX: ReindexOptions,
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
        raise _invalid(f"the message is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise _invalid("the message is not a JSON object")
    try:
        return TaskMessage.model_validate(content)
    except ValidationError as error:
        raise _invalid(_first_error(error)) from error


def parse_options(type_: TaskType, options: dict[str, Any]) -> IngestOptions | ReindexOptions:
    """Validate the options of a task.

    Raises:
        PermanentError: of kind ``invalid_option``, naming the options there are, or
            ``unsupported``.
    """
    model = OPTIONS.get(type_)
    if model is None:
        raise PermanentError(
            ErrorKind.UNSUPPORTED,
            f"{type_} tasks are not supported; the types are: {', '.join(OPTIONS)}",
        )
    try:
        return model.model_validate(options)
    except ValidationError as error:
        known = ", ".join(model.model_fields)
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            f"{type_} task: {_first_error(error)}; the options are: {known}",
        ) from error


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))[:SHOWN_CHARACTERS]
    return f"{where}: {first['msg']}" if where else first["msg"]


def _invalid(reason: str) -> PermanentError:
    return PermanentError(ErrorKind.INVALID_MESSAGE, reason)
