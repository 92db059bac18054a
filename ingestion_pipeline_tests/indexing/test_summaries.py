from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import ErrorKind, LeaseLostError, PermanentError, TransientError
from ingestion_pipeline.indexing import (
    CollectionIndex,
    Counts,
    IndexedSummary,
    Origin,
    SummaryIndex,
    drop_collection,
    maintenance,
    purge_collection,
)
from ingestion_pipeline.indexing.maintenance import SMALL_FRAGMENTS
from ingestion_pipeline.indexing.rows import READ_AT_ONCE
from ingestion_pipeline.model.summaries import Citation, Summary, SummaryMethod
from ingestion_pipeline_tests.indexing.samples import DIMENSION, WordEncoder, document

ORIGIN = Origin(leaves="leaves", recipe="recipe")


def summary(
    name: str,
    document_id: str | None,
    children: Sequence[str],
    *,
    layer: int = 1,
    documents: Sequence[str] = (),
    text: str = "travel is approved",
    inputs: str = "inputs",
) -> IndexedSummary:
    made = Summary(
        summary_id=name,
        document_id=document_id,
        layer=layer,
        title=f"title of {name}",
        text=text,
        tokens=5,
        method=SummaryMethod.EXTRACTIVE,
        children=tuple(children),
        chunk_ids=(),
        citations=tuple(Citation(child, 0, 3) for child in children),
    )
    (vector,) = WordEncoder().encode([text], NoControl())
    return IndexedSummary(made, vector, inputs, tuple(documents or [str(document_id)]))


def tree(document_id: str, chunks: int = 4) -> list[IndexedSummary]:
    """Return the tree of a document: pairs of chunks, and a root."""
    chunk_ids = [f"{document_id}-{number}" for number in range(chunks)]
    pairs = [
        summary(f"{document_id}+{start}", document_id, chunk_ids[start : start + 2])
        for start in range(0, chunks, 2)
    ]
    below = [pair.summary.summary_id for pair in pairs]
    return [*pairs, summary(f"{document_id}+root", document_id, below, layer=2)]


def across(name: str, *documents: str, layer: int = 1) -> IndexedSummary:
    children = [f"{document_id}+0" for document_id in documents]
    return summary(name, None, children, layer=layer, documents=documents)


def nothing() -> None:
    pass


def publish(index: CollectionIndex, summaries: Sequence[IndexedSummary]) -> int:
    return SummaryIndex(index).publish(summaries, ORIGIN, DIMENSION, nothing)


def ids(summaries: Sequence[IndexedSummary] | Iterator[IndexedSummary]) -> list[str]:
    return [each.summary.summary_id for each in summaries]


def test_a_collection_without_a_tree_is_empty(index: CollectionIndex) -> None:
    summaries = SummaryIndex(index)
    found = summaries.snapshot()
    assert found.empty
    assert found.origin is None
    assert found.count() == 0
    assert list(found.all()) == found.of_document("a") == []
    assert found.nearest(np.ones(DIMENSION, dtype=np.float32), 5) == []
    assert summaries.known(None) == summaries.known(["a"]) == {}
    assert summaries.remove(["a"]) == 0
    summaries.keep([])
    summaries.drop()


def test_summaries_come_back_as_they_were_published_with_the_chunks_below(
    index: CollectionIndex,
) -> None:
    assert publish(index, [*tree("b"), *tree("a"), across("c", "a", "b")]) == 7
    found = SummaryIndex(index).snapshot()
    assert not found.empty
    assert found.origin == ORIGIN
    assert found.count() == 7
    everything = list(found.all())
    assert ids(everything) == ["a+0", "a+2", "a+root", "b+0", "b+2", "b+root", "c"]
    (first, *_, root), expected = found.of_document("a"), tree("a")[0]
    assert first.summary.chunk_ids == first.summary.children == ("a-0", "a-1")
    assert root.summary.chunk_ids == ("a-0", "a-1", "a-2", "a-3")
    assert everything[-1].summary.chunk_ids == ()
    assert everything[-1].documents == ("a", "b")
    assert first.summary.citations == expected.summary.citations
    assert (first.inputs, first.summary.title) == (expected.inputs, expected.summary.title)
    assert np.array_equal(first.vector, expected.vector)


def test_a_tree_without_summaries_says_what_it_was_made_from(index: CollectionIndex) -> None:
    assert publish(index, []) == 0
    found = SummaryIndex(index).snapshot()
    assert not found.empty
    assert found.origin == ORIGIN
    assert found.nearest(np.ones(DIMENSION, dtype=np.float32), 5) == []


