"""Trees of summaries, built from nothing and from the build before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.summaries import Citation, SummaryMethod, summary_id
from ingestion_pipeline.raptor.outline import MOST
from ingestion_pipeline.raptor.tree import (
    CITATIONS_EACH,
    MOST_LAYERS,
    Material,
    Node,
    Source,
    Tools,
    Unit,
    collection_layers,
    document_tree,
    doubts,
    leaves_hash,
    leaves_of,
)
from ingestion_pipeline.summarising.text import Written
from ingestion_pipeline_tests.raptor.trees import chunk, chunks_under, subjects

RECIPE = "as the tests do it"
DIMENSION = 8


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Give each text a vector that depends on nothing but the text."""
    digests = [hashlib.sha256(text.encode()).digest()[:DIMENSION] for text in texts]
    return np.array([list(digest) for digest in digests], np.float32) - 127.5


@dataclass
class Workshop:
    """Tools that count what they are used for."""

    written: list[Material] = field(default_factory=list)
    made: list[Node] = field(default_factory=list)

    def tools(self, nodes: Iterable[Node] = (), **changes: Any) -> Tools:
        tools = Tools(
            recipe=RECIPE,
            make=self._make,
            titles=lambda groups: [f"{len(groups)}: {' '.join(group)}"[:40] for group in groups],
            control=NoControl(),
            memo={node.id: node for node in nodes},
            made=self.made.append,
        )
        return replace(tools, **changes)

    def _make(self, materials: Iterable[Material]) -> Iterator[tuple[Written, NDArray[np.float32]]]:
        for material in materials:
            self.written.append(material)
            text = hashlib.sha256("".join(material.texts).encode() + material.vectors.tobytes())
            cited = [Citation(each.chunk_id, 0, len(each.text)) for each in material.chunks[::2]]
            written = Written(text.hexdigest(), 9, tuple(cited), SummaryMethod.EXTRACTIVE)
            yield written, embed([written.text])[0]


def by_first_number(vectors: NDArray[np.float32]) -> list[tuple[int, ...]]:
    """Group by the sign of two numbers of a vector; what is near a border is in two groups."""
    if len(vectors) <= 3:
        return [tuple(range(len(vectors)))]
    groups: dict[tuple[bool, bool], set[int]] = {}
    for place, (one, other) in enumerate(vectors[:, :2].tolist()):
        groups.setdefault((one > 0, other > 0), set()).add(place)
        if abs(one) < 20:
            groups.setdefault((one <= 0, other > 0), set()).add(place)
    if len(groups) >= len(vectors):
        return [tuple(range(len(vectors)))]
    return sorted(tuple(sorted(group)) for group in groups.values())


def as_bytes(nodes: Sequence[Node]) -> list[tuple[object, bytes, str]]:
    return [(node.summary, node.vector.tobytes(), node.inputs) for node in nodes]


