"""Ranking passages by what they name: a walk over entities and passages.

The walk (personalised PageRank: Haveliwala 2002; over entities and passages: HippoRAG, Gutiérrez et
al. 2024) starts at the passages that a hybrid search found and at the entities that the question
names. It goes from a passage to what it names or is about, and from an entity to the passages that
are about it or name it. So it comes to passages that do not look like the question at all, but that
a passage which does refers to. That helps where documents are about things that others name; which
names are links matters far more than all the weights here, see ``benchmarks/graph_ranking.py``.

Belongs here: what a question names, the graph of passages and the walk. Does not belong here: which
names are links (``linking``), and the search that the walk begins with (``retrieval``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingestion_pipeline.graph.gazetteer import Gazetteer
from ingestion_pipeline.graph.normal_form import normal_form, without_remark
from ingestion_pipeline.model.graph import Entity, EntityType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    Masses = NDArray[np.float64]

_ABOUT = 0.75
"""How much of an entity's mass goes to passages about it, if there are any."""
_OWN = 0.5
"""Weight of what a passage is about, against 1 for what it names and nobody else does."""
_STAYS = 0.5
"""Weight of going nowhere, against the same; it keeps the mass of a passage that names nothing."""
_UNLIKE = 0.25
"""What a passage that the search did not find counts among those about an entity; the best: 1 more.

So a link to a long document leads to where the answer may be."""
_UNTITLED = 0.05
"""Worth of naming an entity that no document is about, against 1."""
_NO_NAMES = frozenset({EntityType.CONCEPT, EntityType.DATE, EntityType.QUANTITY})
"""Passages that share such have little to do with each other, unless a document is about it."""
_LOOKED_AT = 5
"""Of the passages found, to see whether links lead on."""
_OFTEN = 0.02
"""Of the passages; what more of them name tells nothing about a question, it may be any word."""
_OFTEN_AT_LEAST = 10
_SHARPNESS = 4
"""Power of a search's scores; they are close to each other, and the first few are worth most."""
_GOES_ON = 0.75
"""Rather than beginning anew."""
_STEPS = 20
"""After which 0.3 % of the mass is where it would not be in the end."""
_DECIMALS = 9
"""Beyond them, a sum depends on the order it was taken in."""


Ranking = Sequence[tuple[str, float]]
"""Ids of passages and their scores, the best first."""


@dataclass(frozen=True, slots=True, eq=False)
class PassageGraph:
    """Passages and the entities that they name or are about; made once, asked many times.

    ``passages`` and ``entities`` say where each has its place, by its id, ascending. ``up`` and
    ``stays``, (entities, passages) and (passages,), say where the mass of a passage goes: a column
    and its number add up to 1. ``named``, (passages, entities), says where that of an entity goes,
    as far as it goes to passages that name it; ``share``, (entities,), of it goes to passages about
    it, the pairs of ``about``, (pairs, 2), in parts that depend on the question. ``rare`` says
    which entities few passages name, (entities,), and ``telling`` which of these some are about.
    """

    passages: Mapping[str, int]
    entities: Mapping[str, int]
    up: csr_array
    stays: Masses
    named: csr_array
    share: Masses
    telling: NDArray[np.bool_]
    rare: NDArray[np.bool_]
    about: NDArray[np.int64]

    def leads_on(self, entity_ids: Iterable[str], found: Ranking) -> bool:
        """Return whether the question, or one of the best passages found, names a document.

        If not, a walk adds nothing to what was found, and may take from it.
        """
        columns = [self.entities[each] for each in entity_ids if each in self.entities]
        best = [self.passages[each] for each, _ in found[:_LOOKED_AT] if each in self.passages]
        named = self.named[best].indices if best else ()
        return bool(self.telling[[*columns, *named]].any())


class KnownNames:
    """All names of the entities of a collection, to be found in questions."""

    def __init__(self, entities: Iterable[Entity]) -> None:
        self._names = Gazetteer()
        self._entities: dict[str, set[str]] = {}
        named = {
            (name, entity.entity_id)
            for entity in entities
            for name in (entity.name, *entity.aliases)
        }
        for name, entity_id in sorted(named):  # the first way of writing it counts
            self._names.add(name)
            self._entities.setdefault(normal_form(without_remark(name)), set()).add(entity_id)

    def entities(self, question: str) -> list[str]:
        """Return the ids of all entities that a question may mean, ascending."""
        keys = {match.key for match in self._names.matches(question)}
        return sorted({each for key in keys for each in self._entities.get(key, ())})