def test_a_reader_keeps_the_tree_it_opened(index: CollectionIndex) -> None:
    publish(index, tree("a"))
    before = SummaryIndex(index).snapshot()
    reading = before.all()
    seen = [next(reading)]

    def more() -> Iterator[IndexedSummary]:
        yield from tree("b")
        seen.append(next(reading))
        assert ids(SummaryIndex(index).snapshot().all()) == ids(tree("a"))
        yield across("c", "b")

    SummaryIndex(index).publish(more(), Origin("other", "recipe"), DIMENSION, nothing)

    assert ids([*seen, *reading]) == ids(tree("a"))
    assert ids(before.of_document("a")) == ids(tree("a"))
    assert before.origin == ORIGIN
    after = SummaryIndex(index).snapshot()
    assert ids(after.all()) == [*ids(tree("b")), "c"]
    assert after.origin == Origin("other", "recipe")


def failing() -> Iterator[IndexedSummary]:
    yield from tree("b")
    raise LeaseLostError("r")


def refuse() -> None:
    raise LeaseLostError("r")


def misfit() -> Iterator[IndexedSummary]:
    good = tree("b")[0]
    yield good
    yield IndexedSummary(good.summary, np.ones(DIMENSION + 1, dtype=np.float32), "", ("b",))


@pytest.mark.parametrize(
    ("summaries", "before_commit", "error"),
    [
        (failing, nothing, LeaseLostError),
        (lambda: tree("b"), refuse, LeaseLostError),
        (misfit, nothing, PermanentError),
    ],
)
@pytest.mark.parametrize("published_before", [True, False])
def test_what_fails_changes_nothing(
    index: CollectionIndex,
    summaries: object,
    before_commit: object,
    error: type[Exception],
    published_before: bool,
) -> None:
    if published_before:
        publish(index, tree("a"))
    SummaryIndex(index).keep(tree("c"))
    with pytest.raises(error):
        SummaryIndex(index).publish(summaries(), ORIGIN, DIMENSION, before_commit)  # type: ignore[operator, arg-type]
    found = SummaryIndex(index).snapshot()
    assert ids(found.all()) == (ids(tree("a")) if published_before else [])
    assert found.empty is not published_before
    assert set(SummaryIndex(index).known(["c"])) == set(ids(tree("c")))


def test_of_two_publications_at_once_the_second_is_told_to_come_again(
    index: CollectionIndex,
) -> None:
    publish(index, tree("a"))
    with pytest.raises(TransientError, match="came first") as caught:
        SummaryIndex(index).publish(
            tree("b"), ORIGIN, DIMENSION, lambda: publish(index, tree("c")) and None
        )
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert ids(SummaryIndex(index).snapshot().all()) == ids(tree("c"))


def test_what_a_build_kept_is_known_to_the_next_and_hidden_from_readers(
    index: CollectionIndex,
) -> None:
    publish(index, [*tree("a"), *tree("b"), across("x", "a", "b")])
    summaries = SummaryIndex(index)
    summaries.keep([summary("a+0", "a", ["a-0"], text="newer"), summary("a+9", "a", ["a-9"])])
    summaries.keep([across("y", "a", "b"), summary("a+0", "a", ["a-0"], text="newest")])

    known = summaries.known(["a", "unknown"])
    assert set(known) == {*ids(tree("a")), "a+9"}
    assert known["a+0"].summary.text == "newest"
    assert set(summaries.known(None)) == {"x", "y"}
    assert set(summaries.known([f"d{number}" for number in range(3000)] + ["b"])) == set(
        ids(tree("b"))
    )
    assert summaries.known([]) == {}
    assert summaries.snapshot().count() == 7

    publish(index, tree("a"))
    assert summaries.known(None) == {}
    assert summaries.known(["a"])["a+0"].summary.text == "travel is approved"


def test_with_a_document_goes_every_summary_that_it_is_below(index: CollectionIndex) -> None:
    publish(index, [*tree("a"), *tree("b"), across("x", "a", "b"), across("y", "b", "c")])
    summaries = SummaryIndex(index)
    summaries.keep([across("z", "a", "c"), across("w", "c")])
    assert summaries.remove(["a", "unknown"]) == 5
    assert ids(summaries.snapshot().all()) == [*ids(tree("b")), "y"]
    assert set(summaries.known(None)) == {"y", "w"}
    assert summaries.snapshot().origin == ORIGIN
    many = [f"d{number}" for number in range(2500)]
    assert summaries.remove([*many, "it's", "b"]) == 4
    assert summaries.snapshot().count() == 0


