"""With ``test_runtimes``, the only tests that load torch."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.embedding import Embedder, Running, load_embedder, precision
from ingestion_pipeline.embedding.embedder import _batches
from ingestion_pipeline.settings import PACKAGED_MODEL, EmbeddingPrecision, EmbeddingRuntime

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

pytestmark = pytest.mark.xdist_group("embedding")

TEXTS = [
    "A short text.",
    "",
    "Sentences of very different lengths share no batch. " * 12,
    "[SEP] [CLS] <|endoftext|>",
    "日本語の文です。",
    "  UPPER case, and blanks around  ",
    "word " * 2000,
]


class StopsAfter(NoControl):
    """Stops at the second check."""

    checks = 0

    def check(self) -> None:
        self.checks += 1
        if self.checks == 2:
            raise InterruptedError


def running(
    folder: Path, runtime: str, precision: EmbeddingPrecision = EmbeddingPrecision.FLOAT32
) -> Running:
    return Running(EmbeddingRuntime(runtime), precision, batch_tokens=512, folder=folder)


@pytest.fixture(scope="module", params=["openvino", "torch"])
def embedder(request: pytest.FixtureRequest, converted: Path) -> Embedder:
    return load_embedder(PACKAGED_MODEL, running(converted, request.param))


def test_vectors_are_those_of_sentence_transformers(
    embedder: Embedder, reference: SentenceTransformer
) -> None:
    vectors = embedder.encode(TEXTS, NoControl())
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    np.testing.assert_allclose((vectors * expected).sum(axis=1), 1, atol=1e-5)


def test_the_declared_limits_are_those_of_the_loaded_model(
    embedder: Embedder, reference: SentenceTransformer
) -> None:
    assert embedder.dimension == reference.get_embedding_dimension()
    assert embedder.max_tokens == reference.max_seq_length


def test_the_tokenizer_counts_what_the_model_sees(
    embedder: Embedder, reference: SentenceTransformer
) -> None:
    seen = reference.tokenizer(TEXTS, truncation=False)["input_ids"]
    assert embedder.tokenizer.counts(TEXTS) == [len(ids) for ids in seen]


def test_vectors_have_length_one_and_do_not_depend_on_their_neighbours(embedder: Embedder) -> None:
    together = embedder.encode(TEXTS, NoControl())
    alone = np.concatenate([embedder.encode([text], NoControl()) for text in TEXTS])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_model_that_was_let_go_of_is_loaded_again(converted: Path) -> None:
    embedder = Embedder(PACKAGED_MODEL, running(converted, "openvino"))
    vectors = embedder.encode(TEXTS, NoControl())
    model = weakref.ref(embedder._runtime)
    embedder.rest()
    assert model() is None
    np.testing.assert_array_equal(embedder.encode(TEXTS, NoControl()), vectors)


def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.encode([], NoControl()).shape == (0, 384)


def test_lone_surrogates_do_not_break_a_batch(embedder: Embedder) -> None:
    broken, replaced = embedder.encode(["a \ud800 b", "a \ufffd b"], NoControl())
    np.testing.assert_allclose(broken, replaced, atol=1e-6)


def test_the_control_is_asked_between_batches(embedder: Embedder) -> None:
    control = StopsAfter()
    with pytest.raises(InterruptedError):
        embedder.encode(["text"] * 1000, control)
    assert control.checks == 2


def test_threads_share_one_model(embedder: Embedder, converted: Path) -> None:
    assert load_embedder(PACKAGED_MODEL, running(converted, embedder.runtime)) is embedder
    expected = embedder.encode(TEXTS, NoControl())
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: embedder.encode(TEXTS, NoControl()), range(4)))
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_the_faster_precision_finds_the_same_neighbours(
    embedder: Embedder, converted: Path
) -> None:
    how = running(converted, embedder.runtime, EmbeddingPrecision.BFLOAT16)
    fast = Embedder(PACKAGED_MODEL, how)
    vectors = fast.encode(TEXTS, NoControl())
    assert fast.precision is EmbeddingPrecision.BFLOAT16
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert (vectors * embedder.encode(TEXTS, NoControl())).sum(axis=1).min() > 0.999
    assert fast.fingerprint == embedder.fingerprint


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx512f amx_bf16 amx_tile\n", EmbeddingPrecision.BFLOAT16),
        ("flags : fpu avx512f avx512_bf16\n", EmbeddingPrecision.BFLOAT16),
        ("flags : fpu avx512f avx512_vnni\n", EmbeddingPrecision.FLOAT32),
    ],
)
def test_the_precision_follows_from_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: EmbeddingPrecision
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(flags)
    monkeypatch.setattr(precision, "_CPU_INFO", info)
    assert precision.chosen(EmbeddingPrecision.AUTO) is expected
    assert precision.chosen(EmbeddingPrecision.FLOAT32) is EmbeddingPrecision.FLOAT32


@given(st.lists(st.integers(0, 256), max_size=60), st.integers(1, 2000))
def test_batches_hold_all_texts_once_and_few_enough_tokens(
    lengths: list[int], most_tokens: int
) -> None:
    batches = list(_batches(lengths, most_tokens))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[place] for place in batch)
        assert len(batch) == 1 or len(batch) * longest <= most_tokens
