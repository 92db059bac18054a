"""Collections as users declare them: what a file says is what the registry has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.tasks.services import Services


def keep_as_declared(
    services: Services, name: CollectionName, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Create a collection if there is none, and give it its declared options; others stay.

    Returns what was changed, by option.

    Raises:
        PermanentError: of kind ``invalid_option`` for options there are not, ``not_found`` if tags
            are to be learned from a collection there is not.
    """
    collections = services.registry.collections
    collection, _ = collections.ensure(name)
    wanted = CollectionConfig().updated(dict(options)).flat()
    has = collection.config.flat()
    changes = {key: wanted[key] for key in options if has[key] != wanted[key]}
    if changes:
        collections.configure(name.key, changes)
    return changes
