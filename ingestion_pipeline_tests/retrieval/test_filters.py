from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.retrieval import COLUMNS, filter_sql
from ingestion_pipeline_tests.indexing.samples import document


@pytest.mark.parametrize(
    ("expression", "sql"),
    [
        ("name = 'a.pdf'", "(name = 'a.pdf')"),
        ('name != "a.pdf"', "(name <> 'a.pdf')"),
        ("tokens >= 10 and tokens < 20", "((tokens >= 10) AND (tokens < 20))"),
        ("ordinal = 0 OR ordinal = 1", "((ordinal = 0) OR (ordinal = 1))"),
        ("NOT name = 'a'", "(NOT (name = 'a'))"),
        ("name IN ('a', 'b')", "(name IN ('a','b'))"),
        ("name NOT IN ('a')", "(NOT name IN ('a'))"),
        ("name LIKE '%.pdf'", "(name LIKE '%.pdf')"),
        ("text contains 'Tax'", "(contains(lower(text), lower('Tax')))"),
        ("page = 3", "array_has(pages, 3)"),
        ("page >= 3", "(array_max(pages) >= 3)"),
        ("page < 3", "(array_min(pages) < 3)"),
        ("page in (1, 2)", "(array_has_any(pages, [1,2]))"),
        ("heading = 'Intro'", "array_has(heading_path, 'Intro')"),
        ("name = 'O''Reilly'", "(name = 'O''Reilly')"),
        ('name = "O\'Reilly"', "(name = 'O''Reilly')"),
        (
            "ordinal = 1 OR ordinal = 2 AND ordinal = 3",
            "((ordinal = 1) OR ((ordinal = 2) AND (ordinal = 3)))",
        ),
        (
            "(ordinal = 1 OR ordinal = 2) AND ordinal = 3",
            "(((ordinal = 1) OR (ordinal = 2)) AND (ordinal = 3))",
        ),
    ],
)
def test_an_expression_becomes_the_sql_it_means(expression: str, sql: str) -> None:
    assert filter_sql(expression) == sql


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "name",
        "name =",
        "name = 'open",
        "name = 5",
        "tokens = 'five'",
        "tokens = 1.5",
        "tokens = 99999999999999999999",
        "tokens LIKE '1%'",
        "name = 'a' name = 'b'",
        "(name = 'a'",
        "name = 'a')",
        "name IN ()",
        "name IN 'a'",
        "name = 'a'; DROP TABLE x",
        "name = 'a' -- comment",
        "name = name",
        "1 = 1",
        "vector = 'x'",
        "chunk_id <> '__sentinel__'",
        "name = 'a' OR lower(name) = 'b'",
        "name = 'a\0b'",
        "name = '" + "x" * 5000 + "'",
        "(" * 40 + "name = 'a'" + ")" * 40,
        "NOT " * 40 + "name = 'a'",
    ],
)
def test_what_is_no_expression_is_refused(expression: str) -> None:
    with pytest.raises(PermanentError) as caught:
        filter_sql(expression)
    assert caught.value.kind is ErrorKind.INVALID_OPTION


def test_an_unknown_column_is_answered_with_the_known_ones() -> None:
    with pytest.raises(PermanentError) as caught:
        filter_sql("colour = 'red'")
    assert all(column in caught.value.message for column in COLUMNS)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> CollectionIndex:
    index = CollectionIndex(str(tmp_path_factory.mktemp("lancedb")), "c", "m")
    index.publish(
        [
            document("a", "words", "more words", "last words", headings=("Travel", "By train")),
            document("b", "words", name="O'Reilly.pdf", media_type="application/pdf"),
        ]
    )
    return index


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("document_id = 'a'", {"a0", "a1", "a2"}),
        ("name = 'O''Reilly.pdf'", {"b0"}),
        ("name LIKE '%.txt' AND page = 2", {"a1"}),
        ("page >= 2", {"a1", "a2"}),
        ("page != 2", {"a0", "a2", "b0"}),
        ("page IN (1, 3)", {"a0", "a2", "b0"}),
        ("heading = 'By train'", {"a0", "a1", "a2"}),
        ("heading CONTAINS 'TRAIN'", {"a0", "a1", "a2"}),
        ("NOT heading CONTAINS 'train'", {"b0"}),
        ("heading LIKE 'Travel > %'", {"a0", "a1", "a2"}),
        ("media_type IN ('application/pdf', 'x')", {"b0"}),
        ("kind = 'chunk' AND uri CONTAINS 'file:' AND tokens < 9", {"a0", "a1", "a2", "b0"}),
        ("text CONTAINS 'more' OR ordinal = 2", {"a1", "a2"}),
    ],
)
def test_the_index_understands_every_form(
    filled: CollectionIndex, expression: str, found: set[str]
) -> None:
    where = filter_sql(expression)
    hits = filled.snapshot().matching("words", 10, where)
    assert {f"{hit.document_id}{hit.pages[0] - 1}" for hit in hits} == found


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_literal_stays_a_literal_whatever_it_holds(filled: CollectionIndex, value: str) -> None:
    quoted = "'" + value.replace("'", "''") + "'"
    where = filter_sql(f"name = {quoted}")
    assert filled.snapshot().matching("words", 10, where) == []
    assert len(filled.snapshot().matching("words", 10, filter_sql(f"name != {quoted}"))) == 4


@given(st.text(max_size=60))
def test_any_text_is_either_translated_or_refused(text: str) -> None:
    with contextlib.suppress(PermanentError):
        assert filter_sql(text)
