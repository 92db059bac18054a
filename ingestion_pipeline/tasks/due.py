"""One look at what is to be built: what became due by itself, and what tasks wait for."""

from __future__ import annotations

import uuid
from collections.abc import Set as AbstractSet

from ingestion_pipeline.model.tasks import TaskType
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.planning import PlannedBuild, due, plan_builds
from ingestion_pipeline.tasks.services import Services


def plan_due_builds(
    services: Services, running: AbstractSet[tuple[str, TaskType]]
) -> list[PlannedBuild]:
    """Make tasks of what is due, and return the builds to start."""
    builds = services.registry.builds
    busy = {waiting.collection_key for waiting in services.registry.documents.backlog()}
    busy |= services.registry.claims.live_runs().keys()
    for changed in builds.changes():
        found = due(changed, busy=changed.collection.key in busy)
        for kind, version in found.items():
            name = changed.collection.name
            tell(services.events, builds.ask_once(name, kind, version, uuid.uuid4().hex))
    return plan_builds(builds.wanted(), running)
