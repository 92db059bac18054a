from __future__ import annotations

from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.embedding import Embedder, Texts
from ingestion_pipeline_tests.fakes import FakeEmbedder

CONTROL = NoControl()


def embedder(fingerprint: str = "fake") -> tuple[FakeEmbedder, Embedder]:
    fake = FakeEmbedder(fingerprint)
    return fake, cast("Embedder", fake)


@given(st.lists(st.text(max_size=3)), st.lists(st.text(max_size=3)))
def test_each_text_is_read_once_and_gets_the_vector_it_would_get_alone(
    before: list[str], now: list[str]
) -> None:
    fake, model = embedder()
    earlier = Texts(before, model)
    earlier.read(model, CONTROL)
    fake.encoded.clear()

    texts = Texts(now, model)
    texts.take(*earlier.named(before))
    texts.read(model, CONTROL)

    assert sorted(fake.encoded) == sorted(set(now) - set(before))
    assert np.array_equal(texts.vectors(now), FakeEmbedder().encode(now, CONTROL))


def test_a_vector_that_is_taken_over_is_the_same_to_the_last_bit() -> None:
    _, model = embedder()
    stored = Texts(["a"], model)
    stored.read(model, CONTROL)
    (key,), vectors = stored.named(["a"])
    odd = np.nextafter(vectors, np.float32(2))

    texts = Texts(["a", "b"], model)
    texts.take([key], odd)
    texts.read(model, CONTROL)

    assert texts.vectors(["a"]).tobytes() == odd.tobytes()


def test_another_model_reads_everything_itself() -> None:
    _, model = embedder()
    stored = Texts(["a"], model)
    stored.read(model, CONTROL)
    fake, another = embedder("another")

    texts = Texts(["a"], another)
    texts.take(*stored.named(["a"]))
    texts.read(another, CONTROL)

    assert fake.encoded == ["a"]


def test_of_equal_texts_one_counts_as_new() -> None:
    _, model = embedder()
    texts = Texts(["a", "b", "a"], model)
    texts.read(model, CONTROL)

    assert [texts.takes_new(text) for text in ("a", "b", "a")] == [True, True, False]