def document(count: int = 30) -> tuple[list[Chunk], NDArray[np.float32]]:
    chunks = chunks_under([("Book", part, str(n)) for part in "ABC" for n in range(count // 3)], 3)
    return chunks, embed([each.text for each in chunks])


@pytest.mark.parametrize("count", [0, 1])
def test_a_document_of_one_chunk_has_no_tree(count: int) -> None:
    chunks = chunks_under([()] * count)

    assert document_tree(chunks, embed(["x"] * count), Workshop().tools()) == []


def test_a_tree_has_every_chunk_once_in_each_layer_and_one_root() -> None:
    chunks, vectors = document()
    nodes = document_tree(chunks, vectors, Workshop().tools())

    ids = tuple(each.chunk_id for each in chunks)
    layers = {node.layer for node in nodes}
    for layer in layers:
        below = [each for node in nodes if node.layer == layer for each in node.chunk_ids]
        assert tuple(below) == ids
    assert [node.chunk_ids for node in nodes if node.layer == max(layers)] == [ids]
    assert layers == set(range(1, max(layers) + 1))


def test_ids_come_from_the_document_the_recipe_and_the_children() -> None:
    chunks, vectors = document()
    tree = document_tree(chunks, vectors, Workshop().tools())

    for node in tree:
        assert node.id == summary_id("d", RECIPE, node.summary.children)
    known = {each.chunk_id for each in chunks}
    for node in tree:
        assert known.issuperset(node.summary.children)
        known.add(node.id)


def test_a_heading_is_the_title_and_what_has_none_is_told_from_its_siblings() -> None:
    chunks, vectors = document(9)
    with_headings = [
        node.summary.title for node in document_tree(chunks, vectors, Workshop().tools())
    ]
    plain = [replace(each, heading_path=()) for each in chunks]
    without = document_tree(plain, subjects(3, 9), Workshop().tools())

    assert with_headings == [*"012012012", "A", "B", "C", "Book"]
    assert [node.summary.title[:2] for node in without] == ["3:", "3:", "3:", "1:"]


def test_each_new_node_is_told_as_soon_as_it_is_made() -> None:
    workshop = Workshop()
    tree = document_tree(*document(), workshop.tools())

    assert [node.id for node in workshop.made] == [node.id for node in tree]


def test_upper_summaries_are_written_from_the_chunks_that_the_lower_ones_cite() -> None:
    workshop = Workshop()
    tree = document_tree(*document(), workshop.tools())

    cited = {each.chunk_id for node in tree if node.layer == 1 for each in node.summary.citations}
    for material in workshop.written:
        ids = [each.chunk_id for each in material.chunks]
        assert ids == list(dict.fromkeys(each.chunk_id for each in material.citations))
        assert len(ids) == len(material.vectors)
        if material.layer > 1:
            assert cited.issuperset(ids)


def test_what_a_summary_is_written_from_is_bounded() -> None:
    chunks = chunks_under([()] * 600)
    workshop = Workshop()

    def make(materials: Iterable[Material]) -> Iterator[tuple[Written, NDArray[np.float32]]]:
        for material in materials:
            workshop.written.append(material)
            written = Written("All of it.", 5, material.citations, SummaryMethod.ABSTRACTIVE)
            yield written, embed([written.text])[0]

    tools = workshop.tools(make=make)
    document_tree(chunks, embed([each.text for each in chunks]), tools)

    assert max(len(material.chunks) for material in workshop.written) <= MOST * CITATIONS_EACH
    (root,) = (each for each in workshop.written if each.layer == 4)
    assert root.chunks[0].ordinal < 60
    assert root.chunks[-1].ordinal > 540


def test_summaries_that_cite_nothing_are_written_from_a_chunk_too() -> None:
    chunks, vectors = document()
    workshop = Workshop()

    def make(materials: Iterable[Material]) -> Iterator[tuple[Written, NDArray[np.float32]]]:
        for material in materials:
            workshop.written.append(material)
            yield Written("", 2, (), SummaryMethod.EXTRACTIVE), embed([""])[0]

    document_tree(chunks, vectors, workshop.tools(make=make))

    assert [each.ordinal for each in workshop.written[-1].chunks] == [0]


def test_a_tree_that_is_known_is_not_made_again() -> None:
    before = document_tree(*document(), Workshop().tools())
    workshop = Workshop()

    again = document_tree(*document(), workshop.tools(before))

    assert as_bytes(again) == as_bytes(before)
    assert workshop.written == []


def test_titles_are_found_again_only_where_something_is_new() -> None:
    chunks, vectors = document(9)
    plain = [replace(each, heading_path=()) for each in chunks]
    asked: list[int] = []

    def titles(groups: Sequence[Sequence[str]]) -> list[str]:
        asked.append(len(groups))
        return ["Title"] * len(groups)

    before = document_tree(plain, vectors, Workshop().tools(titles=titles))
    asked.clear()
    document_tree(plain, vectors, Workshop().tools(before, titles=titles))
    assert asked == []
    untitled = [replace(before[0], summary=replace(before[0].summary, title="")), *before[1:]]
    document_tree(plain, vectors, Workshop().tools(untitled, titles=titles))
    assert sum(asked) == len(before)
    vectors[0] += 1
    document_tree(plain, vectors, Workshop().tools(before, titles=titles))
    assert sum(asked) == 2 * len(before)


def test_what_depends_on_a_vector_that_changed_is_made_again() -> None:
    chunks, vectors = document()
    before = document_tree(chunks, vectors, Workshop().tools())
    vectors[4] += 1
    workshop = Workshop()

    after = document_tree(chunks, vectors, workshop.tools(before))

    assert [node.id for node in after] == [node.id for node in before]
    assert as_bytes(after) == as_bytes(document_tree(chunks, vectors, Workshop().tools()))
    changed = [node for node in after if chunks[4].chunk_id in node.chunk_ids]
    assert len(workshop.written) == len(changed) < len(after)


def test_another_recipe_makes_everything_again() -> None:
    before = document_tree(*document(), Workshop().tools())
    workshop = Workshop()

    after = document_tree(*document(), workshop.tools(before, recipe="another"))

    assert len(workshop.written) == len(after)
    assert not {node.id for node in after} & {node.id for node in before}


class StopsAfter(NoControl):
    def __init__(self, checks: int) -> None:
        self._left = checks

    def check(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise LeaseLostError


def test_a_build_that_is_stopped_goes_on_from_the_last_node_it_made() -> None:
    clean = Workshop()
    whole = document_tree(*document(), clean.tools())
    stopped = Workshop()
    with pytest.raises(LeaseLostError):
        document_tree(*document(), stopped.tools(control=StopsAfter(len(clean.written))))

    resumed = Workshop()
    after = document_tree(*document(), resumed.tools(stopped.made))

    assert 0 < len(stopped.made) < len(whole)
    assert as_bytes(after) == as_bytes(whole)
    assert len(resumed.written) == len(whole) - len(stopped.made)


def test_a_build_can_be_stopped_between_any_two_nodes() -> None:
    workshop = Workshop()
    for checks in range(10):
        workshop.written.clear()
        with pytest.raises(LeaseLostError):
            document_tree(*document(), workshop.tools(control=StopsAfter(checks)))
        assert len(workshop.written) <= checks


Passages = Mapping[str, Sequence[str]]
"""What the documents of a collection say, by their ids."""


def built(collection: Passages, tools: Tools, limit: int = MOST_LAYERS) -> list[Node]:
    """Build the trees of some documents and the layers across them."""
    nodes: list[Node] = []
    leaves: dict[str, Sequence[Unit]] = {}
    sources: dict[str, Source] = {}
    for document_id, texts in collection.items():
        chunks = [chunk(document_id, ordinal, text) for ordinal, text in enumerate(texts)]
        vectors = embed(texts)
        tree = document_tree(chunks, vectors, tools)
        own = [Source(*pair) for pair in zip(chunks, vectors, strict=True)]
        leaves[document_id] = leaves_of(own, tree)
        sources |= {source.id: source for source in own}
        nodes += tree
    return nodes + collection_layers(leaves, sources, by_first_number, tools)


TEXTS = st.lists(st.integers(0, 400).map(lambda n: f"Passage {n}."), max_size=24, unique=True)
CHANGES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | TEXTS), max_size=8)


@settings(max_examples=40, deadline=None)
@given(CHANGES, st.randoms(use_true_random=False))
def test_any_changes_one_after_the_other_come_to_the_same_as_a_build_from_nothing(
    changes: list[tuple[str, list[str] | None]], random: Any
) -> None:
    collection: dict[str, list[str]] = {}
    nodes: list[Node] = []
    for document_id, texts in changes:
        if texts is None:
            collection.pop(document_id, None)
        else:
            collection[document_id] = texts
        known = {node.id: node.inputs for node in nodes}
        workshop = Workshop()
        nodes = built(collection, workshop.tools(nodes))
        new = [node for node in nodes if known.get(node.id) != node.inputs]
        assert sorted(each.id for each in workshop.made) == sorted(each.id for each in new)

    shuffled = list(collection.items())
    random.shuffle(shuffled)
    clean = built(dict(shuffled), Workshop().tools())
    assert sorted(as_bytes(nodes), key=repr) == sorted(as_bytes(clean), key=repr)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdefghijkl"), TEXTS, min_size=2))
def test_across_documents_every_chunk_is_below_a_summary(collection: dict[str, list[str]]) -> None:
    nodes = built(collection, Workshop().tools())
    chunks = [chunk(name, 0, text) for name, texts in collection.items() for text in texts]
    across = [node.summary for node in nodes if node.summary.document_id is None]

    if across:
        assert doubts(across, chunks, every=True).uncovered == ()
    assert doubts([node.summary for node in nodes], chunks, every=len(chunks) > 1).dangling == ()
    assert len({node.id for node in nodes}) == len(nodes)
    assert all(len(node.summary.children) > 1 for node in nodes)


def test_a_new_document_leaves_the_clusters_it_does_not_touch_alone() -> None:
    collection = {f"{n:03}": [f"Passage {n} {m}." for m in range(6)] for n in range(40)}
    before = built(collection, Workshop().tools())
    workshop = Workshop()

    after = built(collection | {"new": ["Something else altogether."]}, workshop.tools(before))

    kept = {node.id for node in before} & {node.id for node in after}
    assert len(workshop.written) == len(after) - len(kept) < len(after) / 10


def test_groups_that_do_not_shrink_are_one() -> None:
    sources = [Source(chunk(name, 0, name), embed([name])[0]) for name in "abcde"]
    leaves = {source.chunk.document_id: [source] for source in sources}

    (node,) = collection_layers(
        leaves,
        {source.id: source for source in sources},
        lambda vectors: [(n,) for n in range(len(vectors))],
        Workshop().tools(),
    )

    assert node.summary.children == tuple(source.id for source in sources)


def test_layers_across_documents_end_even_where_groups_hardly_shrink() -> None:
    sources = [Source(chunk(f"{n:02}", 0, f"{n}"), embed([f"{n}"])[0]) for n in range(20)]

    nodes = collection_layers(
        {source.chunk.document_id: [source] for source in sources},
        {source.id: source for source in sources},
        lambda vectors: [(0, 1), *((n,) for n in range(2, len(vectors)))],
        Workshop().tools(),
    )

    assert len(nodes) == MOST_LAYERS


def test_one_leaf_needs_no_summary_across_documents() -> None:
    source = Source(chunk("d", 0, "alone"), embed(["alone"])[0])

    assert collection_layers({"d": [source]}, {}, by_first_number, Workshop().tools()) == []


def test_chunks_under_no_summary_and_citations_of_nothing_are_found() -> None:
    chunks, vectors = document(9)
    lone = chunk("lone", 0, "By itself.")
    summaries = [node.summary for node in document_tree(chunks, vectors, Workshop().tools())]
    short = [summary for summary in summaries if summary.layer == 1][1:]
    wrong = [Citation("nobody", 0, 1), Citation(chunks[9].chunk_id, 0, 10_000)]
    bad = replace(short[0], citations=(*short[0].citations, *wrong))

    assert doubts(summaries, [*chunks, lone], every=False) == doubts([], [], every=True)
    assert doubts(summaries, [*chunks, lone], every=True).uncovered == (lone.chunk_id,)
    found = doubts([bad, *short[1:]], chunks, every=False)
    assert found.uncovered == tuple(each.chunk_id for each in chunks[:3])
    assert found.dangling == tuple(wrong)


def test_the_hash_of_leaves_tells_other_leaves_but_not_another_order() -> None:
    assert leaves_hash(["a", "b"]) == leaves_hash(iter(["b", "a"]))
    assert len({leaves_hash(ids) for ids in ([], ["a"], ["a", "b"], ["ab"])}) == 4
