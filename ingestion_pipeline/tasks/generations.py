"""Changing the embedding model of a collection while it is searched.

A reindex with another model fills a table beside the one that is searched. What is added or edited
meanwhile goes to both; what is deleted goes from all. When the other table is complete and checked,
one transaction makes it the one that is searched, and the old one is kept for a while. A rollback
is the same change back: the kept table first gets what it has missed.

Belongs here: when what is filled, checked and switched, and how it stands. Does not belong here:
what the registry knows of it (``registry.generations``), the loop over batches (``work``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing import GraphIndex, SummaryIndex
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.documents import STAGES, Stage
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.generations import Copies, Copy, Filled, Generation
from ingestion_pipeline.tasks.inspection import differences
from ingestion_pipeline.tasks.services import Services

if TYPE_CHECKING:  # whoever submits documents does without what works on them
    from ingestion_pipeline.stages.work import Tools, Work
    from ingestion_pipeline.tasks.lease import Batch

logger = logging.getLogger(__name__)

SECONDS_PER_DAY = 86_400.0
READERS_SECONDS = 600.0
"""For so long at least the old table is kept: a reader may have looked up its name just before."""
SWITCH_ATTEMPTS = 20
SWITCH_PAUSE_SECONDS = 0.5
"""A comparison may hold documents for a moment, or something was deleted during the check."""
SAMPLED = 10
"""Passages that are searched for in a table before it is switched to."""
SAMPLE_DEPTH = 10
LEAST_FOUND = 0.5
"""Share of the sampled passages that must be among the nearest to themselves. All of them are,
measured, but for texts that are repeated; of a model that gives noise, hardly any."""


@dataclass(frozen=True)
class Successor:
    """What is being filled, and what with."""

    generation: Generation
    collection: Collection
    """As it will be when it is searched with the other model."""


@dataclass(frozen=True)
class Target(Successor):
    """The same, with the tools opened."""

    tools: Tools


@dataclass(frozen=True)
class State:
    """How a generation beside the one that is searched stands."""

    generation: Generation
    filled: Filled

    @property
    def is_full(self) -> bool:
        """Whether everything that is searched is in it."""
        return self.filled.documents == self.filled.published


def prepare(services: Services, key: str) -> tuple[Collection, Successor | None]:
    """Return a collection as it is searched, and what is to be filled for it.

    Another model is filled when one is configured and something is published with the one before;
    without anything published, that one is searched from now on.
    """
    registry = services.registry
    registry.generations.search_with(key, services.configured_model(registry.collections.get(key)))
    collection = registry.collections.get(key)
    configured = services.configured_model(collection)
    if configured == collection.searched_model:
        registry.generations.abandon(key)
        return collection, None
    after = replace(collection, searched_model=configured)
    if services.index(after).name == services.index(collection).name:
        registry.generations.rename(key, configured)
        registry.generations.abandon(key)
        return after, None
    generation = _generation(services, after)
    registry.generations.fill(generation)
    return collection, Successor(generation, after)


@contextmanager
def opened(
    services: Services, successor: Successor | None, pipeline: str | None = None
) -> Iterator[Target | None]:
    """Open the tools to fill with, if there is something to fill."""
    if successor is None:
        yield None
        return
    with services.tools(successor.collection, pipeline) as tools:
        yield Target(successor.generation, successor.collection, tools)


def fill(
    services: Services, claim: Claim, works: Sequence[Work], target: Target, batch: Batch
) -> Copies:
    """Publish what is searched of the documents of a batch to the target too.

    ``works`` are those of the searched generation; an error is added to those that have none.
    """
    published = {
        work.document.document_id: work
        for work in works
        if not work.withdrawn and Stage.INDEXED in work.result.stages and not work.result.error
    }
    current = services.registry.generations.current(target.generation, sorted(published))
    documents = tuple(
        replace(
            work.document,
            sha256=work.version,
            object_key=work.result.object_key or work.document.object_key,
            fetch=False,
            force=False,  # what both have in common was done again just now
            stages={},
        )
        for document_id, work in published.items()
        if work.document.force or current.get(document_id) != work.version
    )
    made = _published(replace(claim, documents=documents), target, batch)
    for work in made:
        if work.result.error:
            result = published[work.document.document_id].result
            result.error, result.transient = work.result.error, work.result.transient
    return _copies(target, made)


def fill_left_out(claim: Claim, target: Target, batch: Batch) -> tuple[Copies, list[Work]]:
    """Publish documents to the target as they are searched; return also those that failed."""
    made = _published(
        replace(claim, documents=tuple(replace(each, stages={}) for each in claim.documents)),
        target,
        batch,
    )
    return _copies(target, made), [work for work in made if work.result.error]


def switch(services: Services, collection: Collection, successor: Successor) -> str:
    """Have the other table searched if it is complete and sound; say how that went.

    Where summaries or a graph are searched, the other table gets its own first.
    """
    registry = services.registry
    to = successor.generation
    days = collection.config.rollback_days
    keep_seconds = max(days * SECONDS_PER_DAY, READERS_SECONDS)
    built = False
    for attempt in range(SWITCH_ATTEMPTS):
        if attempt:
            time.sleep(SWITCH_PAUSE_SECONDS)
        if said := _searched_by_now(services, successor):
            return said
        version = registry.collections.data_version(collection.key, Stage.INDEXED)
        filled = registry.generations.filled(to)
        searched = _generation(services, collection)
        if registry.documents.published_elsewhere(collection.key, searched.index_table):
            return "some documents are in the table of an earlier version of this program: reindex"
        if filled.documents != filled.published:
            return f"{filled.documents} of {filled.published} documents are ready for {to.model}"
        problem = _problem(services, successor)
        registry.generations.note(to, problem)
        if problem is not None:
            logger.warning("%s is not searched with %s yet: %s", collection.key, to.model, problem)
            return f"not searched with {to.model} yet: {problem}"
        if not built:
            _build(services, collection, successor)
            built = True
        if registry.generations.switch(to, searched, version, keep_seconds):
            logger.info("%s is searched with %s now", collection.key, to.model)
            return f"searched with {to.model} now; {searched.model} is kept {days:g} days"
    return f"ready for {to.model}, which is searched when no run works on the collection"


def conclude(services: Services, key: str) -> str | None:
    """Return how a change of the model stands after a reindex; None if there is none.

    The run that did the last of it is about to switch, which is waited for; if nobody does, it is
    done here.
    """
    collection, successor = prepare(services, key)
    if successor is None:
        return None
    for _ in range(SWITCH_ATTEMPTS):
        if said := _searched_by_now(services, successor):
            return said
        filling = [each for each in states(services, key) if each.generation.kept_until is None]
        if not all(each.is_full and each.generation.problem is None for each in filling):
            break
        time.sleep(SWITCH_PAUSE_SECONDS)
    return switch(services, collection, successor)


def tidy(services: Services, collection: Collection) -> int:
    """Drop the tables that nobody fills or keeps any more; return how many there were."""
    registry = services.registry
    registry.generations.expire(collection.key)
    index = services.index(collection)
    if registry.documents.published_elsewhere(collection.key, index.name):
        return 0
    beside = registry.generations.beside(collection.key)
    return index.drop_others([generation.index_table for generation in beside])


def states(services: Services, key: str) -> list[State]:
    """Return how the generations beside the one that is searched stand."""
    generations = services.registry.generations
    return [State(each, generations.filled(each)) for each in generations.beside(key)]


def configure(services: Services, key: str, changes: dict[str, object]) -> Collection:
    """Change a collection's configuration; what is searched stays searched with its model."""
    collection = services.registry.collections.get(key)
    services.registry.generations.search_with(key, services.configured_model(collection))
    return services.registry.collections.configure(key, changes)


