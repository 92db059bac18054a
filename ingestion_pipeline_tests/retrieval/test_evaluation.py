from __future__ import annotations

import math
from pathlib import Path

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.search import Hit, HitKind
from ingestion_pipeline.retrieval import Question, evaluate, read_questions
from ingestion_pipeline.retrieval.evaluation import (
    normalised_gain,
    ranked_documents,
    recall,
    reciprocal_rank,
)

NAMES = {"id1": "one.txt", "id2": "two.pdf", "id3": "Alu\u0302.txt", "id4": "a/b/four.md"}


def hit(document_id: str) -> Hit:
    return Hit(
        chunk_id=document_id,
        document_id=document_id,
        name=NAMES.get(document_id, document_id),
        kind=HitKind.CHUNK,
        text="",
        score=1,
        pages=[],
        heading_path=[],
        sources=[],
    )


def finds(*document_ids: str) -> list[Hit]:
    return [hit(document_id) for document_id in document_ids]


def question(*gold: str) -> Question:
    return Question(id="q", question="what?", gold=list(gold))


@pytest.mark.parametrize(
    ("gains", "relevant", "expected"),
    [
        ([True, False, True], 2, (1.0, (1 + 0.5) / (1 + 1 / math.log2(3)), 1.0)),
        ([False, True], 1, (1.0, 1 / math.log2(3), 0.5)),
        ([False] * 5 + [True], 1, (0.0, 1 / math.log2(7), 1 / 6)),
        ([False] * 10 + [True], 1, (0.0, 0.0, 0.0)),
        ([], 3, (0.0, 0.0, 0.0)),
        ([True] * 10, 20, (0.25, 1.0, 1.0)),
    ],
)
def test_metrics_equal_hand_computed_values(
    gains: list[bool], relevant: int, expected: tuple[float, float, float]
) -> None:
    assert recall(gains, relevant, 5) == pytest.approx(expected[0])
    assert normalised_gain(gains, relevant, 10) == pytest.approx(expected[1])
    assert reciprocal_rank(gains, 10) == pytest.approx(expected[2])


@pytest.mark.parametrize(
    "gold", ["id1", "one.txt", "one", "Al\u00fb", "id3", "four", "four.md", "a/b/four.md"]
)
def test_gold_is_an_id_or_a_name_with_or_without_extension(gold: str) -> None:
    result = evaluate(lambda _, __: finds("id1", "id3", "id4"), [question(gold)], NAMES)
    assert result.recall_at_5 == 1
    assert result.unknown_gold == []


def test_a_document_ranks_where_its_best_chunk_does_and_counts_once() -> None:
    result = evaluate(
        lambda _, __: finds("id2", "id2", "id1", "id2", "id1"), [question("one", "one.txt")], NAMES
    )
    assert result.mrr_at_10 == 0.5
    assert result.recall_at_10 == 0.5
    assert result.hits[0].names == ["two.pdf", "one.txt"]


def test_figures_are_means_over_questions_under_their_public_names() -> None:
    answers = {"a": finds("id1"), "b": finds("id2", "id1"), "c": []}
    questions = [Question(id=key, question=key, gold=["one"]) for key in answers]
    result = evaluate(lambda text, _: answers[text], questions, NAMES)
    figures = result.figures()
    assert figures.pop("seconds_per_query") >= 0
    assert figures == {
        "queries": 3,
        "recall@5": pytest.approx(2 / 3),
        "recall@10": pytest.approx(2 / 3),
        "ndcg@10": pytest.approx((1 + 1 / math.log2(3)) / 3),
        "mrr@10": pytest.approx((1 + 0.5) / 3),
    }
    assert [(ranked.id, ranked.names) for ranked in result.hits] == [
        ("a", ["one.txt"]),
        ("b", ["two.pdf", "one.txt"]),
        ("c", []),
    ]


def test_gold_that_names_no_document_is_reported_and_not_found() -> None:
    result = evaluate(lambda _, __: finds("id1"), [question("one", "missing")], NAMES)
    assert result.unknown_gold == ["missing"]
    assert result.recall_at_10 == 0.5


def test_any_document_of_an_ambiguous_name_answers_once() -> None:
    names = {"x": "report.pdf", "y": "report.docx", "z": "other.txt"}
    result = evaluate(lambda _, __: finds("x", "y"), [question("report")], names)
    assert (result.recall_at_10, result.ndcg_at_10) == (1, 1)


def test_the_search_goes_deeper_until_the_documents_suffice() -> None:
    chunks = [*["id1"] * 60, *(f"d{number}" for number in range(20))]
    depths = []

    def search(_: str, depth: int) -> list[Hit]:
        depths.append(depth)
        return finds(*chunks[:depth])

    assert ranked_documents(search, "q", 10) == ["id1", *(f"d{number}" for number in range(9))]
    assert depths == [50, 250]


def test_questions_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(
        '{"id": "q1", "question": "what?", "gold": ["a"], "split": "train"}\n\n'
        '{"id": 2, "question": " who\u2028then? ", "gold": ["b", "c"]}\n',
        encoding="utf-8",
    )
    first, second = read_questions(path)
    assert (first.id, first.question, first.gold) == ("q1", "what?", ["a"])
    assert (second.id, second.question, second.gold) == ("2", "who\u2028then?", ["b", "c"])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "line"),
        ('{"id": "a", "gold": ["x"]}', "question"),
        ('{"id": "a", "question": " ", "gold": ["x"]}', "question"),
        ('{"id": "a", "question": "b", "gold": []}', "gold"),
        ('{"id": "a", "question": "b", "gold": "x"}', "gold"),
        ('{"id": "a", "question": "b", "gold": [1]}', "gold"),
    ],
)
def test_a_malformed_line_is_named_by_its_number(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"id": "q", "question": "what?", "gold": ["a"]}\n' + line, encoding="utf-8")
    with pytest.raises(PermanentError, match=f"line 2: {problem}") as caught:
        read_questions(path)
    assert caught.value.kind is ErrorKind.BROKEN


def test_missing_empty_and_binary_files_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    for content, kind in (
        (None, ErrorKind.NOT_FOUND),
        (b"\n", ErrorKind.EMPTY),
        (b"\xff\xfe", ErrorKind.BROKEN),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(PermanentError) as caught:
            read_questions(path)
        assert caught.value.kind is kind
