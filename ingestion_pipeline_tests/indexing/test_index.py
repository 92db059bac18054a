from __future__ import annotations

import dataclasses
import time
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion_pipeline.errors import (
    ErrorKind,
    LeaseLostError,
    PermanentError,
    TransientError,
)
from ingestion_pipeline.indexing import CollectionIndex, Counts, RepeatedText, drop_collection
from ingestion_pipeline.indexing.commits import ATTEMPTS
from ingestion_pipeline.indexing.schema import ROWS_AT_ONCE
from ingestion_pipeline_tests.indexing.samples import DIMENSION, WordEncoder, document


def versions(index: CollectionIndex) -> dict[str, str]:
    found = index.snapshot().document_versions()
    assert len({version.document_id for version in found}) == len(found)
    return {version.document_id: version.version for version in found}


def test_a_collection_without_a_table_is_empty(index: CollectionIndex) -> None:
    snapshot = index.snapshot()
    assert snapshot.empty
    assert snapshot.counts() == Counts(chunks=0, documents=0)
    assert snapshot.document_versions() == []
    assert snapshot.document_names() == {}
    assert snapshot.largest_tokens() == 0
    assert snapshot.chunks_of("d") == []
    assert snapshot.matching("x", 5) == []
    assert snapshot.nearest(np.ones(DIMENSION, dtype=np.float32), 5) == []
    assert index.publish([], removed=["d"]) == 0
    assert index.maintain().rows == 0


def test_a_batch_becomes_visible_in_one_commit(index: CollectionIndex) -> None:
    first = index.publish([document("a", "one", "two"), document("b", "three")])
    second = index.publish([document("c", "four")])
    assert second == first + 1 or second > first
    assert index.snapshot().counts() == Counts(chunks=4, documents=3)
    assert versions(index) == {"a": "v1", "b": "v1", "c": "v1"}


def test_a_new_version_replaces_exactly_the_old_rows_of_its_document(
    index: CollectionIndex,
) -> None:
    index.publish([document("a", "kept", "gone", "gone too"), document("b", "other")])
    index.publish([document("a", "kept", "new", version="v2")])
    snapshot = index.snapshot()
    assert [chunk.text for chunk in snapshot.chunks_of("a")] == ["kept", "new"]
    assert versions(index) == {"a": "v2", "b": "v1"}
    assert snapshot.counts() == Counts(chunks=3, documents=2)


def test_removed_documents_disappear_while_others_are_published(index: CollectionIndex) -> None:
    index.publish([document("a", "one"), document("b", "two")])
    index.publish([document("c", "three")], removed=["a"])
    assert versions(index) == {"b": "v1", "c": "v1"}
    index.publish([], removed=["b", "c", "unknown"])
    assert index.snapshot().counts() == Counts(chunks=0, documents=0)


def test_a_document_without_chunks_loses_its_old_rows(index: CollectionIndex) -> None:
    index.publish([document("a", "one"), document("b", "two")])
    index.publish([document("a")])
    assert versions(index) == {"b": "v1"}


def test_chunks_come_back_as_they_were_published(index: CollectionIndex) -> None:
    published = document("a", "one", "two", headings=("Travel", "Approval"))
    index.publish([published])
    assert index.snapshot().chunks_of("a") == list(published.chunks)
    assert index.snapshot().largest_tokens() == 3
    assert index.snapshot().document_names() == {"a": "a.txt"}


@pytest.mark.parametrize("hostile", ["o'brien", "x') OR ('1'='1", "a\\", '"', "--", "a;b", "\n"])
def test_hostile_ids_touch_only_their_own_rows(index: CollectionIndex, hostile: str) -> None:
    index.publish([document("other", "one"), document(hostile, "two")])
    assert [v.chunks for v in index.snapshot().document_versions([hostile])] == [1]
    index.publish([document(hostile, "three", "four", version="v2")])
    assert versions(index) == {"other": "v1", hostile: "v2"}
    index.publish([], removed=[hostile])
    assert versions(index) == {"other": "v1"}


def test_thousands_of_documents_are_removed_at_once(index: CollectionIndex) -> None:
    index.publish([document(f"d{number}", "text") for number in range(300)])
    index.publish([], removed=[f"d{number}" for number in range(1, 5000)])
    assert versions(index) == {"d0": "v1"}


