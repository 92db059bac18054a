from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.tasks import Priority, ReindexOnly, TaskType
from ingestion_pipeline.tasks.messages import (
    MAX_MESSAGE_CHARACTERS,
    IngestOptions,
    ReindexOptions,
    parse_message,
    parse_options,
)

GOOD: dict[str, Any] = {
    "type": "ingest",
    "collection": "docs",
    "source": {"uri": "https://example.com/a.txt"},
}


def test_a_message_with_the_least_that_is_needed_gets_the_defaults() -> None:
    message = parse_message(json.dumps(GOOD))

    assert (message.type, message.tenant, message.priority) == (
        TaskType.INGEST,
        "default",
        Priority.NORMAL,
    )
    assert (message.task_id, message.options) == (None, {})


@pytest.mark.parametrize(
    "changes",
    [
        {"task_id": "Task-1_a.b", "tenant": "acme", "priority": "high"},
        {"source": {"uri": "object:a", "name": "Bericht für März.pdf"}},
        {"source": None, "document_id": "0123abcd"},
        {"options": {"force": True}},
        {"type": "reindex", "source": None, "options": {"only": "failed"}},
        {"type": "reindex", "source": None, "document_ids": ["a", "b"]},
        {"type": "delete", "source": None, "document_id": "a"},
    ],
)
def test_good_messages_are_read(changes: dict[str, Any]) -> None:
    parse_message(json.dumps(GOOD | changes))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, "no field 'message'"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a": NaN}', "not JSON"),
        ('{"a": 1e999}', "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"text"', "not a JSON object"),
        ("x" * (MAX_MESSAGE_CHARACTERS + 1), "longer than 1,000,000 characters"),
        ("{}", "type: Field required"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason_in_one_line(
    raw: str | None, said: str
) -> None:
    assert said in _refusal(raw)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "ingset"}, "type: "),
        ({"type": None}, "type: "),
        ({"collection": "Docs"}, "collection: "),
        ({"collection": "../docs"}, "collection: "),
        ({"collection": "d" * 64}, "collection: "),
        ({"collection": "docs\u0000"}, "collection: "),
        ({"collection": "docs\n"}, "collection: "),
        ({"collection": "\ud800"}, "collection: "),
        ({"collection": 7}, "collection: "),
        ({"tenant": ""}, "tenant: "),
        ({"tenant": "a/b"}, "tenant: "),
        ({"priority": "urgent"}, "priority: "),
        ({"proirity": "high"}, "proirity: Extra inputs"),
        ({"task_id": ""}, "task_id: "),
        ({"task_id": "a b"}, "task_id: "),
        ({"task_id": "-a"}, "task_id: "),
        ({"task_id": "a" * 129}, "task_id: "),
        ({"source": {"uri": ""}}, "source.uri: "),
        ({"source": {"uri": "x" * 4097}}, "source.uri: "),
        ({"source": {}}, "source.uri: "),
        ({"source": {"uri": "a", "nmae": "b"}}, "source.nmae: "),
        ({"source": "https://example.com"}, "source: "),
        ({"source": None}, "either 'source' or 'document_id'"),
        ({"document_id": "a"}, "either 'source' or 'document_id'"),
        ({"document_ids": ["a"]}, "one 'document_id'"),
        ({"options": []}, "options: "),
        ({"type": "delete"}, "'document_id' or 'document_ids'"),
        ({"type": "reindex"}, "by 'document_ids' only"),
        ({"type": "reindex", "source": None, "document_id": "a"}, "by 'document_ids' only"),
        ({"type": "reindex", "source": None, "document_ids": []}, "document_ids: "),
        ({"type": "reindex", "source": None, "document_ids": ["a b"]}, "document_ids.0: "),
        ({"\ud800": 1}, "valid string"),
        ({"x" * 100_000: 1}, "Extra inputs"),
        ({"a\nb\u0000": 1}, "Extra inputs"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    assert said in _refusal(json.dumps(GOOD | changes))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["type", "collection", "tenant", "priority", "source", "document_id", "document_ids", "options"]
)


@given(
    st.one_of(
        st.text(),
        st.text(alphabet='{}[]",:\\u0d8 -1e9', max_size=30),
        json_values.map(json.dumps),
        st.dictionaries(fields, json_values).map(lambda changes: json.dumps(GOOD | changes)),
    )
)
@example("\ud800")
@example('"\\ud800"')
@example("9" * 5000)
def test_whatever_arrives_is_read_or_refused_in_one_printable_line(raw: str) -> None:
    said = "read"
    try:
        message = parse_message(raw)
        parse_options(message.type, message.options)
    except PermanentError as error:
        said = error.message

    assert said.isprintable()
    assert len(said) < 500


@pytest.mark.parametrize(
    ("type_", "options", "expected"),
    [
        (TaskType.INGEST, {}, IngestOptions()),
        (TaskType.INGEST, {"force": True}, IngestOptions(force=True)),
        (TaskType.REINDEX, {}, ReindexOptions(only=ReindexOnly.STALE)),
        (TaskType.REINDEX, {"only": "all"}, ReindexOptions(only=ReindexOnly.ALL)),
    ],
)
def test_options_are_read(type_: TaskType, options: dict[str, Any], expected: object) -> None:
    assert parse_options(type_, options) == expected


@pytest.mark.parametrize(
    ("type_", "options", "said"),
    [
        (TaskType.INGEST, {"forec": True}, "the options are: force"),
        (TaskType.INGEST, {"force": "perhaps"}, "force: "),
        (TaskType.INGEST, {"only": "all"}, "the options are: force"),
        (TaskType.REINDEX, {"only": "some"}, "the options are: only"),
        (TaskType.REINDEX, {"\ud800": 1}, "the options are: only"),
    ],
)
def test_wrong_options_are_refused_and_the_right_ones_named(
    type_: TaskType, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(PermanentError) as raised:
        parse_options(type_, options)

    assert raised.value.kind is ErrorKind.INVALID_OPTION
    assert said in raised.value.message
    assert raised.value.message.isprintable()


def _refusal(raw: str | None) -> str:
    with pytest.raises(PermanentError) as raised:
        parse_message(raw)
    assert raised.value.kind is ErrorKind.INVALID_MESSAGE
    assert raised.value.message.isprintable()
    assert len(raised.value.message) < 500
    return raised.value.message