def passage_graph(entities: Iterable[Entity], documents: Mapping[str, str]) -> PassageGraph:
    """Return the graph of some passages.

    Args:
        entities: Those of the collection; what they say of other passages is left out.
        documents: The document of each passage, by its chunk id.
    """
    import numpy as np
    from scipy.sparse import csr_array

    named_ones = (each for each in entities if each.titles or each.type not in _NO_NAMES)
    things = sorted(named_ones, key=lambda entity: entity.entity_id)
    passages = {chunk_id: place for place, chunk_id in enumerate(sorted(documents))}
    of_document: dict[str, list[int]] = {}
    for chunk_id, place in passages.items():
        of_document.setdefault(documents[chunk_id], []).append(place)
    about: list[tuple[int, int]] = []
    names: list[tuple[int, int]] = []
    for column, thing in enumerate(things):
        own = {place for each in thing.titles for place in of_document.get(each, ())}
        named = {passages[each] for each in thing.chunk_ids if each in passages} - own
        about += ((place, column) for place in sorted(own))
        names += ((place, column) for place in sorted(named))

    shape = (len(passages), len(things))
    abouts, pairs = (np.array(each, np.int64).reshape(-1, 2) for each in (about, names))
    naming = np.bincount(pairs[:, 1], minlength=shape[1])
    share = np.where(naming > 0, _ABOUT, 1.0)
    share[np.bincount(abouts[:, 1], minlength=shape[1]) == 0] = 0
    rare = naming <= max(_OFTEN_AT_LEAST, _OFTEN * len(passages))
    of_named = naming[pairs[:, 1]]
    worth = np.where(share > 0, 1, _UNTITLED)[pairs[:, 1]]
    weights = np.concatenate((worth / np.sqrt(of_named), np.full(len(abouts), _OWN)))
    places = np.concatenate((pairs, abouts))
    total = _STAYS + np.bincount(places[:, 0], weights, minlength=shape[0])
    return PassageGraph(
        passages=passages,
        entities={thing.entity_id: column for column, thing in enumerate(things)},
        up=csr_array((weights / total[places[:, 0]], tuple(places.T)), shape=shape).T.tocsr(),
        stays=(_STAYS / total).astype(np.float64),
        named=csr_array(((1 - share)[pairs[:, 1]] / of_named, tuple(pairs.T)), shape=shape),
        share=share,
        telling=(share > 0) & rare,
        rare=rare,
        about=abouts,
    )


def rank(
    graph: PassageGraph, entity_ids: Iterable[str], found: Ranking, limit: int
) -> list[tuple[str, float]]:
    """Return at most ``limit`` passages by how much of a walk ends at them.

    Args:
        graph: Of the collection.
        entity_ids: What the question names; with none the walk begins at passages alone.
        found: What a hybrid search found, with scores in 0..1; may hold passages that are not in
            the graph, to which no link leads.
        limit: The most passages.

    Returns:
        Passages and scores in 0..1, the best first; whether links lead to them or they were found.
    """
    import numpy as np

    best = max((score for _, score in found), default=0.0) or 1.0
    scores = {chunk_id: score / best for chunk_id, score in found}
    elsewhere = sorted(scores.keys() - graph.passages.keys())
    like = np.zeros(len(graph.passages))
    inside = scores.keys() & graph.passages.keys()
    like[[graph.passages[each] for each in inside]] = [scores[each] for each in inside]
    start, others = like**_SHARPNESS, [scores[each] ** _SHARPNESS for each in elsewhere]
    first = _named(graph, entity_ids) * (start.sum() + sum(others) or 1)

    masses = np.concatenate((_walked(graph, start, first, like), others))
    masses = np.round(masses / (masses.max(initial=0) or 1), _DECIMALS)
    order = [place for place in np.argsort(-masses, kind="stable")[:limit] if masses[place] > 0]
    ids = [*graph.passages, *elsewhere]
    return [(ids[place], float(masses[place])) for place in order]


def _named(graph: PassageGraph, entity_ids: Iterable[str]) -> Masses:
    """Return the mass, at most 1, that the walk begins with at each entity of the question."""
    import numpy as np

    masses = np.zeros(len(graph.entities))
    named = [graph.entities[each] for each in entity_ids if each in graph.entities]
    masses[named] = graph.rare[named] * np.where(graph.telling[named], 1, _UNTITLED)
    masses *= masses.max(initial=0) / (masses.sum() or 1)
    return masses


def _walked(graph: PassageGraph, start: Masses, first: Masses, like: Masses) -> Masses:
    """Return the mass of each passage at the end of the walk."""
    import numpy as np
    from scipy.sparse import csr_array

    places, columns = graph.about.T
    parts = _UNLIKE + like[places]
    parts /= np.bincount(columns, parts, minlength=len(first))[columns]
    about = csr_array((parts * graph.share[columns], (places, columns)), shape=graph.named.shape)
    down = graph.named + about
    passages, entities = start, first
    for _ in range(_STEPS):
        onwards = graph.stays * passages + down @ entities
        entities = (1 - _GOES_ON) * first + _GOES_ON * (graph.up @ passages)
        passages = (1 - _GOES_ON) * start + _GOES_ON * onwards
    return passages
