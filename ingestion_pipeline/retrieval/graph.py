"""Graph search: passages that those found refer to, though they do not look like the question.

Belongs here: the links of a collection, kept in memory, and the passages that they lead to. Does
not belong here: the walk along them (``graph.ranking``), publishing graphs (``indexing``), where a
search begins (``search``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

from ingestion_pipeline.graph.ranking import KnownNames, PassageGraph, passage_graph, rank
from ingestion_pipeline.indexing import CollectionIndex, GraphSnapshot, Snapshot
from ingestion_pipeline.model.search import Hit
from ingestion_pipeline.retrieval.kept import Kept
from ingestion_pipeline.retrieval.overview import Overview


@dataclass(frozen=True, eq=False)
class Links:
    """What a collection's graph says of its passages, ready for questions."""

    names: KnownNames
    passages: PassageGraph
    overview: Overview

    def lead_on(self, words: str, found: Sequence[Hit]) -> bool:
        """Whether the question, or one of the best passages found, names a document."""
        return self.passages.leads_on(self.names.entities(words), _scores(found))

    def followed(
        self,
        words: str,
        found: Sequence[Hit],
        snapshot: Snapshot,
        most: int,
        where: str | None = None,
    ) -> list[Hit]:
        """Return passages that were found and those that links lead to, the best first.

        Args:
            words: The question.
            found: By a search, best first, with scores in 0..1; all of them are kept.
            snapshot: What the search was of. Passages that are no longer in it are left out.
            most: Passages that were not found are looked up if they are among so many best ones.
            where: What is asked of these, in trusted SQL; links lead through others all the same.
        """
        entities = self.names.entities(words)
        ranking = dict(rank(self.passages, entities, _scores(found), most + len(found)))
        hits = {hit.chunk_id: hit for hit in found}
        others = [chunk_id for chunk_id in islice(ranking, most) if chunk_id not in hits]
        hits |= snapshot.hits(others, where)
        # What the walk hardly touched stays in its order, at the end.
        order = [each for each in {**ranking, **hits} if each in hits]
        return [hits[each].model_copy(update={"score": ranking.get(each, 0.0)}) for each in order]


def links(index: CollectionIndex, graph: GraphSnapshot, snapshot: Snapshot) -> Links | None:
    """Return the links of a collection, None if it has no graph.

    They are read when the graph was published anew, not for each question. Passages that were
    indexed since then, to which no link leads, are not looked for.
    """
    return None if graph.empty else _kept.of(index, graph.version, partial(_read, graph, snapshot))


_kept: Kept[Links] = Kept()


def _read(graph: GraphSnapshot, snapshot: Snapshot) -> Links:
    entities = list(graph.entities())
    return Links(
        KnownNames(entities),
        passage_graph(entities, snapshot.document_of_chunks()),
        Overview(graph.communities(), graph.reports()),
    )


def _scores(hits: Sequence[Hit]) -> list[tuple[str, float]]:
    return [(hit.chunk_id, hit.score) for hit in hits]