def test_the_nearest_summary_comes_first(index: CollectionIndex) -> None:
    texts = {"x": "trains run daily", "y": "who must travel", "z": "who must approve travel"}
    publish(index, [summary(name, "a", ["c"], text=text) for name, text in texts.items()])
    (vector,) = WordEncoder().encode(["who must approve travel"], NoControl())
    found = SummaryIndex(index).snapshot().nearest(vector, 2)
    assert [each.summary_id for each in found] == ["z", "y"]
    assert found[0].score == pytest.approx(1, abs=1e-5)
    assert found[1].score < found[0].score
    assert (found[0].title, found[0].cited) == ("title of z", ("c",))


def test_summaries_are_found_by_their_words(index: CollectionIndex) -> None:
    texts = {"x": "trains run daily", "y": "who must travel", "z": "旅行必须批准"}
    publish(index, [summary(name, "a", ["c"], text=text) for name, text in texts.items()])
    found = SummaryIndex(index).snapshot()
    assert [each.summary_id for each in found.matching("daily train", 5)] == ["x"]
    assert [each.summary_id for each in found.matching("批准", 5)] == ["z"]
    publish(index, [])
    assert SummaryIndex(index).snapshot().matching("daily", 5) == []


def test_chunks_are_counted_read_and_dropped_apart_from_summaries(index: CollectionIndex) -> None:
    index.publish([document("a", "one", "two")])
    publish(index, tree("a"))
    SummaryIndex(index).keep(tree("b"))
    assert index.snapshot().counts() == Counts(chunks=2, documents=1)
    assert index.maintain(thorough=True).rows == 2
    SummaryIndex(index).drop()
    assert SummaryIndex(index).snapshot().empty
    assert SummaryIndex(index).known(["a", "b"]) == {}
    assert index.snapshot().counts().chunks == 2


def test_summaries_go_with_their_generation_and_no_other(index: CollectionIndex) -> None:
    other = CollectionIndex(index.uri, index.table, "model-b")
    neighbour = CollectionIndex(index.uri, "handbook2", "model-a")
    for each in (index, other, neighbour):
        each.publish([document("a", "one")])
        publish(each, tree("a"))
        SummaryIndex(each).keep(tree("b"))
    assert index.drop_others() == 1
    assert other.snapshot().empty
    assert SummaryIndex(other).snapshot().empty
    assert SummaryIndex(other).known(["b"]) == {}
    assert SummaryIndex(index).snapshot().count() == 3
    assert set(SummaryIndex(index).known(["b"])) == set(ids(tree("b")))

    assert drop_collection(index.uri, index.table) == 1
    assert sorted(path.name for path in Path(index.uri).iterdir()) == sorted(
        f"{neighbour.name}{beside}.lance" for beside in ("", ".tree", ".tree.draft")
    )


def test_old_trees_are_pruned_by_thorough_maintenance(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "KEEP_VERSIONS", timedelta(milliseconds=1))
    index.publish([document("a", "one")])
    for _ in range(3):
        publish(index, tree("a"))
    data = Path(index.uri) / f"{index.name}.tree.lance" / "data"
    assert len(list(data.iterdir())) == 3
    index.maintain(thorough=True)
    assert len(list(data.iterdir())) == 1
    assert ids(SummaryIndex(index).snapshot().all()) == ids(tree("a"))


def test_a_long_build_leaves_few_files(index: CollectionIndex) -> None:
    summaries = SummaryIndex(index)
    for number in range(SMALL_FRAGMENTS + 5):
        summaries.keep([summary(f"s{number}", "a", ["c"])])
    table = index.database.open_table(f"{index.name}.tree.draft")
    assert table.stats()["fragment_stats"]["num_fragments"] < 10  # type: ignore[index]
    assert len(summaries.known(["a"])) == SMALL_FRAGMENTS + 5


def test_many_summaries_are_searched_by_an_index(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "VECTOR_INDEX_ROWS", 400)
    publish(
        index,
        [summary(f"s{n}", "a", ["c"], text=f"word{n} word{n // 7} {n}") for n in range(500)],
    )
    index.maintain()
    table = index.database.open_table(f"{index.name}.tree")
    assert sorted(each.columns for each in table.list_indices()) == [["text"], ["vector"]]
    (vector,) = WordEncoder().encode(["word77 word11 77"], NoControl())
    best, *_ = SummaryIndex(index).snapshot().nearest(vector, 3)
    assert best.score == pytest.approx(1, abs=1e-5)
    assert best.text == "word77 word11 77"


