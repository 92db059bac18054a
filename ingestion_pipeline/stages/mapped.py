"""Mind maps: of a document whenever it is asked for, and of a collection, which is stored.

Reads the chunks that are indexed and the summaries that are published. Headings come first, titles
of summaries where there are none; without a tree, passages are grouped as a tree would, and get
titles only. The map of many documents shows what they are about together: the summaries across
documents or, without these, groups of documents that are alike.

Belongs here: what maps are drawn from, and storing them. Does not belong here: the maps themselves
and the forms in which they leave (``raptor``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing import Snapshot
from ingestion_pipeline.indexing.summaries import SummarySnapshot
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.enrichment import TocEntry
from ingestion_pipeline.model.summaries import Summary, SummaryMethod
from ingestion_pipeline.raptor import (
    Material,
    MindMap,
    MindMapFormat,
    Source,
    Tools,
    bounded,
    clusters,
    collection_layers,
    document_tree,
    exported,
    leaves_hash,
    of_collection,
    of_document,
)
from ingestion_pipeline.raptor.mind_map import (
    BROADEST,
    DEEPEST_MAP,
    all_chunk_ids,
    has_outline,
    nodes,
)
from ingestion_pipeline.stages.recipes import map_recipe
from ingestion_pipeline.stages.wording import sibling_titles
from ingestion_pipeline.storage.artifacts import ArtifactStore
from ingestion_pipeline.summarising.text import Written

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

logger = logging.getLogger(__name__)

MOST_NODES = 2000
"""Of a map; pages with more are slow to look at."""
MOST_PASSAGES = 2000
"""Whose texts a page holds; one with more shows their ids."""
_TITLED_CHARACTERS = 4000
"""Of the texts below a group, that its title is made of."""
_SEED = 0


def _no_contents(_document_id: str, _chunks: Sequence[Chunk]) -> Sequence[TocEntry]:
    """No table of contents is known."""
    return ()


@dataclass(frozen=True)
class MapInputs:
    """What maps are drawn from; ``contents`` gives the headings of a document with some chunks."""

    snapshot: Snapshot
    summaries: SummarySnapshot
    contents: Callable[[str, Sequence[Chunk]], Sequence[TocEntry]] = _no_contents

    @property
    def recipe(self) -> str:
        """What a drawn map has; with another one, a map is not current."""
        return map_recipe(self.summaries.origin)


@dataclass(frozen=True)
class DrawnMap:
    """The map of a collection, and what it was drawn from: a hash of all chunk ids, a recipe."""

    mind_map: MindMap
    leaves: str
    recipe: str


_DRAWN = TypeAdapter(DrawnMap)


def draw(inputs: MapInputs, title: str, control: Control) -> DrawnMap:
    """Draw the map of a collection, of at most ``MOST_NODES`` nodes.

    Raises:
        StopWorkError: as ``control`` does.
        TransientError: if the storage or the process that clusters fails.
    """
    ids = inputs.snapshot.document_ids()
    names = inputs.snapshot.document_names()
    found = _Summaries.read(inputs.summaries, control)
    if len(ids) <= BROADEST:
        maps = [
            _of_document(inputs, document_id, names[document_id], chunks, vectors, control)
            for document_id, chunks, vectors in inputs.snapshot.sources(ids)
        ]
        across = found.across
    else:
        maps, sources = [], []
        for document_id, chunks, vectors in inputs.snapshot.sources(ids):
            control.check()
            chunk_ids = tuple(chunk.chunk_id for chunk in chunks)
            maps.append(MindMap(names[document_id], document_id, chunk_ids))
            if not found.across:
                text = found.texts.get(document_id, chunks[0].text)
                sources.append(Source(replace(chunks[0], text=text), vectors.mean(axis=0)))
        across = found.across or _alike(sources, control)
    whole = of_collection(title, maps, across)
    return DrawnMap(_small(whole), leaves_hash(inputs.snapshot.leaf_ids()), inputs.recipe)


def draw_document(inputs: MapInputs, document_id: str, control: Control) -> MindMap:
    """Draw the map of one document, of at most ``MOST_NODES`` nodes.

    Raises:
        PermanentError: ``not_found`` if nothing of it is indexed.
        StopWorkError: as ``control`` does.
    """
    for _, chunks, vectors in inputs.snapshot.sources([document_id]):
        name = inputs.snapshot.document_names()[document_id]
        return _small(_of_document(inputs, document_id, name, chunks, vectors, control))
    raise PermanentError(
        ErrorKind.NOT_FOUND, f"the document {document_id} has no chunks in the index: ingest it"
    )


def store(artifacts: ArtifactStore, collection: CollectionName, drawn: DrawnMap) -> None:
    """Store the map of a collection, in place of the one before."""
    artifacts.put_map(collection, _DRAWN.dump_json(drawn))


def load(artifacts: ArtifactStore, collection: CollectionName) -> DrawnMap | None:
    """Return the stored map of a collection; None if there is none that can be read."""
    data = artifacts.get_map(collection)
    try:
        return None if data is None else _DRAWN.validate_json(data)
    except ValueError as error:
        logger.warning("the mind map of %s cannot be read: %s", collection.key, error)
        return None


def export(mind_map: MindMap, form: MindMapFormat, snapshot: Snapshot) -> str:
    """Return a map in a form; a page shows the passages too, unless there are very many."""
    texts: dict[str, str] = {}
    if form is MindMapFormat.HTML:
        chunk_ids = all_chunk_ids(mind_map)
        if len(chunk_ids) <= MOST_PASSAGES:
            hits = snapshot.hits(chunk_ids)
            texts = {chunk_id: hit.text for chunk_id, hit in hits.items()}
    return exported(mind_map, form, texts)


@dataclass(frozen=True)
class _Summaries:
    """What a collection's map needs of its tree."""

    across: Sequence[Summary]
    """With all chunks below each, which are not stored."""
    texts: dict[str, str]
    """What the summary of each document says."""

    @classmethod
    def read(cls, summaries: SummarySnapshot, control: Control) -> _Summaries:
        below: dict[str, tuple[str, ...]] = {}
        across: list[Summary] = []
        texts: dict[str, str] = {}
        for summary in (each.summary for each in summaries.all()):
            control.check()
            if summary.document_id is None:
                found = chain.from_iterable(below.get(each, (each,)) for each in summary.children)
                ids = below[summary.summary_id] = tuple(dict.fromkeys(found))
                across.append(replace(summary, chunk_ids=ids))
            else:
                texts[summary.document_id] = summary.text
                if summary.layer == 1:
                    below[summary.summary_id] = summary.chunk_ids
        return cls(across, texts)