def test_before_commit_may_prevent_the_commit(index: CollectionIndex) -> None:
    index.publish([document("a", "one")])

    def lost() -> None:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        index.publish([document("a", "two", version="v2")], before_commit=lost)
    assert versions(index) == {"a": "v1"}


def test_conflicts_are_tried_again_and_the_lease_is_asked_each_time(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion_pipeline.indexing.commits.FIRST_PAUSE_SECONDS", 0.001)
    index.publish([document("a", "one")])
    asked = []

    def conflict_twice() -> None:
        asked.append(1)
        if len(asked) < 3:
            raise RuntimeError("Retryable commit conflict for version 7")

    index.publish([document("a", "two", version="v2")], before_commit=conflict_twice)
    assert len(asked) == 3
    assert versions(index) == {"a": "v2"}


@pytest.mark.parametrize(
    "words", ["Too much write contention", "Too many concurrent writers. Attempted 10 retries."]
)
def test_endless_conflicts_are_a_transient_error(
    index: CollectionIndex, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr("ingestion_pipeline.indexing.commits.FIRST_PAUSE_SECONDS", 0.001)
    asked = []

    def conflict() -> None:
        asked.append(1)
        raise RuntimeError(words)

    with pytest.raises(TransientError) as caught:
        index.publish([document("a", "one")], before_commit=conflict)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert len(asked) == ATTEMPTS


def test_unsound_vectors_are_refused_before_anything_is_written(index: CollectionIndex) -> None:
    sound = document("a", "one", "two")
    index.publish([sound])
    not_finite = np.full_like(sound.vectors, np.nan)
    for vectors in (sound.vectors[:1], sound.vectors[:, :8], not_finite):
        with pytest.raises(PermanentError) as caught:
            index.publish([dataclasses.replace(sound, version="v2", vectors=vectors)])
        assert caught.value.kind is ErrorKind.INTERNAL
    assert versions(index) == {"a": "v1"}


def test_a_long_document_is_one_commit_of_many_batches(index: CollectionIndex) -> None:
    texts = [f"word{number} of many" for number in range(2 * ROWS_AT_ONCE + 3)]
    first = index.publish([document("a", "short"), document("b", "another")])
    assert index.publish([document("b", *texts), document("c", "last")]) == first + 1
    found = {each.document_id: each.chunks for each in index.snapshot().document_versions()}
    assert found == {"a": 1, "b": len(texts), "c": 1}
    (hit,) = index.snapshot().matching("word1026", 5)
    assert hit.text == "word1026 of many"


def test_what_goes_wrong_with_vectors_while_they_are_written_is_said_as_it_is(
    index: CollectionIndex,
) -> None:
    sound = document("a", "one", "two")
    index.publish([sound])

    class Vanishing:
        """Vectors that are there when they are looked at, and gone when they are written."""

        shape = sound.vectors.shape
        looks = 0

        def __getitem__(self, rows: slice, /) -> NDArray[np.float32]:
            self.looks += 1
            if self.looks > 1:
                raise TransientError(ErrorKind.UNAVAILABLE, "the vectors are gone")
            return sound.vectors[rows]

    with pytest.raises(TransientError, match="the vectors are gone"):
        index.publish([dataclasses.replace(sound, version="v2", vectors=Vanishing())])
    assert versions(index) == {"a": "v1"}


def test_two_chunks_with_one_id_are_refused(index: CollectionIndex) -> None:
    with pytest.raises(PermanentError, match="same id"):
        index.publish([document("a", "one"), document("a", "one")])


def test_vectors_of_two_models_never_meet(index: CollectionIndex) -> None:
    index.publish([document("a", "one"), document("b", "two")])
    changed = CollectionIndex(index.uri, index.table, "model-b")
    assert changed.snapshot().empty
    changed.publish([document("a", "one", version="v2")])
    index.publish([document("c", "late publisher of the old model")])
    assert versions(changed) == {"a": "v2"}
    assert changed.drop_others() == 1
    assert index.snapshot().empty
    assert versions(changed) == {"a": "v2"}


def test_dropping_a_collection_leaves_its_neighbours(index: CollectionIndex) -> None:
    neighbours = [CollectionIndex(index.uri, name, "model-a") for name in ("handbook2", "hand")]
    for each in (index, *neighbours, CollectionIndex(index.uri, index.table, "model-b")):
        each.publish([document("a", "one")])
    assert drop_collection(index.uri, index.table) == 2
    assert index.snapshot().empty
    assert all(versions(neighbour) == {"a": "v1"} for neighbour in neighbours)
    assert drop_collection(index.uri, index.table) == 0


def test_a_snapshot_does_not_see_later_publications(index: CollectionIndex) -> None:
    index.publish([document("a", "old text")])
    before = index.snapshot()
    index.publish([document("a", "new text", version="v2")])
    assert [hit.text for hit in before.matching("text", 5)] == ["old text"]
    assert [hit.text for hit in index.snapshot().matching("text", 5)] == ["new text"]


def test_publishing_into_a_grown_table_stays_fast(index: CollectionIndex) -> None:
    index.publish([document(f"d{n}", *(f"text {n} {m}" for m in range(10))) for n in range(500)])
    times = [time.perf_counter()]
    for number in range(5):
        index.publish([document("d7", *(f"again {number} {m}" for m in range(20)))])
        times.append(time.perf_counter())
    assert min(after - before for before, after in pairwise(times)) < 0.5


def test_what_no_index_covers_yet_is_found(index: CollectionIndex) -> None:
    index.publish([document("a", "the travel policy")])
    index.maintain(thorough=True)
    index.publish([document("b", "the expense policies")])
    snapshot = index.snapshot()
    assert {hit.document_id for hit in snapshot.matching("policy", 5)} == {"a", "b"}
    vector = WordEncoder().encode(["the expense policies"], None)[0]  # type: ignore[arg-type]
    assert [hit.document_id for hit in snapshot.nearest(vector, 5)] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Running costs of the café", "cafe run"),
        ("费用报销由部门经理批准。旅行申请必须提前两周提交", "报销"),
        ("出張の申請は部長が承認します", "承認"),
        ("Interleukin IL-6 and vitamin D, 0 of 3 patients", "IL"),
        ("Überflug nach Zürich", "zurich"),
        ("报销policy手册", "policy"),
    ],
)
def test_words_are_found_in_any_script_and_form(
    index: CollectionIndex, text: str, query: str
) -> None:
    index.publish([document("a", text), document("b", "something else entirely 别的内容")])
    assert [hit.document_id for hit in index.snapshot().matching(query, 5)] == ["a"]
    index.maintain(thorough=True)
    assert [hit.document_id for hit in index.snapshot().matching(query, 5)] == ["a"]


