"""The strategy *qa*: a question with its answer is a chunk.

Pairs come from tables of two columns, from lines that are marked ("Q: …", "A: …"), from lines that
end in a question mark, and from headings with the text below. What belongs to no pair is cut like
any other text.

Belongs here: finding pairs. Does not belong here: cutting a long answer (``packing``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import takewhile

from ingestion_pipeline.chunking.layout import Placed, Section, Span
from ingestion_pipeline.chunking.packing import Packer, Piece
from ingestion_pipeline.chunking.sections import tables_and_rest
from ingestion_pipeline.chunking.tables import rows

_QUESTION_NAMES = frozenset({"question", "questions", "q", "问题", "问", "問題", "質問", "질문"})
_ANSWER_NAMES = frozenset({"answer", "answers", "a", "答案", "回答", "答", "답변"})
_NUMBER = r"[ \t]*\d{0,4}[ \t]*"
_QUESTION = re.compile(
    rf"^[ \t>*_]*(?:Q(?:uestion)?|问题?|問題?|質問|질문){_NUMBER}(?:[:：][*_]*|[.、](?=\s))\s*",  # noqa: RUF001
    re.MULTILINE | re.IGNORECASE,
)
_ANSWER = re.compile(
    rf"(?:^[ \t>*_]*(?:A(?:nswer)?|答案?|回答|답변?){_NUMBER}(?:[:：][*_]*|[.、](?=\s))"  # noqa: RUF001
    rf"|(?<=[\s?？。！!])(?:A(?:nswer)?|答案?|回答|답변?){_NUMBER}[:：])\s*",  # noqa: RUF001
    re.MULTILINE | re.IGNORECASE,
)
_ASKED = re.compile(
    r"^[ \t>*_]*(?:\d{1,3}[.)、][ \t]*)?(\S[^\n]{1,200}[?？])[ \t*_]*\n\s*",  # noqa: RUF001
    re.MULTILINE,
)
_FORMS = (
    (re.compile(r"[\u3040-\u30ff]"), "質問：{}\n回答："),  # noqa: RUF001
    (re.compile(r"[\uac00-\ud7a3]"), "질문: {}\n답변: "),
    (re.compile(r"[\u3400-\u9fff]"), "问题：{}\n回答："),  # noqa: RUF001
    (re.compile(r""), "Question: {}\nAnswer: "),
)
"""By the script of the question."""


@dataclass(frozen=True)
class _Pair:
    """A question, where it begins, and where its answer stands."""

    question: str
    start: int
    answer: Span


def by_question(packer: Packer) -> Iterator[Piece]:
    """Give each question with its answer a chunk; a long answer repeats its question."""
    packer = replace(packer, titled=False)
    rowwise = replace(packer, headed=False)
    before = ""
    for part in tables_and_rest(packer.layout, lambda part: _columns(part) is not None):
        if isinstance(part, Section):
            yield from _text(part, packer)
            continue
        first_line = part.element.text.partition("\n")[0]
        yield from _table(part, rowwise, again=first_line == before)
        before = first_line


def _columns(part: Placed) -> tuple[int, int] | None:
    """Return which columns of a table hold questions and answers."""
    found = list(rows(part.element.text))
    if not found:
        return None
    names = [text.lower() for text in found[0].texts]
    question = next((i for i, name in enumerate(names) if name in _QUESTION_NAMES), None)
    answer = next((i for i, name in enumerate(names) if name in _ANSWER_NAMES), None)
    if question is not None and answer is not None:
        return question, answer
    return (0, 1) if max(len(row.cells) for row in found) == 2 else None


def _table(part: Placed, packer: Packer, *, again: bool) -> Iterator[Piece]:
    """Yield a table's pairs; ``again``: its first row is only repeated from the one before."""
    question, answer = _columns(part) or (0, 1)
    for number, row in enumerate(rows(part.element.text)):
        asked, told = row.cell(question), row.cell(answer)
        named = asked.text.lower() in _QUESTION_NAMES and told.text.lower() in _ANSWER_NAMES
        if number == 0 and (named or again):
            continue
        if asked.text and told.text:
            first = part.start + told.start
            place = (first, first + len(told.text))
            yield from _pair(_Pair(asked.text, part.start + row.start, place), packer)
        else:
            yield from packer.pieces(part.start + row.start, part.start + row.end)


def _text(section: Section, packer: Packer) -> Iterator[Piece]:
    """Yield the pairs of a text: those that are marked, else its questions and what follows them.

    Without several of those, its heading is the question.
    """
    layout = packer.layout
    parts = layout.parts[section.first : section.last + 1]
    titles = list(takewhile(lambda part: part.is_title, parts))
    if len(titles) == len(parts):
        yield from packer.pieces(parts[0].start, parts[-1].end)
        return
    start, end = parts[len(titles)].start, parts[-1].end
    pairs = _marked(layout.text, start, end)
    if not pairs and len(asked := _asked(layout.text, start, end)) > bool(titles):
        pairs = asked
    if pairs:
        yield from packer.pieces(start, pairs[0].start)
        for pair in pairs:
            yield from _pair(pair, packer)
    elif titles:
        question = _QUESTION.sub("", titles[-1].element.text)
        marker = _ANSWER.match(layout.text, start, end)
        place = (marker.end() if marker else start, end)
        yield from _pair(_Pair(question, titles[-1].start, place), packer)
    else:
        yield from packer.pieces(start, end)


def _marked(text: str, start: int, end: int) -> list[_Pair]:
    """Return the questions that have an answer; it reaches to the next of them."""
    pairs: list[_Pair] = []
    until = limit = end
    for question in reversed(list(_QUESTION.finditer(text, start, end))):
        answer = _ANSWER.search(text, question.end(), limit)
        limit = question.start()
        if answer:
            asked = text[question.end() : answer.start()]
            pairs.append(_Pair(asked, question.start(), (answer.end(), until)))
            until = question.start()
    return pairs[::-1]


def _asked(text: str, start: int, end: int) -> list[_Pair]:
    """Return the lines that are questions, each with what stands before the next one.

    Questions that follow each other are answered together.
    """
    pairs: list[_Pair] = []
    first = start
    found = list(_ASKED.finditer(text, start, end))
    for number, question in enumerate(found):
        until = found[number + 1].start() if number + 1 < len(found) else end
        begins = first if number and first < question.start() else question.start()
        first = begins
        if text[question.end() : until].strip():
            asked = question[1] if begins == question.start() else text[begins : question.end()]
            pairs.append(_Pair(asked, begins, (question.end(), until)))
            first = until
    return pairs


def _pair(pair: _Pair, packer: Packer) -> Iterator[Piece]:
    """Yield a pair; a question too long to be repeated is cut with its answer as it stands."""
    question = " ".join(pair.question.split())
    form = next(form for script, form in _FORMS if script.search(question))
    lead = form.replace("{}", question)
    repeated = 2 * packer.count(lead) <= packer.budget
    pieces = list(packer.pieces(*pair.answer, lead)) if repeated else []
    if not pieces:
        yield from packer.pieces(pair.start, pair.answer[1])
        return
    text = packer.layout.text[pieces[0].start : pieces[0].end]
    yield replace(pieces[0], start=pair.start, text=text)
    yield from pieces[1:]