def test_a_purge_leaves_no_trace_of_what_is_gone_in_any_summary(index: CollectionIndex) -> None:
    index.publish([document("a", "one", "two"), document("b", "three"), document("c", "four")])
    a_1, a_2, b_1, c_1 = sorted_ids(index)
    secret = {"text": "the zqxcanaryvv text"}
    gone = [
        summary("low", "a", [a_1, a_2], **secret),  # type: ignore[arg-type]
        summary("high", "a", ["low"], layer=2, **secret),  # type: ignore[arg-type]
        summary("over", None, ["high", b_1], layer=3, documents=("a", "b"), **secret),  # type: ignore[arg-type]
    ]
    kept = [summary("stays", None, [b_1, c_1], documents=("b", "c"))]
    publish(index, [*gone, *kept])
    SummaryIndex(index).keep([*gone, *kept])
    held = SummaryIndex(CollectionIndex(index.uri, index.table, index.fingerprint)).snapshot()

    # An edit: one of two chunks stays.
    index.publish([document("a", "one", "new", version="v2")])
    assert purge_collection(index.uri, index.table, removed=["unknown"]) == 1

    assert ids(SummaryIndex(index).snapshot().all()) == ["stays"]
    assert SummaryIndex(index).snapshot().origin == ORIGIN
    assert set(SummaryIndex(index).known(None)) == {"stays"}
    files = [path for path in Path(index.uri).rglob("*") if path.is_file()]
    assert [path for path in files if b"zqxcanaryvv" in path.read_bytes()] == []
    with pytest.raises(TransientError, match="ask again"):
        held.of_document("a")


def sorted_ids(index: CollectionIndex) -> list[str]:
    chunks = [index.snapshot().chunks_of(each) for each in ("a", "b", "c")]
    return [chunk.chunk_id for each in chunks for chunk in each]


def test_twenty_thousand_summaries_are_published_found_and_read_in_seconds(
    index: CollectionIndex,
) -> None:
    vectors = np.random.default_rng(0).normal(size=(20_000, DIMENSION)).astype(np.float32)
    template = tree("a")[0]
    some = READ_AT_ONCE + 5
    made = [
        IndexedSummary(
            Summary(
                summary_id=f"s{number}",
                document_id=f"d{number // 4}" if number >= some else None,
                layer=1,
                title="title",
                text=template.summary.text,
                tokens=5,
                method=SummaryMethod.EXTRACTIVE,
                children=(f"c{number}", f"c{number + 1}"),
                chunk_ids=(),
                citations=template.summary.citations,
            ),
            vectors[number],
            "inputs",
            (f"d{number // 4}",),
        )
        for number in range(len(vectors))
    ]
    started = time.process_time()
    assert publish(index, made) == len(made)
    found = SummaryIndex(index).snapshot()
    everything = list(found.all())
    (best,) = found.nearest(vectors[777], 1)
    assert time.process_time() - started < 30
    assert best.summary_id == "s777"
    assert len(everything) == len(made)
    assert ids(everything[-some:]) == [f"s{number}" for number in range(some)]
    documents = [each.summary.document_id for each in everything[:-some]]
    assert documents == sorted(map(str, documents))


def test_sources_come_in_the_order_asked_for_with_their_vectors(index: CollectionIndex) -> None:
    documents = [document(f"d{n}", *(f"text {n} {m}" for m in range(n))) for n in range(1, 5)]
    index.publish(documents)
    snapshot = index.snapshot()
    assert snapshot.document_ids() == ["d1", "d2", "d3", "d4"]
    found = list(snapshot.sources(["d3", "unknown", "d1", "d4"]))
    assert [document_id for document_id, _, _ in found] == ["d3", "d1", "d4"]
    for document_id, chunks, vectors in found:
        (published,) = (each for each in documents if each.document_id == document_id)
        assert chunks == list(published.chunks)
        assert np.allclose(vectors, published.vectors[:])
    assert sorted(snapshot.leaf_ids()) == sorted(
        chunk.chunk_id for each in documents for chunk in each.chunks
    )


def test_hits_of_chunks_are_those_that_are_there(index: CollectionIndex) -> None:
    published = document("a", "one", "two")
    index.publish([published])
    first, second = (chunk.chunk_id for chunk in published.chunks)
    found = index.snapshot().hits([second, "unknown", first])
    assert {key: hit.text for key, hit in found.items()} == {first: "one", second: "two"}
    assert list(index.snapshot().hits([first, second], "array_has(pages, 9)")) == []


def test_nothing_indexed_has_no_sources(index: CollectionIndex) -> None:
    snapshot = index.snapshot()
    assert snapshot.document_ids() == snapshot.leaf_ids() == list(snapshot.sources(["a"])) == []
    assert snapshot.hits(["a"]) == {}
