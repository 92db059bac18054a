from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest

from ingestion_pipeline.chunking.sentences import sentence_starts


def split(text: str) -> list[str]:
    borders = [0, *sentence_starts(text, 0, len(text)), len(text)]
    return [text[a:b].rstrip() for a, b in pairwise(borders)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["One.", "Two!", "Three?", "Four… ", "Five."],
        ['He said "Stop."', "She did not."],
        ["It costs 3.14 dollars.", "Not 2.71."],
        ["See Fig. 3 and Dr. Smith et al. 2019 in vol. 2.", "Done."],
        ["J. R. Tolkien wrote it, e.g. The Hobbit, i.e. a book.", "Yes."],
        ["Visit example.com/a.b?c=d today.", "Then leave."],
        ["Yahoo! is a name.", "So it is."],
        ["今日は晴れです。", "明日は？", "「はい。」", "終わり。"],  # noqa: RUF001
        ["A wide.\n\nGap."],
        ["他说：“你好。”", "她笑了！", "真的？！", "是的；", "好。"],  # noqa: RUF001
        ["「はい。」と彼は言った。", "「そうか！」", "『終わり。』"],  # noqa: RUF001
        ["「行こう……」", "彼は歩いた……", "「待って！」"],  # noqa: RUF001
        ["我……我不知道。", "（他说完了。）", "走吧！！", "好"],  # noqa: RUF001
        ["你好!", "你是谁?", "我是人。"],
        ["안녕하세요. ", "저는 학생입니다. ", "정말요? ", "네!"],
        ["値は3.14。", "Ver.2.0です。"],
        ["Wait… ", 'He left ("for good."). ', "Why?! ", "Because."],
        ["Prices rose 3.5 percent to 1.2 million. ", "See no. 5 of vol. 2."],
    ],
)
def test_sentences_are_found(sentences: list[str]) -> None:
    sentences = [part.rstrip() for sentence in sentences for part in sentence.split("\n\n")]
    glue = "" if re.search(r"[\u3000-\u9fff]", sentences[0]) else " "
    assert split(glue.join(sentences)) == [sentence.rstrip() for sentence in sentences]


def test_only_the_given_stretch_is_looked_at() -> None:
    assert list(sentence_starts("Go on. Go on. Go.", 7, 12)) == []
    assert list(sentence_starts("Go on. Go on. Go.", 7, 17)) == [14]


@pytest.mark.parametrize(
    "pattern",
    [".", " ", ". ", '."', "。", ".)", "a.b", "…", "。」", "。」と", "？」」", "!?あ"],  # noqa: RUF001
)
def test_monotonous_text_takes_linear_time(pattern: str) -> None:
    text = pattern * 200_000
    started = time.process_time()
    list(sentence_starts(text, 0, len(text)))
    assert time.process_time() - started < 5
