"""One look at what is to be built: what became due by itself, and what tasks wait for."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from ingestion_pipeline.model.tasks import BUILDS, TaskType
from ingestion_pipeline.registry.builds import Changed
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.planning import PlannedBuild, due, plan_builds, stale_builds
from ingestion_pipeline.tasks.services import Services


def plan_due_builds(
    services: Services, running: AbstractSet[tuple[str, TaskType]]
) -> list[PlannedBuild]:
    """Make tasks of what is due, and return the builds to start."""
    builds = services.registry.builds
    busy = {waiting.collection_key for waiting in services.registry.documents.backlog()}
    busy |= services.registry.claims.live_runs().keys()
    for changed in builds.changes():
        _ask(services, changed, due(changed, busy=changed.collection.key in busy))
    return plan_builds([each for each in builds.wanted() if each.kind in BUILDS], running)


def plan_dry_runs(
    services: Services, running: AbstractSet[tuple[str, TaskType]]
) -> list[PlannedBuild]:
    """Return the dry runs of pipelines to start; see ``dry_runs``."""
    wanted = services.registry.builds.wanted()
    return plan_builds([each for each in wanted if each.kind is TaskType.DATAFLOW], running)


def ask_for_stale_builds(services: Services) -> int:
    """Make tasks of what was built once and is out of date; return how many builds that are."""
    asked = 0
    for changed in services.registry.builds.changes():
        asked += _ask(services, changed, stale_builds(changed))
    return asked


def _ask(services: Services, changed: Changed, versions: Mapping[TaskType, str]) -> int:
    asked = 0
    for kind, version in versions.items():
        updates = services.registry.builds.ask_once(
            changed.collection.name, kind, version, uuid.uuid4().hex
        )
        tell(services.events, updates)
        asked += bool(updates)
    return asked
