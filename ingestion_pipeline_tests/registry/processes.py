"""What processes that share a registry do; a module of its own, for they import it anew."""

from __future__ import annotations

from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from ingestion_pipeline.registry.registry import open_registry
from ingestion_pipeline_tests.registry.steps import done, names, record, take


def open_and_claim(url: str, together: Barrier, claimed: Queue[list[str]]) -> None:
    """Open a registry when all do, and when all did, work off together what can be claimed."""
    together.wait()
    registry = open_registry(url)
    together.wait()
    claim = take(registry, max_documents=7)
    together.wait()
    mine: list[str] = []
    while claim is not None:
        record(registry, claim, *map(done, claim.documents))
        mine += names(claim)
        claim = take(registry, max_documents=7)
    claimed.put(mine)
    registry.database.dispose()
