"""Telling what happens to tasks, on their event streams.

Events are for those who watch; the registry is the truth. So Redis being away costs the watchers
their news and nobody their work.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.registry.transitions import TaskUpdate
from ingestion_pipeline.streams.events import EventStreams, TaskEvent

logger = logging.getLogger(__name__)


def tell(events: EventStreams, updates: Sequence[TaskUpdate]) -> None:
    """Append updates to the event streams of their tasks."""
    if not updates:
        return
    at = datetime.now(UTC)
    try:
        events.append_many(
            [
                TaskEvent(
                    task_id=update.task_id,
                    at=at,
                    state=update.state,
                    stage=update.stage,
                    progress=update.progress,
                    message=update.message,
                )
                for update in updates
            ]
        )
    except IngestError as error:
        logger.info("nobody was told of %d task updates: %s", len(updates), error)
