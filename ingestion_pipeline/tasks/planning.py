"""Planning: which collections get a run now, and of which something is to be built.

Pure decisions over what waits and what runs. A plan too many is harmless: a run that finds nothing
to claim, or another one at the same build, ends at once.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain, zip_longest

from ingestion_pipeline.model.collections import CollectionConfig
from ingestion_pipeline.model.tasks import TaskType
from ingestion_pipeline.registry.builds import Changed, WantedBuild
from ingestion_pipeline.registry.documents import Backlog

HIGH_PRIORITY = 10
"""Dagster's run queue takes higher numbers first; runs without a priority are at 0."""
BUILD_PRIORITY = -1
"""What is built of a collection waits for documents, which somebody waits for."""
_USUAL = {TaskType.DATAFLOW: 0}
SECONDS_PER_STEP = 30.0
"""Waiting raises a plan's priority by one for each such time, so that nothing starves."""
RUNS_PER_TICK = 25
"""Submitting a run costs Dagster tens of milliseconds: a tick must stay short."""


Way = tuple[str, str | None]
"""A collection's key, and the pipeline that some of its documents belong to, if it is not its own
way."""


@dataclass(frozen=True)
class PlannedRun:
    """A run to start for a collection."""

    collection_key: str
    tenant: str
    priority: int
    pipeline: str | None = None
    """The one whose documents it is for; None: those of the collection's own way."""


@dataclass(frozen=True)
class PlannedBuild:
    """A build to start."""

    collection_key: str
    tenant: str
    kind: TaskType
    priority: int


def plan(
    backlog: Sequence[Backlog], running: Mapping[Way, int], limit: int = RUNS_PER_TICK
) -> list[PlannedRun]:
    """Return the runs to start: by priority, then in turn between tenants, then by age.

    Args:
        backlog: what waits, by collection and way.
        running: how many runs each has already, queued ones included.
        limit: the most runs to return.
    """
    free = [
        waiting
        for waiting in backlog
        if running.get((waiting.collection_key, waiting.pipeline), 0) < waiting.max_parallel_runs
    ]
    by_tenant: dict[str, list[Backlog]] = defaultdict(list)
    for waiting in sorted(free, key=lambda each: -each.oldest_seconds):
        by_tenant[waiting.tenant].append(waiting)
    in_turn = [each for each in chain(*zip_longest(*by_tenant.values())) if each is not None]
    planned = [
        PlannedRun(each.collection_key, each.tenant, _priority(each), each.pipeline)
        for each in in_turn
    ]
    return sorted(planned, key=lambda each: -each.priority)[:limit]


def plan_builds(
    wanted: Sequence[WantedBuild],
    running: AbstractSet[tuple[str, TaskType]],
    limit: int = RUNS_PER_TICK,
) -> list[PlannedBuild]:
    """Return the builds to start that no run is about to start: by priority, then by age.

    They give way to documents: only what a person asks for with high priority goes before those,
    and what somebody tries is among them.
    """
    free = [each for each in wanted if (each.collection_key, each.kind) not in running]
    free.sort(key=lambda each: (-each.priority, -each.oldest_seconds, each.collection_key))
    return [
        PlannedBuild(
            each.collection_key,
            each.tenant,
            each.kind,
            HIGH_PRIORITY if each.priority > 0 else _USUAL.get(each.kind, BUILD_PRIORITY),
        )
        for each in free[:limit]
    ]


def due(changed: Changed, *, busy: bool) -> dict[TaskType, str]:
    """Return what is to be built of a collection by itself now, and of which version each.

    ``busy`` says that documents of it wait or are worked on. A map shows the tree, where both are
    wanted: it has to wait for it.
    """
    config = changed.collection.config
    if config.automation or busy or changed.quiet_seconds < config.quiet_seconds:
        return {}
    versions = {kind: build_version(changed.version, config, kind) for kind in enabled(config)}
    tree = versions.get(TaskType.RAPTOR)
    found = {}
    for kind, version in versions.items():
        record = changed.builds.get(kind)
        if record is not None and version in (record.planned_for, record.built_from):
            continue
        of_tree = changed.builds.get(TaskType.RAPTOR)
        if kind is TaskType.MINDMAP and tree and (of_tree is None or of_tree.built_from != tree):
            continue
        found[kind] = version
    return found


def stale_builds(changed: Changed) -> dict[TaskType, str]:
    """Return what was built of a collection once and is of another version by now, with this."""
    config = changed.collection.config
    automated = enabled(config) if config.automation else []
    versions = {
        kind: build_version(changed.version, config, kind)
        for kind in changed.builds
        if kind not in automated
    }
    return {
        kind: version
        for kind, version in versions.items()
        if changed.builds[kind].built_from not in (None, version)
    }


def enabled(config: CollectionConfig) -> list[TaskType]:
    """Return what is built of a collection by itself."""
    wanted = {
        TaskType.RAPTOR: config.raptor.enabled,
        TaskType.GRAPHRAG: config.graph.enabled,
        TaskType.MINDMAP: config.mindmap.enabled,
    }
    return [kind for kind, is_wanted in wanted.items() if is_wanted]


def build_version(index_version: str, config: CollectionConfig, kind: TaskType) -> str:
    """Name what a build is of: the version of the index, and how it is to be built."""
    parts = {TaskType.RAPTOR: config.raptor, TaskType.GRAPHRAG: config.graph}
    how = parts[kind].model_dump_json(exclude={"enabled"}) if kind in parts else ""
    return f"{index_version}-{hashlib.sha256(how.encode()).hexdigest()[:16]}"


def _priority(waiting: Backlog) -> int:
    if waiting.priority > 0:
        return HIGH_PRIORITY
    return min(HIGH_PRIORITY, int(waiting.oldest_seconds / SECONDS_PER_STEP))
