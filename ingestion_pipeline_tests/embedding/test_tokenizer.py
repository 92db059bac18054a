from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from ingestion_pipeline.embedding import Tokenizer, model_folder
from ingestion_pipeline.settings import PACKAGED_MODEL

FOLDER = model_folder(PACKAGED_MODEL)
TOKENIZER = Tokenizer(FOLDER)


def starts(text: str) -> list[int]:
    return list(TOKENIZER.token_starts(text))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 2),
        ("Two words", 4),
        ("a [SEP] b [CLS]", 6),
        ("word " * 1000, 1002),
        ("x" * 100_000, 3),
        ("a\ud800 b", 4),
    ],
)
def test_counts_include_special_tokens_and_are_never_truncated(text: str, count: int) -> None:
    assert TOKENIZER.count(text) == count
    assert len(starts(text)) == count - TOKENIZER.special_tokens_per_text or len(text) > 4000


def test_starts_are_offsets_of_characters() -> None:
    assert starts("日本 👩‍👩‍👧 end") == [0, 1, 3, 9]


def test_a_special_token_in_a_text_is_one_token() -> None:
    assert starts("a [SEP]<|endoftext|>")[:3] == [0, 2, 7]


@pytest.mark.parametrize("text", ["", "Two words", "word " * 1000, "a [SEP] b", "a\ud800 b"])
def test_ids_are_what_the_model_reads_of_a_text(text: str) -> None:
    (ids,) = TOKENIZER.ids([text], 16)
    backend = Backend.from_file(str(FOLDER / "tokenizer.json"))
    backend.enable_truncation(16)
    backend.no_padding()
    assert ids.tolist() == backend.encode(text.replace("\ud800", "\ufffd")).ids
    assert len(ids) == min(TOKENIZER.count(text), 16)


def test_counts_follow_the_order_of_the_texts() -> None:
    texts = ["word " * (number % 7) for number in range(1000)]
    assert TOKENIZER.counts(texts) == [number % 7 + 2 for number in range(1000)]
    assert TOKENIZER.counts([]) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=40), st.integers(0, 2))
def test_a_text_in_pieces_has_the_tokens_of_the_whole_text(words: list[str], grow: int) -> None:
    text = " ".join(words * 10**grow)
    backend = Backend.from_file(str(FOLDER / "tokenizer.json"))
    backend.no_truncation()
    backend.no_padding()
    encoding = backend.encode(text, add_special_tokens=False)
    assert starts(text) == [start for start, _ in encoding.offsets]
