"""Which collections have documents whose stored results are out of date."""

from __future__ import annotations

import logging
from collections.abc import Collection as Container

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.tasks.generations import prepare
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)


def stale_collections(services: Services, keys: Container[str] | None = None) -> dict[str, int]:
    """Return the number of stale documents of each collection that has any; of those named, or all.

    A collection whose embedding model is missing is left out, with a warning, and stops no other.
    """
    recipes: dict[str, str] = {}
    suspects: set[str] = set()
    for collection in services.registry.collections.all():
        if keys is not None and collection.key not in keys:
            continue
        try:
            recipes[collection.key] = services.recipes(collection)[Stage.INDEXED]
        except PermanentError as error:
            _warn(collection.key, error)
            continue
        if _gets_another_model(services, collection):
            suspects.add(collection.key)
    suspects |= services.registry.documents.may_be_stale(recipes)
    counts = {key: _count(services, key) for key in sorted(suspects)}
    return {key: count for key, count in counts.items() if count}


def _gets_another_model(services: Services, collection: Collection) -> bool:
    return collection.searched_model not in (None, services.configured_model(collection))


def _count(services: Services, key: str) -> int:
    try:
        collection, successor = prepare(services, key)
        recipe = services.recipes(collection)[Stage.INDEXED]
        pipelines = services.pipeline_recipes(collection)
    except PermanentError as error:
        _warn(key, error)
        return 0
    stale = services.registry.documents.count_stale(key, recipe, pipelines)
    # Where another model only waits to be searched, a run does just that.
    return stale or int(successor is not None)


def _warn(key: str, error: PermanentError) -> None:
    logger.warning("collection %s cannot be looked at: %s", key, error)
