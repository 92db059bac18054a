from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.enrichment.words import (
    BREAK,
    east_asian_words,
    features,
    stop_words,
    words,
)


def meant(text: str, language: str | None = "en") -> list[str]:
    return [key for key in words(text, stop_words(language))[1] if key != BREAK]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("The GPU-based renderer wasn't 3.14 of them.", "en", ["gpu-based", "renderer"]),
        ("see https://example.org/a?b or me@example.org for kernels", "en", ["kernels"]),
        ("L'énergie et l'eau", "fr", ["énergie", "eau"]),
        ("Die Donau und das Kaiserreich", "de", ["donau", "kaiserreich"]),
        ("형태소 분석을 바탕으로", "ko", ["형태소", "분석", "바탕"]),
        ("Река и энергия", "ru", ["река", "энергия"]),
        ("किताब और पानी", "hi", ["किताब", "पानी"]),
        ("", None, []),
    ],
)
def test_words_that_say_something_are_kept(
    text: str, language: str | None, expected: list[str]
) -> None:
    assert meant(text, language) == expected


@pytest.mark.parametrize("border", [", ", " | ", ".\n\n", "\n- ", "\nNext ", " of the ", " 12 "])
def test_phrases_end_at_marks_new_lines_and_words_that_say_nothing(border: str) -> None:
    _, keys = words(f"kernel{border}scheduler", stop_words("en"))

    assert BREAK in keys[keys.index("kernel") : keys.index("scheduler")]


def test_a_phrase_goes_on_in_the_next_line() -> None:
    _, keys = words("kernel\nscheduler", stop_words("en"))

    assert keys == ["kernel", "scheduler"]


def test_chinese_words_are_learned_from_the_text() -> None:
    text = (
        "机器学习是人工智能的一个分支。机器学习算法从数据中学习模型。深度学习是机器学习的一种方法，"  # noqa: RUF001
        "深度学习使用神经网络。神经网络由许多层组成，卷积神经网络用于图像识别。图像识别技术很重要。"  # noqa: RUF001
    )

    (found,) = east_asian_words([text])

    assert {"机器学习", "深度学习", "神经网络", "图像识别", "人工智能"} <= set(found)
    assert not {"机器", "器学", "的", "是"} & set(found)


def test_japanese_is_cut_where_the_script_changes() -> None:
    text = "東京都は日本の首都であり、インターネット企業の多くが東京に本社を置く。"

    (found,) = east_asian_words([text])

    assert found[:4] == ["東京都", "日本", "首都", "インターネット"]


def test_east_asian_texts_have_pairs_of_characters_in_common() -> None:
    shared = features("劳动合同法", "zh") & features("书面劳动合同", "zh")

    assert shared == {"劳动", "动合", "合同"}


@given(st.text(max_size=200), st.sampled_from(["en", "zh", "ja", "ko", "xx", None]))
def test_no_text_breaks_the_words(text: str, language: str | None) -> None:
    written, keys = words(text, stop_words(language))

    assert len(written) == len(keys)
    assert all(east_asian_words([text])[0])
    assert BREAK not in features(text, language)


@pytest.mark.parametrize("run", ["x", "a.", "学", "あ", "\n", "@", "한", "<", "1"])
def test_a_long_text_without_blanks_takes_no_longer_than_any_other(run: str) -> None:
    text = "me@example.org " + run * 100_000
    began = time.perf_counter()

    words(text, stop_words("en"))
    east_asian_words([text])

    assert time.perf_counter() - began < 5
