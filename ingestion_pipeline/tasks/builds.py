"""Building something of a collection as a whole: take it, do it, end the tasks that wait for it.

The same function runs under a Dagster asset and in the process of the command line. It leaves
nothing behind: a build whose run fails or is interrupted is given back, and one whose run a person
stopped is canceled.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from typing import Any

from ingestion_pipeline.errors import LeaseLostError, PermanentError
from ingestion_pipeline.graph.exports import View
from ingestion_pipeline.graph.picture import picture
from ingestion_pipeline.llm import Usage
from ingestion_pipeline.logs import log_context
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import ErrorInfo, Stage
from ingestion_pipeline.model.tasks import Backend, TaskType
from ingestion_pipeline.raptor import MindMapFormat, bounded
from ingestion_pipeline.raptor.mind_map import nodes
from ingestion_pipeline.registry.builds import TakenBuild
from ingestion_pipeline.stages import graphed, mapped, summarised
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.heart import Heart, worker_name
from ingestion_pipeline.tasks.lease import Build, run_lease
from ingestion_pipeline.tasks.planning import build_version
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

SHOWN_ENTITIES = 20
SHOWN_REPORTS = 3
"""How much of a graph is shown with its run."""
SHOWN_BROAD = 12
SHOWN_DEEP = 4
"""How much of a map is shown with its run: at most so many below a node, and so many in a line."""


@dataclass(frozen=True)
class BuildRequest:
    """What a run is to build; of some documents only, where they are named."""

    run_id: str
    backend: Backend
    kind: TaskType
    document_ids: tuple[str, ...] = ()
    stopped_by_person: Callable[[], bool] = lambda: False
    """Asked when the run is interrupted; otherwise it was a shutdown, and its work goes on later.
    """


@dataclass(frozen=True)
class Built:
    """What a stage made."""

    message: str
    """For those who wait, in one line."""
    version: str
    """Names what is there now: the same version is the same result."""
    figures: Mapping[str, int | float | str] = field(default_factory=dict)
    tokens: int = 0
    """Of the language model."""
    shown: str = ""
    """Markdown for people who look at the run."""
    picture: str = ""
    """SVG, for the same."""


def build(services: Services, collection: Collection, request: BuildRequest) -> Built | None:
    """Build what is requested; None if another run is at it, or nobody wants it any more.

    Raises:
        PermanentError: when trying again cannot help; the tasks have failed.
        TransientError: when it may; the build is given back.
    """
    began = time.monotonic()
    worker = worker_name(request.backend, request.run_id)
    registry = services.registry
    with (
        log_context(run=request.run_id, worker=worker),
        Heart(services, worker),
        run_lease(services, collection, request.run_id, request.stopped_by_person) as lease,
    ):
        tell(services.events, registry.tasks.expire())
        taken, updates = registry.builds.take(
            collection.name,
            request.kind,
            run_id=request.run_id,
            backend=request.backend,
            task_timeout_seconds=services.settings.task_timeout_seconds,
        )
        tell(services.events, updates)
        if taken is None:
            logger.info("%s of %s: another run is at it", request.kind, collection.key)
            return None
        try:
            with lease.hold_build(taken) as held:
                built = _build(services, collection, request, taken, held)
        except LeaseLostError as error:
            logger.info("%s of %s was stopped: %s", request.kind, collection.key, error)
            return None
        except PermanentError as error:
            info = ErrorInfo(kind=error.kind, message=error.message)
            tell(services.events, registry.builds.fail(taken, info))
            raise
        logger.info(
            "%s of %s after %.1f s: %s",
            request.kind,
            collection.key,
            time.monotonic() - began,
            built.message,
        )
    return built


def _build(
    services: Services,
    collection: Collection,
    request: BuildRequest,
    taken: TakenBuild,
    held: Build,
) -> Built:
    """Do the work, and record of which version of the index it is."""
    # Before anything is read: what is published meanwhile makes the build stale, not current.
    index_version = services.registry.collections.data_version(collection.key, Stage.INDEXED)
    only = request.document_ids or taken.document_ids
    built = _STAGES[request.kind](services, collection, held, only or None, taken.options)
    version = build_version(index_version, collection.config, request.kind)
    held.flush()
    updates = services.registry.builds.finish(
        taken, None if only else version, f"Task done: {built.message}", built.tokens
    )
    tell(services.events, updates)
    return built


def _trees(
    services: Services,
    collection: Collection,
    held: Build,
    document_ids: Sequence[str] | None,
    _options: Mapping[str, Any],
) -> Built:
    usage = Usage()
    inputs = services.tree_inputs(collection)
    inputs = replace(inputs, llm=inputs.llm.metered(usage) if inputs.llm else None)
    report = summarised.build(inputs, held, held.require, held.note, document_ids)
    failed = f", {len(report.failed)} documents have none" if report.failed else ""
    asked = f", {report.fallbacks} without the language model" if report.fallbacks else ""
    return Built(
        message=f"{report.summaries} summaries of {report.documents} documents, "
        f"{report.written} of them new{failed}{asked}.",
        version=f"{report.origin.leaves}-{report.origin.recipe[:16]}",
        figures={
            "summaries": report.summaries,
            "summaries_written": report.written,
            "summaries_reused": report.reused,
            "summaries_of_documents": sum(report.layers.values()),
            "summaries_across_documents": sum(report.across.values()),
            "layers": max(report.layers, default=0),
            "layers_across_documents": len(report.across),
            "documents": report.documents,
            "documents_failed": len(report.failed),
            "chunks": report.chunks,
            "llm_failures": report.failures,
            "llm_fallbacks": report.fallbacks,
            **_asked(usage),
            "build_seconds": round(report.seconds, 3),
        },
        tokens=report.tokens,
    )


def _graph(
    services: Services,
    collection: Collection,
    held: Build,
    document_ids: Sequence[str] | None,
    options: Mapping[str, Any],
) -> Built:
    said = {"resolution": options.get("resolution"), "communities": options.get("community")}
    wanted = {key: value for key, value in said.items() if value is not None}
    usage = Usage()
    inputs = services.graph_inputs(collection)
    inputs = replace(
        inputs,
        config=inputs.config.model_copy(update=wanted),
        llm=inputs.llm.metered(usage) if inputs.llm else None,
    )
    report = graphed.build(inputs, held, held.require, held.note, document_ids)
    counts = report.counts
    failed = f", {len(report.failed)} could not be read" if report.failed else ""
    return Built(
        message=f"{counts.entities} entities, {counts.relations} relations, "
        f"{counts.communities} communities of {report.documents} documents, "
        f"{report.extracted} of them read now{failed}.",
        version=f"{report.origin.leaves}-{report.origin.recipe[:16]}",
        figures={
            "documents": report.documents,
            "documents_read": report.extracted,
            "documents_reused": report.reused,
            "documents_failed": len(report.failed),
            "documents_incomplete": report.incomplete,
            "documents_read_by_spelling": sum(report.by_spelling.values()),
            "languages_read_by_spelling": ", ".join(sorted(report.by_spelling)) or "none",
            "entities": counts.entities,
            "relations": counts.relations,
            "communities": counts.communities,
            "reports": counts.reports,
            "reports_written": report.reports_written,
            "reports_reused": report.reports_reused,
            "modularity": round(report.modularity, 4),
            "llm_fallbacks": report.fallbacks,
            "llm_doubts": report.doubts,
            "llm_doubts_unanswered": report.doubts_unanswered,
            **_asked(usage),
            "llm_calls_foreseen": report.estimate.calls,
            "llm_tokens_foreseen": report.estimate.tokens,
            **{f"seconds_{phase}": round(spent, 3) for phase, spent in report.seconds.items()},
        },
        tokens=report.tokens,
        shown=_most_important(report.view),
        picture=picture(report.view.communities, report.view.graph.relations, report.view.reports),
    )


def _asked(usage: Usage) -> dict[str, int]:
    """Return what a language model was asked, what that cost, and what it had answered before."""
    return {
        "llm_calls": usage.calls,
        "llm_tokens": usage.tokens,
        "llm_answers_reused": usage.cached,
    }


def _most_important(view: View) -> str:
    """Return the entities of highest rank, and the reports of highest rating, as Markdown."""
    entities = nlargest(SHOWN_ENTITIES, view.graph.entities, key=lambda each: each.rank)
    reports = nlargest(SHOWN_REPORTS, view.reports, key=lambda each: each.rating)
    lines = ["| entity | type | documents | mentions |", "|---|---|---|---|"]
    lines += [
        f"| {_cell(each.name)} | {each.type} | {len(each.document_ids)} | {each.mentions} |"
        for each in entities
    ]
    for report in reports:
        lines += ["", f"**{_cell(report.title)}** ({report.rating:.1f} of 10)", "", report.text]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _map(
    services: Services,
    collection: Collection,
    held: Build,
    _document_ids: Sequence[str] | None,
    _options: Mapping[str, Any],
) -> Built:
    """Draw the map of the collection; that of a document is drawn whenever it is asked for."""
    inputs = services.map_inputs(collection)
    drawn = mapped.draw(inputs, collection.name.name, held)
    held.require()
    mapped.store(services.artifacts, collection.name, drawn)
    small = bounded(drawn.mind_map, SHOWN_BROAD, SHOWN_DEEP)
    count = len(list(nodes(drawn.mind_map)))
    return Built(
        message=f"a map of {count} nodes.",
        version=f"{drawn.leaves}-{drawn.recipe[:16]}",
        figures={"nodes": count, "branches": len(drawn.mind_map.children)},
        shown=mapped.export(small, MindMapFormat.MARKMAP, inputs.snapshot),
    )


_Stage = Callable[[Services, Collection, Build, Sequence[str] | None, Mapping[str, Any]], Built]
_STAGES: dict[TaskType, _Stage] = {
    TaskType.RAPTOR: _trees,
    TaskType.GRAPHRAG: _graph,
    TaskType.MINDMAP: _map,
}