def roll_back(services: Services, key: str) -> str:
    """Go back to the embedding model before; say how that went.

    A change that is under way is given up. Else the kept table is searched again: at once if
    nothing was published since, and otherwise after a reindex of what was.

    Raises:
        PermanentError: of kind ``not_found`` if there is nothing to go back to.
    """
    registry = services.registry
    collection, successor = prepare(services, key)
    if successor is not None:
        configure(services, key, {"embedding_model": collection.searched_model})
        prepare(services, key)
        return f"{key} stays searched with {collection.searched_model}"
    registry.generations.expire(key)
    kept = [each for each in registry.generations.beside(key) if each.kept_until is not None]
    if not kept:
        raise PermanentError(
            ErrorKind.NOT_FOUND,
            f"no index of an earlier embedding model is kept of collection {key!r}: configure "
            "embedding_model and reindex it",
        )
    configure(services, key, {"embedding_model": kept[-1].model})
    collection, successor = prepare(services, key)
    if successor is None:
        return f"{key} is searched with {collection.searched_model}"
    return switch(services, collection, successor)


def _generation(services: Services, collection: Collection) -> Generation:
    index = services.index(collection)
    return Generation(
        collection_key=collection.key,
        index_table=index.name,
        model=collection.searched_model or "",
        fingerprint=index.fingerprint,
        recipes={
            "": services.recipes(collection)[Stage.INDEXED],
            **services.pipeline_recipes(collection),
        },
    )


def _published(claim: Claim, target: Target, batch: Batch) -> list[Work]:
    if not claim.documents:
        return []
    from ingestion_pipeline.stages.run import run

    return run(claim, STAGES[1:], target.tools, batch, batch.announce)


def _copies(target: Target, works: Sequence[Work]) -> Copies:
    return Copies(
        target.generation,
        {
            work.document.document_id: Copy(
                work.version,
                work.result.chunks or 0,
                work.result.tokens or 0,
                {str(stage): result for stage, result in work.result.stages.items()},
            )
            for work in works
            if work.result.published
        },
    )


def _searched_by_now(services: Services, successor: Successor) -> str | None:
    model = successor.collection.searched_model
    known = services.registry.collections.get(successor.collection.key)
    return f"searched with {model} now" if known.searched_model == model else None


def _problem(services: Services, successor: Successor) -> str | None:
    """Return what is wrong with a table that should hold all that is searched."""
    to = successor.generation
    index = services.index(successor.collection)
    differing = differences(services, index, to)
    if differing:
        services.registry.publications.doubt(to.collection_key, differing)
        return f"{len(differing)} documents are not as they were published and come once more"
    snapshot = index.snapshot()
    embedder = services.embedder(successor.collection)
    texts = snapshot.sample(SAMPLED)[:SAMPLED]
    if not texts:
        return None
    vectors = embedder.encode(texts, NoControl())
    found = [
        text in [hit.text for hit in snapshot.nearest(vector, SAMPLE_DEPTH)]
        for text, vector in zip(texts, vectors, strict=True)
    ]
    if sum(found) < LEAST_FOUND * len(found):
        return f"of {len(found)} passages, searches with this model find {sum(found)}"
    return None


def _build(services: Services, collection: Collection, successor: Successor) -> None:
    """Build of the other table what is built of the one that is searched."""
    from ingestion_pipeline.stages import graphed, summarised

    after, control = successor.collection, NoControl()
    searched = services.index(collection)
    if not SummaryIndex(searched).snapshot().empty:
        summarised.build(services.tree_inputs(after), control, _nothing)
    if not GraphIndex(searched).snapshot().empty:
        graphed.build(services.graph_inputs(after), control, _nothing)


def _nothing() -> None:
    """Check nothing: no reader sees what is built here."""
