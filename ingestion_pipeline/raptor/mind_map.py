"""Mind maps: what a document or a collection is about, as a tree of titles over chunks.

Belongs here: making maps from headings, contents and trees of summaries, and keeping them to a size
that can be looked at. Does not belong here: the forms in which they leave (``exports``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.enrichment import TocEntry
from ingestion_pipeline.model.summaries import Summary
from ingestion_pipeline.raptor.outline import DEEPEST

BROADEST = 40
"""Most children of a node in a map of default size."""
DEEPEST_MAP = 6
"""Most nodes in a line from the root in a map of default size."""
_WORD = re.compile(r"[^\W_]+")
_FEWEST_HEADINGS = 2
"""Fewer say no more than the title of the document."""


@dataclass(frozen=True, slots=True)
class MindMap:
    """A node with all that is below it.

    ``chunk_ids`` are the chunks that belong to it and to no node below, in the order of the
    documents. ``document_id`` is None where it is about several documents.
    """

    title: str
    document_id: str | None
    chunk_ids: tuple[str, ...] = ()
    children: tuple[MindMap, ...] = ()


@dataclass(slots=True)
class _Draft:
    """A node whose children are still being found."""

    title: str
    chunk_ids: list[str] = field(default_factory=list)
    children: list[_Draft] = field(default_factory=list)

    def finished(self, document_id: str) -> MindMap:
        children = tuple(child.finished(document_id) for child in self.children)
        return MindMap(self.title, document_id, tuple(self.chunk_ids), children)


def of_document(
    document_id: str,
    title: str,
    chunks: Sequence[Chunk],
    contents: Sequence[TocEntry] = (),
    summaries: Sequence[Summary] = (),
) -> MindMap:
    """Return the map of one document.

    Args:
        document_id: The document.
        title: What it is called.
        chunks: All its chunks, in their order.
        contents: Its table of contents, if one was made: it has every heading, while chunks know
            only those above their beginning.
        summaries: Its tree, if one was built; its titles serve where there are no headings.

    Returns:
        A map in which every chunk is at one node or more.
    """
    if not has_outline(chunks, contents):
        draft = _of_summaries(title, chunks, summaries)
    elif len(contents) >= _FEWEST_HEADINGS:
        draft = _of_contents(title, chunks, contents)
    else:
        draft = _of_headings(title, chunks)
    if len(draft.children) == 1 and _words(draft.children[0].title) in _called(title):
        (child,) = draft.children  # the first heading of a document often is its title
        draft = _Draft(title, draft.chunk_ids + child.chunk_ids, child.children)
    return draft.finished(document_id)


def has_outline(chunks: Sequence[Chunk], contents: Sequence[TocEntry] = ()) -> bool:
    """Whether the map of a document shows its headings, and not its tree."""
    paths = {chunk.heading_path for chunk in chunks if chunk.heading_path}
    return max(len(contents), len(paths)) >= _FEWEST_HEADINGS


def _called(title: str) -> tuple[list[str], list[str]]:
    """Return the words of a title; it may be the name of a file."""
    return _words(title), _words(PurePosixPath(title).stem)


def _words(title: str) -> list[str]:
    return _WORD.findall(title.casefold())


def _of_contents(title: str, chunks: Sequence[Chunk], contents: Sequence[TocEntry]) -> _Draft:
    listed = {chunk_id for entry in contents for chunk_id in entry.chunk_ids}
    root = _Draft(title, [each.chunk_id for each in chunks if each.chunk_id not in listed])
    open_nodes = [(0, root)]
    for entry in contents:
        while open_nodes[-1][0] >= max(entry.level, 1):
            open_nodes.pop()
        node = _Draft(entry.title, list(entry.chunk_ids))
        open_nodes[-1][1].children.append(node)
        open_nodes.append((entry.level, node))
    return root


def _of_headings(title: str, chunks: Sequence[Chunk]) -> _Draft:
    root = _Draft(title)
    open_nodes = [root]
    for chunk in chunks:
        path = chunk.heading_path[:DEEPEST]
        shared = 0
        for node, heading in zip(open_nodes[1:], path, strict=False):
            if node.title != heading:
                break
            shared += 1
        del open_nodes[shared + 1 :]
        for heading in path[shared:]:
            node = _Draft(heading)
            open_nodes[-1].children.append(node)
            open_nodes.append(node)
        open_nodes[-1].chunk_ids.append(chunk.chunk_id)
    return root


def _of_summaries(title: str, chunks: Sequence[Chunk], summaries: Sequence[Summary]) -> _Draft:
    """Return the tree; its root is the document, which has a title of its own."""
    drafts: dict[str, _Draft] = {}
    rest = {chunk.chunk_id: None for chunk in chunks}
    tops: dict[str, None] = {}
    for summary in sorted(summaries, key=lambda each: each.layer):
        below = [drafts[child] for child in summary.children if child in drafts]
        own = [child for child in summary.children if child not in drafts]
        drafts[summary.summary_id] = _Draft(summary.title, own, below)
        for child in summary.children:
            tops.pop(child, None)
            rest.pop(child, None)
        tops[summary.summary_id] = None
    roots = [drafts[top] for top in tops]
    if len(roots) == 1 and roots[0].children:
        return _Draft(title, [*rest, *roots[0].chunk_ids], roots[0].children)
    return _Draft(title, list(rest), roots)


def of_collection(
    title: str, documents: Sequence[MindMap], summaries: Iterable[Summary] = ()
) -> MindMap:
    """Return the map of a collection.

    Args:
        title: What it is called.
        documents: The maps of its documents, unbounded, in their order.
        summaries: The summaries across documents, if there are any.

    Returns:
        Where there are such summaries, their titles, and below them of the documents they draw on
        what is about the chunks in question; else the documents with their own maps.
    """
    across = {summary.summary_id: summary for summary in summaries}
    if not across:
        return MindMap(title, None, (), tuple(documents))
    of_chunk = {
        chunk_id: document for document in documents for chunk_id in all_chunk_ids(document)
    }
    tops = dict.fromkeys(across)
    for summary in across.values():
        for child in summary.children:
            tops.pop(child, None)
    themes = _themes(list(tops), across, of_chunk, set())
    if len(themes) == 1:
        return replace(themes[0], title=title)
    return MindMap(title, None, (), tuple(themes))


def _themes(
    ids: Sequence[str],
    across: Mapping[str, Summary],
    of_chunk: Mapping[str, MindMap],
    placed: set[str],
) -> list[MindMap]:
    """Return the summaries of these ids; one that is below two others is shown once."""
    themes = []
    for summary in (across[each] for each in ids if each not in placed):
        placed.add(summary.summary_id)
        below = [child for child in summary.children if child in across]
        covered = {chunk_id for child in below for chunk_id in across[child].chunk_ids}
        own = [chunk_id for chunk_id in summary.chunk_ids if chunk_id not in covered]
        children = (*_themes(below, across, of_chunk, placed), *_documents(own, of_chunk))
        if children:
            themes.append(MindMap(summary.title, None, (), children))
    return themes


def _documents(chunk_ids: Sequence[str], of_chunk: Mapping[str, MindMap]) -> Iterator[MindMap]:
    found: dict[str | None, list[str]] = {}
    for chunk_id in chunk_ids:
        if chunk_id in of_chunk:
            found.setdefault(of_chunk[chunk_id].document_id, []).append(chunk_id)
    for own in found.values():
        yield _part(of_chunk[own[0]], set(own))


def _part(mind_map: MindMap, wanted: AbstractSet[str]) -> MindMap:
    """Return what of a map is about some chunks."""
    own = tuple(chunk_id for chunk_id in mind_map.chunk_ids if chunk_id in wanted)
    parts = [_part(child, wanted) for child in mind_map.children]
    below = tuple(part for part in parts if part.chunk_ids or part.children)
    return replace(mind_map, chunk_ids=own, children=below)


def all_chunk_ids(mind_map: MindMap) -> tuple[str, ...]:
    """Return the chunks of a node and of all below, each once."""
    return tuple(dict.fromkeys(chunk_id for node in nodes(mind_map) for chunk_id in node.chunk_ids))


def nodes(mind_map: MindMap) -> Iterator[MindMap]:
    """Yield a node and all below it, from the top, each before those beside it."""
    waiting = [mind_map]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def bounded(mind_map: MindMap, broadest: int = BROADEST, deepest: int = DEEPEST_MAP) -> MindMap:
    """Return a map with at most ``broadest`` children per node and ``deepest`` nodes in a line.

    Nodes that are left out are counted in one that takes their place and has their chunks; where
    they were too deep, it stands below the deepest.
    """
    children = mind_map.children
    most = broadest if deepest > 1 else 0
    room = most if len(children) <= most else max(most - 1, 0)
    shown = [bounded(child, broadest, deepest - 1) for child in children[:room]]
    if children[room:]:
        shown.append(_more(mind_map.document_id, children[room:]))
    return replace(mind_map, children=tuple(shown))


def _more(document_id: str | None, left_out: Sequence[MindMap]) -> MindMap:
    count = sum(1 for each in left_out for _ in nodes(each))
    chunk_ids = dict.fromkeys(chunk_id for each in left_out for chunk_id in all_chunk_ids(each))
    return MindMap(f"… {count:,} more", document_id, tuple(chunk_ids))