def _of_document(
    inputs: MapInputs,
    document_id: str,
    name: str,
    chunks: Sequence[Chunk],
    vectors: Vectors,
    control: Control,
) -> MindMap:
    control.check()
    contents = inputs.contents(document_id, chunks)
    summaries: list[Summary] = []
    if not has_outline(chunks, contents):
        summaries = [each.summary for each in inputs.summaries.of_document(document_id)]
        if not summaries or set(summaries[-1].chunk_ids) != {each.chunk_id for each in chunks}:
            tree = document_tree(chunks, vectors, _titles_only(control))
            summaries = [node.summary for node in tree]
    return of_document(document_id, name, chunks, contents, summaries)


def _alike(sources: Sequence[Source], control: Control) -> list[Summary]:
    """Return groups of documents, and groups of groups, as summaries with no more than titles.

    A document is the source with its first chunk's id.
    """
    layers = collection_layers(
        {source.chunk.document_id: (source,) for source in sources},
        {source.id: source for source in sources},
        lambda vectors: clusters.next_layer(vectors, _SEED, control),
        _titles_only(control),
    )
    return [node.summary for node in layers]


def _titles_only(control: Control) -> Tools:
    """Return tools for a tree of which nobody reads the summaries."""
    return Tools(
        recipe="titles only",
        make=_unwritten,
        titles=partial(sibling_titles, control=control),
        control=control,
    )


def _unwritten(materials: Iterable[Material]) -> Iterator[tuple[Written, Vectors]]:
    for material in materials:
        share = max(1, _TITLED_CHARACTERS // len(material.texts))
        text = "\n\n".join(text[:share] for text in material.texts)
        written = Written(text, 0, material.citations, SummaryMethod.EXTRACTIVE)
        yield written, material.vectors.mean(axis=0)


def _small(mind_map: MindMap) -> MindMap:
    """Return the map without its lowest levels, as long as it has too many nodes."""
    for deepest in range(DEEPEST_MAP, 1, -1):
        shown = bounded(mind_map, BROADEST, deepest)
        if sum(1 for _ in nodes(shown)) <= MOST_NODES:
            break
    return shown
