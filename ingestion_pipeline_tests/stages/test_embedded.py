"""What the model reads, and what it does not read again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ingestion_pipeline.model.documents import Document, Stage
from ingestion_pipeline.stages.work import Work
from ingestion_pipeline.storage import parts
from ingestion_pipeline_tests.stages.bench import Bench, remembered

PARAGRAPHS = [f"Paragraph {number} is about travel. " * 8 for number in range(8)]
TEXT = "\n\n".join(PARAGRAPHS)
EDITED = "\n\n".join([*PARAGRAPHS[:4], "Nobody knew of this one. " * 8, *PARAGRAPHS[5:]])


@pytest.fixture(autouse=True)
def one_paragraph_in_a_chunk(bench: Bench) -> None:
    bench.configure(chunk_tokens=60)


def edited(work: Work, bench: Bench, text: str) -> Document:
    """The same document with another text, as the registry knows it then."""
    newer = bench.document(work.document.name, text)
    return replace(newer, stages=remembered(work).stages)


def vectors(work: Work) -> np.ndarray:
    assert work.vectors is not None
    return work.vectors[:]


def test_of_an_edited_document_the_model_reads_the_chunks_that_are_new(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt", TEXT))
    bench.embedder.encoded.clear()

    (second,) = bench.run(edited(first, bench, EDITED))

    assert (first.embedded_chunks, first.chunks_read_before) == (8, 0)
    assert (second.embedded_chunks, second.chunks_read_before) == (1, 7)
    assert 0 < second.embedded_tokens < (second.result.tokens or 0) / 4
    assert len(bench.embedder.encoded) == 1
    kept = [0, 1, 2, 3, 5, 6, 7]
    assert vectors(second)[kept].tobytes() == vectors(first)[kept].tobytes()
    assert not np.array_equal(vectors(second)[4], vectors(first)[4])


def test_another_title_weight_is_mixed_from_what_was_read(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt", TEXT))
    bench.embedder.encoded.clear()
    bench.configure(title_weight=0.4)

    (second,) = bench.run(remembered(first))

    assert bench.embedder.encoded == []
    assert (second.embedded_chunks, second.chunks_read_before) == (0, 8)
    (alone,) = bench.run(replace(remembered(second), force=True))
    assert np.array_equal(vectors(second), vectors(alone))


def test_another_model_reads_everything(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt", TEXT))
    bench.configure(embedding_model="another")

    (second,) = bench.run(remembered(first))

    assert (second.embedded_chunks, second.chunks_read_before) == (8, 0)


def test_what_is_forced_is_read_again(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt", TEXT))
    bench.embedder.encoded.clear()

    (second,) = bench.run(replace(remembered(first), force=True))

    assert second.embedded_chunks == 8
    assert len(bench.embedder.encoded) == 9


def test_a_text_that_comes_several_times_is_read_once(bench: Bench) -> None:
    works = bench.run(bench.document("a.txt", TEXT), bench.document("b.txt", TEXT))

    assert sorted(work.embedded_chunks for work in works) == [0, 8]
    assert len(bench.embedder.encoded) == 8 + len(["a", "b"])
    assert bench.visible() == {"a.txt": 8, "b.txt": 8}


def test_vectors_of_chunks_that_are_others_meanwhile_are_not_taken_for_theirs(
    bench: Bench,
) -> None:
    (first,) = bench.run(bench.document("a.txt", TEXT))
    newer = edited(first, bench, "\n\n".join(reversed(PARAGRAPHS)))
    (chunked,) = bench.run(newer, stages=[Stage.SOURCED, Stage.PARSED, Stage.CHUNKED])

    (second,) = bench.run(remembered(chunked))

    assert second.embedded_chunks == 0
    assert vectors(second).tobytes() == vectors(first)[::-1].tobytes()


def test_of_a_long_document_every_part_is_found_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("storage.artifacts", "storage.parts", "stages.embedded", "stages.chunked"):
        monkeypatch.setattr(f"ingestion_pipeline.{module}.ROWS_IN_PART", 3, raising=False)
    assert parts.ROWS_IN_PART == 3
    (first,) = bench.run(bench.document("a.txt", TEXT))

    (second,) = bench.run(edited(first, bench, f"Quite another beginning.\n\n{EDITED}"))

    assert first.embedded_chunks == 8
    assert second.embedded_chunks <= 2
    assert second.chunks_read_before >= 6
