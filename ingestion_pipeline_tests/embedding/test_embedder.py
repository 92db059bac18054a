"""The only tests that load torch."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.embedding import Embedder, load_embedder, model_folder, precision
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import PACKAGED_MODEL, EmbeddingPrecision

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TEXTS = [
    "A short text.",
    "",
    "Sentences of very different lengths share no batch. " * 12,
    "[SEP] [CLS] <|endoftext|>",
    "日本語の文です。",
    "word " * 2000,
]


class StopsAfter(NoControl):
    """Stops at the second check."""

    checks = 0

    def check(self) -> None:
        self.checks += 1
        if self.checks == 2:
            raise InterruptedError


@pytest.fixture(scope="module")
def embedder() -> Iterator[Embedder]:
    """The packaged model, loaded where any use of the network fails the test."""

    def refuse(*_: Any) -> NoReturn:
        pytest.fail("the network was used")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        loaded = load_embedder(PACKAGED_MODEL, 4, EmbeddingPrecision.FLOAT32)
        loaded.encode(["load"], NoControl())
        yield loaded


@pytest.fixture(scope="module")
def reference() -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model_folder(PACKAGED_MODEL)), local_files_only=True)


def test_vectors_are_those_of_sentence_transformers(
    embedder: Embedder, reference: SentenceTransformer
) -> None:
    vectors = embedder.encode(TEXTS, NoControl())
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    np.testing.assert_allclose((vectors * expected).sum(axis=1), 1, atol=1e-6)


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
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.encode([], NoControl()).shape == (0, 384)


def test_lone_surrogates_do_not_break_a_batch(embedder: Embedder) -> None:
    broken, replaced = embedder.encode(["a \ud800 b", "a \ufffd b"], NoControl())
    np.testing.assert_allclose(broken, replaced, atol=1e-6)


def test_the_control_is_asked_between_batches(embedder: Embedder) -> None:
    control = StopsAfter()
    with pytest.raises(InterruptedError):
        embedder.encode(["text"] * 100, control)
    assert control.checks == 2


def test_threads_share_one_model(embedder: Embedder) -> None:
    assert load_embedder(PACKAGED_MODEL, 4, EmbeddingPrecision.FLOAT32) is embedder
    expected = embedder.encode(TEXTS, NoControl())
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: embedder.encode(TEXTS, NoControl()), range(4)))
    for result in results:
        np.testing.assert_array_equal(result, expected)


def test_the_faster_precision_finds_the_same_neighbours(embedder: Embedder) -> None:
    fast = load_embedder(PACKAGED_MODEL, 4, EmbeddingPrecision.BFLOAT16)
    vectors = fast.encode(TEXTS, NoControl())
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert (vectors * embedder.encode(TEXTS, NoControl())).sum(axis=1).min() > 0.999
    assert fast.fingerprint == embedder.fingerprint


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : fpu avx512f amx_bf16 amx_tile\n", EmbeddingPrecision.BFLOAT16),
        ("flags : fpu avx512f avx512_bf16\n", EmbeddingPrecision.FLOAT32),
    ],
)
def test_the_precision_follows_from_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: EmbeddingPrecision
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(flags)
    monkeypatch.setattr(precision, "_CPU_INFO", info)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert precision.chosen(EmbeddingPrecision.AUTO) is expected
    assert precision.chosen(EmbeddingPrecision.FLOAT32) is EmbeddingPrecision.FLOAT32


def test_broken_weights_are_a_clear_error(tmp_path: Path) -> None:
    folder = shutil.copytree(
        model_folder(PACKAGED_MODEL), tmp_path / "model", ignore=lambda *_: ["model.safetensors"]
    )
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(PermanentError, match="cannot be loaded") as raised:
        Embedder(str(folder), batch_size=4).encode(["text"], NoControl())
    assert raised.value.kind is ErrorKind.BROKEN


def test_what_the_files_do_not_tell_is_read_from_the_model(tmp_path: Path) -> None:
    folder = shutil.copytree(model_folder(PACKAGED_MODEL), tmp_path / "model")
    (folder / "modules.json").unlink()
    (folder / "sentence_bert_config.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    loaded = Embedder(str(folder), batch_size=4)
    assert (loaded.dimension, loaded.max_tokens) == (384, 512)
