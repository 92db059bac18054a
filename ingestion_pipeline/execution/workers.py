"""Which workers are alive, as launcher and coordinator need to know.

Belongs here: reading their heartbeats. Does not belong here: beating (``worker``).
"""

from __future__ import annotations

import logging

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.execution.signals import heartbeats
from ingestion_pipeline.streams.heartbeats import Heartbeat

logger = logging.getLogger(__name__)


def live_workers() -> list[Heartbeat]:
    """Return the workers that can be given runs; none when Redis does not answer."""
    try:
        return [beat for beat in heartbeats().all() if beat.slots]
    except IngestError as error:
        logger.warning("nobody knows which workers are alive: %s", error)
        return []
