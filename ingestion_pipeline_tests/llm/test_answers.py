from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.llm import read_json
from ingestion_pipeline.llm.answers import safe_text, without_thoughts


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1,}\n```', {"a": 1}),
        ('Here it is:\n```\n["x", "y"]\n```\nAnything else?', ["x", "y"]),
        ("Sure! {'a': 'b', 'c': [1, 2,]} Hope it helps.", {"a": "b", "c": [1, 2]}),
        ('{"a": ["x", "y', {"a": ["x", "y"]}),
        ('[{"a": 1}, {"b": 2}, {"c"', [{"a": 1}, {"b": 2}]),
        ('{"a": "he said "hi" to me"}', {"a": 'he said "hi" to me'}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('<think>{"a": 0}?</think>{"a": 1} is the answer', {"a": 1}),
        ("no data here", None),
        ("", None),
    ],
)
def test_json_is_found_in_whatever_a_model_writes(answer: str, value: Any) -> None:
    found = read_json(answer)

    if isinstance(value, list) and isinstance(found, list):
        found = found[: len(value)]
    assert found == value


@given(st.text() | st.text(alphabet="{}[]\",:'ab1 \n`"))
def test_no_answer_breaks_the_reader(answer: str) -> None:
    assert read_json(answer) is None or isinstance(read_json(answer), (dict, list))


def test_nesting_without_end_breaks_nothing() -> None:
    assert read_json("[" * 100_000) in (None, [])


_PLAIN = st.none() | st.booleans() | st.integers() | st.text()
_VALUES = st.lists(_PLAIN, max_size=3) | st.dictionaries(st.text(), _PLAIN, max_size=3)


@given(st.dictionaries(st.text(), _VALUES, max_size=3) | st.lists(_VALUES, max_size=3))
def test_correct_json_is_read_as_it_is(value: Any) -> None:
    assert read_json(json.dumps(value)) == value


@given(st.text(alphabet=st.characters(categories=["L", "Cs", "Cc", "Zs", "Po", "Sm"])))
def test_every_text_can_be_sent(text: str) -> None:
    safe = safe_text(text)

    assert "\0" not in safe
    safe.encode()


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert safe_text("\ud83d\ude00 \ud83d") == "\U0001f600 \ufffd"


@pytest.mark.parametrize(
    "mark", ["<|im_end|>", "<|endoftext|>", "</s>", "<start_of_turn>", "[INST]", "[/INST]"]
)
def test_a_document_cannot_end_its_quotation(mark: str) -> None:
    assert mark not in safe_text(f"before {mark} after")
    assert safe_text("a <|b c < d | e") == "a <|b c < d | e"


def test_thoughts_are_no_part_of_an_answer() -> None:
    assert without_thoughts("<think>well\n...</think>\nyes") == "yes"
    assert without_thoughts("yes") == "yes"