def test_name_and_headings_are_searched_too(index: CollectionIndex) -> None:
    found = document("a", "body", name="budget-2023.pdf", headings=("Travel", "Approval"))
    index.publish([found, document("b", "body")])
    for words in ("budget", "2023", "approval"):
        assert [hit.document_id for hit in index.snapshot().matching(words, 5)] == ["a"]


def test_a_sample_is_everything_or_always_the_same_part(index: CollectionIndex) -> None:
    assert index.snapshot().sample(5) == []
    texts = [f"text {number}" for number in range(40)]
    index.publish([document("a", *texts[:20]), document("b", *texts[20:])])

    assert sorted(index.snapshot().sample(40)) == sorted(texts)
    part = index.snapshot().sample(10)
    assert len(set(part)) == 10
    assert {text in texts[:20] for text in part} == {True, False}, "of both documents"
    index.publish([document("c", "another")])
    assert len(set(part) & set(index.snapshot().sample(10))) >= 9


def test_equal_texts_are_counted_but_for_case_and_white_space(index: CollectionIndex) -> None:
    assert index.snapshot().repeated(100) == (0, [])
    index.publish(
        [
            document("a", "Mind the gap", "one", "one", "two"),
            document("b", " mind the\tGAP\n", "three"),
            document("c", "Mind  the  gap"),
        ]
    )

    assert index.snapshot().repeated(100) == (
        7,
        [RepeatedText(3, ("a.txt", "b.txt", "c.txt")), RepeatedText(2, ("a.txt",))],
    )


def test_of_many_chunks_equal_ones_are_compared_together_or_not(index: CollectionIndex) -> None:
    texts = ["x" * length for length in range(1, 101)]
    index.publish([document("a", *texts), document("b", *texts)])

    compared, repeated = index.snapshot().repeated(20)

    assert compared == 20
    assert repeated == [RepeatedText(2, ("a.txt", "b.txt"))] * 10


def test_the_length_of_a_document_is_where_its_last_chunk_ends(index: CollectionIndex) -> None:
    assert index.snapshot().text_lengths() == {}
    index.publish([document("a", "one", "twelve"), document("b", "two")])

    assert index.snapshot().text_lengths() == {"a": 6, "b": 3}
