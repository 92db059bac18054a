"""Which collections have documents whose stored results are out of date."""

from __future__ import annotations

import logging

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)


def stale_collections(services: Services) -> dict[str, int]:
    """Return the number of stale documents of each collection that has any.

    A collection whose embedding model is missing is left out, with a warning, and stops no other.
    """
    counts: dict[str, int] = {}
    for collection in services.registry.collections.all():
        try:
            recipe = services.recipes(collection)[Stage.INDEXED]
        except PermanentError as error:
            logger.warning("collection %s cannot be looked at: %s", collection.key, error)
            continue
        counts[collection.key] = services.registry.documents.count_stale(collection.key, recipe)
    return {key: count for key, count in counts.items() if count}
