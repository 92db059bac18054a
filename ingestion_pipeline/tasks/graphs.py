"""Looking at the graph of a collection as it is, and correcting it: what checks and people do.

Belongs here: comparing the published graph with the chunks that are visible, and keeping what
people say of names. Does not belong here: building it (``stages.graphed``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.graph.communities import modularity
from ingestion_pipeline.graph.normal_form import normal_form
from ingestion_pipeline.indexing.graphs import GraphIndex, GraphSnapshot
from ingestion_pipeline.model.collections import Collection
from ingestion_pipeline.model.graph import DifferentEntities, SameEntity
from ingestion_pipeline.raptor import leaves_hash
from ingestion_pipeline.stages import graphed
from ingestion_pipeline.stages.foreseen import Estimate
from ingestion_pipeline.tasks.services import Services

LISTED = 20
"""How many documents a report names one by one."""
MOST_ORPHANS = 0.5
"""Share of entities without any relation from which on a graph says little."""
LEAST_MODULARITY = 0.3
"""From here on communities count as real (Newman & Girvan 2004)."""
FEWEST_ENTITIES = 50
"""With fewer, neither share nor modularity says anything."""


@dataclass(frozen=True)
class GraphLook:
    """A graph beside the chunks that it should be of."""

    built: bool
    entities: int
    relations: int
    uncovered: tuple[str, ...]
    """Names of documents with chunks of which no entity is known."""
    unproven: int
    """Relations that cite nothing, or a chunk that is gone."""
    orphans: int
    """Entities without any relation."""
    modularity: float

    @property
    def orphan_share(self) -> float:
        """Which part of the entities has no relation."""
        return self.orphans / self.entities if self.entities else 0.0

    @property
    def large(self) -> bool:
        """Whether there are enough entities for figures to say something."""
        return self.entities >= FEWEST_ENTITIES


def look_at_graph(services: Services, collection_key: str) -> GraphLook:
    """Compare the graph of a collection with its chunks."""
    index = services.index(services.registry.collections.get(collection_key))
    found = GraphIndex(index).snapshot()
    if found.empty:
        return GraphLook(False, 0, 0, (), 0, 0, 0.0)
    snapshot = index.snapshot()
    chunks = set(snapshot.leaf_ids())
    entities, relations = list(found.entities()), list(found.relations())
    covered = {document for entity in entities for document in entity.document_ids}
    names = snapshot.document_names()
    ends = {end for relation in relations for end in (relation.source, relation.target)}
    return GraphLook(
        built=True,
        entities=len(entities),
        relations=len(relations),
        uncovered=tuple(sorted(names[each] for each in names.keys() - covered)),
        unproven=sum(
            not relation.evidence or any(each.chunk_id not in chunks for each in relation.evidence)
            for relation in relations
        ),
        orphans=sum(entity.entity_id not in ends for entity in entities),
        modularity=modularity(found.communities(), relations),
    )


def graph_is_current(services: Services, collection_key: str) -> tuple[bool, str]:
    """Say whether the graph is of the chunks that are visible now, and in words."""
    inputs = services.graph_inputs(services.registry.collections.get(collection_key))
    origin = inputs.graphs.snapshot().origin
    if origin is None:
        return True, "no graph was built"
    if origin.leaves != leaves_hash(inputs.snapshot.leaf_ids()):
        return False, "chunks have changed since it was built: `ingest build graph` renews it"
    if origin.recipe != inputs.recipe:
        return False, "it is to be built in another way now: `ingest build graph` renews it"
    return True, "the graph is of the chunks that are visible now"


def estimate_graph(
    services: Services, collection: Collection, document_ids: Sequence[str] = ()
) -> Estimate:
    """Return what building the graph would read and ask a language model; nothing is begun."""
    inputs = services.graph_inputs(collection)
    return graphed.estimate(inputs, NoControl(), document_ids or None)


def merge_entities(services: Services, collection: Collection, one: str, other: str) -> None:
    """Keep that two names are of one entity; the next build goes by it.

    Raises:
        PermanentError: of kind ``not_found`` for a name that the graph does not have.
    """
    names = [_name(services, collection, each) for each in (one, other)]
    services.registry.corrections.add(collection.key, SameEntity(*names))


def split_entity(services: Services, collection: Collection, name: str) -> list[str]:
    """Keep that the names of an entity are of different ones; return which are parted from it.

    Raises:
        PermanentError: of kind ``not_found`` for a name that the graph does not have,
            ``invalid_option`` for an entity that has but one name.
    """
    entity = _entities(services, collection).entity(name)
    if entity is None:
        raise _unknown(name)
    own = normal_form(entity.name, entity.type)
    others = [each for each in entity.aliases if normal_form(each, entity.type) != own]
    if not others:
        raise PermanentError(
            ErrorKind.INVALID_OPTION, f"{entity.name!r} has but one name: there is nothing to split"
        )
    for other in others:
        services.registry.corrections.add(collection.key, DifferentEntities(entity.name, other))
    return others


def _name(services: Services, collection: Collection, name: str) -> str:
    entity = _entities(services, collection).entity(name)
    if entity is None:
        raise _unknown(name)
    return entity.name


def _entities(services: Services, collection: Collection) -> GraphSnapshot:
    return GraphIndex(services.index(collection)).snapshot()


def _unknown(name: str) -> PermanentError:
    return PermanentError(
        ErrorKind.NOT_FOUND, f"the graph has no entity {name!r}: see `ingest export graph`"
    )
