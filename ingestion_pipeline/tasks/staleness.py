"""Which collections have documents whose stored results are out of date."""

from __future__ import annotations

from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.tasks.services import Services


def stale_collections(services: Services) -> dict[str, int]:
    """Return the number of stale documents of each collection that has any."""
    counts = {
        collection.key: services.registry.documents.count_stale(
            collection.key, services.recipes(collection)[Stage.INDEXED]
        )
        for collection in services.registry.collections.all()
    }
    return {key: count for key, count in counts.items() if count}
